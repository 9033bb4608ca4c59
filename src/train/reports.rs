//! What is told of a training run: within an epoch, after it, and as a line for machines.

use crate::error::Result;
use std::time::Duration;

/// Progress within an epoch.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Steps done in it.
    pub step: u64,
    /// Steps that it has.
    pub steps: u64,
    /// Mean loss of the samples since the epoch began.
    pub loss: f64,
    /// Share of right answers since the epoch began.
    pub accuracy: f64,
    /// Samples a second since the epoch began.
    pub samples_per_second: f64,
    /// Estimate for the rest of the run.
    pub time_left: Duration,
}

/// An epoch that is done.
#[derive(Clone, Copy, Debug)]
pub struct EpochReport {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Mean loss over the training samples, while they were learned.
    pub train_loss: f64,
    /// Share of right answers over them.
    pub train_accuracy: f64,
    /// Result on the test set.
    pub test: Evaluation,
    /// Training samples a second.
    pub images_per_s: f64,
    /// Seconds of training, without the test.
    pub seconds: f64,
}

/// Result on a set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Share of right answers.
    pub accuracy: f64,
    /// Samples.
    pub count: usize,
}

/// Who is told how the training goes.
pub trait Observer {
    /// Some steps are done.
    fn step(&mut self, report: &StepReport);
    /// An epoch is done.
    fn epoch(&mut self, report: &EpochReport) -> Result<()>;
}

/// The line of an epoch in `metrics.jsonl` and under `--json`.
pub fn epoch_line(report: &EpochReport) -> serde_json::Value {
    serde_json::json!({
        "event": "epoch",
        "epoch": report.epoch,
        "train_loss": report.train_loss,
        "train_accuracy": report.train_accuracy,
        "test_loss": report.test.loss,
        "test_accuracy": report.test.accuracy,
        "images_per_s": report.images_per_s,
        "seconds": report.seconds,
    })
}

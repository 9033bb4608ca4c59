//! What is told of a training run: within an epoch, after it, and as a line for machines.

use crate::data::Part;
use crate::error::Result;
use std::time::Duration;

/// What a score is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Share of right answers.
    Accuracy,
    /// Share of tokens that were the likeliest: of models of language, whose loss is the cross-entropy of a token in nats.
    TokenAccuracy,
    /// Mean distance of a number from what was to be predicted, in units of its deviation.
    MeanAbsoluteError,
}

impl Measure {
    /// The word for people and for the keys of JSON.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Accuracy | Measure::TokenAccuracy => "accuracy",
            Measure::MeanAbsoluteError => "mae",
        }
    }

    /// The perplexity that goes with a loss in nats a token: between how many tokens, equally likely, a model of language
    /// is undecided on average.
    pub fn perplexity(self, loss: f64) -> Option<f64> {
        (self == Measure::TokenAccuracy).then(|| loss.exp())
    }

    /// A score for people.
    pub fn show(self, score: f64) -> String {
        match self {
            Measure::Accuracy | Measure::TokenAccuracy => format!("{:.2}%", 100.0 * score),
            Measure::MeanAbsoluteError => format!("{score:.4}"),
        }
    }
}

/// Progress within an epoch.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Epochs that the run will have.
    pub epochs: u32,
    /// Steps done in it.
    pub step: u64,
    /// Steps that it has.
    pub steps: u64,
    /// Mean loss of the samples since the epoch began.
    pub loss: f64,
    /// Score since the epoch began.
    pub score: f64,
    /// What the score is.
    pub measure: Measure,
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
    /// Epochs that the run will have.
    pub epochs: u32,
    /// Mean loss over the training samples, while they were learned.
    pub train_loss: f64,
    /// Score over them.
    pub train_score: f64,
    /// Result on the part to evaluate.
    pub test: Evaluation,
    /// Training samples a second.
    pub samples_per_s: f64,
    /// Seconds of training, without the test.
    pub seconds: f64,
}

/// Result on a set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Which part of the data that is.
    pub part: Part,
    /// Mean loss.
    pub loss: f64,
    /// Score.
    pub score: f64,
    /// What the score is.
    pub measure: Measure,
    /// Samples.
    pub count: usize,
}

/// Who is told how the training goes.
pub trait Observer {
    /// Some steps are done.
    fn step(&mut self, report: &StepReport);
    /// An epoch is done.
    fn epoch(&mut self, report: &EpochReport) -> Result<()>;
    /// Whether to stop after the steps under way, with a checkpoint.
    fn stops(&self) -> bool {
        false
    }
}

/// The line of an epoch in `metrics.jsonl` and under `--json`: `test_…` are of the part of the data that `part` names.
pub fn epoch_line(report: &EpochReport) -> serde_json::Value {
    let measure = report.test.measure.name();
    let mut line = serde_json::json!({
        "event": "epoch",
        "epoch": report.epoch,
        "part": report.test.part,
        "train_loss": report.train_loss,
        "test_loss": report.test.loss,
        "samples_per_s": report.samples_per_s,
        "seconds": report.seconds,
    });
    line[format!("train_{measure}")] = report.train_score.into();
    line[format!("test_{measure}")] = report.test.score.into();
    if let Some(perplexity) = report.test.measure.perplexity(report.test.loss) {
        line["test_perplexity"] = perplexity.into();
    }
    line
}

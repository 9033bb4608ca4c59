//! Reports of a training run: within an epoch, after it, and as JSON lines.

use super::{KernelShares, chart};
use crate::data::Part;
use crate::error::Result;
use crate::tasks::Metric;
use crate::train::LossScaling;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// A metric with its value.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The metric.
    pub metric: Metric,
    /// Its value.
    pub value: f64,
}

impl Figure {
    /// Name and value as text: `accuracy 99.35%`.
    pub fn show(&self) -> String {
        format!("{} {}", self.metric.name, self.metric.show(self.value))
    }
}

/// Progress within an epoch.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Epochs that the run will have.
    pub epochs: u32,
    /// Steps done in this epoch.
    pub step: u64,
    /// Steps of this epoch.
    pub steps: u64,
    /// Mean loss over the samples since the start of the epoch.
    pub loss: f64,
    /// Score since the start of the epoch, if training computes one.
    pub score: Option<Figure>,
    /// Samples per second since the start of the epoch.
    pub samples_per_second: f64,
    /// Estimated time for the rest of the run.
    pub time_left: Duration,
    /// Share of the steps of the whole run that are done.
    pub done: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Peak number of bytes allocated on the device; 0 if it does not report it.
    pub device_bytes: u64,
    /// Shares of the kernels in the fourth step of this process, once it was taken; empty on the reference and for tasks of several
    /// phases.
    pub kernels: Option<Arc<KernelShares>>,
}

/// A finished epoch.
#[derive(Clone, Debug)]
pub struct EpochReport {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Epochs that the run will have.
    pub epochs: u32,
    /// Mean loss over the training samples, as they were trained on.
    pub train_loss: f64,
    /// Mean losses of the phases after the first, by name.
    pub phase_losses: Vec<(&'static str, f64)>,
    /// Score over them, if training computes one.
    pub train_score: Option<Figure>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Result on the part to evaluate.
    pub test: Evaluation,
    /// Training samples per second.
    pub samples_per_s: f64,
    /// Seconds of training, without the evaluation.
    pub seconds: f64,
    /// Whether it is the best epoch so far by the monitored metric.
    pub is_best: bool,
    /// The waiting for data, if pictures were decoded during the training.
    pub waits: Option<DataWaits>,
    /// The scaling of the loss, in mixed precision.
    pub scaling: Option<LossScaling>,
    /// What was spent so far, in private training.
    pub privacy: Option<PrivacySpent>,
}

/// The privacy that the steps of a run have spent so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrivacySpent {
    /// The privacy loss for [`PrivacySpent::delta`].
    pub epsilon: f64,
    /// Probability with which the bound may fail.
    pub delta: f64,
    /// Share of the samples of the epoch whose gradients were clipped.
    pub clipped: f64,
}

/// How long an epoch waited where pictures are decoded while the device trains, as shares of the epoch's time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataWaits {
    /// The device, for data.
    pub device: f64,
    /// The threads that decode pictures, for room to put them; the mean of all threads.
    pub decoders: f64,
}

/// Result on a set.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The part of the data.
    pub part: Part,
    /// Mean loss.
    pub loss: f64,
    /// The known metrics of the task, the score first.
    pub figures: Vec<Figure>,
    /// Number of samples.
    pub count: usize,
}

impl Evaluation {
    /// The score: the first figure.
    pub fn score(&self) -> Option<&Figure> {
        self.figures.first()
    }

    /// The value of the metric `name`; `loss` is one.
    pub fn value(&self, name: &str) -> Option<f64> {
        if name == LOSS.name {
            return Some(self.loss);
        }
        let found = self
            .figures
            .iter()
            .find(|figure| figure.metric.name == name);
        found.map(|figure| figure.value)
    }

    /// The result in a line of `metrics.jsonl`, of those of `metrics` that it has. The number of samples is not in it.
    pub(super) fn from_line(line: &Value, metrics: &[Metric]) -> Evaluation {
        let figure = |metric: &Metric| {
            let value = line[format!("test_{}", metric.name)].as_f64()?;
            Some(Figure {
                metric: *metric,
                value,
            })
        };
        Evaluation {
            part: chart::part(std::slice::from_ref(line)),
            loss: chart::number(line, "test_loss"),
            figures: metrics.iter().filter_map(figure).collect(),
            count: 0,
        }
    }

    /// The keys `test_loss`, `test_NAME` of every metric.
    pub fn to_json(&self) -> Map<String, Value> {
        let figures = self
            .figures
            .iter()
            .map(|figure| (format!("test_{}", figure.metric.name), figure.value.into()));
        [("test_loss".to_string(), self.loss.into())]
            .into_iter()
            .chain(figures)
            .collect()
    }
}

/// The loss as a metric, which every run can monitor.
pub const LOSS: Metric = Metric::error("loss", |counters| counters.loss());

/// Receives progress reports of a training run.
pub trait Observer {
    /// Called after some steps.
    fn step(&mut self, report: &StepReport);
    /// Called after an epoch.
    fn epoch(&mut self, report: &EpochReport) -> Result<()>;
    /// Whether to stop after the current steps, with a checkpoint.
    fn stops(&self) -> bool {
        false
    }
}

/// An observer that does nothing.
pub struct Silent;

impl Observer for Silent {
    fn step(&mut self, _: &StepReport) {}

    fn epoch(&mut self, _: &EpochReport) -> Result<()> {
        Ok(())
    }
}

/// The line of an epoch in `metrics.jsonl` and under `--json`; `test_...` keys are for the part of the data that `part` names.
pub fn epoch_line(report: &EpochReport) -> Value {
    let mut line = Map::from_iter([
        ("event".to_string(), "epoch".into()),
        ("epoch".to_string(), report.epoch.into()),
        ("part".to_string(), report.test.part.name().into()),
        ("train_loss".to_string(), report.train_loss.into()),
        ("learning_rate".to_string(), report.learning_rate.into()),
        ("samples_per_s".to_string(), report.samples_per_s.into()),
        ("seconds".to_string(), report.seconds.into()),
        ("is_best".to_string(), report.is_best.into()),
    ]);
    if let Some(score) = &report.train_score {
        line.insert(format!("train_{}", score.metric.name), score.value.into());
    }
    for (phase, loss) in &report.phase_losses {
        line.insert(format!("train_{phase}_loss"), (*loss).into());
    }
    if let Some(waits) = report.waits {
        line.insert("device_waited".to_string(), waits.device.into());
        line.insert("decoders_waited".to_string(), waits.decoders.into());
    }
    if let Some(scaling) = report.scaling {
        line.insert("loss_scale".to_string(), scaling.scale.into());
        line.insert("skipped_steps".to_string(), scaling.skipped.into());
    }
    if let Some(privacy) = report.privacy {
        line.insert("epsilon".to_string(), privacy.epsilon.into());
        line.insert("delta".to_string(), privacy.delta.into());
        line.insert("clipped".to_string(), privacy.clipped.into());
    }
    line.extend(report.test.to_json());
    line.into()
}

//! Which epoch of a run is the best, and when to stop because none gets better.

use super::checkpoint::{Best, Progress};
use super::reports::{Evaluation, LOSS};
use crate::error::{Error, Result};
use crate::tasks::{Metric, Task};

/// How epochs are compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Monitor {
    /// Name of the metric; the one that the task names if absent.
    pub metric: Option<String>,
    /// Epochs without improvement after which the run stops; never if absent.
    pub patience: Option<u32>,
    /// The least change that is an improvement.
    pub min_delta: f64,
}

impl Monitor {
    /// Checks that the task reports the metric.
    ///
    /// # Errors
    /// Lists those that it reports.
    pub fn check(&self, task: &dyn Task) -> Result<()> {
        match &self.metric {
            Some(name) => check_metric("monitor", name, task),
            None => Ok(()),
        }
    }

    /// The metric.
    pub fn metric(&self, task: &dyn Task) -> Metric {
        let metrics = task.metrics();
        let name = self.metric.as_deref().unwrap_or(task.monitored());
        let found = metrics.iter().find(|metric| metric.name == name);
        found.copied().unwrap_or(LOSS)
    }

    /// Takes the result of an epoch into account; whether it is the best so far.
    pub(super) fn observe(
        &self,
        task: &dyn Task,
        progress: &mut Progress,
        epoch: u32,
        result: &Evaluation,
    ) -> bool {
        let metric = self.metric(task);
        let Some(value) = result.value(metric.name).filter(|value| value.is_finite()) else {
            return false;
        };
        let improves = |least: f64| match &progress.best {
            None => true,
            Some(best) => metric.improves(value, best.value, least),
        };
        match improves(self.min_delta) {
            true => progress.epochs_without_improvement = 0,
            false => progress.epochs_without_improvement += 1,
        }
        let loss = result.loss;
        // Of epochs that are equally good, the one with the lower loss.
        let tie = |best: &Best| value == best.value && loss < best.loss;
        let is_best = improves(0.0) || progress.best.as_ref().is_some_and(tie);
        if is_best {
            progress.best = Some(Best { epoch, value, loss });
        }
        is_best
    }

    /// Whether a run stops after so many epochs without improvement.
    pub(super) fn gives_up(&self, epochs: u32) -> bool {
        self.patience.is_some_and(|patience| epochs >= patience)
    }
}

/// Checks that `task` reports the metric `name`, which the setting `key` names.
///
/// # Errors
/// Lists those that it reports.
pub(super) fn check_metric(key: &str, name: &str, task: &dyn Task) -> Result<()> {
    let known = task.metrics();
    if name == LOSS.name || known.iter().any(|metric| metric.name == name) {
        return Ok(());
    }
    let names: Vec<&str> = known.iter().map(|metric| metric.name).collect();
    Err(Error::Config(format!(
        "{key} is \"{name}\", but the task {} reports loss, {}",
        task.registered().name,
        names.join(", ")
    )))
}

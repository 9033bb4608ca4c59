//! Selection of the best epoch, and early stopping.

use super::checkpoint::{Best, Progress};
use super::observer::{Evaluation, LOSS};
use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use crate::tasks::{Metric, Task};
use serde_json::Value;

/// How epochs are compared, and when to stop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Monitor {
    /// Name of the metric; the task's default if absent.
    pub metric: Option<String>,
    /// Epochs without improvement after which the run stops; never if absent.
    pub patience: Option<u32>,
    /// The smallest change that counts as an improvement.
    pub min_delta: f64,
}

impl Monitor {
    /// Checks that the task reports the metric, and that there is one where the run may stop early.
    ///
    /// # Errors
    /// Lists those that it reports.
    pub fn check(&self, task: &dyn Task) -> Result<()> {
        match (&self.metric, self.patience, task.monitored()) {
            (Some(_), ..) => self.check_as("monitor", task),
            (None, Some(_), None) => Err(Error::Config(format!(
                "patience stops a run whose epochs no longer improve, and no metric of the task {} says which epoch is better: name \
                 one with monitor, or leave patience out",
                task.registered().name
            ))),
            (None, ..) => Ok(()),
        }
    }

    /// Checks that the task reports the metric, which was named by the setting `key`.
    ///
    /// # Errors
    /// Lists those that it reports.
    pub fn check_as(&self, key: &str, task: &dyn Task) -> Result<()> {
        match &self.metric {
            Some(name) => check_metric(key, name, task),
            None => Ok(()),
        }
    }

    /// The metric by which epochs are compared; `None` if no epoch is better than another.
    pub fn metric(&self, task: &dyn Task) -> Option<Metric> {
        let metrics = task.metrics();
        let name = self.metric.as_deref().or(task.monitored())?;
        let found = metrics.iter().find(|metric| metric.name == name);
        Some(found.copied().unwrap_or(LOSS))
    }

    /// Whether a run with these lines of `metrics.jsonl` is out of patience.
    pub fn gives_up_after(&self, task: &dyn Task, lines: &[Value]) -> bool {
        let mut progress = Progress::default();
        for line in lines {
            let result = Evaluation::from_line(line, &task.metrics());
            self.observe(task, &mut progress, 0, &result);
        }
        self.patience
            .is_some_and(|patience| progress.epochs_without_improvement >= patience)
    }

    /// Records the result of an epoch and returns whether it is the best so far.
    pub(super) fn observe(
        &self,
        task: &dyn Task,
        progress: &mut Progress,
        epoch: u32,
        result: &Evaluation,
    ) -> bool {
        let Some(metric) = self.metric(task) else {
            return false;
        };
        let Some(value) = result.value(metric.name).filter(|value| value.is_finite()) else {
            return false;
        };
        let best = progress.best.as_ref().map(|best| best.value);
        let improves =
            |on: Option<f64>, least| on.is_none_or(|on| metric.improves(value, on, least));
        // Small improvements add up: they are measured from the last value that counted, not from the best one.
        match improves(progress.improved.or(best), self.min_delta) {
            true => {
                progress.epochs_without_improvement = 0;
                progress.improved = Some(value);
            }
            false => progress.epochs_without_improvement += 1,
        }
        let loss = result.loss;
        // Of equally good epochs, the one with the lower loss wins.
        let tie = |best: &Best| value == best.value && loss < best.loss;
        let is_best = improves(best, 0.0) || progress.best.as_ref().is_some_and(tie);
        if is_best {
            progress.best = Some(Best {
                epoch,
                value,
                loss,
                step: progress.step,
            });
        }
        is_best
    }
}

/// Checks that `task` reports the metric `name`, the value of the setting `key`.
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
        "{key} is \"{name}\", but the task {} reports loss, {}{}",
        task.registered().name,
        names.join(", "),
        did_you_mean(name, names.iter().copied())
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Part;
    use crate::tasks::{TaskSettings, named};

    /// Epochs without improvement after each of these losses, and the best epoch.
    fn observed(min_delta: f64, losses: &[f64]) -> (Vec<u32>, u32) {
        let task = (named("classification").unwrap().make)(&TaskSettings::default()).unwrap();
        let monitor = Monitor {
            metric: Some("loss".to_string()),
            patience: Some(3),
            min_delta,
        };
        let mut progress = Progress::default();
        let without = (1..).zip(losses).map(|(epoch, &loss)| {
            let result = Evaluation {
                part: Part::Test,
                loss,
                figures: Vec::new(),
                count: 1,
            };
            monitor.observe(&*task, &mut progress, epoch, &result);
            progress.epochs_without_improvement
        });
        let without = without.collect();
        (without, progress.best.unwrap().epoch)
    }

    #[test]
    fn small_improvements_add_up_to_one_that_counts() {
        let losses = [1.0, 0.96, 0.92, 0.88, 0.85];
        assert_eq!(observed(0.1, &losses), (vec![0, 1, 2, 0, 1], 5));
        assert_eq!(observed(0.0, &losses), (vec![0; 5], 5));
    }

    #[test]
    fn a_run_is_out_of_patience_by_its_lines_as_it_was_when_it_trained() {
        let task = (named("classification").unwrap().make)(&TaskSettings::default()).unwrap();
        let line = |accuracy: f64| serde_json::json!({"test_loss": 1.0, "test_accuracy": accuracy});
        let lines = [0.5, 0.75, 0.75, 0.5].map(line);
        let monitor = |patience| Monitor {
            patience,
            ..Monitor::default()
        };
        assert!(monitor(Some(2)).gives_up_after(&*task, &lines));
        assert!(!monitor(Some(2)).gives_up_after(&*task, &lines[..3]));
        assert!(!monitor(None).gives_up_after(&*task, &lines));
    }

    #[test]
    fn a_task_without_a_score_has_no_best_epoch_unless_a_metric_is_named() {
        let task = (named("gan").unwrap().make)(&TaskSettings::default()).unwrap();
        let monitor = Monitor {
            patience: Some(3),
            ..Monitor::default()
        };
        assert!(monitor.metric(&*task).is_none());
        let error = monitor.check(&*task).unwrap_err().to_string();
        assert!(
            error.contains("patience") && error.contains("better: name one with monitor"),
            "{error}"
        );
        let result = Evaluation {
            part: Part::Test,
            loss: 1.0,
            figures: Vec::new(),
            count: 1,
        };
        let mut progress = Progress::default();
        assert!(!monitor.observe(&*task, &mut progress, 1, &result));
        assert_eq!(progress, Progress::default());
        let named = Monitor {
            metric: Some("generator_loss".to_string()),
            ..monitor
        };
        named.check(&*task).unwrap();
        assert_eq!(named.metric(&*task).unwrap().name, "generator_loss");
    }

    #[test]
    fn what_is_worse_or_no_number_is_no_improvement() {
        let losses = [1.0, 0.5, 0.7, 0.5, f64::NAN];
        assert_eq!(observed(0.0, &losses), (vec![0, 0, 1, 2, 2], 2));
    }
}

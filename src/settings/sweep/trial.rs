//! Trials of a sweep and their results.

use super::super::Settings;
use super::values::{TrialValue, named};
use crate::error::{Error, Result};
use crate::run::{LOSS, Monitor, RunFolder};
use crate::tasks::{Better, Metric, Shown};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::path::PathBuf;

/// Settings that are tried.
#[derive(Clone, Debug)]
pub struct SweepTrial {
    /// Its number, from 1.
    pub number: usize,
    /// What it sets, in alphabetical order of the keys.
    pub values: Vec<TrialValue>,
    /// The seeds with which it is trained, at least one.
    pub seeds: Vec<u64>,
}

impl SweepTrial {
    /// The settings of the trial: those that all trials share, with its values.
    ///
    /// # Errors
    /// Names the value that can't be set.
    pub(super) fn settings(&self, shared: &Settings) -> Result<Settings> {
        let mut settings = shared.clone();
        for (key, value) in &self.values {
            let changed = settings.with(key, value.clone());
            settings = changed.map_err(|error| {
                named(key, &format!("{value} can't be set: {}", error.sentence()))
            })?;
        }
        Ok(settings)
    }

    /// Its runs: itself with each of its seeds.
    pub(super) fn all_runs(&self) -> impl Iterator<Item = (&SweepTrial, u64)> {
        self.seeds.iter().map(move |&seed| (self, seed))
    }

    /// What its run with this seed is called in the folder.
    pub(super) fn run_name(&self, seed: u64) -> String {
        match self.seeds.len() {
            1 => self.number.to_string(),
            _ => format!("{}-seed-{seed}", self.number),
        }
    }
}

/// `result.toml` of a run of a trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RunResult {
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How the metric is compared and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricTraits>,
    /// What it reached when trials were compared, each time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Reached>,
}

/// How a metric is compared and shown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MetricTraits {
    pub better: Better,
    pub shown: Shown,
}

/// A run at the time of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reached {
    /// The metric in the best epoch so far.
    pub value: f64,
    /// Finished epochs.
    pub epochs: u64,
    /// Steps that were taken.
    pub steps: u64,
    /// Seconds of training, without evaluations.
    pub seconds: f64,
}

impl RunResult {
    /// Adds what the run in `folder` has reached, in up to `epochs` epochs, by the metric called `name`.
    ///
    /// # Errors
    /// If its files can't be read, or no epoch has a finite value of the metric.
    pub(super) fn measure(
        &mut self,
        folder: &RunFolder,
        settings: &Settings,
        name: &str,
        epochs: Option<u32>,
    ) -> Result<()> {
        let metric = metric(settings, name)?;
        let lines = folder.read_metrics()?;
        let most = epochs.map_or(usize::MAX, |epochs| epochs as usize);
        let lines = &lines[..lines.len().min(most)];
        let key = format!("test_{name}");
        let values = lines.iter().filter_map(|line| line[&key].as_f64());
        let best = values.reduce(|best, value| match metric.improves(value, best, 0.0) {
            true => value,
            false => best,
        });
        let value = best.ok_or_else(|| {
            Error::Training(format!("no epoch has a finite value of the metric {name}"))
        })?;
        let seconds = lines.iter().filter_map(|line| line["seconds"].as_f64());
        self.metric = Some(MetricTraits {
            better: metric.better,
            shown: metric.shown,
        });
        self.reached.push(Reached {
            value,
            epochs: lines.len() as u64,
            steps: folder.saved_steps().unwrap_or(0),
            seconds: seconds.sum(),
        });
        Ok(())
    }
}

/// The metric called `name` of a run with these settings.
fn metric(settings: &Settings, name: &str) -> Result<Metric> {
    let monitor = Monitor {
        metric: Some(name.to_string()),
        ..Monitor::default()
    };
    let metric = monitor.metric(&*settings.named_task()?);
    Ok(metric.unwrap_or(LOSS))
}

/// A finished trial.
#[derive(Clone, Debug)]
pub struct TrialResult {
    /// Its number, from 1.
    pub trial: usize,
    /// What it set.
    pub values: Vec<TrialValue>,
    /// Its runs, a seed each.
    pub runs: Vec<TrialRun>,
    /// Why it failed, if it did: because of one of its runs.
    pub error: Option<String>,
    pub(super) metric: Option<MetricTraits>,
}

/// A run of a trial.
#[derive(Clone, Debug)]
pub struct TrialRun {
    /// Its random seed.
    pub seed: u64,
    /// Its folder.
    pub path: PathBuf,
    /// The metric in its best epoch.
    pub value: f64,
    /// Finished epochs.
    pub epochs: u64,
    /// Steps that were taken.
    pub steps: u64,
    /// Seconds of training, without evaluations.
    pub seconds: f64,
}

impl TrialResult {
    /// The metric: the mean over the seeds. `None` if the trial failed.
    pub fn value(&self) -> Option<f64> {
        let sum: f64 = self.runs.iter().map(|run| run.value).sum();
        (self.error.is_none() && !self.runs.is_empty()).then(|| sum / self.runs.len() as f64)
    }

    /// The population standard deviation of the metric over the seeds, if there are several.
    pub fn std(&self) -> Option<f64> {
        let mean = self.value().filter(|_| self.runs.len() > 1)?;
        let squares = self.runs.iter().map(|run| (run.value - mean).powi(2));
        Some((squares.sum::<f64>() / self.runs.len() as f64).sqrt())
    }

    /// The value of the metric, or another one in its unit, as text.
    pub fn show(&self, value: f64) -> String {
        match self.metric {
            Some(metric) => metric.shown.show(value),
            None => value.to_string(),
        }
    }

    /// The metric as text: `91.20%`, or `91.20% ± 0.40%` over several seeds.
    pub fn shown_value(&self) -> Option<String> {
        let value = self.show(self.value()?);
        Some(match self.std() {
            Some(std) => format!("{value} ± {}", self.show(std)),
            None => value,
        })
    }

    /// Epochs of its longest run.
    pub fn epochs(&self) -> u64 {
        self.runs.iter().map(|run| run.epochs).max().unwrap_or(0)
    }

    /// Steps of all its runs.
    pub fn steps(&self) -> u64 {
        self.runs.iter().map(|run| run.steps).sum()
    }

    /// Seconds of training of all its runs.
    pub fn seconds(&self) -> f64 {
        self.runs.iter().map(|run| run.seconds).sum()
    }

    /// The run with the best value.
    pub fn best_run(&self) -> Option<&TrialRun> {
        let better = self.metric.map(|metric| metric.better)?;
        self.runs.iter().reduce(
            |best, run| match better.improves(run.value, best.value, 0.0) {
                true => run,
                false => best,
            },
        )
    }

    /// Whether it is better than `other`. A trial that failed is worse than any that did not.
    pub(super) fn is_better_than(&self, other: &TrialResult) -> bool {
        match (self.value(), other.value(), self.metric) {
            (Some(value), Some(best), Some(metric)) => metric.better.improves(value, best, 0.0),
            (Some(_), None, _) => true,
            _ => false,
        }
    }

    /// The trial as JSON, with the value of the metric called `metric`: `seed` and `run` are those of the run with the best value, and
    /// `values` has those of several seeds.
    pub fn to_json(&self, metric: &str) -> Map<String, Json> {
        let settings = self
            .values
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)));
        let best = self.best_run();
        let mut line = Map::from_iter([
            ("trial".to_string(), self.trial.into()),
            (
                "settings".to_string(),
                settings.collect::<Map<_, _>>().into(),
            ),
            ("metric".to_string(), metric.into()),
            ("value".to_string(), self.value().into()),
            ("epochs".to_string(), self.epochs().into()),
            ("steps".to_string(), self.steps().into()),
            ("seconds".to_string(), self.seconds().into()),
            ("seed".to_string(), best.map(|run| run.seed).into()),
            (
                "run".to_string(),
                best.map(|run| run.path.display().to_string()).into(),
            ),
        ]);
        if let Some(std) = self.std() {
            let values = self.runs.iter().map(|run| {
                json!({"seed": run.seed, "value": run.value, "run": run.path.display().to_string()})
            });
            line.insert("std".to_string(), std.into());
            line.insert("values".to_string(), values.collect::<Vec<_>>().into());
        }
        if let Some(error) = &self.error {
            line.insert("error".to_string(), error.as_str().into());
        }
        line
    }
}

/// Sorts results from the best to the worst; of equal ones the first trial is before.
pub(super) fn sort(results: &mut [TrialResult]) {
    results.sort_by(|a, b| {
        let order = b.is_better_than(a).cmp(&a.is_better_than(b));
        order.then(a.trial.cmp(&b.trial))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(trial: usize, better: Better, values: &[f64]) -> TrialResult {
        let run = |(seed, &value): (u64, &f64)| TrialRun {
            seed,
            path: PathBuf::from(format!("trial-{trial}-seed-{seed}")),
            value,
            epochs: 2,
            steps: 10,
            seconds: 0.5,
        };
        TrialResult {
            trial,
            values: vec![("batch".to_string(), 8.into())],
            runs: (1..).zip(values).map(run).collect(),
            error: values.is_empty().then(|| "it diverged".to_string()),
            metric: (!values.is_empty()).then_some(MetricTraits {
                better,
                shown: Shown::Percent,
            }),
        }
    }

    #[test]
    fn the_best_trial_is_first_and_failed_ones_are_last() {
        for (better, wanted) in [
            (Better::Higher, [2, 4, 1, 3]),
            (Better::Lower, [1, 2, 4, 3]),
        ] {
            let values: [&[f64]; 4] = [&[0.25], &[0.5], &[], &[0.5]];
            let mut results: Vec<TrialResult> = (1..)
                .zip(values)
                .map(|(trial, values)| result(trial, better, values))
                .collect();
            sort(&mut results);
            assert_eq!(results.iter().map(|r| r.trial).collect::<Vec<_>>(), wanted);
        }
    }

    #[test]
    fn a_trial_of_several_seeds_has_their_mean_and_deviation() {
        let found = result(3, Better::Higher, &[0.5, 0.75]);
        let line = found.to_json("accuracy");
        assert_eq!(
            (&line["value"], &line["std"]),
            (&json!(0.625), &json!(0.125))
        );
        assert_eq!((&line["seed"], &line["steps"]), (&json!(2), &json!(20)));
        assert_eq!(line["run"], "trial-3-seed-2");
        assert_eq!(line["values"][0]["value"], 0.5);
        assert_eq!(line["settings"], json!({"batch": 8}));
        assert_eq!(found.shown_value().unwrap(), "62.50% ± 12.50%");
        let failed = result(4, Better::Higher, &[]).to_json("accuracy");
        assert_eq!(
            (&failed["value"], &failed["error"]),
            (&Json::Null, &json!("it diverged"))
        );
    }
}

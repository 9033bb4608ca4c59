//! The result of a sweep: its trials from the best to the worst, `best.toml` and `sweep.html`.

use super::values::values_text;
use super::{BEST, PAGE, Sweep, SweepMethod, TrialResult, trial};
use crate::data::Part;
use crate::error::{Error, Result};
use crate::files::write_whole;
use serde_json::{Map, Value as Json};
use std::path::PathBuf;

/// The result of a sweep.
#[derive(Clone, Debug)]
pub struct SweepSummary {
    /// The folder of the sweep.
    pub path: PathBuf,
    /// How the values of trials were chosen.
    pub method: SweepMethod,
    /// The metric by which trials were compared.
    pub metric: String,
    /// The part of the data on which they were.
    pub part: Part,
    /// The keys that had several values.
    pub keys: Vec<String>,
    /// The trials from the best to the worst; those that failed are last. The first one did not fail.
    pub results: Vec<TrialResult>,
    /// Title of the runs: model and data.
    pub title: String,
}

impl SweepSummary {
    /// Writes `best.toml` and `sweep.html` into the folder of the sweep.
    pub(super) fn write(sweep: &Sweep, mut results: Vec<TrialResult>) -> Result<SweepSummary> {
        trial::sort(&mut results);
        let path = sweep.folder.path.clone();
        let best = results.first();
        let failed = || {
            let why = best.and_then(|first| first.error.as_deref()).unwrap_or("");
            Error::Training(format!(
                "all {} trials in {} failed, the first one because {why}",
                results.len(),
                path.display()
            ))
        };
        let best = best.and_then(|best| best.best_run().map(|run| (best, run)));
        let Some((best, run)) = best else {
            return Err(failed());
        };
        let found = sweep.trials.get(best.trial - 1);
        let settings = found.map(|trial| sweep.settings.of_run(trial, run.seed));
        let settings = settings.ok_or_else(failed)??;
        let part = settings.data.evaluate;
        let text = format!(
            "# Trial {} of a sweep, the best of {} by {}: {}\n#   {}\n{}",
            best.trial,
            results.len(),
            sweep.metric,
            best.shown_value().unwrap_or_default(),
            values_text(&best.values).replace(['\n', '\r'], " "),
            settings.shared_text()?
        );
        let summary = SweepSummary {
            method: sweep.settings.method,
            metric: sweep.metric.clone(),
            part,
            keys: sweep.settings.values.keys().cloned().collect(),
            title: sweep.settings.run.title(),
            path,
            results,
        };
        write_whole(&summary.page_path(), summary.page().as_bytes())?;
        // Written last: a folder with it has ended.
        write_whole(&summary.best_path(), text.as_bytes())?;
        Ok(summary)
    }

    /// The best trial.
    pub fn best(&self) -> Option<&TrialResult> {
        self.results.first()
    }

    /// Number of trials that failed.
    pub fn failed(&self) -> usize {
        let failed = |result: &&TrialResult| result.error.is_some();
        self.results.iter().filter(failed).count()
    }

    /// `best.toml`: a run file with the settings of the best trial.
    pub fn best_path(&self) -> PathBuf {
        self.path.join(BEST)
    }

    /// `sweep.html`: a picture and a table of all trials.
    pub fn page_path(&self) -> PathBuf {
        self.path.join(PAGE)
    }

    /// The best trial as JSON, and the keys `trials`, `failed`, `sweep`, `best_settings` and `page`.
    pub fn to_json(&self) -> Map<String, Json> {
        let best = self.best().map(|best| best.to_json(&self.metric));
        let mut line = best.unwrap_or_default();
        line.extend([
            ("trials".to_string(), self.results.len().into()),
            ("failed".to_string(), self.failed().into()),
            ("sweep".to_string(), self.path.display().to_string().into()),
            (
                "best_settings".to_string(),
                self.best_path().display().to_string().into(),
            ),
            (
                "page".to_string(),
                self.page_path().display().to_string().into(),
            ),
        ]);
        line
    }
}

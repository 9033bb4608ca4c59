//! Comparison of runs: the settings that differ, the metrics that they share, and their curves.

mod page;

use super::Settings;
use super::changes::{flat, shown};
use crate::data::Part;
use crate::error::{Error, Result};
use crate::run::chart::{epoch, number, part};
use crate::run::{GroupFolder, LOSS, Monitor};
use crate::tasks::Metric;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::Value;

/// Several runs beside each other. All lists of values are in the order of [`Comparison::runs`].
pub struct Comparison {
    /// The runs, at least two.
    pub runs: Vec<ComparedRun>,
    /// The settings that are not the same in all runs: those of single layers and other items of lists last.
    pub settings: Vec<DifferingSetting>,
    /// The loss, and the metrics that at least two runs report.
    pub metrics: Vec<ComparedMetric>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// A run that is compared.
pub struct ComparedRun {
    /// Its folder.
    pub path: PathBuf,
    /// Model and data.
    pub title: String,
    /// Name of its task.
    pub task: &'static str,
    /// The part on which it was evaluated.
    pub part: Part,
    /// Finished epochs.
    pub epochs: u64,
    /// Seconds of training, without evaluations.
    pub seconds: f64,
    /// The best epoch, and the metric that selects it; `None` if no metric says which epoch is better.
    pub best: Option<(u64, &'static str)>,
    /// Whether it is being trained.
    pub is_training: bool,
    metrics: Vec<Metric>,
    /// The lines of `metrics.jsonl`.
    lines: Vec<Json>,
    settings: BTreeMap<String, Value>,
}

/// A setting that is not the same in all runs.
pub struct DifferingSetting {
    /// Dotted key; items of lists of tables count from 1: `model.layer[1].units`.
    pub key: String,
    /// Its values; `None` where a run has no such setting.
    pub values: Vec<Option<Value>>,
}

/// The epoch of which a metric is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparedEpoch {
    /// The best one of each run, by its own monitored metric.
    Best,
    /// The last one of each run.
    Last,
}

/// Values of a metric on the evaluated part.
pub struct ComparedMetric {
    /// The metric.
    pub metric: Metric,
    /// Of which epoch.
    pub epoch: ComparedEpoch,
    /// Its values; `None` where a run does not report it.
    pub values: Vec<Option<f64>>,
}

impl ComparedEpoch {
    /// `best` or `last`.
    pub fn name(self) -> &'static str {
        match self {
            ComparedEpoch::Best => "best",
            ComparedEpoch::Last => "last",
        }
    }
}

impl DifferingSetting {
    /// The values as TOML; empty where a run has no such setting.
    pub fn shown(&self) -> impl Iterator<Item = String> {
        let text = |value: &Option<Value>| value.as_ref().map_or(String::new(), Value::to_string);
        self.values.iter().map(text)
    }
}

impl ComparedMetric {
    /// Name and epoch: `accuracy, best epoch`.
    pub fn title(&self) -> String {
        format!("{}, {} epoch", self.metric.name, self.epoch.name())
    }

    /// The runs with the best value, by their indices. None if all have the same value.
    pub fn winners(&self) -> Vec<usize> {
        let known = self.values.iter().flatten();
        let best = known.copied().reduce(|best, value| {
            let improves = self.metric.improves(value, best, 0.0);
            if improves { value } else { best }
        });
        let wins = |index: &usize| self.values[*index] == best;
        let winners: Vec<usize> = (0..self.values.len()).filter(wins).collect();
        match best {
            Some(_) if winners.len() < self.values.len() => winners,
            _ => Vec::new(),
        }
    }
}

impl ComparedRun {
    /// Reads a run; `None` if no epoch is finished.
    fn read(path: &Path) -> Result<Option<ComparedRun>> {
        let (folder, settings) = Settings::open_run(path)?;
        let lines = match folder.metrics_path().is_file() {
            true => folder.read_metrics()?,
            false => Vec::new(),
        };
        let lines: Vec<Json> = lines.into_iter().filter(|line| epoch(line) > 0).collect();
        let Some(last) = lines.last() else {
            return Ok(None);
        };
        let task = settings.named_task()?;
        let monitor = Monitor {
            metric: settings.monitor.clone(),
            ..Monitor::default()
        };
        let best = lines.iter().rfind(|line| line["is_best"] == true);
        let best = best.map(epoch).zip(monitor.metric(&*task));
        let seconds = lines.iter().map(|line| number(line, "seconds"));
        let own = |key: &String| key != "chosen" && !key.starts_with("fitted");
        Ok(Some(ComparedRun {
            path: path.to_path_buf(),
            title: settings.title(),
            task: task.registered().name,
            part: part(&lines),
            epochs: epoch(last),
            seconds: seconds.filter(|seconds| seconds.is_finite()).sum(),
            best: best.map(|(epoch, metric)| (epoch, metric.name)),
            is_training: folder.is_locked(),
            metrics: [LOSS].into_iter().chain(task.metrics()).collect(),
            settings: flat(&settings)?
                .into_iter()
                .filter(|(key, _)| own(key))
                .collect(),
            lines,
        }))
    }

    /// The name of its folder, without the folders above.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    fn line(&self, which: ComparedEpoch) -> Option<&Json> {
        match which {
            ComparedEpoch::Last => self.lines.last(),
            ComparedEpoch::Best => {
                let (best, _) = self.best?;
                self.lines.iter().rfind(|line| epoch(line) == best)
            }
        }
    }

    /// The value of a metric, if the run reports it.
    fn value(&self, metric: &Metric, which: ComparedEpoch) -> Option<f64> {
        let value = number(self.line(which)?, &format!("test_{}", metric.name));
        Some(value).filter(|value| value.is_finite())
    }

    fn reports(&self, metric: &Metric) -> bool {
        let known = self.metrics.iter().any(|own| own.name == metric.name);
        known && self.value(metric, ComparedEpoch::Last).is_some()
    }
}

impl Comparison {
    /// Compares the runs in the folders `paths`. The folder of a cross-validation or of a sweep stands for all its runs.
    ///
    /// # Errors
    /// If a folder is not that of a run, or of a run without a finished epoch, a run is named twice, or there are less than two.
    pub fn of(paths: &[PathBuf]) -> Result<Comparison> {
        let mut notes = Vec::new();
        let mut runs = Vec::new();
        for path in paths {
            match GroupFolder::find(path) {
                Some(group) => runs.extend(members(&group, &mut notes)?),
                None => runs.push(ComparedRun::read(path)?.ok_or_else(|| {
                    Error::Config(format!(
                        "{} has no finished epoch yet, so there is nothing to compare; train it further, or leave it out",
                        path.display()
                    ))
                })?),
            }
        }
        check_different(&runs)?;
        if let [] | [_] = &runs[..] {
            let named: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
            return Err(Error::Config(format!(
                "a comparison takes at least two runs with a finished epoch, and {} gives {}; name another run",
                named.join(", "),
                if runs.is_empty() { "none" } else { "one" }
            )));
        }
        let metrics = metrics(&runs, &mut notes);
        notes.extend(remarks(&runs));
        Ok(Comparison {
            settings: differing(&runs),
            metrics,
            notes,
            runs,
        })
    }

    /// The keys `runs`, `settings`, `metrics` and `notes`.
    pub fn to_json(&self) -> Json {
        let runs = self.runs.iter().map(|run| {
            json!({
                "run": run.path.display().to_string(), "title": run.title, "task": run.task,
                "part": run.part.name(), "epochs": run.epochs, "seconds": run.seconds,
                "best_epoch": run.best.map(|(epoch, _)| epoch),
                "monitor": run.best.map(|(_, metric)| metric), "training": run.is_training,
            })
        });
        let settings = self
            .settings
            .iter()
            .map(|setting| json!({"key": setting.key, "values": setting.values}));
        let metrics = self.metrics.iter().map(|row| {
            json!({
                "metric": row.metric.name, "epoch": row.epoch.name(), "better": row.metric.better.name(),
                "values": row.values, "best": row.winners(),
            })
        });
        json!({
            "runs": runs.collect::<Vec<_>>(),
            "settings": settings.collect::<Vec<_>>(),
            "metrics": metrics.collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

/// The runs of a cross-validation or a sweep that have a finished epoch.
fn members(group: &GroupFolder, notes: &mut Vec<String>) -> Result<Vec<ComparedRun>> {
    let mut runs = Vec::new();
    for path in group.run_paths() {
        match ComparedRun::read(&path)? {
            Some(run) => runs.push(run),
            None => notes.push(format!(
                "{} has no finished epoch and is left out",
                path.display()
            )),
        }
    }
    notes.push(format!(
        "{} stands for its {} runs",
        group.path.display(),
        runs.len()
    ));
    Ok(runs)
}

/// Refuses a run that is there twice.
fn check_different(runs: &[ComparedRun]) -> Result<()> {
    let mut seen: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    for run in runs {
        let path = run
            .path
            .canonicalize()
            .map_err(Error::io("read", &run.path))?;
        if let Some(before) = seen.insert(path, &run.path) {
            return Err(Error::Config(format!(
                "{} and {} are the same run; name each run once",
                before.display(),
                run.path.display()
            )));
        }
    }
    Ok(())
}

/// The settings that are not the same in all `runs`.
fn differing(runs: &[ComparedRun]) -> Vec<DifferingSetting> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    let rows = keys.into_iter().map(|key| DifferingSetting {
        key: key.clone(),
        values: runs
            .iter()
            .map(|run| run.settings.get(key).cloned())
            .collect(),
    });
    // Compared as text, so that NaN equals itself.
    let differs = |row: &DifferingSetting| {
        let texts: BTreeSet<String> = row.values.iter().map(shown).collect();
        texts.len() > 1
    };
    let mut rows: Vec<DifferingSetting> = rows.filter(differs).collect();
    rows.sort_by_key(|row| row.key.contains('['));
    rows
}

/// The metrics that at least two runs report, of the best epochs and of the last ones.
fn metrics(runs: &[ComparedRun], notes: &mut Vec<String>) -> Vec<ComparedMetric> {
    let mut all: Vec<Metric> = Vec::new();
    for metric in runs.iter().flat_map(|run| &run.metrics) {
        if all.iter().all(|known| known.name != metric.name) {
            all.push(*metric);
        }
    }
    let reporting = |metric: &Metric| runs.iter().filter(|run| run.reports(metric)).count();
    let alone = all.iter().filter(|metric| reporting(metric) == 1);
    let alone: Vec<&str> = alone.map(|metric| metric.name).collect();
    if !alone.is_empty() {
        notes.push(format!("only one run reports {}", alone.join(", ")));
    }
    all.retain(|metric| reporting(metric) > 1);
    let row = |metric: &Metric, epoch: ComparedEpoch| ComparedMetric {
        metric: *metric,
        epoch,
        values: runs.iter().map(|run| run.value(metric, epoch)).collect(),
    };
    let both = [ComparedEpoch::Best, ComparedEpoch::Last];
    let rows = all
        .iter()
        .flat_map(|metric| both.map(|epoch| row(metric, epoch)));
    // Tasks without a monitored metric have no best epoch.
    rows.filter(|row| row.values.iter().any(Option::is_some))
        .collect()
}

/// What to keep in mind when these runs are compared.
fn remarks(runs: &[ComparedRun]) -> Vec<String> {
    let different = |text: &dyn Fn(&ComparedRun) -> Option<&'static str>| {
        let texts: BTreeSet<&str> = runs.iter().filter_map(text).collect();
        let texts: Vec<&str> = texts.into_iter().collect();
        (texts.len() > 1).then(|| texts.join(", "))
    };
    let tasks = different(&|run| Some(run.task)).map(|tasks| {
        format!("the runs are of different tasks ({tasks}), and only what two of them report is compared")
    });
    let parts = different(&|run| Some(run.part.name())).map(|parts| {
        format!("the runs were evaluated on different parts ({parts}), so their metrics are of different samples")
    });
    let monitored = different(&|run| run.best.map(|(_, metric)| metric)).map(|metrics| {
        format!("the best epochs of the runs are selected by different metrics ({metrics})")
    });
    let training = runs.iter().filter(|run| run.is_training).map(|run| {
        let path = run.path.display();
        format!(
            "{path} is being trained, and is compared by its first {} epochs",
            run.epochs
        )
    });
    [tasks, parts, monitored]
        .into_iter()
        .flatten()
        .chain(training)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{RunFolder, RunTexts};

    /// A run of tiny settings with `change` whose epochs had these test losses and accuracies.
    fn run(path: &Path, change: &[&str], epochs: &[[f64; 2]]) -> RunFolder {
        let mut settings = Settings::preset().unwrap();
        settings.task.name = Some("classification".to_string());
        let change: Vec<String> = change.iter().map(|text| (*text).to_string()).collect();
        settings.assign(&change).unwrap();
        let texts = RunTexts {
            settings: toml::to_string(&settings).unwrap(),
            ..RunTexts::default()
        };
        let folder = RunFolder::create(Some(path), "", &texts).unwrap();
        let mut best = 0.0;
        for (epoch, [loss, accuracy]) in (1..).zip(epochs) {
            let line = json!({
                "epoch": epoch, "part": "test", "seconds": 2.0, "train_loss": loss, "test_loss": loss,
                "test_accuracy": accuracy, "is_best": *accuracy > best,
            });
            best = accuracy.max(best);
            folder.add_metrics(&line).unwrap();
        }
        folder
    }

    #[test]
    fn settings_that_differ_and_metrics_stand_beside_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| dir.path().join(name));
        run(&paths[0], &[], &[[0.5, 0.75], [0.25, 0.7]]);
        let change = [
            "optimizer.lr=0.5",
            "model.layer[1].filters=3",
            "epochs=1",
            "label_smoothing=0.1",
        ];
        run(&paths[1], &change, &[[0.375, 0.5]]);
        let found = Comparison::of(&paths).unwrap();
        let keys: Vec<&str> = found.settings.iter().map(|row| &*row.key).collect();
        assert_eq!(
            keys,
            [
                "epochs",
                "label_smoothing",
                "optimizer.lr",
                "model.layer[1].filters"
            ]
        );
        assert!(found.settings[0].shown().eq(["3", "1"]));
        let row = |name: &str, epoch| {
            let mut rows = found.metrics.iter();
            let row = rows.find(|row| row.metric.name == name && row.epoch == epoch);
            let row = row.unwrap();
            (row.values.clone(), row.winners())
        };
        let both = |a, b| vec![Some(a), Some(b)];
        assert_eq!(
            row("accuracy", ComparedEpoch::Best),
            (both(0.75, 0.5), vec![0])
        );
        assert_eq!(
            row("accuracy", ComparedEpoch::Last),
            (both(0.7, 0.5), vec![0])
        );
        // The loss of the epoch with the best accuracy, and lower is better.
        assert_eq!(
            row("loss", ComparedEpoch::Best),
            (both(0.5, 0.375), vec![1])
        );
        assert_eq!(
            row("loss", ComparedEpoch::Last),
            (both(0.25, 0.375), vec![0])
        );
        let line = found.to_json();
        assert_eq!(line["runs"][0]["best_epoch"], 1);
        assert_eq!(line["settings"][2]["values"], json!([0.001, 0.5]));
        let page = found.page();
        assert!(page.contains("<polyline class=\"c1\"") && !page.contains("<script"));
    }

    #[test]
    fn what_can_not_be_compared_is_refused_in_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "empty", "none"].map(|name| dir.path().join(name));
        run(&paths[0], &[], &[[0.5, 0.75]]);
        run(&paths[1], &[], &[[0.5, 0.75]]);
        run(&paths[2], &[], &[]);
        let refused = |named: &[&PathBuf]| {
            let named: Vec<PathBuf> = named.iter().map(|path| (*path).clone()).collect();
            let refused = Comparison::of(&named).map(|_| ());
            refused.unwrap_err().to_string()
        };
        assert!(refused(&[&paths[0]]).contains("at least two runs"));
        let other = dir.path().join("b/../a");
        assert!(refused(&[&paths[0], &paths[1], &other]).contains("are the same run"));
        assert!(refused(&[&paths[0], &paths[2]]).contains("no finished epoch yet"));
        assert!(refused(&[&paths[0], &paths[3]]).contains("is not a run folder"));
        // Equal runs have no winner, and nothing that differs.
        let found = Comparison::of(&paths[..2]).unwrap();
        assert!(found.settings.is_empty());
        assert!(found.metrics.iter().all(|row| row.winners().is_empty()));
    }

    #[test]
    fn runs_of_different_tasks_share_the_loss_and_a_note_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| dir.path().join(name));
        run(&paths[0], &[], &[[0.5, 0.75]]);
        run(&paths[1], &["task=regression"], &[[0.25, 0.75]]);
        let found = Comparison::of(&paths).unwrap();
        let names: BTreeSet<&str> = found.metrics.iter().map(|row| row.metric.name).collect();
        assert_eq!(names, BTreeSet::from(["loss"]));
        let noted = |text: &str| found.notes.iter().any(|note| note.contains(text));
        assert!(
            noted("different tasks (classification, regression)"),
            "{:?}",
            found.notes
        );
        assert!(noted("only one run reports accuracy"), "{:?}", found.notes);
    }
}

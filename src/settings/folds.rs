//! Cross-validation, a run for each fold, and ensembles, a run for each seed: in a common folder, from which they are resumed.

use super::group::{self, GoingOn};
use super::{Prepared, Settings};
use crate::error::{Error, Result};
use crate::run::{Evaluation, Figure, GroupFolder, GroupKind, LOSS, RunFolder};
use crate::tasks::Shown;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Runs that differ in the fold that is held out, or members of an ensemble, which differ in their seeds.
pub struct Folds {
    /// Their folder, with the subfolders `fold-1`, `fold-2` and so on, or `member-1`, `member-2`.
    pub folder: GroupFolder,
    /// Notes for the user.
    pub notes: Vec<String>,
    settings: Settings,
    count: usize,
    /// The first fold, if its data have been read.
    first: Option<Prepared>,
}

/// A figure of one fold or of all folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldFigure {
    /// Name of the metric.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// How it is displayed.
    pub shown: Shown,
}

/// Result of a fold: the task's score first, the loss last.
#[derive(Serialize, Deserialize)]
struct FoldResult {
    figures: Vec<FoldFigure>,
}

/// Mean and standard deviation of a metric over the folds.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldSpread {
    /// The mean, with its name and format.
    pub mean: FoldFigure,
    /// The population standard deviation: the sum of squares divided by the number of folds.
    pub std: f64,
}

/// The result of all folds.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldsSummary {
    /// Why the runs belong together: as folds or as members of an ensemble.
    pub kind: GroupKind,
    /// Number of runs.
    pub folds: usize,
    /// Their folder.
    pub path: PathBuf,
    /// Every known metric of the task, the score first, and the loss.
    pub spreads: Vec<FoldSpread>,
}

impl Folds {
    /// Starts `count` folds, or members of an ensemble, with these settings, in the folder that they name or a new one under `runs`. If
    /// that folder already holds the same, they are resumed.
    ///
    /// # Errors
    /// If the folder holds something else or folds with other settings, if there are more folds than samples or a part would be
    /// empty, or as [`Settings::prepare`]. In that case nothing was trained or written.
    pub fn begin(mut settings: Settings, kind: GroupKind, count: usize) -> Result<Folds> {
        if !settings.stages().is_empty() {
            return Err(Error::Config(
                "--folds and --ensemble train runs beside one another, and [[continual.stage]] runs after one another; leave one of them \
                 out"
                    .to_string(),
            ));
        }
        let out = settings.out.take();
        match kind {
            GroupKind::Ensemble => {
                settings.ensemble = Some(count);
                // All members see the same parts of the data.
                settings.data.seed.get_or_insert(settings.seed as u32);
            }
            GroupKind::Folds | GroupKind::Sweep | GroupKind::Stages => {
                (settings.data.folds, settings.data.fold) = (Some(count), 1);
            }
        }
        settings.check()?;
        if let Some(out) = &out
            && let Some(going_on) = group::begun(kind, out, &settings, count)?
        {
            return Self::go_on(going_on);
        }
        let first = settings.of_group(kind, 1).prepare()?;
        let what = match kind {
            GroupKind::Ensemble => "ensemble",
            GroupKind::Folds | GroupKind::Sweep | GroupKind::Stages => "folds",
        };
        let name = format!("{}-{what}", settings.folder_name());
        let text = settings.shared_text()?;
        let folder = GroupFolder::create(kind, out.as_deref(), &name, &text)?;
        Ok(Folds {
            folder,
            notes: Vec::new(),
            settings,
            count,
            first: Some(first),
        })
    }

    /// Resumes the folds or members in the folder `path`. `change` may change the settings `device` and `adapter`.
    ///
    /// # Errors
    /// If `path` holds no folds, or another setting changed.
    pub fn resume(path: &Path, change: impl FnOnce(&mut Settings)) -> Result<Folds> {
        let kinds = [GroupKind::Folds, GroupKind::Ensemble].into_iter();
        let folder = kinds
            .filter_map(|kind| GroupFolder::open(kind, path))
            .next();
        let folder = folder.ok_or_else(|| {
            Error::Config(format!(
                "{} is no folder of folds or of an ensemble (it has neither folds.toml nor ensemble.toml); name one that `wgrad train` \
                 created with --folds or --ensemble",
                path.display()
            ))
        })?;
        Self::go_on(group::resumed(folder, change)?)
    }

    fn go_on(going_on: GoingOn) -> Result<Folds> {
        let GoingOn {
            folder,
            settings,
            notes,
        } = going_on;
        let kind = folder.kind();
        let (count, key) = match kind {
            GroupKind::Ensemble => (settings.ensemble, "ensemble"),
            GroupKind::Folds | GroupKind::Sweep | GroupKind::Stages => {
                (settings.data.folds, "data.folds")
            }
        };
        let count = count.ok_or_else(|| {
            let shown = folder.settings_path();
            Error::Config(format!(
                "{} lacks {key}, the number of {}",
                shown.display(),
                kind.noun()
            ))
        })?;
        let mut folds = Folds {
            notes,
            folder,
            settings,
            count,
            first: None,
        };
        let mut done = 0;
        for fold in 1..=count {
            done += usize::from(folds.result(fold)?.is_some());
        }
        let note = group::note_of_done(&folds.folder, done, count);
        folds.notes.extend(note);
        Ok(folds)
    }

    /// Trains the folds that are not finished, each with `train`, which takes a run from [`Prepared::start`] through
    /// [`Run::fit`](crate::run::Run::fit). Folds that were interrupted are resumed; results of finished ones are read.
    ///
    /// # Errors
    /// The first error of `train`; or if a fold can't be prepared, or its result can't be read or written.
    pub fn train<E: From<Error>>(
        mut self,
        mut train: impl FnMut(Prepared) -> Result<Evaluation, E>,
    ) -> Result<FoldsSummary, E> {
        let mut results = Vec::new();
        for fold in 1..=self.count {
            if let Some(result) = self.result(fold)? {
                results.push(result);
                continue;
            }
            let evaluation = train(self.prepare(fold)?)?;
            let result = FoldResult::of(&evaluation);
            self.folder.write_result(&fold.to_string(), &result)?;
            results.push(result);
        }
        let kind = self.folder.kind();
        Ok(FoldsSummary::of(kind, &results, self.folder.path))
    }

    fn result(&self, fold: usize) -> Result<Option<FoldResult>> {
        self.folder.read_result(&fold.to_string())
    }

    /// A fold's run, resumed if it had begun.
    fn prepare(&mut self, fold: usize) -> Result<Prepared> {
        let path = self.folder.run_path(&fold.to_string());
        let common = &self.settings;
        if RunFolder::open(&path).is_ok() {
            return Settings::prepare_resumed(&path, |settings| settings.take_changes(common));
        }
        let first = self.first.take().filter(|_| fold == 1);
        let mut prepared = match first {
            Some(prepared) => prepared,
            None => common.of_group(self.folder.kind(), fold).prepare()?,
        };
        prepared.settings.out = Some(path);
        Ok(prepared)
    }
}

impl Settings {
    /// The settings of one of several runs, counted from 1.
    fn of_group(&self, kind: GroupKind, number: usize) -> Settings {
        let mut settings = self.clone();
        match kind {
            GroupKind::Ensemble => {
                settings.ensemble = None;
                settings.seed += number as u64 - 1;
            }
            GroupKind::Folds | GroupKind::Sweep | GroupKind::Stages => settings.data.fold = number,
        }
        settings
    }
}

impl FoldResult {
    fn of(evaluation: &Evaluation) -> FoldResult {
        let loss = Figure {
            metric: LOSS,
            value: evaluation.loss,
        };
        let figures = evaluation.figures.iter().chain([&loss]);
        FoldResult {
            figures: figures
                .map(|figure| FoldFigure {
                    name: figure.metric.name.to_string(),
                    value: figure.value,
                    shown: figure.metric.shown,
                })
                .collect(),
        }
    }

    fn value(&self, name: &str) -> Option<f64> {
        let found = self.figures.iter().find(|figure| figure.name == name);
        found.map(|figure| figure.value)
    }
}

impl FoldsSummary {
    fn of(kind: GroupKind, results: &[FoldResult], path: PathBuf) -> FoldsSummary {
        let spread = |figure: &FoldFigure| {
            let values = results.iter().map(|result| result.value(&figure.name));
            let values: Vec<f64> = values.collect::<Option<_>>()?;
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let squares = values.iter().map(|value| (value - mean).powi(2));
            Some(FoldSpread {
                mean: FoldFigure {
                    value: mean,
                    ..figure.clone()
                },
                std: (squares.sum::<f64>() / count).sqrt(),
            })
        };
        let first = results.first();
        let figures = first.into_iter().flat_map(|result| &result.figures);
        FoldsSummary {
            kind,
            folds: results.len(),
            path,
            spreads: figures.filter_map(spread).collect(),
        }
    }

    /// The keys `folds` or `members`, `mean_test_NAME` and `std_test_NAME` of every metric, and `run`, the folder.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut line = Map::from_iter([
            (self.kind.noun().to_string(), self.folds.into()),
            ("run".to_string(), json!(self.path.display().to_string())),
        ]);
        for FoldSpread { mean, std } in &self.spreads {
            line.insert(format!("mean_test_{}", mean.name), mean.value.into());
            line.insert(format!("std_test_{}", mean.name), (*std).into());
        }
        line
    }
}

impl FoldSpread {
    /// Mean and standard deviation as text: `mean test accuracy 76.50%, standard deviation 1.80%`.
    pub fn show(&self) -> String {
        format!(
            "mean test {} {}, standard deviation {}",
            self.mean.name,
            self.mean.shown.show(self.mean.value),
            self.mean.shown.show(self.std)
        )
    }
}

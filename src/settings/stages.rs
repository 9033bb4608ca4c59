//! The stages of continual learning: runs one after another in a common folder, each of which goes on from the one before.

mod report;

use super::group::{self, GoingOn};
use super::{Prepared, Settings, TaskScores};
use crate::error::{Error, Result};
use crate::run::{Evaluation, GroupFolder, GroupKind, RunFolder};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Runs that go on from each other.
pub struct Stages {
    /// Their folder, with the subfolders `stage-1`, `stage-2` and so on.
    pub folder: GroupFolder,
    /// Notes for the user.
    pub notes: Vec<String>,
    settings: Settings,
    /// The first stage, if its data have been read.
    first: Option<Prepared>,
}

/// The results of all stages.
#[derive(Clone, Debug, PartialEq)]
pub struct StagesSummary {
    /// Their folder.
    pub path: PathBuf,
    /// What each stage has learned: its results on the data of all stages up to it.
    pub rows: Vec<TaskScores>,
}

impl Stages {
    /// Starts the stages of these settings, in the folder that they name or a new one under `runs`. If that folder already holds the
    /// same stages, they are resumed.
    ///
    /// # Errors
    /// If the folder holds something else or stages with other settings, or as [`Settings::prepare`] for the first stage. In that case
    /// nothing was trained or written.
    pub fn begin(mut settings: Settings) -> Result<Stages> {
        let out = settings.out.take();
        settings.check()?;
        if let Some(out) = &out {
            let count = settings.stages().len();
            if let Some(going_on) = group::begun(GroupKind::Stages, out, &settings, count)? {
                return Self::go_on(going_on);
            }
        }
        let first = settings.of_stage(1, None)?.prepare()?;
        let name = format!("{}-stages", settings.folder_name());
        let text = settings.shared_text()?;
        let folder = GroupFolder::create(GroupKind::Stages, out.as_deref(), &name, &text)?;
        Ok(Stages {
            folder,
            notes: Vec::new(),
            settings,
            first: Some(first),
        })
    }

    /// Resumes the stages in the folder `path`. `change` may change the settings `device` and `adapter`.
    ///
    /// # Errors
    /// If `path` holds no stages, or another setting changed.
    pub fn resume(path: &Path, change: impl FnOnce(&mut Settings)) -> Result<Stages> {
        let folder = GroupFolder::open(GroupKind::Stages, path).ok_or_else(|| {
            Error::Config(format!(
                "{} is not a folder of stages (it has no stages.toml); name one that `wgrad train` created from a file with \
                 [[continual.stage]]",
                path.display()
            ))
        })?;
        Self::go_on(group::resumed(folder, change)?)
    }

    fn go_on(going_on: GoingOn) -> Result<Stages> {
        let GoingOn {
            folder,
            settings,
            notes,
        } = going_on;
        let mut stages = Stages {
            notes,
            folder,
            settings,
            first: None,
        };
        let mut done = 0;
        for stage in 1..=stages.count() {
            done += usize::from(stages.scores(stage)?.is_some());
        }
        let note = group::note_of_done(&stages.folder, done, stages.count());
        stages.notes.extend(note);
        Ok(stages)
    }

    fn count(&self) -> usize {
        self.settings.stages().len()
    }

    /// Trains the stages that are not finished, each with `train`, as [`Prepared::train`] does. A stage that was interrupted is
    /// resumed; results of finished ones are read. After each, `report.html` is written.
    ///
    /// # Errors
    /// The first error of `train`; or if a stage can't be prepared, or its results can't be read.
    pub fn train<E: From<Error>>(
        mut self,
        mut train: impl FnMut(Prepared) -> Result<Evaluation, E>,
    ) -> Result<StagesSummary, E> {
        let mut summary = StagesSummary {
            path: self.folder.path.clone(),
            rows: Vec::new(),
        };
        for stage in 1..=self.count() {
            let mut scores = self.scores(stage)?;
            if scores.is_none() {
                train(self.prepare(stage)?)?;
                scores = self.scores(stage)?;
            }
            summary.rows.extend(scores);
            let page = report::page(&self.settings.title(), &summary, &self.settings);
            self.folder.write_report(&page)?;
        }
        Ok(summary)
    }

    /// The results of a stage, if it is finished.
    fn scores(&self, stage: usize) -> Result<Option<TaskScores>> {
        match RunFolder::open(&self.folder.run_path(&stage.to_string())) {
            Ok(folder) => TaskScores::read(&folder),
            Err(_) => Ok(None),
        }
    }

    /// The run of a stage, resumed if it had begun.
    fn prepare(&mut self, stage: usize) -> Result<Prepared> {
        let path = self.folder.run_path(&stage.to_string());
        let common = &self.settings;
        if RunFolder::open(&path).is_ok() {
            return Settings::prepare_resumed(&path, |settings| settings.take_changes(common));
        }
        let first = self.first.take().filter(|_| stage == 1);
        let mut prepared = match first {
            Some(prepared) => prepared,
            None => {
                let after = (stage > 1).then(|| self.folder.run_path(&(stage - 1).to_string()));
                common.of_stage(stage, after)?.prepare()?
            }
        };
        prepared.settings.out = Some(path);
        Ok(prepared)
    }
}

impl StagesSummary {
    /// The mean score over the tasks after the last stage.
    pub fn mean(&self) -> f64 {
        self.rows.last().map_or(f64::NAN, TaskScores::mean)
    }

    /// The name of the score.
    fn metric(&self) -> &str {
        let first = self.rows.first().and_then(|row| row.tasks.first());
        first.map_or("score", |score| &score.metric)
    }

    /// The matrix as cells of text: a row after each stage, a column for each task, and the mean of the row.
    fn cells(&self) -> Vec<Vec<String>> {
        let count = self.rows.len();
        let mut head = vec!["after".to_string()];
        head.extend(self.rows.iter().map(|row| row.after.clone()));
        head.push("mean".to_string());
        let row = |row: &TaskScores| {
            let mut cells = vec![row.after.clone()];
            cells.extend(row.tasks.iter().map(|score| score.show()));
            cells.resize(count + 1, String::new());
            let mean = row.tasks.first().map(|score| score.shown.show(row.mean()));
            cells.push(mean.unwrap_or_default());
            cells
        };
        std::iter::once(head)
            .chain(self.rows.iter().map(row))
            .collect()
    }

    /// The matrix as lines of text, in columns.
    pub fn lines(&self) -> Vec<String> {
        let cells = self.cells();
        let columns = cells.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = cells.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            let line = cells.collect::<Vec<String>>().join("  ");
            line.trim_end().to_string()
        };
        cells.iter().map(line).collect()
    }

    /// The keys `stages`, `run`, the folder, `metric`, `matrix`, the score on each task after each stage, and `mean_METRIC`, the mean
    /// after the last one.
    pub fn to_json(&self) -> Map<String, Value> {
        let scores =
            |row: &TaskScores| -> Vec<f64> { row.tasks.iter().map(|score| score.value).collect() };
        let matrix: Vec<Vec<f64>> = self.rows.iter().map(scores).collect();
        Map::from_iter([
            ("stages".to_string(), self.rows.len().into()),
            ("run".to_string(), self.path.display().to_string().into()),
            ("metric".to_string(), self.metric().into()),
            ("matrix".to_string(), json!(matrix)),
            (format!("mean_{}", self.metric()), json!(self.mean())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::super::TaskScore;
    use super::*;
    use crate::tasks::Shown;

    pub(super) fn summary() -> StagesSummary {
        let score = |task: &str, value| TaskScore {
            task: task.to_string(),
            metric: "accuracy".to_string(),
            value,
            shown: Shown::Percent,
            loss: 0.5,
            count: 10,
        };
        let row = |after: &str, tasks| TaskScores {
            after: after.to_string(),
            tasks,
        };
        StagesSummary {
            path: "runs/two".into(),
            rows: vec![
                row("first", vec![score("first", 0.9)]),
                row("<b>", vec![score("first", 0.7), score("<b>", 0.8)]),
            ],
        }
    }

    #[test]
    fn the_matrix_is_shown_in_columns() {
        let wanted = [
            "after   first     <b>    mean",
            "first  90.00%          90.00%",
            "<b>    70.00%  80.00%  75.00%",
        ];
        assert_eq!(summary().lines(), wanted);
        let json = summary().to_json();
        assert_eq!(json["matrix"], json!([[0.9], [0.7, 0.8]]));
        assert_eq!(json["mean_accuracy"], json!(0.75));
        let lines = summary().rows[1].to_json();
        assert_eq!(lines[0]["event"], "task");
        assert_eq!(
            (&lines[0]["after"], &lines[0]["task"]),
            (&json!("<b>"), &json!("first"))
        );
        assert_eq!(lines[0]["accuracy"], json!(0.7));
        assert_eq!(
            summary().rows[1].lines()[1],
            "after <b>: <b> accuracy 80.00% of 10"
        );
    }
}

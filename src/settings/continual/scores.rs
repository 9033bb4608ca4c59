//! The results of a run on the data of all runs that it goes on from, and on its own: `tasks.json`.

use super::super::Settings;
use crate::data::{Part, Samples};
use crate::device::Engine;
use crate::error::{Error, Result};
use crate::run::{LOSS, Measured, RunFolder};
use crate::tasks::Shown;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The results of a run on each test part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskScores {
    /// What the run's own data are called.
    pub after: String,
    /// One for each run, the first one first, its own last.
    pub tasks: Vec<TaskScore>,
}

/// The result on the test part of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskScore {
    /// What its data are called.
    pub task: String,
    /// The name of the score, such as `accuracy`; `loss` for tasks without one.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// How it is displayed.
    pub shown: Shown,
    /// The mean loss.
    pub loss: f64,
    /// Number of test samples.
    pub count: usize,
}

impl TaskScore {
    /// The score as text: `97.25%`.
    pub fn show(&self) -> String {
        self.shown.show(self.value)
    }
}

impl TaskScores {
    /// A line of JSON for each task: `event`, `after`, `task`, the score under its name, `loss` and `count`.
    pub fn to_json(&self) -> Vec<Value> {
        let line = |score: &TaskScore| {
            Value::Object(Map::from_iter([
                ("event".to_string(), "task".into()),
                ("after".to_string(), self.after.clone().into()),
                ("task".to_string(), score.task.clone().into()),
                ("loss".to_string(), score.loss.into()),
                (score.metric.clone(), score.value.into()),
                ("count".to_string(), score.count.into()),
            ]))
        };
        self.tasks.iter().map(line).collect()
    }

    /// A line of text for each task: `after two: one accuracy 91.20% of 2000`.
    pub fn lines(&self) -> Vec<String> {
        let line = |score: &TaskScore| {
            format!(
                "after {}: {} {} {} of {}",
                self.after,
                score.task,
                score.metric,
                score.show(),
                score.count
            )
        };
        self.tasks.iter().map(line).collect()
    }

    /// The mean of the scores.
    pub fn mean(&self) -> f64 {
        let sum: f64 = self.tasks.iter().map(|score| score.value).sum();
        sum / self.tasks.len().max(1) as f64
    }

    /// The results in `tasks.json` of `folder`; `None` before the end of its run.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn read(folder: &RunFolder) -> Result<Option<TaskScores>> {
        let Some(text) = folder.read_tasks() else {
            return Ok(None);
        };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|error| {
            Error::Config(format!(
                "tasks.json of {} is damaged ({error}); remove it, and the run writes it again",
                folder.path.display()
            ))
        })
    }
}

impl Settings {
    /// Evaluates the finished run in `folder`, with the weights of its best epoch, on the test parts of all runs that it goes on from and
    /// on its own, and writes the results to `tasks.json`.
    ///
    /// # Errors
    /// If data of an earlier run can't be read any more, the device failed, or the file can't be written.
    pub(in crate::settings) fn score_tasks(
        &self,
        folder: &RunFolder,
        engine: &Engine,
    ) -> Result<TaskScores> {
        let mut tasks = Vec::new();
        for earlier in self.earlier_runs()? {
            let test = earlier.load()?.test;
            tasks.push(self.score(folder, engine, earlier.name.clone(), test)?);
        }
        let mut own = self.clone();
        own.data.evaluate = Part::Test;
        let test = own.load_data()?.test;
        let after = self.task_name(folder);
        tasks.push(self.score(folder, engine, after.clone(), test)?);
        let scores = TaskScores { after, tasks };
        let text = serde_json::to_string_pretty(&scores)
            .map_err(|e| Error::Training(format!("the results can't be written: {e}")))?;
        folder.write_tasks(&text)?;
        Ok(scores)
    }

    fn score(
        &self,
        folder: &RunFolder,
        engine: &Engine,
        task: String,
        test: Samples,
    ) -> Result<TaskScore> {
        let parts = self.resolve_trained(&folder.weights_path(false))?;
        let (found, ..) = Measured::evaluation(engine, parts, test)?.run()?;
        let score = found.figures.first();
        let (metric, value) = score.map_or((LOSS, found.loss), |score| (score.metric, score.value));
        Ok(TaskScore {
            task,
            metric: metric.name.to_string(),
            value,
            shown: metric.shown,
            loss: found.loss,
            count: found.count,
        })
    }
}

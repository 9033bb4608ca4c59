//! The trained runs that `task.teacher` names.

use super::Settings;
use crate::data::Fitted;
use crate::error::{Error, Result};
use crate::tasks::Teacher;
use std::path::{Path, PathBuf};

/// The key of `[task]`.
const KEY: &str = "teacher";

/// Replaces every path of a teacher in the table of a task.
pub(super) fn change_paths(own: &mut toml::Table, change: impl Fn(&Path) -> PathBuf) {
    let changed = |value: &mut toml::Value| {
        if let toml::Value::String(path) = value {
            *path = change(Path::new(&*path)).display().to_string();
        }
    };
    match own.get_mut(KEY) {
        Some(toml::Value::Array(paths)) => paths.iter_mut().for_each(changed),
        Some(path) => changed(path),
        None => {}
    }
}

impl Settings {
    /// The trained models that teach this run.
    ///
    /// # Errors
    /// If one is not a run or has several models, or its data were prepared in another way than those of this run.
    pub(super) fn teachers(&self) -> Result<Vec<Teacher>> {
        let paths = self.teacher_paths().into_iter();
        paths.map(|path| self.teacher(path)).collect()
    }

    /// The folders of the runs that teach this one.
    pub(super) fn teacher_paths(&self) -> Vec<&str> {
        match self.task.own.get(KEY) {
            Some(toml::Value::Array(paths)) => paths.iter().filter_map(|p| p.as_str()).collect(),
            Some(toml::Value::String(path)) => vec![path],
            _ => Vec::new(),
        }
    }

    fn teacher(&self, path: &str) -> Result<Teacher> {
        let (folder, settings) = Settings::open_run(Path::new(path))
            .map_err(|error| Error::Config(format!("task.teacher: {error}")))?;
        let parts = settings.resolve_trained(&folder.weights_path(false))?;
        if parts.models.iter().count() != 1 {
            return Err(Error::Config(format!(
                "the teacher {path} has several models, and only classifiers teach; name a run of the task classification"
            )));
        }
        if as_prepared(&settings.fitted) != as_prepared(&self.fitted) {
            return Err(Error::Config(format!(
                "the teacher {path} was trained on data that were prepared in another way: mean and deviation, columns, vocabulary or \
                 classes differ; train both on the same data with the same seed, or give both the same data.mean and data.std"
            )));
        }
        Ok(Teacher {
            name: path.to_string(),
            task: parts.task.registered().name.to_string(),
            model: settings.model.clone(),
            values: parts.values.unwrap_or_default(),
            classes: settings.fitted.classes,
        })
    }
}

/// What a model sees of its data depends on: all but where they come from.
pub(super) fn as_prepared(fitted: &Fitted) -> Fitted {
    Fitted {
        format: None,
        files: None,
        digests: Default::default(),
        ..fitted.clone()
    }
}

//! Continual learning: a run that goes on from another one with new data or new classes, the table `[continual]`.

mod anchor;
mod chain;
mod replay;
mod scores;

pub(super) use chain::Earlier;
pub use scores::{TaskScore, TaskScores};

use super::Settings;
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// How a run goes on from an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Continual {
    /// What the run's own data are called in lists of results; the name of its folder if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The folder of the run that this one goes on from: its weights are the initial ones, and the data are prepared as it prepared its
    /// own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PathBuf>,
    /// What keeps the run from forgetting what it goes on from.
    pub method: ContinualMethod,
    /// Elastic weight consolidation: the strength of the penalty, lambda.
    pub strength: f64,
    /// Elastic weight consolidation: the training samples of each earlier run on which the importance of its weights is measured; all if
    /// it has fewer.
    pub samples: usize,
    /// Replay: the training samples that are kept of each earlier run, equally many of each class.
    pub memory: usize,
    /// Replay: their share of every batch.
    pub share: f64,
    /// Stages, each a run after the one before it.
    #[serde(rename = "stage", skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<ContinualStage>,
}

/// What keeps a run from forgetting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContinualMethod {
    /// Nothing: only the initial weights are those of the earlier run.
    #[default]
    FineTuning,
    /// Elastic weight consolidation (Kirkpatrick et al. 2017): the more important weights were for the data of earlier runs, the more
    /// strongly they are held at their values.
    Ewc,
    /// Samples of earlier runs are mixed into every batch.
    Replay,
}

/// A stage of continual learning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContinualStage {
    /// What its data are called.
    pub name: String,
    /// The settings in which it differs from the file, by their dotted keys, such as `"data.permutation" = 1`.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: Table,
}

impl Default for Continual {
    fn default() -> Self {
        Continual {
            name: None,
            after: None,
            method: ContinualMethod::FineTuning,
            strength: 100.0,
            samples: 1000,
            memory: 1000,
            share: 0.5,
            stages: Vec::new(),
        }
    }
}

impl Continual {
    /// Checks what does not depend on other settings.
    fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::Config(format!("continual.{what}")));
        if !(self.strength >= 0.0 && self.strength.is_finite()) {
            return wrong("strength must be at least 0");
        }
        if self.samples == 0 {
            return wrong("samples must be at least 1");
        }
        if self.memory == 0 {
            return wrong("memory must be at least 1");
        }
        if !(self.share > 0.0 && self.share < 1.0) {
            return wrong("share must be above 0 and below 1");
        }
        let mut names = BTreeSet::new();
        for (number, stage) in (1..).zip(&self.stages) {
            if stage.name.trim().is_empty() {
                return wrong(&format!("stage {number} has no name; give it one"));
            }
            if !names.insert(&stage.name) {
                return wrong(&format!(
                    "stage {number} has the name {:?}, as another one has; give it its own",
                    stage.name
                ));
            }
        }
        Ok(())
    }

    /// Resolves relative paths against `folder`: of the earlier run, and of data that stages name.
    pub(super) fn change_paths(&mut self, change: impl Fn(&Path) -> PathBuf) {
        if let Some(after) = &mut self.after {
            *after = change(&*after);
        }
        for stage in &mut self.stages {
            let mut set = Table::new();
            for (key, value) in flattened(&stage.set) {
                let value = match value {
                    Value::String(path) if is_path(&key, &path) => {
                        Value::String(change(Path::new(&path)).display().to_string())
                    }
                    value => value,
                };
                set.insert(key, value);
            }
            stage.set = set;
        }
    }
}

/// Whether the value of a setting of a stage is a path.
fn is_path(key: &str, value: &str) -> bool {
    match key {
        "data.source" | "data" => !crate::data::is_built_in(value),
        "data.tokenizer" => true,
        _ => false,
    }
}

/// The values of a table by their dotted keys.
fn flattened(table: &Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                let inner = flattened(inner).into_iter();
                flat.extend(inner.map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            value => flat.push((key.clone(), value.clone())),
        }
    }
    flat
}

impl Settings {
    /// The stages, if the settings name some.
    pub fn stages(&self) -> &[ContinualStage] {
        self.continual.as_ref().map_or(&[], |own| &own.stages)
    }

    /// The run that this one goes on from.
    pub(super) fn after(&self) -> Option<&Path> {
        self.continual.as_ref()?.after.as_deref()
    }

    /// The method, if the run goes on from another one.
    pub(super) fn continual_method(&self) -> Option<ContinualMethod> {
        let own = self.continual.as_ref()?;
        own.after.as_ref().map(|_| own.method)
    }

    /// Checks the settings of continual learning against the others, and those of each stage.
    ///
    /// # Errors
    /// Names the first invalid setting.
    pub(super) fn check_continual(&self) -> Result<()> {
        let Some(own) = &self.continual else {
            return Ok(());
        };
        own.check()?;
        let wrong = |what: &str| Err(Error::Config(what.to_string()));
        if own.after.is_some() || !own.stages.is_empty() {
            if self.init.is_some() && own.after.is_some() {
                return wrong(
                    "init and continual.after both name the initial weights; leave one of them out",
                );
            }
            if self.lora.is_some() {
                return wrong(
                    "[lora] adapts the weights of init, and [continual] goes on from those of a run; leave one of them out",
                );
            }
            if own.method == ContinualMethod::Ewc && self.accumulate > 1 {
                return wrong(
                    "the penalty of continual.method = \"ewc\" is added once per step, which gradients accumulated over several batches \
                     are not; leave accumulate out",
                );
            }
        }
        for stage in 1..=own.stages.len() {
            self.of_stage(stage, None)?.check()?;
        }
        Ok(())
    }

    /// The settings of the stage with this number, from 1, which goes on from the run `after`, or from what the settings name.
    ///
    /// # Errors
    /// If a key of its own is unknown, or a value does not fit it.
    pub(super) fn of_stage(&self, number: usize, after: Option<PathBuf>) -> Result<Settings> {
        let mut settings = self.clone();
        let Some(own) = &mut settings.continual else {
            return Ok(settings);
        };
        let stages = std::mem::take(&mut own.stages);
        let Some(stage) = number.checked_sub(1).and_then(|index| stages.get(index)) else {
            return Ok(settings);
        };
        own.name = Some(stage.name.clone());
        if after.is_some() {
            own.after = after;
            settings.init = None;
        }
        let out = settings.out.take();
        for (key, value) in flattened(&stage.set) {
            let refused = |why: String| {
                Error::Config(format!(
                    "continual.stage {number} ({}) sets {key} = {value}: {why}",
                    stage.name
                ))
            };
            if key == "out" || key == "continual" || key.starts_with("continual.") {
                let why =
                    "a stage has its own folder, and continual learning is set for all of them";
                return Err(refused(why.to_string()));
            }
            settings = settings
                .with(&key, value.clone())
                .map_err(|error| match error {
                    Error::Config(why) => refused(why),
                    other => other,
                })?;
        }
        settings.out = out;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml_text::parse;

    fn settings(text: &str) -> Settings {
        parse(text, "run.toml").unwrap()
    }

    #[test]
    fn a_stage_changes_the_settings_that_it_names() {
        let text = "epochs = 2\n[continual]\nmethod = \"ewc\"\n[[continual.stage]]\nname = \"one\"\n\
                    [[continual.stage]]\nname = \"two\"\nset = { \"data.permutation\" = 3, optimizer.lr = 0.5 }\n";
        let settings = settings(text);
        settings.check().unwrap();
        let first = settings.of_stage(1, None).unwrap();
        assert_eq!((first.data.permutation, first.after()), (0, None));
        let second = settings.of_stage(2, Some("one".into())).unwrap();
        assert_eq!((second.data.permutation, second.epochs), (3, 2));
        assert_eq!(second.optimizer.lr(), 0.5);
        assert_eq!(second.after(), Some(Path::new("one")));
        assert_eq!(second.continual_method(), Some(ContinualMethod::Ewc));
        let own = second.continual.unwrap();
        assert_eq!((own.name.as_deref(), own.stages.len()), (Some("two"), 0));
        let written = toml::to_string(&settings).unwrap();
        assert_eq!(parse::<Settings>(&written, "run.toml").unwrap(), settings);
    }

    #[test]
    fn what_can_not_be_is_refused_in_a_sentence() {
        let message = |text: &str| {
            let settings = settings(&format!("[continual]\n{text}"));
            settings.check().unwrap_err().to_string()
        };
        for (text, said) in [
            ("strength = -1.0", "continual.strength must be at least 0"),
            ("strength = nan", "continual.strength must be at least 0"),
            ("samples = 0", "continual.samples must be at least 1"),
            ("memory = 0", "continual.memory must be at least 1"),
            ("share = 1.0", "continual.share must be above 0 and below 1"),
            ("[[continual.stage]]\nset = {}", "stage 1 has no name"),
            (
                "stage = [{ name = \"a\" }, { name = \"a\" }]",
                "stage 2 has the name \"a\"",
            ),
            (
                "stage = [{ name = \"a\", set = { \"data.permutations\" = 1 } }]",
                "continual.stage 1 (a) sets data.permutations = 1",
            ),
            (
                "stage = [{ name = \"a\", set = { batch = 0 } }]",
                "batch must be at least 1",
            ),
            (
                "stage = [{ name = \"a\", set = { \"continual.memory\" = 3 } }]",
                "is set for all of them",
            ),
        ] {
            let found = message(text);
            assert!(found.contains(said), "{text}: {found}");
        }
        let both = settings("init = \"a\"\n[continual]\nafter = \"b\"").check();
        assert!(
            both.unwrap_err()
                .to_string()
                .contains("leave one of them out")
        );
        let text = "accumulate = 2\n[continual]\nafter = \"b\"\nmethod = \"ewc\"";
        let accumulated = settings(text).check().unwrap_err().to_string();
        assert!(
            accumulated.contains("leave accumulate out"),
            "{accumulated}"
        );
    }

    #[test]
    fn paths_of_data_in_stages_are_resolved() {
        let text = "[continual]\nafter = \"x\"\nstage = [{ name = \"a\", set = { \"data.source\" = \"y\" } }, \
                    { name = \"b\", set = { data.source = \"digits\", model = \"y\" } }]";
        let mut own = settings(text).continual.unwrap();
        own.change_paths(|path| Path::new("folder").join(path));
        assert_eq!(own.after, Some(Path::new("folder").join("x")));
        let value = |stage: usize, key: &str| own.stages[stage].set[key].as_str().unwrap();
        assert_eq!(
            Path::new(value(0, "data.source")),
            Path::new("folder").join("y")
        );
        assert_eq!(
            (value(1, "data.source"), value(1, "model")),
            ("digits", "y")
        );
    }
}

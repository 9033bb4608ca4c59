//! `sweep.toml`: reading it, and the trials that it describes.

use super::super::Settings;
use super::halving::HalvingSettings;
use super::values::{self, Candidates, TrialValue, named};
use super::{SweepTrial, grid, random};
use crate::error::{Error, Result};
use crate::files::read_text;
use crate::toml_text::{explained, parse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Most trials of a sweep.
pub(super) const MOST_TRIALS: usize = 10_000;

/// How the values of trials are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepMethod {
    /// All combinations.
    #[default]
    Grid,
    /// Random ones.
    Random,
    /// Random ones, of which the best are trained for more and more epochs.
    Halving,
}

impl SweepMethod {
    /// Its name in `sweep.toml`.
    pub fn name(self) -> &'static str {
        match self {
            SweepMethod::Grid => "grid",
            SweepMethod::Random => "random",
            SweepMethod::Halving => "halving",
        }
    }
}

/// The content of `sweep.toml`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepSettings {
    /// How the values of trials are chosen.
    pub method: SweepMethod,
    /// Number of trials that are drawn; a grid has as many as it has combinations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<usize>,
    /// Random seeds with which each trial is trained; that of the trial's settings if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<u64>,
    /// Seed of the draws.
    pub seed: u64,
    /// The metric by which trials are compared; the one that selects the best epoch of a run if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The folder of the sweep; a new one under `runs` if absent. Not serialised, because the file lies in that folder.
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Settings of successive halving.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halving: Option<HalvingSettings>,
    /// The lists and ranges of values, by dotted keys.
    pub values: Table,
    /// The settings that all trials share.
    pub run: Settings,
}

/// The file as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct WrittenSweep {
    /// The settings that all trials share: a table, or the name of a settings file, a model file or a built-in model.
    #[schemars(with = "SharedSettings")]
    run: Value,
    /// How the values of trials are chosen.
    #[serde(default)]
    method: SweepMethod,
    /// Number of trials that are drawn; a grid has as many as it has combinations.
    trials: Option<usize>,
    /// Number of random seeds with which each trial is trained, or a list of them.
    #[schemars(with = "Option<WrittenSeeds>")]
    seeds: Option<Value>,
    /// Seed of the draws.
    #[serde(default = "one")]
    seed: u64,
    /// The metric by which trials are compared; the one that selects the best epoch of a run if absent.
    metric: Option<String>,
    /// The folder of the sweep; a new one under `runs` if absent.
    out: Option<PathBuf>,
    /// Settings of successive halving.
    halving: Option<HalvingSettings>,
    /// The lists and ranges of values, by dotted keys of a run file.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    values: Table,
}

/// The shared settings, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum SharedSettings {
    /// A settings file, a model file or a built-in model.
    Named(String),
    /// The settings.
    Table(Box<Settings>),
}

/// The seeds, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum WrittenSeeds {
    /// How many.
    Count(u32),
    /// These.
    List(Vec<u64>),
}

fn one() -> u64 {
    1
}

impl SweepSettings {
    /// Reads `sweep.toml`. Paths are relative to the file.
    ///
    /// # Errors
    /// If the file, or the run file or model that it names, can't be read, or has an unknown key.
    pub fn read(path: &Path) -> Result<SweepSettings> {
        let text = read_text(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::missing(path, "the settings of a sweep"),
            _ => Error::io("read", path)(error),
        })?;
        let file = path.display().to_string();
        let written: WrittenSweep = parse(&text, &file)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let run = match written.run {
            Value::String(what) => Settings::named(&what, folder)?,
            Value::Table(table) => {
                let run: Settings = table.clone().try_into().map_err(|e: toml::de::Error| {
                    Error::Config(format!("{file}, [run]: {}", explained(e.message())))
                })?;
                run.located(&table, folder)?
            }
            other => {
                return Err(Error::Config(format!(
                    "{file}: run is {other}; name a settings file, a model file or a built-in model, or write a table [run]"
                )));
            }
        };
        let mut values = values::flattened(written.values);
        for (key, value) in &mut values {
            values::locate(key, value, folder);
        }
        let seeds = seeds(written.seeds.as_ref(), run.seed)?;
        Ok(SweepSettings {
            method: written.method,
            trials: written.trials,
            seeds,
            seed: written.seed,
            metric: written.metric,
            out: written.out.map(|out| folder.join(out)),
            halving: written.halving,
            values,
            run,
        })
    }

    /// The text of these settings for the folder of the sweep.
    ///
    /// # Errors
    /// If they can't be written.
    pub(super) fn text(&self) -> Result<String> {
        let settings = SweepSettings {
            run: self.run.with_absolute_paths()?,
            ..self.clone()
        };
        toml::to_string(&settings).map_err(|e| Error::Config(format!("settings of the sweep: {e}")))
    }

    /// The epochs after which trials are compared; `None` is the end of a run.
    pub(super) fn rungs(&self) -> Vec<Option<u32>> {
        match self.method {
            SweepMethod::Halving => self.halving.unwrap_or_default().rungs(self.run.epochs),
            SweepMethod::Grid | SweepMethod::Random => vec![None],
        }
    }

    /// The trials, each of which has been checked as far as it can be without data.
    ///
    /// # Errors
    /// Names the first setting of the sweep or of a trial that is wrong.
    pub(super) fn trials(&self) -> Result<Vec<SweepTrial>> {
        self.check_method()?;
        let candidates = values::candidates(&self.values)?;
        self.check_values(&candidates)?;
        let drawn = match (self.method, self.trials) {
            (SweepMethod::Grid, _) => grid::trials(&candidates)?,
            (_, Some(count)) => random::trials(&candidates, count, self.seed)?,
            (method, None) => {
                return Err(Error::Config(format!(
                    "method = \"{}\" needs trials, the number of trials",
                    method.name()
                )));
            }
        };
        let trial = |(number, values): (usize, Vec<TrialValue>)| {
            let mut trial = SweepTrial {
                number,
                values,
                seeds: self.seeds.clone(),
            };
            let settings = trial.settings(&self.run)?;
            check_trial(&settings).map_err(|error| {
                let values = values::values_text(&trial.values);
                Error::Config(format!("trial {number} ({values}): {}", error.sentence()))
            })?;
            if trial.seeds.is_empty() {
                trial.seeds.push(settings.seed);
            }
            Ok(trial)
        };
        (1..).zip(drawn).map(trial).collect()
    }

    /// Checks the settings and those of all trials, as far as they can be checked without data.
    ///
    /// # Errors
    /// Names the first setting of the sweep or of a trial that is wrong.
    pub fn check(&self) -> Result<()> {
        self.trials().map(|_| ())
    }

    /// Whether the file at `path` holds the settings of a sweep rather than those of a run or a model.
    pub fn is_at(path: &Path) -> bool {
        let table = read_text(path)
            .ok()
            .and_then(|text| text.parse::<Table>().ok());
        table.is_some_and(|table| ["run", "values"].iter().all(|key| table.contains_key(*key)))
    }

    /// Checks everything but the values.
    fn check_method(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::Config(why));
        let unique: BTreeSet<&u64> = self.seeds.iter().collect();
        let halves = self.method == SweepMethod::Halving;
        match self.trials {
            Some(count) if self.method == SweepMethod::Grid => {
                return wrong(format!(
                    "trials is {count}, but method = \"grid\" has all combinations; leave trials out, or use method = \"random\""
                ));
            }
            Some(count) if !(1..=MOST_TRIALS).contains(&count) => {
                return wrong(format!(
                    "trials is {count}, and must be from 1 to {MOST_TRIALS}"
                ));
            }
            _ => {}
        }
        let seeds = self.seeds.iter().chain([&self.seed]);
        if seeds.clone().any(|&seed| i64::try_from(seed).is_err()) {
            return wrong("seeds must be below 2^63, the limit of TOML integers".to_string());
        }
        if unique.len() < self.seeds.len() {
            return wrong("seeds names a seed twice; leave one out".to_string());
        }
        if self.halving.is_some() && !halves {
            return wrong(format!(
                "[halving] is for method = \"halving\", and the method is \"{}\"; leave it out",
                self.method.name()
            ));
        }
        if halves && self.run.steps.is_some() {
            return wrong(
                "method = \"halving\" counts epochs, and the run has steps; set its epochs instead"
                    .to_string(),
            );
        }
        if halves {
            self.halving.unwrap_or_default().check(self.run.epochs)?;
        }
        Ok(())
    }

    /// Checks which keys have values.
    fn check_values(&self, candidates: &[(String, Candidates)]) -> Result<()> {
        if candidates.is_empty() {
            return Err(Error::Config(
                "values is empty; give a setting a list, such as \"optimizer.lr\" = [0.01, 0.001]"
                    .to_string(),
            ));
        }
        let halves = self.method == SweepMethod::Halving;
        for (key, candidates) in candidates {
            let why = match key.as_str() {
                "out" => "each trial has a folder of its own; leave it out",
                "seed" if !self.seeds.is_empty() => {
                    "seeds says which seeds there are; leave one of both out"
                }
                "epochs" | "steps" if halves => {
                    "method = \"halving\" decides how long a trial is trained; leave it out"
                }
                "monitor" => "trials are compared by one metric; name it with metric",
                _ => "",
            };
            if !why.is_empty() {
                return Err(named(key, why));
            }
            // All values of a list, and the ends of a range, are tried alone, so that the error is about one key.
            for value in candidates.samples() {
                let settings = self.run.with(key, value.clone());
                settings.map_err(|error| {
                    named(key, &format!("{value} can't be set: {}", error.sentence()))
                })?;
            }
        }
        Ok(())
    }
}

/// The checks of the settings of a trial that need no data.
fn check_trial(settings: &Settings) -> Result<()> {
    settings.check()?;
    match settings.task.name {
        Some(_) => settings.named_task().map(|_| ()),
        None => Ok(()),
    }
}

/// The seeds as they are written: a list, or a number of seeds from `first` upwards.
fn seeds(written: Option<&Value>, first: u64) -> Result<Vec<u64>> {
    let wrong = || {
        Error::Config(
            "seeds must be a number of seeds, at least 1, or a list of them, such as [1, 2, 3]"
                .to_string(),
        )
    };
    let seed = |value: &Value| value.as_integer().and_then(|seed| u64::try_from(seed).ok());
    match written {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) if !list.is_empty() => {
            let all: Option<Vec<u64>> = list.iter().map(seed).collect();
            all.ok_or_else(wrong)
        }
        Some(value @ Value::Integer(_)) => match seed(value) {
            Some(count @ 1..=1000) => Ok((first..first.saturating_add(count)).collect()),
            _ => Err(wrong()),
        },
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(SweepSettings, Vec<SweepTrial>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sweep.toml");
        std::fs::write(dir.path().join("run.toml"), "epochs = 9\nseed = 5\n").unwrap();
        std::fs::write(&path, text).unwrap();
        let settings = SweepSettings::read(&path)?;
        let trials = settings.trials()?;
        Ok((settings, trials))
    }

    #[test]
    fn a_run_is_a_file_a_table_or_a_model() {
        let values = "[values]\nbatch = [8, 16]\n";
        let of = |run: &str| read(&format!("{run}\n{values}")).unwrap();
        let (settings, trials) = of("run = \"run.toml\"\nseeds = 3");
        assert_eq!((settings.run.epochs, settings.seeds), (9, vec![5, 6, 7]));
        assert_eq!(trials[1].settings(&settings.run).unwrap().batch, 16);
        assert_eq!(trials[1].seeds, [5, 6, 7]);
        let (settings, trials) = of("seeds = [7]\nrun = { epochs = 2, model = \"lenet5\" }");
        assert_eq!(
            (settings.run.epochs, &*settings.run.model.name),
            (2, "lenet5")
        );
        assert_eq!(trials[0].seeds, [7]);
        let (settings, trials) = of("run = \"lenet5\"");
        assert_eq!(
            (settings.run.epochs, &*settings.run.model.name),
            (3, "lenet5")
        );
        assert_eq!(trials[0].seeds, [1]);
    }

    #[test]
    fn settings_survive_the_folder_of_the_sweep() {
        let text = "run = \"run.toml\"\nmethod = \"halving\"\ntrials = 4\nseeds = 2\nmetric = \"loss\"\n[halving]\neta = 2\n\
                    [values]\noptimizer.lr = { from = 1e-4, to = 0.1, log = true }\nmodel = [\"lenet5\", \"mnist-cnn\"]\n";
        let (settings, trials) = read(text).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sweep.toml");
        std::fs::write(&path, settings.text().unwrap()).unwrap();
        let again = SweepSettings::read(&path).unwrap();
        assert_eq!(again, settings);
        let again = again.trials().unwrap();
        assert_eq!(again.len(), 4);
        assert!(again.iter().zip(&trials).all(|(a, b)| a.values == b.values));
    }

    #[test]
    fn wrong_settings_are_refused_in_a_sentence() {
        let values = "[values]\n\"optimizer.lr\" = [0.1]\n";
        for (text, part) in [
            ("metod = \"grid\"", "did you mean `method`?"),
            ("method = \"bayes\"", "unknown variant `bayes`"),
            ("method = \"random\"", "needs trials"),
            ("trials = 3", "trials is 3, but method = \"grid\""),
            ("method = \"random\"\ntrials = 0", "trials is 0"),
            ("seeds = 0", "seeds must be"),
            ("seeds = [1, 1]", "names a seed twice"),
            ("[halving]\neta = 3", "[halving] is for"),
            (
                "method = \"halving\"\ntrials = 4\n[halving]\neta = 1",
                "eta must be",
            ),
            (
                "method = \"halving\"\ntrials = 4\n[halving]\nmin_epochs = 9",
                "min_epochs is 9",
            ),
        ] {
            let message = read(&format!("run = \"run.toml\"\n{text}\n{values}")).unwrap_err();
            assert!(message.to_string().contains(part), "{text}: {message}");
        }
        for (values, part) in [
            (
                "optimizer.rl = [0.1]",
                "values.optimizer.rl: 0.1 can't be set",
            ),
            ("bach = [3]", "did you mean `batch`?"),
            (
                "batch = [8, \"many\"]",
                "values.batch: \"many\" can't be set",
            ),
            (
                "batch = [8, 0]",
                "trial 2 (batch = 0): batch must be at least 1",
            ),
            ("out = [\"a\"]", "values.out: each trial"),
            ("monitor = [\"loss\"]", "values.monitor"),
            ("\"model.layer[99].units\" = [4]", "no layer[99]"),
            ("", "values is empty"),
        ] {
            let message = read(&format!("run = \"run.toml\"\n[values]\n{values}\n")).unwrap_err();
            assert!(message.to_string().contains(part), "{values}: {message}");
        }
        let message = read("run = \"missing.toml\"\n[values]\nbatch = [3]\n").unwrap_err();
        assert!(
            message.to_string().contains("missing.toml does not exist"),
            "{message}"
        );
        let message = read("run = { epoch = 2 }\n[values]\nbatch = [3]\n").unwrap_err();
        assert!(
            message.to_string().contains("[run]: unknown field `epoch`"),
            "{message}"
        );
    }
}

//! Settings of a run: the content of `run.toml`, fully resolved when the run starts.

pub use crate::data::DataSettings;

mod agent;
mod assign;
mod card;
mod changes;
mod choose;
mod compare;
mod continual;
mod ensemble;
mod folds;
mod group;
mod membership;
mod names;
mod network_file;
mod notes;
mod parts;
mod provenance;
mod schema;
mod stages;
mod start;
mod starters;
mod sweep;
mod teachers;
mod train;
mod train_again;

pub use agent::PreparedAgent;
pub use choose::Chosen;
pub use compare::{ComparedEpoch, ComparedMetric, ComparedRun, Comparison, DifferingSetting};
pub use continual::{Continual, ContinualMethod, ContinualStage, TaskScore, TaskScores};
pub use ensemble::Member;
pub use folds::{FoldFigure, FoldSpread, Folds, FoldsSummary};
pub use membership::{MembershipOptions, MembershipSubject};
pub use parts::Initialisation;
pub use schema::{model_schema, run_schema, sweep_schema};
pub use stages::{Stages, StagesSummary};
pub use start::Prepared;
pub use sweep::{
    HalvingSettings, Sweep, SweepMethod, SweepObserver, SweepSettings, SweepSummary, SweepTrial,
    TrialResult, TrialRun, TrialStart, TrialValue, value_text, values_text,
};
pub use train::SessionObserver;
pub use train_again::TrainedAgain;

use crate::data::Fitted;
use crate::device::DeviceChoice;
use crate::environments::EnvironmentSettings;
use crate::error::{Error, Result};
use crate::federated::FederatedSettings;
use crate::files::read_text;
use crate::graph::Precision;
use crate::nn::{Lora, ModelSpec};
use crate::onnx::OnnxNetwork;
use crate::optim::{Average, GroupSettings, OptimizerConfig, Patterns, Schedule};
use crate::privacy::PrivacySettings;
use crate::run::{CheckpointInterval, Saving};
use crate::tasks::{AugmentSettings, Loss};
use crate::tensor::LARGEST_COUNT;
use crate::toml_text::parse;
use names::{TableOrName, table_or_name, tables_or_names};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The task of a run: its name, and settings of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskChoice {
    /// Name in `wgrad tasks`; chosen by the data if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The rest of the table.
    #[serde(flatten)]
    pub own: toml::Table,
}

impl TaskChoice {
    fn is_auto(&self) -> bool {
        *self == TaskChoice::default()
    }

    /// Sets the width of the beam search of a translation, if one is given.
    pub fn set_beam(&mut self, beam: Option<u16>) {
        let beam = beam.map(|beam| ("beam".to_string(), i64::from(beam).into()));
        self.own.extend(beam);
    }
}

/// Settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Random seed.
    pub seed: u64,
    /// Device to compute on.
    pub device: DeviceChoice,
    /// Adapter to use: its number, or part of its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Passes over the training set.
    pub epochs: u32,
    /// Steps of the run, instead of epochs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Steps per epoch, after which the run is evaluated and saved; one pass over the training set if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_per_epoch: Option<usize>,
    /// Samples per batch.
    pub batch: usize,
    /// Number of batches whose gradients are accumulated into one step, equivalent to one batch of all their samples.
    #[serde(skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Number of runs of an ensemble, which differ in their seeds; `wgrad train --ensemble` sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<usize>,
    /// Precision of matrix products and convolutions in training: `float32`, or `mixed`, 16-bit floats summed in 32 bits.
    #[serde(skip_serializing_if = "is_float32")]
    pub precision: Precision,
    /// Whether every epoch shuffles the samples.
    pub shuffle: bool,
    /// The task; chosen by the data if absent. In a file, its name is enough.
    #[serde(
        skip_serializing_if = "TaskChoice::is_auto",
        deserialize_with = "table_or_name"
    )]
    #[schemars(with = "TableOrName<TaskChoice>")]
    pub task: TaskChoice,
    /// The environment in which an agent learns, instead of data. In a file, its name is enough.
    #[serde(
        skip_serializing_if = "EnvironmentSettings::is_unset",
        deserialize_with = "table_or_name"
    )]
    #[schemars(with = "TableOrName<EnvironmentSettings>")]
    pub environment: EnvironmentSettings,
    /// The loss. In a file, its name is enough.
    #[serde(
        skip_serializing_if = "Loss::is_auto",
        deserialize_with = "table_or_name"
    )]
    #[schemars(with = "TableOrName<Loss>")]
    pub loss: Loss,
    /// Label smoothing: share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Largest global norm of the gradients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Initial weights: a safetensors file, of which all tensors that fit are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Whether every tensor of `init` must fit.
    #[serde(skip_serializing_if = "is_false")]
    pub init_strict: bool,
    /// The metric that selects the best epoch; the task's score if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// Epochs without improvement of that metric after which the run stops; never if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u32>,
    /// The smallest change of that metric that counts as an improvement.
    #[serde(skip_serializing_if = "is_zero")]
    pub min_delta: f64,
    /// Time or steps between checkpoints within an epoch; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<CheckpointInterval>,
    /// Number of the latest checkpoints that are kept, in addition to that of the best epoch.
    pub keep_checkpoints: usize,
    /// Whether event files for TensorBoard are written into the run folder.
    #[serde(skip_serializing_if = "is_false")]
    pub tensorboard: bool,
    /// Why these settings were chosen, if `wgrad train` chose them by the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// Run folder; a new one under `runs` if absent. Not serialised, because the settings file lies in that folder.
    #[serde(skip_serializing)]
    pub out: Option<PathBuf>,
    /// File of the private key that signs the links of the run's ledger. An option of the command alone: a run file travels with the
    /// run, and the same run by another person has the same settings.
    #[serde(skip)]
    pub sign: Option<PathBuf>,
    /// Data set. In a file, its source is enough.
    #[serde(deserialize_with = "table_or_name")]
    #[schemars(with = "TableOrName<DataSettings>")]
    pub data: DataSettings,
    /// Augmentation of training images.
    #[serde(skip_serializing_if = "AugmentSettings::is_off")]
    pub augment: AugmentSettings,
    /// Optimizer. In a file, its name is enough.
    #[serde(deserialize_with = "table_or_name")]
    #[schemars(with = "TableOrName<OptimizerConfig>")]
    pub optimizer: OptimizerConfig,
    /// Optimizers of individual phases, such as `discriminator`.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "tables_or_names"
    )]
    #[schemars(with = "BTreeMap<String, TableOrName<OptimizerConfig>>")]
    pub optimizers: BTreeMap<String, OptimizerConfig>,
    /// Averages of the parameters over the steps, which are evaluated and saved in their place; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
    /// Patterns of names of parameters that are not trained.
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    pub freeze: Patterns,
    /// Low-rank adapters, which are trained instead of the weights of `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
    /// Private training; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<PrivacySettings>,
    /// Federated averaging; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub federated: Option<FederatedSettings>,
    /// How the run goes on from an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continual: Option<Continual>,
    /// Parameter groups with their own learning rates, or frozen.
    #[serde(rename = "group", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupSettings>,
    /// Learning rate schedule. In a file, its name is enough.
    #[serde(deserialize_with = "table_or_name")]
    #[schemars(with = "TableOrName<Schedule>")]
    pub schedule: Schedule,
    /// Model. In a file, the name of a built-in one or the path of a model file is enough.
    #[serde(deserialize_with = "table_or_name", skip_serializing_if = "is_unset")]
    #[schemars(with = "TableOrName<ModelSpec>")]
    pub model: ModelSpec,
    /// Models of tasks that have several, by their roles, each as `model` is.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "tables_or_names"
    )]
    #[schemars(with = "BTreeMap<String, TableOrName<ModelSpec>>")]
    pub models: BTreeMap<String, ModelSpec>,
    /// Values fitted to the data; empty before the run starts.
    #[serde(skip_serializing_if = "Fitted::is_empty")]
    pub fitted: Fitted,
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

fn is_float32(precision: &Precision) -> bool {
    *precision == Precision::Float32
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

fn is_unset(model: &ModelSpec) -> bool {
    model.layers.is_empty() && model.name.is_empty()
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            device: DeviceChoice::Auto,
            adapter: None,
            epochs: 3,
            steps: None,
            steps_per_epoch: None,
            batch: 128,
            accumulate: 1,
            ensemble: None,
            precision: Precision::default(),
            shuffle: true,
            task: TaskChoice::default(),
            environment: EnvironmentSettings::default(),
            loss: Loss::default(),
            label_smoothing: 0.0,
            clip_norm: None,
            init: None,
            init_strict: false,
            monitor: None,
            patience: None,
            min_delta: 0.0,
            checkpoint_every: None,
            keep_checkpoints: Saving::default().keep,
            tensorboard: false,
            chosen: None,
            out: None,
            sign: None,
            data: DataSettings::default(),
            augment: AugmentSettings::default(),
            optimizer: OptimizerConfig::default(),
            optimizers: BTreeMap::new(),
            average: None,
            freeze: Patterns::default(),
            lora: None,
            privacy: None,
            federated: None,
            continual: None,
            groups: Vec::new(),
            schedule: Schedule::default(),
            model: ModelSpec::default(),
            models: BTreeMap::new(),
            fitted: Fitted::default(),
        }
    }
}

impl Settings {
    /// The default run: the small CNN on the built-in digits.
    ///
    /// # Errors
    /// Never, unless the built-in model is broken.
    pub fn preset() -> Result<Settings> {
        Ok(Settings {
            model: ModelSpec::preset("mnist-cnn")?,
            ..Settings::default()
        })
    }

    /// Reads a settings file, or a model file, which stands for a run of that model with default settings. Paths are relative
    /// to the file.
    ///
    /// # Errors
    /// If the file can't be read, is not TOML, or has an unknown key or an invalid value.
    pub fn read(path: &Path) -> Result<Settings> {
        let text = read_text(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::missing(path, "a settings or model file"),
            std::io::ErrorKind::InvalidData => Error::Config(format!(
                "{} is not text: settings and model files are TOML, and a file of data is a table, a text or an array",
                path.display()
            )),
            _ => Error::io("read", path)(error),
        })?;
        let file = path.display().to_string();
        let table: toml::Table = parse(&text, &file)?;
        if table.contains_key("layer") && !table.contains_key("model") {
            let mut model: ModelSpec = parse(&text, &file)?;
            model.relative_to(path.parent().unwrap_or(Path::new(".")));
            return Ok(Settings {
                model,
                ..Settings::default()
            });
        }
        check_version(&table, &file)?;
        let settings: Settings = parse(&text, &file)?;
        settings.located(&table, path.parent().unwrap_or(Path::new(".")))
    }

    /// The settings that `what` names: a settings file, a model's own file, an ONNX or Keras file, or a built-in model. A file is
    /// relative to `folder`.
    ///
    /// # Errors
    /// If there is none, or it can't be read.
    pub fn named(what: &str, folder: &Path) -> Result<Settings> {
        let path = folder.join(what);
        if is_network_file(&path) {
            return Ok(Settings {
                model: named_model(what, folder)?,
                ..Settings::default()
            });
        }
        if what.ends_with(".toml") || path.is_file() {
            return Settings::read(&path);
        }
        if what.contains(['.', '/', std::path::MAIN_SEPARATOR]) && !path.exists() {
            return Err(Error::missing(
                &path,
                "data, a settings file, a model file, or a built-in model (see `wgrad models`)",
            ));
        }
        Ok(Settings {
            model: ModelSpec::preset(what)?,
            ..Settings::default()
        })
    }

    /// The settings that were written as `table` in a file in `folder`: models that it names are read, and paths are relative to the
    /// folder.
    ///
    /// # Errors
    /// If there is no such model, or its file can't be read.
    fn located(self, table: &toml::Table, folder: &Path) -> Result<Settings> {
        let mut settings = self;
        match table.get("model") {
            Some(toml::Value::String(name)) => settings.model = named_model(name, folder)?,
            Some(_) => settings.model.relative_to(folder),
            None if settings.models.is_empty() && settings.task.name.is_none() => {
                settings.model = ModelSpec::preset("mnist-cnn")?;
            }
            None => {}
        }
        for (role, model) in &mut settings.models {
            if let Some(toml::Value::String(name)) =
                table.get("models").and_then(|models| models.get(role))
            {
                *model = named_model(name, folder)?;
            } else {
                model.relative_to(folder);
            }
        }
        for path in [&mut settings.init, &mut settings.out]
            .into_iter()
            .flatten()
        {
            *path = folder.join(&*path);
        }
        settings.data.relative_to(folder);
        teachers::change_paths(&mut settings.task.own, |path| folder.join(path));
        if let Some(continual) = &mut settings.continual {
            continual.change_paths(|path| folder.join(path));
        }
        Ok(settings)
    }

    /// Checks all settings that don't depend on data or device.
    ///
    /// # Errors
    /// Names the first invalid setting.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::Config(what.to_string()));
        if self.batch == 0 {
            return wrong("batch must be at least 1");
        }
        if self.batch > LARGEST_COUNT {
            return wrong(&format!("batch must be at most {LARGEST_COUNT}"));
        }
        if i64::try_from(self.seed).is_err() {
            return wrong("seed must be below 2^63, the limit of TOML integers");
        }
        if self.epochs == 0 {
            return wrong("epochs must be at least 1");
        }
        if self
            .steps
            .is_some_and(|steps| steps == 0 || i64::try_from(steps).is_err())
        {
            return wrong("steps must be at least 1 and below 2^63");
        }
        if self.ensemble.is_some_and(|runs| runs < 2) {
            return wrong("ensemble must be at least 2 runs");
        }
        if self.accumulate == 0 {
            return wrong("accumulate must be at least 1: the number of batches per step");
        }
        if let Some(lora) = &self.lora {
            lora.check()?;
            if !self.freeze.is_empty() {
                return wrong(
                    "with [lora] only the adapters are trained, and what lora.train names; leave out freeze",
                );
            }
            if self.init.is_none() {
                return wrong(
                    "[lora] adapts weights that are trained already; name their file as init, or with --init",
                );
            }
        }
        if let Some(privacy) = &self.privacy {
            privacy.check()?;
        }
        if let Some(federated) = &self.federated {
            federated.check()?;
            if self.continual.is_some() {
                return wrong(
                    "[federated] can't be combined with [continual]; leave one of them out",
                );
            }
        }
        if self.patience == Some(0) {
            return wrong("patience must be at least 1 epoch");
        }
        if !(self.min_delta >= 0.0 && self.min_delta.is_finite()) {
            return wrong("min_delta must be at least 0");
        }
        if self.keep_checkpoints == 0 {
            return wrong(
                "keep_checkpoints must be at least 1: a run is resumed from its latest checkpoint",
            );
        }
        let each = self.batch.saturating_mul(self.accumulate);
        let samples = self.steps_per_epoch.map(|n| n.saturating_mul(each));
        if samples.is_some_and(|samples| !(1..=LARGEST_COUNT).contains(&samples)) {
            return wrong(&format!(
                "steps_per_epoch must be at least 1, and its samples at most {LARGEST_COUNT}"
            ));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return wrong("label_smoothing must be at least 0 and below 1");
        }
        if self
            .clip_norm
            .is_some_and(|norm| norm.is_nan() || norm <= 0.0)
        {
            return wrong("clip_norm must be above 0");
        }
        self.loss.check()?;
        self.data.check()?;
        self.augment.check()?;
        self.optimizer.validate()?;
        for optimizer in self.optimizers.values() {
            optimizer.validate()?;
        }
        if let Some(average) = &self.average {
            average.validate()?;
        }
        for (number, group) in (1..).zip(&self.groups) {
            group.validate(number)?;
        }
        self.schedule.validate()?;
        self.check_continual()?;
        self.check_agent()
    }

    /// Takes the data from `source` and discards what was fitted to other data.
    pub fn set_source(&mut self, source: String) {
        self.data.source = source;
        self.fitted = Fitted::default();
    }
}

/// Refuses the `run.toml` of an earlier version, which stored values fitted to the data among the settings.
fn check_version(table: &toml::Table, file: &str) -> Result<()> {
    let data = table.get("data").and_then(toml::Value::as_table);
    let earlier = ["classes", "class_cells", "scale", "column"];
    let found = earlier
        .iter()
        .find(|key| data.is_some_and(|data| data.contains_key(**key)));
    match found {
        Some(key) => Err(Error::Config(format!(
            "{file} has data.{key}, from an earlier version of wgrad that stored values fitted to the data there; move the key to \
             [fitted] to resume the run, or remove it to train with these settings"
        ))),
        None => Ok(()),
    }
}

/// The model called `name`: a TOML, ONNX or Keras file, relative to `folder`, or a built-in one.
///
/// # Errors
/// If there is neither.
pub fn named_model(name: &str, folder: &Path) -> Result<ModelSpec> {
    let path = folder.join(name);
    if is_network_file(&path) {
        return OnnxNetwork::read(&path)?.spec();
    }
    if name.ends_with(".toml") || path.is_file() {
        let text = read_text(&path).map_err(Error::io("read", &path))?;
        let mut model: ModelSpec = parse(&text, &path.display().to_string())?;
        model.relative_to(path.parent().unwrap_or(Path::new(".")));
        return Ok(model);
    }
    ModelSpec::preset(name)
}

/// Whether `path` is named as files with networks of ONNX and Keras are.
pub fn is_network_file(path: &Path) -> bool {
    let is_one = |ending: &std::ffi::OsStr| {
        let known = ["onnx", "keras", "h5", "hdf5"];
        known.iter().any(|known| ending.eq_ignore_ascii_case(known))
    };
    path.extension().is_some_and(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest() {
        let error = parse::<Settings>("seed = 1\nepoch = 3\n", "run.toml")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("run.toml, line 2") && error.contains("did you mean `epochs`?"),
            "{error}"
        );
        let text = "name = \"m\"\ninput = [4]\n[[layer]]\ntype = \"dense\"\nunit = 3\n";
        let error = parse::<ModelSpec>(text, "m.toml").unwrap_err().to_string();
        assert!(error.contains("did you mean `units`?"), "{error}");
    }

    #[test]
    fn what_an_earlier_version_found_is_refused_in_words() {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(file.path(), "[data]\nclasses = [\"no\", \"yes\"]\n").unwrap();
        let message = Settings::read(file.path()).unwrap_err().to_string();
        assert!(
            message.contains("data.classes") && message.contains("earlier version"),
            "{message}"
        );
    }

    #[test]
    fn settings_survive_a_round_trip() {
        let settings = Settings::preset().unwrap();
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(parse::<Settings>(&text, "run.toml").unwrap(), settings);
    }
}

//! Settings of a run: what `run.toml` says, with everything resolved when the run starts.

pub use crate::data::DataSettings;

use crate::data::{self, Dataset, Samples};
use crate::error::{Error, Result};
use crate::nn::ModelSpec;
use crate::optim::{OptimizerConfig, Schedule};
use crate::tensor::LARGEST_COUNT;
use crate::toml_text::parse;
use crate::train::{AugmentSettings, Loss};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Where to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// A GPU adapter if there is one, else the CPU, said aloud.
    #[default]
    Auto,
    /// A GPU adapter, real or software.
    Gpu,
    /// The CPU reference.
    Cpu,
}

/// Settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Seed of everything random.
    pub seed: u64,
    /// Where to compute.
    pub device: Device,
    /// Adapter to use: its number, or a part of its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Passes over the training set.
    pub epochs: u32,
    /// Steps of the run, in place of epochs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Steps of an epoch, after which the run is evaluated and written down; as many as the training set has if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_per_epoch: Option<usize>,
    /// Samples in a step.
    pub batch: usize,
    /// Whether every epoch visits the samples in an order of its own.
    pub shuffle: bool,
    /// What is made small. In a file also its name alone.
    #[serde(
        skip_serializing_if = "Loss::is_auto",
        deserialize_with = "table_or_name"
    )]
    pub loss: Loss,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Largest global norm of the gradients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Weights to start from: a safetensors file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Folder of the run; a new one under `runs` if absent. Not written: a run's settings lie in it.
    #[serde(skip_serializing)]
    pub out: Option<PathBuf>,
    /// Data set. In a file also its source alone.
    #[serde(deserialize_with = "table_or_name")]
    pub data: DataSettings,
    /// Random changes of training pictures.
    #[serde(skip_serializing_if = "AugmentSettings::is_off")]
    pub augment: AugmentSettings,
    /// Optimizer. In a file also its name alone.
    #[serde(deserialize_with = "table_or_name")]
    pub optimizer: OptimizerConfig,
    /// Course of the learning rate. In a file also its name alone.
    #[serde(deserialize_with = "table_or_name")]
    pub schedule: Schedule,
    /// Model. In a file also the name of a built-in one, or the path of a model's own file.
    #[serde(deserialize_with = "table_or_name")]
    pub model: ModelSpec,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            device: Device::Auto,
            adapter: None,
            epochs: 3,
            steps: None,
            steps_per_epoch: None,
            batch: 128,
            shuffle: true,
            loss: Loss::default(),
            label_smoothing: 0.0,
            clip_norm: None,
            init: None,
            out: None,
            data: DataSettings::default(),
            augment: AugmentSettings::default(),
            optimizer: OptimizerConfig::default(),
            schedule: Schedule::default(),
            model: ModelSpec::default(),
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

    /// Reads a settings file, or a model's own file, which stands for the default run of that model. Paths in it are relative
    /// to the file.
    ///
    /// # Errors
    /// If the file can't be read, is no TOML, or has a key or value that does not belong.
    pub fn read(path: &Path) -> Result<Settings> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let file = path.display().to_string();
        let table: toml::Table = parse(&text, &file)?;
        if table.contains_key("layer") && !table.contains_key("model") {
            return Ok(Settings {
                model: parse(&text, &file)?,
                ..Settings::default()
            });
        }
        let mut settings: Settings = parse(&text, &file)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        match table.get("model") {
            Some(toml::Value::String(name)) => settings.model = named_model(name, folder)?,
            Some(_) => {}
            None => settings.model = ModelSpec::preset("mnist-cnn")?,
        }
        for path in [&mut settings.init, &mut settings.out]
            .into_iter()
            .flatten()
        {
            *path = folder.join(&*path);
        }
        settings.data.relative_to(folder);
        Ok(settings)
    }

    /// Checks what does not depend on data or device.
    ///
    /// # Errors
    /// Names the first setting that can't be.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::Config(what.to_string()));
        if self.batch == 0 {
            return wrong("batch must be at least 1");
        }
        if self.batch > LARGEST_COUNT {
            return wrong(&format!("batch must be at most {LARGEST_COUNT}"));
        }
        if i64::try_from(self.seed).is_err() {
            return wrong("seed must be below 2^63, as numbers in TOML are");
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
        let samples = self.steps_per_epoch.map(|n| n.saturating_mul(self.batch));
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
        self.optimizer.optimizer().validate()?;
        self.schedule.validate()
    }

    /// Takes its data from `source`, whose classes, mean and standard deviation are its own.
    pub fn set_source(&mut self, source: String) {
        self.data = DataSettings {
            source,
            mean: None,
            std: None,
            classes: Vec::new(),
            class_cells: Vec::new(),
            scale: None,
            columns: Vec::new(),
            tokenizer: None,
            ..std::mem::take(&mut self.data)
        };
    }

    /// Loads the data set and resolves what the settings left to it: the size of images, the model's input, mean, standard
    /// deviation, names of classes, balanced class weights.
    ///
    /// # Errors
    /// If the data can't be read, or does not fit the settings.
    pub fn load_data(&mut self) -> Result<Dataset<Samples>> {
        if let Some([height, width, channels]) = self.model.input.image() {
            self.data.size.get_or_insert([height, width]);
            self.data.channels.get_or_insert(channels);
        }
        if let Some(input) = self.model.input.tokens() {
            let context = *self.data.context.get_or_insert(input.tokens);
            if context != input.tokens && !input.auto {
                return Err(Error::Config(format!(
                    "model {} takes {} tokens but data.context is {context}; make them the same, or leave data.context out",
                    self.model.name, input.tokens
                )));
            }
        }
        let dataset = data::load(&mut self.data, self.seed)?;
        if self.model.inputs.is_empty() {
            let (shape, vocabulary) = (dataset.train.shape(), dataset.train.vocabulary());
            let padded = !dataset.train.predicts_next();
            self.model.input = self.model.input.resolved(&shape, vocabulary, padded);
        }
        // What the run writes down must be found from any other folder too.
        self.data.make_absolute();
        self.data.learn(&dataset)?;
        self.loss.learn(&dataset.train, dataset.classes.len());
        Ok(dataset)
    }
}

/// The model called `name`: a TOML file, relative to `folder`, or a built-in one.
///
/// # Errors
/// If there is neither.
pub fn named_model(name: &str, folder: &Path) -> Result<ModelSpec> {
    let path = folder.join(name);
    if name.ends_with(".toml") || path.is_file() {
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        return parse(&text, &path.display().to_string());
    }
    ModelSpec::preset(name)
}

/// What a table of the settings can be given as by a single word.
trait FromName: Sized {
    fn from_name(name: &str) -> Result<Self>;
}

impl FromName for DataSettings {
    fn from_name(source: &str) -> Result<Self> {
        Ok(DataSettings {
            source: source.to_string(),
            ..DataSettings::default()
        })
    }
}

impl FromName for OptimizerConfig {
    fn from_name(name: &str) -> Result<Self> {
        OptimizerConfig::named(name)
    }
}

impl FromName for Loss {
    fn from_name(name: &str) -> Result<Self> {
        Loss::named(name)
    }
}

impl FromName for Schedule {
    fn from_name(name: &str) -> Result<Self> {
        Schedule::named(name)
    }
}

impl FromName for ModelSpec {
    /// The name alone: [`Settings::read`] knows the folder in which to look for it.
    fn from_name(name: &str) -> Result<Self> {
        Ok(ModelSpec {
            name: name.to_string(),
            ..Settings::default().model
        })
    }
}

/// Reads a table, or the word that stands for one.
fn table_or_name<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromName,
{
    struct TableOrName<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de> + FromName> Visitor<'de> for TableOrName<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table or a name")
        }

        fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<T, E> {
            T::from_name(name).map_err(E::custom)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(TableOrName(PhantomData))
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
    fn settings_survive_a_round_trip() {
        let settings = Settings::preset().unwrap();
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(parse::<Settings>(&text, "run.toml").unwrap(), settings);
    }
}

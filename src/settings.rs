//! Settings of a run: what `run.toml` says, with everything resolved when the run starts.

use crate::data::{self, Dataset};
use crate::error::{Error, Result};
use crate::nn::ModelSpec;
use crate::optim::{OptimizerConfig, Schedule};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
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
    /// Stop after so many steps, whatever the epochs say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Samples in a step.
    pub batch: usize,
    /// Whether every epoch visits the samples in an order of its own.
    pub shuffle: bool,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Largest global norm of the gradients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Weights to start from: a safetensors file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Folder of the run; a new one under `runs` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
    /// Data set.
    pub data: DataSettings,
    /// Optimizer.
    pub optimizer: OptimizerConfig,
    /// Course of the learning rate.
    pub schedule: Schedule,
    /// Model. In a file also the name of a built-in one, or the path of a model's own file.
    pub model: ModelSpec,
}

/// What to train and test on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// `digits` for the built-in ones, or a folder with IDX files.
    pub source: String,
    /// Built-in digits: training images.
    pub train: usize,
    /// Built-in digits: test images.
    pub test: usize,
    /// Subtracted from each channel of a pixel in [0, 1]; that of the training set if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// Divides each channel after that; that of the training set if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// Names of the classes, filled in when the run starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Whether batches are sent from the host one by one; only if the set does not fit on the device, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

impl Default for DataSettings {
    fn default() -> Self {
        DataSettings {
            source: "digits".to_string(),
            train: 12_000,
            test: 2_000,
            mean: None,
            std: None,
            classes: Vec::new(),
            stream: None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            device: Device::Auto,
            adapter: None,
            epochs: 5,
            steps: None,
            batch: 128,
            shuffle: true,
            label_smoothing: 0.0,
            clip_norm: None,
            init: None,
            out: None,
            data: DataSettings::default(),
            optimizer: OptimizerConfig::default(),
            schedule: Schedule::default(),
            model: ModelSpec {
                name: String::new(),
                input: Vec::new(),
                layers: Vec::new(),
            },
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

    /// Reads a settings file. `model` and `data` may be a name or path in place of a table; paths are relative to the file.
    ///
    /// # Errors
    /// If the file can't be read, is no TOML, or has a key or value that does not belong.
    pub fn read(path: &Path) -> Result<Settings> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let mut table: toml::Table = parse(&text, &path.display().to_string())?;
        let folder = path.parent().unwrap_or(Path::new("."));
        if let Some(toml::Value::String(source)) = table.get("data") {
            let data =
                toml::Table::from_iter([("source".to_string(), toml::Value::from(source.clone()))]);
            table.insert("data".to_string(), toml::Value::Table(data));
        }
        if let Some(toml::Value::String(name)) = table.get("optimizer") {
            let optimizer =
                toml::Table::from_iter([("name".to_string(), toml::Value::from(name.clone()))]);
            table.insert("optimizer".to_string(), toml::Value::Table(optimizer));
        }
        let model = match table.get("model") {
            Some(toml::Value::String(name)) => Some(named_model(name, folder)?),
            _ => None,
        };
        let spec = match model {
            Some(spec) => spec,
            None if table.contains_key("model") => ModelSpec {
                name: String::new(),
                input: vec![],
                layers: vec![],
            },
            None => ModelSpec::preset("mnist-cnn")?,
        };
        let inline = matches!(table.get("model"), Some(toml::Value::Table(_)));
        if !inline {
            table.remove("model");
        }
        let text = toml::to_string(&table)
            .map_err(|e| Error::Config(format!("{}: {e}", path.display())))?;
        let mut settings: Settings = parse(&text, &path.display().to_string())?;
        if !inline {
            settings.model = spec;
        }
        let source = Path::new(&settings.data.source);
        if settings.data.source != "digits" && source.is_relative() && folder.join(source).is_dir()
        {
            settings.data.source = folder.join(source).display().to_string();
        }
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
        if self.epochs == 0 {
            return wrong("epochs must be at least 1");
        }
        if self.steps == Some(0) {
            return wrong("steps must be at least 1");
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
        self.optimizer.optimizer().validate()
    }

    /// Loads the data set and resolves what the settings left to it: mean, standard deviation, names of classes.
    ///
    /// # Errors
    /// If the data can't be read, or does not fit the settings.
    pub fn load_data(&mut self) -> Result<Dataset> {
        let dataset = match self.data.source.as_str() {
            "digits" => {
                if self.data.train == 0 || self.data.test == 0 {
                    return Err(Error::Config(
                        "data.train and data.test must be at least 1".to_string(),
                    ));
                }
                data::digits(self.seed, self.data.train, self.data.test)
            }
            folder => {
                data::load_idx_dir(Path::new(folder)).map_err(|e| Error::Data(e.to_string()))?
            }
        };
        let stats = dataset.mean_std();
        let std = stats
            .std
            .iter()
            .map(|&s| if s > 0.0 { s } else { 1.0 })
            .collect();
        self.data.mean.get_or_insert(stats.mean);
        self.data.std.get_or_insert(std);
        self.data.classes = dataset.classes.clone();
        let channels = dataset.train.channels;
        for (name, values) in [("data.mean", &self.data.mean), ("data.std", &self.data.std)] {
            let values = values.as_deref().unwrap_or_default();
            if values.len() != channels || values.iter().any(|v| !v.is_finite()) {
                return Err(Error::Config(format!(
                    "{name} must be {channels} numbers, one for each channel"
                )));
            }
        }
        if self.data.std.iter().flatten().any(|&s| s <= 0.0) {
            return Err(Error::Config("data.std must be above 0".to_string()));
        }
        if self.batch > dataset.train.len() {
            return Err(Error::Config(format!(
                "a batch of {} is larger than the {} training images; use --batch {} or less",
                self.batch,
                dataset.train.len(),
                dataset.train.len()
            )));
        }
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

/// Parses TOML. Where a key is unknown the message names the nearest that exists.
///
/// # Errors
/// Says the file, the line and what is wrong with it.
pub fn parse<T: DeserializeOwned>(text: &str, file: &str) -> Result<T> {
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let line = e
            .span()
            .map(|span| text[..span.start.min(text.len())].lines().count().max(1));
        let place = line.map_or(file.to_string(), |line| format!("{file}, line {line}"));
        let message = e.message().trim().replace('\n', " ");
        Error::Config(format!("{place}: {message}{}", suggestion(&message)))
    })
}

/// For serde's "unknown field `x`, expected one of `a`, `b`": which of them `x` most looks like.
fn suggestion(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let [unknown, known @ ..] = &quoted[..] else {
        return String::new();
    };
    if !message.starts_with("unknown") {
        return String::new();
    }
    let nearest = known.iter().max_by(|a, b| {
        let score = |known: &str| strsim::jaro_winkler(unknown, known);
        score(a).total_cmp(&score(b))
    });
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => String::new(),
    }
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

//! Settings for data alone: the starting point for their kind supplies what the user leaves open.

use super::starters::{self, Start};
use super::{DataSettings, Settings, named_model, names::FromName as _};
use crate::data::{Dataset, Samples, Source, detect};
use crate::error::{Error, Result};
use crate::nn::PRESETS;
use crate::toml_text::parse;
use std::path::Path;

/// Settings chosen for data, and the data.
pub struct Chosen {
    /// The settings.
    pub settings: Settings,
    /// The data, loaded by them.
    pub dataset: Dataset<Samples>,
    /// Notes about the format.
    pub notes: Vec<String>,
    /// Further settings, as the text of a part of a run file with comments.
    rest: &'static str,
    model: &'static str,
}

impl Settings {
    /// Loads the data of these settings and chooses everything else by their kind and size. `own` applies the user's choices, which
    /// replace what is chosen; it is called several times.
    ///
    /// # Errors
    /// If the data can't be read, or there is no starting point for them or the task.
    pub fn choose(mut self, own: &dyn Fn(&mut Settings) -> Result<()>) -> Result<Chosen> {
        own(&mut self)?;
        let source = Source::of(&self.data)?;
        let (format, notes) = match self.data.format {
            Some(format) => (format, Vec::new()),
            None => detect(&source)?,
        };
        self.data.format = Some(format);
        let starter = starters::of_format(format.name()).ok_or_else(|| {
            Error::Config(format!(
                "there is no starting point for {}: name a settings file, or a model with --model",
                format.about()
            ))
        })?;
        starter.read(&mut self.data, &source)?;
        own(&mut self)?;
        self.data.format = Some(format);
        self.check()?;
        let dataset = self.load_data()?;
        let task = self.resolve_task(&dataset.train)?.registered().name;
        let start = starter.start(task, &dataset, &self.data).ok_or_else(|| {
            Error::Config(format!(
                "there is no starting point for the task {task} on {}: name a settings file, such as one of examples, or a model with --model",
                format.about()
            ))
        })?;
        let mut settings: Settings = parse(start.rest, "the starting point")?;
        settings.model = named_model(start.model, Path::new(""))?;
        settings.epochs = start.epochs;
        settings.batch = start.batch.min(dataset.train.len().max(1));
        own(&mut settings)?;
        settings.task = self.task;
        settings.data = self.data;
        settings.fitted = self.fitted;
        settings.chosen = Some(why(&settings, &start, &dataset));
        settings.fit_to(&dataset);
        Ok(Chosen {
            settings,
            dataset,
            notes,
            rest: start.rest,
            model: start.model,
        })
    }
}

impl Settings {
    /// Sets the windows of a series as [`choose`](Settings::choose) does, by its length and its dates. Other data stay as they are.
    ///
    /// # Errors
    /// If the data can't be read.
    pub fn choose_windows(&mut self) -> Result<()> {
        let source = Source::of(&self.data)?;
        let format = match self.data.format {
            Some(format) => format,
            None if source.is_file() => detect(&source)?.0,
            None => return Ok(()),
        };
        match starters::of_format(format.name()) {
            Some(starter) if format.name() == "series" => starter.read(&mut self.data, &source),
            _ => Ok(()),
        }
    }
}

/// Task, model and length of the training, why they were chosen, and how to change them.
fn why(settings: &Settings, start: &Start, dataset: &Dataset<Samples>) -> String {
    let task = settings.task.name.as_deref().unwrap_or_default();
    let length = match settings.steps {
        Some(1) => "1 step".to_string(),
        Some(steps) => format!("{steps} steps"),
        None if settings.epochs == 1 => "1 epoch".to_string(),
        None => format!("{} epochs", settings.epochs),
    };
    format!(
        "{} with the built-in model {} for {length} of batches of {}, chosen for the kind and size of the data in {}: {}. Options such as --model, --epochs \
         and --set change it; `wgrad init` writes it as a settings file.",
        task.replace('_', " "),
        settings.model.name,
        settings.batch,
        dataset.name,
        start.why
    )
}

impl Chosen {
    /// The text of a run file with these settings and with comments, for data at `source`.
    ///
    /// # Errors
    /// If the settings can't be written.
    pub fn run_file(&self, source: &str) -> Result<String> {
        let settings = &self.settings;
        self.check_written()?;
        let about = about(settings, &self.dataset);
        let mut text = format!(
            "# {about}\n# Every key is described in docs/model-format.md.\nseed = {}\nepochs = {}\nbatch = {}\n",
            settings.seed, settings.epochs, settings.batch
        );
        if let Some(steps) = settings.steps {
            text += &format!("steps = {steps}\n");
        }
        if let Some(name) = &settings.task.name {
            text += &format!("task = \"{name}\"\n");
        }
        let preset = PRESETS.iter().find(|preset| preset.name == self.model);
        let model = preset.map_or("", |preset| preset.text);
        let is_plain = !model.contains("[block") && !model.contains("[inputs");
        if !is_plain {
            text += &format!(
                "# `wgrad models show {0}` prints the model.\nmodel = \"{0}\"\n",
                self.model
            );
        }
        text += &format!("\n{}", data_table(&settings.data, source)?);
        text += &format!("\n{}", self.rest.trim_start());
        if is_plain {
            text += &format!("\n{}", inlined(model));
        }
        Ok(text)
    }

    /// Fails if a setting differs from what the file is to say, because the user set it and it is neither at the top of the file nor in
    /// `[data]`.
    fn check_written(&self) -> Result<()> {
        let unwritable = |e: toml::ser::Error| Error::Config(format!("settings: {e}"));
        let written: Settings = parse(self.rest, "the starting point")?;
        let written = toml::Table::try_from(written).map_err(unwritable)?;
        let wanted = toml::Table::try_from(&self.settings).map_err(unwritable)?;
        let elsewhere = [
            "seed", "epochs", "batch", "steps", "task", "data", "model", "chosen", "fitted",
        ];
        let keys = wanted.keys().chain(written.keys());
        let own = keys
            .filter(|key| !elsewhere.contains(&&***key))
            .find(|key| wanted.get(*key) != written.get(*key));
        let model = Some("model".to_string()).filter(|_| self.settings.model.name != self.model);
        match own.cloned().or(model) {
            None => Ok(()),
            Some(key) => Err(Error::Config(format!(
                "{key} can't be set here: write the file without it, and change it there"
            ))),
        }
    }

    /// One line about task and data.
    pub fn about(&self) -> String {
        about(&self.settings, &self.dataset)
    }
}

/// The text of a model file as a table `[model]` of a run file.
fn inlined(model: &str) -> String {
    let (comments, rest): (Vec<&str>, Vec<&str>) =
        model.lines().partition(|line| line.starts_with('#'));
    let layers = rest.join("\n").replace("[[layer]]", "[[model.layer]]");
    format!("{}\n[model]\n{}\n", comments.join("\n"), layers.trim())
}

/// The table `[data]` with all that differs from the defaults.
fn data_table(data: &DataSettings, source: &str) -> Result<String> {
    let unwritable = |e: toml::ser::Error| Error::Config(format!("settings: {e}"));
    let written = DataSettings {
        source: source.to_string(),
        ..data.clone()
    };
    let mut table = toml::Table::try_from(written).map_err(unwritable)?;
    let default = toml::Table::try_from(DataSettings::from_name("")?).map_err(unwritable)?;
    table.retain(|key, value| default.get(key) != Some(value));
    Ok(format!(
        "[data]\n{}",
        toml::to_string(&table).map_err(unwritable)?
    ))
}

fn about(settings: &Settings, dataset: &Dataset<Samples>) -> String {
    let task = settings.task.name.as_deref().unwrap_or_default();
    let classes = match dataset.classes.len() {
        0 => String::new(),
        n => format!(", {n} classes"),
    };
    format!(
        "{} of {}: {} training and {} test {}{classes}",
        task.replace('_', " "),
        dataset.name,
        dataset.train.len(),
        dataset.test.len(),
        dataset.test.noun()
    )
}

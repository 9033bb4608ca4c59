//! What settings are turned into: task, models, recipe, and the initial files of the run folder.

use super::{Settings, teachers};
use crate::cpu::Tensor;
use crate::data::{Listing, Samples, Tokenizer};
use crate::error::{Error, Result};
use crate::nn::{Model, ModelSpec, Network, weights};
use crate::run::{Length, Monitor, RunFolder, RunParts, RunTexts, Saving};
use crate::tasks::{self, GroupDecision, Models, Task, TaskSettings};
use crate::train::Recipe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Initial weights of a run, and how the tensors of the file were used.
pub struct Initialisation {
    /// Values of [`Models::state`], in its order.
    pub values: Vec<Tensor<f32>>,
    /// Names that were taken from the file.
    pub matched: Vec<String>,
    /// Names initialised by the seed, each with the reason.
    pub missing: Vec<(String, String)>,
    /// Tensors of the file that are not used, each with the reason.
    pub unused: Vec<(String, String)>,
    /// Parameters that are not trained.
    pub frozen: Vec<String>,
    /// Notes for the user about tensors that were not used, one sentence each.
    pub remarks: Vec<String>,
}

impl Settings {
    /// The settings that concern the task.
    pub fn task_settings(&self) -> TaskSettings {
        TaskSettings {
            name: self.task.name.clone(),
            loss: self.loss.clone(),
            label_smoothing: self.label_smoothing,
            augment: self.augment.clone(),
            window_norm: self.data.window_norm,
            own: self.task.own.clone(),
            teachers: Vec::new(),
            decision: None,
            temperature: None,
        }
    }

    /// The task: the one named, or the first one that fits `samples`, whose name is then recorded.
    ///
    /// # Errors
    /// If there is none, or the samples lack a field that it needs.
    pub fn resolve_task(&mut self, samples: &Samples) -> Result<Arc<dyn Task>> {
        let settings = TaskSettings {
            teachers: self.teachers()?,
            ..self.task_settings()
        };
        let task: Arc<dyn Task> = tasks::task(&settings, samples)?.into();
        self.task.name = Some(task.registered().name.to_string());
        Ok(task)
    }

    /// The task of a run that is evaluated or predicts.
    ///
    /// # Errors
    /// If the settings name none.
    pub fn named_task(&self) -> Result<Arc<dyn Task>> {
        let thresholds = self.fitted.thresholds.as_ref();
        let decision = thresholds.map(|known| GroupDecision::of(known, &self.fitted.classes));
        let settings = TaskSettings {
            decision: decision.transpose()?,
            temperature: self
                .fitted
                .temperature
                .as_ref()
                .map(|fitted| fitted.temperature),
            ..self.task_settings()
        };
        let name = settings.name.clone().ok_or_else(|| {
            Error::Config(
                "the run does not name its task; train it again, or add task = \"...\" to its run.toml"
                    .to_string(),
            )
        })?;
        Ok((tasks::named(&name)?.make)(&settings)?.into())
    }

    /// The models of the roles of `task`.
    ///
    /// # Errors
    /// If one is missing, or a layer does not fit.
    pub fn resolve_models(&self, task: &dyn Task) -> Result<Models> {
        let network = |role: &&'static str| -> Result<(String, Arc<dyn Model>)> {
            let spec = match *role {
                "" => self.model.clone(),
                role => match self.models.get(role) {
                    Some(spec) => spec.clone(),
                    None => task.default_model(role, &self.model)?,
                },
            };
            let spec = task.used_model(role, spec)?;
            let network = match &self.lora {
                Some(lora) => Network::adapted(spec, lora.clone())?,
                None => Network::new(spec)?,
            };
            let network = network.with_prefix(role);
            Ok((role.to_string(), Arc::new(network)))
        };
        if let (Some(_), [_, _, ..]) = (&self.lora, task.roles()) {
            return Err(Error::Config(format!(
                "[lora] is for tasks with one model, and {} has several; leave it out",
                task.registered().name
            )));
        }
        let models = task.roles().iter().map(network);
        Ok(Models::named(models.collect::<Result<_>>()?))
    }

    /// How steps are taken.
    pub fn recipe(&self) -> Recipe {
        Recipe {
            seed: self.seed,
            batch: self.batch,
            accumulate: self.accumulate,
            precision: self.precision,
            clip_norm: self.clip_norm,
            optimizer: self.optimizer.clone(),
            optimizers: self.optimizers.clone(),
            freeze: match &self.lora {
                Some(lora) => lora.frozen(),
                None => self.freeze.clone(),
            },
            groups: self.groups.clone(),
            schedule: self.schedule.clone(),
            average: self.average.clone(),
            anchor: None,
            replay: None,
            privacy: None,
            steps: 1,
            steps_per_epoch: 1,
        }
    }

    /// How long the run trains.
    pub fn length(&self) -> Length {
        Length {
            epochs: self.epochs,
            steps: self.steps,
            steps_per_epoch: self.steps_per_epoch,
            shuffle: self.shuffle,
        }
    }

    /// The parts of a run with these settings.
    pub fn parts(&self, task: Arc<dyn Task>, models: Models) -> RunParts {
        RunParts {
            task,
            models,
            recipe: self.recipe(),
            length: self.length(),
            monitor: Monitor {
                metric: self.monitor.clone(),
                patience: self.patience,
                min_delta: self.min_delta,
            },
            saving: Saving {
                every: self.checkpoint_every,
                keep: self.keep_checkpoints,
            },
            tensorboard: self.tensorboard,
            privacy: self.privacy.clone(),
            federated: self.federated.clone(),
            data: self.data.clone(),
            fitted: self.fitted.clone(),
            values: None,
            title: self.title(),
        }
    }

    /// The parts of a run over `samples`, its training set.
    ///
    /// # Errors
    /// If there is no such task or model, or the samples lack a field.
    pub fn resolve(&mut self, samples: &Samples) -> Result<RunParts> {
        let task = self.resolve_task(samples)?;
        let models = self.resolve_models(&*task)?;
        Ok(self.parts(task, models))
    }

    /// The parts of a run without data, for plans and benchmarks. If the settings name no task, the first one that fits the
    /// model is used.
    ///
    /// # Errors
    /// If no task fits it.
    pub fn resolve_without_data(&mut self) -> Result<RunParts> {
        if self.task.name.is_none() {
            let network = Network::new(self.model.clone())?;
            self.task.name = Some(tasks::suiting(&network)?.name.to_string());
        }
        if self.is_agent() {
            self.fit_to_environment()?;
        }
        let task = self.named_task()?;
        let models = self.resolve_models(&*task)?;
        let mut parts = self.parts(task, models);
        let channels = self.model.input.channels();
        let fitted = &mut parts.fitted;
        if fitted.mean.is_empty() {
            (fitted.mean, fitted.std) = (vec![0.0; channels], vec![1.0; channels]);
        }
        Ok(parts)
    }

    /// The parts of a trained run for evaluation or prediction, with the weights from `path`.
    ///
    /// # Errors
    /// If the run names no task, or the weights are of other models.
    pub fn resolve_trained(&self, path: &Path) -> Result<RunParts> {
        let task = self.named_task()?;
        let models = self.resolve_models(&*task)?;
        let mut parts = self.parts(task, models);
        parts.values = Some(weights::load(path, parts.models.spec())?);
        Ok(parts)
    }

    /// The same with the low-rank adapters in the file `lora`, which were trained on the weights from `path`.
    ///
    /// # Errors
    /// As [`resolve_trained`](Settings::resolve_trained), or if the adapters are of another model.
    pub fn resolve_adapted(&self, path: &Path, lora: &Path) -> Result<RunParts> {
        if self.lora.is_some() {
            return Err(Error::Config(format!(
                "the run has low-rank adapters of its own; name the run whose weights {} adapts",
                lora.display()
            )));
        }
        let mut settings = self.clone();
        settings.lora = Some(weights::lora_settings(lora)?);
        let task = settings.named_task()?;
        let models = settings.resolve_models(&*task).map_err(|e| {
            Error::Config(format!(
                "{} holds adapters of another model: {e}; name the run that they were trained on",
                lora.display()
            ))
        })?;
        let values = weights::load_adapted(path, lora, models.first()?)?;
        let mut parts = settings.parts(task, models);
        parts.values = Some(values);
        Ok(parts)
    }

    /// The initial weights of `models`: tensors of `init` that fit, and the others drawn by the seed.
    ///
    /// # Errors
    /// If the file can't be read or no tensor fits, or is that of a run with another vocabulary; with `init_strict`, if any tensor does
    /// not fit.
    pub fn initialise(&self, models: &Models) -> Result<Option<Initialisation>> {
        let Some(path) = &self.init else {
            return Ok(None);
        };
        self.check_vocabulary_of(path)?;
        let found = weights::init(path, models.spec(), self.init_strict)?;
        let remarks = found.remarks();
        let initial = models.initial_state(self.seed);
        let values = found.values.into_iter().zip(initial);
        let text = |left: &weights::LeftOut| (left.name.clone(), left.reason.to_string());
        Ok(Some(Initialisation {
            values: values.map(|(taken, own)| taken.unwrap_or(own)).collect(),
            matched: found.matched,
            missing: found.missing.iter().map(text).collect(),
            unused: found.unused.iter().map(text).collect(),
            frozen: self.recipe().frozen(models),
            remarks,
        }))
    }

    /// Refuses the weights `init` of a run with another tokenizer, whose embedding has a row for each of its own tokens.
    fn check_vocabulary_of(&self, init: &Path) -> Result<()> {
        let Some(own) = &self.fitted.tokenizer else {
            return Ok(());
        };
        let folder = init.parent().unwrap_or(Path::new(""));
        let file = folder.join("tokenizer.json");
        if !file.is_file() {
            return Ok(());
        }
        let other = Tokenizer::read(&file)?;
        match other == *own {
            true => Ok(()),
            false => Err(Error::Config(format!(
                "{} holds the weights of a run whose vocabulary has {} tokens, and this run has another one of {}; set data.tokenizer = {:?}, \
                 the folder of that run",
                init.display(),
                other.vocabulary(),
                own.vocabulary(),
                folder.display().to_string()
            ))),
        }
    }

    /// The title of the run in its report.
    pub fn title(&self) -> String {
        format!("{} on {}", self.model_name(), self.data_name())
    }

    /// Prefix of the name of the run folder.
    pub fn folder_name(&self) -> String {
        format!("{}-{}", self.model_name(), self.data_name())
    }

    fn model_name(&self) -> String {
        match (self.model.name.as_str(), &self.task.name) {
            ("", Some(task)) => task.clone(),
            ("", None) => "model".to_string(),
            (name, _) => name.to_string(),
        }
    }

    fn data_name(&self) -> String {
        if self.is_agent() {
            return self.environment.name.clone();
        }
        let data = Path::new(&self.data.source);
        let name = data.file_name().map(|name| name.to_string_lossy());
        name.map_or_else(|| "data".to_string(), |name| name.into_owned())
    }

    /// The initial files of the run folder.
    ///
    /// # Errors
    /// If the settings can't be written.
    pub fn texts(&self) -> Result<RunTexts> {
        let mut settings = self.clone();
        settings.make_run_paths_absolute();
        let copies = copies(&mut settings)?;
        let text =
            toml::to_string(&settings).map_err(|e| Error::Config(format!("settings: {e}")))?;
        let tokenizer = settings.fitted.tokenizer.as_ref();
        let tokenizer = tokenizer.map(serde_json::to_string).transpose();
        let files = settings.fitted.files.as_ref();
        let files = files.map(Listing::to_text).transpose()?;
        Ok(RunTexts {
            files,
            settings: text,
            copies,
            tokenizer: tokenizer.map_err(|e| Error::Config(format!("tokenizer: {e}")))?,
        })
    }

    /// The text of these settings for a file in any folder, as runs that belong together share it: all paths are absolute.
    ///
    /// # Errors
    /// If a file that they name can't be found, or they can't be written.
    pub(super) fn shared_text(&self) -> Result<String> {
        let settings = self.with_absolute_paths()?;
        toml::to_string(&settings).map_err(|e| Error::Config(format!("settings: {e}")))
    }

    /// The same settings with absolute paths.
    ///
    /// # Errors
    /// If the file of a network can't be found.
    pub(super) fn with_absolute_paths(&self) -> Result<Settings> {
        let mut settings = self.clone();
        settings.data.make_absolute();
        settings.make_run_paths_absolute();
        let models = std::iter::once(&mut settings.model).chain(settings.models.values_mut());
        for layer in models.flat_map(ModelSpec::onnx_layers_mut) {
            let found = layer.file.canonicalize();
            layer.file = found.map_err(Error::io("read", &layer.file))?;
        }
        Ok(settings)
    }

    /// Makes the paths of other runs and of initial weights absolute: those in a file are relative to it, and those in options are not.
    fn make_run_paths_absolute(&mut self) {
        let absolute =
            |path: &Path| -> PathBuf { path.canonicalize().unwrap_or_else(|_| path.to_path_buf()) };
        if let Some(init) = &mut self.init {
            *init = absolute(init);
        }
        teachers::change_paths(&mut self.task.own, absolute);
        if let Some(continual) = &mut self.continual {
            continual.change_paths(absolute);
        }
    }

    /// Creates the run folder.
    ///
    /// # Errors
    /// If it already holds a run, or can't be written.
    pub fn create_folder(&self) -> Result<RunFolder> {
        RunFolder::create(self.out.as_deref(), &self.folder_name(), &self.texts()?)
    }

    /// Takes the thresholds of groups that were fitted to the run in `folder`, if it has some, for its evaluations and predictions.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn take_thresholds(&mut self, folder: &RunFolder) -> Result<()> {
        self.fitted.thresholds = folder.read_thresholds()?;
        Ok(())
    }

    /// The folder of an earlier run, and its settings.
    ///
    /// # Errors
    /// If it is not one.
    pub fn open_run(path: &Path) -> Result<(RunFolder, Settings)> {
        let folder = RunFolder::open(path)?;
        let mut settings = Settings::read(&folder.settings_path())?;
        if let Some(tokenizer) = folder.tokenizer_path() {
            settings.fitted.tokenizer = Some(Tokenizer::read(&tokenizer)?);
        }
        Ok((folder, settings))
    }
}

/// The files of networks of the models of `settings`, which a run folder gets copies of, and their names there, which are set in
/// `settings`. A file whose weights are in other files stays where it is.
fn copies(settings: &mut Settings) -> Result<Vec<(PathBuf, String)>> {
    let mut copies: Vec<(PathBuf, String)> = Vec::new();
    let models = std::iter::once(&mut settings.model).chain(settings.models.values_mut());
    for layer in models.flat_map(ModelSpec::onnx_layers_mut) {
        let file = layer
            .file
            .canonicalize()
            .map_err(Error::io("read", &layer.file))?;
        if !layer.is_whole()? {
            layer.file = file;
            continue;
        }
        let known = copies.iter().find(|(source, _)| *source == file);
        let name = match known {
            Some((_, name)) => name.clone(),
            None => {
                let ending = file.extension().map(|e| e.to_string_lossy().into_owned());
                let ending = ending.unwrap_or_else(|| "onnx".to_string());
                let name = match copies.len() {
                    0 => format!("network.{ending}"),
                    n => format!("network{}.{ending}", n + 1),
                };
                copies.push((file, name.clone()));
                name
            }
        };
        layer.file = PathBuf::from(name);
    }
    Ok(copies)
}

//! Tasks: what is learned and how it is judged, one file each.
//!
//! A task names the fields that it needs of every sample, checks models and data against each other, builds the loss of each
//! phase of a step and the nodes of an evaluation, says which metrics it reports, and decodes what a model predicts. To add
//! one, write its file and add its name to the list at the end of this page; `docs/adding-a-task.md` walks through it.

pub mod augment;
mod case;
mod custom;
mod figures;
mod fit;
mod loss;
mod metric;
mod models;
pub mod scores;
mod step;
mod window_norm;

pub use augment::AugmentSettings;
pub use case::TaskCase;
pub use custom::Custom;
pub use figures::png as picture_file;
pub use fit::{Fit, check_input};
pub use loss::{Bce, ClassWeights, CrossEntropy, HuberLoss, L1, Loss, Mse, NamedWeights};
pub use metric::{Better, Counters, Metric, Shown};
pub use models::Models;
pub(crate) use step::StepGraphCounters;
pub use step::{Objective, StepGraph};

use crate::cpu::Tensor;
use crate::data::{DataSettings, Fitted, Normalization, Samples, SetLayout, WindowNorm, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::{Model, ModelSpec};
use crate::plan::Scalar;
use serde_json::{Map, Value};
use std::fmt::Debug;
use std::path::Path;

/// What is learned and how it is judged.
pub trait Task: Debug + Send + Sync {
    /// Its entry in the registry: name, fields, metrics.
    fn registered(&self) -> &'static Registered;

    /// Names of the models that it trains: one without a name, unless it says otherwise.
    fn roles(&self) -> &'static [&'static str] {
        &[""]
    }

    /// Checks a set of samples against the models, before anything is allocated.
    ///
    /// # Errors
    /// Says what does not fit, and what would.
    fn check(&self, fit: &Fit<'_>) -> Result<()>;

    /// What can be trained but is seldom meant: a sentence for each.
    fn remarks(&self, _fit: &Fit<'_>) -> Vec<String> {
        Vec::new()
    }

    /// The model of a role where the settings give none; `model` is what they say of the run's only model.
    ///
    /// # Errors
    /// If there is none.
    fn default_model(&self, role: &str, _model: &ModelSpec) -> Result<ModelSpec> {
        Err(Error::Config(format!(
            "the task {} needs a model for the role {role}: add models.{role} = \"...\"",
            self.registered().name
        )))
    }

    /// The phases of a step, in order. Supervised learning has one, of all models.
    fn phases(&self) -> Vec<Phase> {
        vec![Phase {
            name: "",
            roles: self.roles(),
            every: 1,
        }]
    }

    /// Builds the loss of the phase `phase`, an index into [`Task::phases`].
    ///
    /// # Errors
    /// If a node can't be built.
    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, phase: usize) -> Result<Objective<'g>>;

    /// Builds what the models predict from the inputs alone, as outputs of the graph ([`StepGraph::output`]).
    ///
    /// # Errors
    /// If a node can't be built.
    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()>;

    /// Builds the evaluation of a batch: outputs as [`Task::predict`], and what metrics count ([`StepGraph::count`]). Gives the
    /// loss, which is counted too.
    ///
    /// # Errors
    /// If a node can't be built.
    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>>;

    /// The metrics that it reports with these settings. The first is the score: what a training step counts too, as `score`.
    fn metrics(&self) -> Vec<Metric>;

    /// Name of the metric by which epochs are compared where the settings name none: the score. `None` where no metric says which
    /// epoch is better: then the last one is used.
    fn monitored(&self) -> Option<&'static str> {
        Some(self.metrics().first().map_or("loss", |metric| metric.name))
    }

    /// Constants that its nodes read as variables: class weights, say.
    ///
    /// # Errors
    /// If one is not known yet.
    fn variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        Ok(Vec::new())
    }

    /// The value of a scalar input of its own, `name`, in step number `step` (from 0) of a run with `seed`.
    fn scalar(&self, _name: &str, _step: u64, _seed: u64) -> Option<Scalar> {
        None
    }

    /// Adds its fields to the layout of a set that is not there, for plans and benchmarks without data.
    ///
    /// # Errors
    /// If only data can say what they are.
    fn example_layout(
        &self,
        _models: &Models,
        _layout: SetLayout,
        _normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        Err(Error::Config(format!(
            "the task {} can't be planned without data; name them with --data",
            self.registered().name
        )))
    }

    /// Whether its model writes text: gives logits of the token after each.
    fn writes_text(&self) -> bool {
        false
    }

    /// Whether it draws pictures from noise: [`Task::draw`].
    fn draws_samples(&self) -> bool {
        false
    }

    /// Builds pictures that are drawn from noise ([`StepGraph::noise`]): `[batch, height, width, channels]`, normalised as those of the
    /// data.
    ///
    /// # Errors
    /// If it draws none, or a node can't be built.
    fn draw<'g>(&self, _step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
        Err(Error::Config(format!(
            "the task {} draws no pictures; name a run of a task that does, such as gan",
            self.registered().name
        )))
    }

    /// What a prediction of one sample says.
    ///
    /// # Errors
    /// If an output is missing, or a file can't be made.
    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction>;

    /// What an evaluation found beyond its figures.
    fn findings(&self, _found: &Evaluated<'_>) -> Findings {
        Findings::default()
    }

    /// Sections of the report.
    fn report(&self, _found: &Evaluated<'_>) -> Vec<Section> {
        Vec::new()
    }

    /// Files that a run keeps of an evaluation after each epoch.
    ///
    /// # Errors
    /// If one can't be made.
    fn epoch_files(&self, _found: &Evaluated<'_>) -> Result<Vec<EpochFile>> {
        Ok(Vec::new())
    }

    /// How many of the first samples of an evaluation [`Task::report`] shows with their outputs.
    fn shown_samples(&self) -> usize {
        0
    }

    /// Outputs of an evaluation that are for [`Task::report`] alone, such as pictures: they are kept of the first samples and never
    /// of all.
    fn shown_outputs(&self) -> &'static [&'static str] {
        &[]
    }
}

/// A part of a step with a loss, the models that it trains and an optimizer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name, empty if it is the only one; the prefix of its optimizer's state.
    pub name: &'static str,
    /// Names of the models whose parameters it trains.
    pub roles: &'static [&'static str],
    /// It runs in every so many steps.
    pub every: u64,
}

/// A field that a task needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Need {
    /// Name of the field; several with `|` between are alternatives.
    pub field: &'static str,
    /// What it is, in words.
    pub about: &'static str,
    /// Whether it is needed for predictions too, not only to train and evaluate.
    pub input: bool,
}

/// One sample's outputs, and what it takes to say what they mean.
#[derive(Clone, Copy)]
pub struct Decoded<'a> {
    /// The outputs of the sample by name, without the batch.
    pub outputs: &'a [(String, Vec<usize>, Vec<f32>)],
    /// All samples of the prediction.
    pub samples: &'a Samples,
    /// Which of them this is.
    pub index: usize,
    /// The picture file that the sample was read from, if it was.
    pub picture: Option<&'a Path>,
    /// What was learned of the data.
    pub fitted: &'a Fitted,
    /// What the run says of its data.
    pub data: &'a DataSettings,
    /// Classes to show at most.
    pub top: usize,
    /// Whether the user named a folder for files: those that are not the prediction itself are made only then.
    pub out_named: bool,
}

impl Decoded<'_> {
    /// The numbers of the output `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn output(&self, name: &str) -> Result<&[f32]> {
        let found = self.outputs.iter().find(|(known, ..)| known == name);
        found
            .map(|(_, _, values)| &values[..])
            .ok_or_else(|| Error::Graph(format!("the prediction has no output {name}")))
    }
}

/// What is said of one sample.
#[derive(Clone, Debug, Default)]
pub struct Prediction {
    /// Lines for people and machines.
    pub lines: Vec<PredictionLine>,
    /// Files to write.
    pub files: Vec<PredictionFile>,
}

/// A line of a prediction.
#[derive(Clone, Debug, Default)]
pub struct PredictionLine {
    /// Follows the sample's name.
    pub suffix: String,
    /// For people.
    pub text: String,
    /// For machines.
    pub json: Map<String, Value>,
}

/// A file of a prediction.
#[derive(Clone, Debug)]
pub struct PredictionFile {
    /// Key of its path in JSON: `mask`.
    pub key: &'static str,
    /// Follows the stem of the sample's name: `-mask.png`.
    pub suffix: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What an evaluation leaves: counts, samples, and what it takes to say what they mean.
#[derive(Clone, Copy)]
pub struct Evaluated<'a> {
    /// Sums over the samples.
    pub counters: &'a Counters,
    /// The samples; pixels of a set that is on the device are absent.
    pub samples: &'a Samples,
    /// What was learned of the data.
    pub fitted: &'a Fitted,
    /// What the run says of its data.
    pub data: &'a DataSettings,
    /// Outputs by name with the shape of one sample: of all samples, or of the first few.
    pub outputs: &'a [(String, Vec<usize>, Vec<f32>)],
    /// Whether outputs are those of all samples, but for [`Task::shown_outputs`].
    pub complete: bool,
}

/// What an evaluation found beyond its figures.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// What is told when a run ends, too.
    pub brief: Told,
    /// What only an evaluation tells.
    pub full: Told,
}

/// Lines for people and keys for machines.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Lines.
    pub lines: Vec<String>,
    /// Keys of a line of JSON.
    pub json: Map<String, Value>,
}

/// A part of a report.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Its HTML.
    pub html: String,
}

/// A file that a run keeps of an epoch: `FOLDER/epoch-N.EXTENSION` in its folder.
#[derive(Clone, Debug)]
pub struct EpochFile {
    /// Folder within that of the run.
    pub folder: &'static str,
    /// Ending of its name, without a dot.
    pub extension: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What the settings of a run say to its task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskSettings {
    /// Name of the task; by the data if absent.
    pub name: Option<String>,
    /// The loss.
    pub loss: Loss,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Random changes of training pictures.
    pub augment: AugmentSettings,
    /// To what the columns of a window of a series are brought.
    pub window_norm: WindowNorm,
    /// Settings of the task's own: the rest of the `[task]` table.
    pub own: toml::Table,
}

impl TaskSettings {
    /// The settings of the task's own as its type.
    ///
    /// # Errors
    /// Names the key that it does not have.
    pub fn own<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        let value = toml::Value::Table(self.own.clone());
        value.try_into().map_err(|e: toml::de::Error| {
            let name = self.name.as_deref().unwrap_or_default();
            Error::Config(format!(
                "[task] of {name}: {}",
                crate::toml_text::explained(e.message())
            ))
        })
    }

    /// An error if the task `name` was given settings of its own that it does not have.
    ///
    /// # Errors
    /// Names the first key.
    pub fn no_own(&self, name: &str) -> Result<()> {
        match self.own.keys().next() {
            None => Ok(()),
            Some(key) => Err(Error::Config(format!(
                "[task] has the key {key}, but the task {name} has no settings of its own; leave it out"
            ))),
        }
    }
}

/// A task of the registry.
#[derive(Debug)]
pub struct Registered {
    /// Name of its file, and the word of `task` in a run's settings.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The fields that it needs.
    pub needs: &'static [Need],
    /// All metrics that it may report.
    pub metrics: fn() -> Vec<Metric>,
    /// Whether data with these samples are for this task where the settings name none.
    pub suits: fn(&Samples) -> bool,
    /// Whether a model is for this task where there are no data to tell by.
    pub suits_model: fn(&dyn Model) -> bool,
    /// The task with these settings.
    pub make: fn(&TaskSettings) -> Result<Box<dyn Task>>,
    /// A tiny training run that the shared tests try the task on.
    pub sample: fn() -> Result<TaskCase>,
}

/// The task called `name`.
///
/// # Errors
/// Lists those that there are.
pub fn named(name: &str) -> Result<&'static Registered> {
    let found = REGISTRY.iter().find(|task| task.name == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = REGISTRY.iter().map(|task| task.name).collect();
        Error::Config(format!(
            "there is no task \"{name}\"; there are {}",
            names.join(", ")
        ))
    })
}

/// The task that `settings` name, or the one that suits `samples`.
///
/// # Errors
/// If there is none, or its settings can't be.
pub fn task(settings: &TaskSettings, samples: &Samples) -> Result<Box<dyn Task>> {
    let registered = match &settings.name {
        Some(name) => named(name)?,
        None => *REGISTRY
            .iter()
            .find(|task| (task.suits)(samples))
            .ok_or_else(|| {
                let fields: Vec<&str> = samples.fields().iter().map(|field| field.name).collect();
                Error::Config(format!(
                    "no task suits data with the fields {}; name one as task = \"...\"",
                    fields.join(", ")
                ))
            })?,
    };
    for need in registered.needs {
        let given = need
            .field
            .split('|')
            .any(|name| samples.field(name).is_some());
        let unknown = need.input && samples.fields().is_empty();
        if !given && !unknown {
            let fields: Vec<&str> = samples.fields().iter().map(|field| field.name).collect();
            return Err(Error::Config(format!(
                "the task {} needs the field {} ({}), which the data do not have: they have {}",
                registered.name,
                need.field.replace('|', " or "),
                need.about,
                fields.join(", ")
            )));
        }
    }
    if settings.window_norm != WindowNorm::None && samples.field(field::TARGET).is_none() {
        return Err(Error::Config(format!(
            "data.window_norm is for windows of a series of two rows or more, but the data are {} of {:?}; leave it out",
            samples.noun(),
            samples.shape()
        )));
    }
    (registered.make)(settings)
}

/// The task that suits a model, for plans and benchmarks without data.
///
/// # Errors
/// If there is none.
pub fn suiting(model: &dyn Model) -> Result<&'static Registered> {
    let found = REGISTRY.iter().find(|task| (task.suits_model)(model));
    found.copied().ok_or_else(|| {
        Error::Config(format!(
            "no task suits model {} without data; name data with --data",
            model.name()
        ))
    })
}

macro_rules! register {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// Every task: what `wgrad tasks` lists and the shared tests walk over.
        pub static REGISTRY: &[&Registered] = &[$(&$module::REGISTERED),*];
    };
}

register! {
    gan,
    autoencoder,
    masked_autoencoder,
    segmentation,
    text_classification,
    classification,
    language_model,
    forecasting,
    regression,
}

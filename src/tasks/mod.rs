//! Tasks: what a model predicts, its loss and its metrics. One file each.
//!
//! A task names the fields that it needs of every sample, checks models and data against each other, builds the loss of each
//! phase of a step and the nodes of an evaluation, names the metrics that it reports, and decodes predictions. To add one,
//! write its file and add its name to the list at the end of this file; `docs/adding-a-task.md` walks through it.

pub mod augment;
mod case;
mod constants;
mod custom;
mod decision;
mod figures;
mod fit;
mod groups;
mod loss;
mod metric;
mod models;
mod perturbation;
mod policy;
mod prediction;
mod scorer;
pub mod scores;
mod step;
mod teacher;
mod unlabelled;
mod window_norm;
mod worst;

pub use augment::AugmentSettings;
pub use case::TaskCase;
pub use custom::Custom;
pub use decision::GroupDecision;
pub use figures::{bytes as picture_bytes, png as picture_file, sample_grid, thumbnail};
pub use fit::{Fit, check_input};
pub(crate) use groups::learn_groups;
pub(crate) use loss::learn_pixel_weights;
pub use loss::{Bce, ClassWeights, CrossEntropy, HuberLoss, L1, Loss, Mse, NamedWeights};
pub use metric::{Better, Counters, Metric, Shown};
pub use models::Models;
pub use perturbation::{ChangeBound, ChangeNorm, PixelScale};
pub use prediction::{Decoded, Known, Prediction, PredictionFile, PredictionLine};
pub use scorer::Scorer;
pub(crate) use step::{CARRIED, StepGraphCounters};
pub use step::{Objective, StepGraph};
pub use teacher::Teacher;
pub use worst::WorstSample;

use crate::cpu::Tensor;
use crate::data::{DataSettings, Fitted, Normalization, Samples, SetLayout, WindowNorm, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nearest::did_you_mean;
use crate::nn::{Averaging, Model, ModelSpec};
use crate::plan::Scalar;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};
use std::fmt::Debug;

/// What a model predicts, its loss and its metrics.
pub trait Task: Debug + Send + Sync {
    /// The entry in the registry: name, fields, metrics.
    fn registered(&self) -> &'static Registered;

    /// Names of the models that it trains; by default one without a name.
    fn roles(&self) -> &'static [&'static str] {
        &[""]
    }

    /// Checks a set of samples against the models, before anything is allocated.
    ///
    /// # Errors
    /// Says what does not fit, and what would.
    fn check(&self, fit: &Fit<'_>) -> Result<()>;

    /// Warnings about settings that are valid but rarely intended, one sentence each.
    fn remarks(&self, _fit: &Fit<'_>) -> Vec<String> {
        Vec::new()
    }

    /// The default model of a role; `model` is the setting for the run's only model.
    ///
    /// # Errors
    /// If there is none.
    fn default_model(&self, role: &str, _model: &ModelSpec) -> Result<ModelSpec> {
        Err(Error::Config(format!(
            "the task {} needs a model for the role {role}: add models.{role} = \"...\"",
            self.registered().name
        )))
    }

    /// The model of a role as the task uses it: as it was given, unless the task needs only a part of it.
    ///
    /// # Errors
    /// If it lacks that part.
    fn used_model(&self, _role: &str, model: ModelSpec) -> Result<ModelSpec> {
        Ok(model)
    }

    /// How many samples of a batch of `batch` have classes, if it learns from samples without classes, too (`data.labelled`): they are
    /// the first ones, and the classes of the others must not be used.
    fn labelled_of(&self, _batch: usize) -> Option<usize> {
        None
    }

    /// The phases of a step, in order. Supervised learning has one, which trains all models.
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

    /// Builds the predictions from the inputs alone, as outputs of the graph ([`StepGraph::output`]).
    ///
    /// # Errors
    /// If a node can't be built.
    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()>;

    /// Builds the evaluation of a batch: outputs as in [`Task::predict`], and the sums for the metrics ([`StepGraph::count`]).
    /// Returns the loss, which is summed, too.
    ///
    /// # Errors
    /// If a node can't be built.
    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>>;

    /// The metrics that it reports with these settings. The first is the score, which training steps also sum, as `score`.
    fn metrics(&self) -> Vec<Metric>;

    /// Name of the metric by which epochs are compared if the settings name none; by default the score. `None` if no metric
    /// says which epoch is better: then the last one is used.
    fn monitored(&self) -> Option<&'static str> {
        Some(self.metrics().first().map_or("loss", |metric| metric.name))
    }

    /// How the predictions of several models are averaged, if they can be.
    fn averaging(&self) -> Option<Averaging> {
        None
    }

    /// The name of the task whose predictions and metrics it shares; its own, unless it only trains in another way.
    fn judged_as(&self) -> &'static str {
        self.registered().name
    }

    /// Outputs that [`Task::host_metrics`] needs. They are kept of all samples in every evaluation, so they should be small: the
    /// classes that a model predicts rather than its logits.
    fn host_outputs(&self) -> &'static [&'static str] {
        &[]
    }

    /// Figures of an evaluation that no sums on the device give, such as an F1 score of entities or a BLEU score: from the
    /// [`Task::host_outputs`] of all samples and the known targets. A metric reads them by [`Counters::computed`]. Nothing if samples
    /// have no targets.
    fn host_metrics(&self, _found: &Evaluated<'_>) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Constants that its nodes read as variables, such as class weights.
    ///
    /// # Errors
    /// If one is not known yet.
    fn variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        Ok(Vec::new())
    }

    /// The same for nodes of its losses alone, such as the weights of a teacher.
    ///
    /// # Errors
    /// If one is not known yet.
    fn training_variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        Ok(Vec::new())
    }

    /// The value in step number `step` (from 0) of the task's own scalar input `name`, in a run with `seed`.
    fn scalar(&self, _name: &str, _step: u64, _seed: u64) -> Option<Scalar> {
        None
    }

    /// Adds its fields to the layout of a hypothetical set, for plans and benchmarks without data.
    ///
    /// # Errors
    /// If they can only be determined from data.
    fn example_layout(
        &self,
        _models: &Models,
        _layout: SetLayout,
        _normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        Err(Error::Config(format!(
            "the task {} can't be planned without data; name the data with --data",
            self.registered().name
        )))
    }

    /// How its model writes sequences token by token, if it does: after each batch of an evaluation or a prediction, in whose graphs
    /// it calls [`StepGraph::remember`].
    fn decoding(&self) -> Option<SequenceDecoding> {
        None
    }

    /// Whether its model generates text, that is, gives logits for the next token.
    fn writes_text(&self) -> bool {
        false
    }

    /// Whether it puts a mask token in the place of tokens, so that the vocabulary needs one.
    fn masks_tokens(&self) -> bool {
        false
    }

    /// Whether a prediction has files, such as masks.
    fn writes_files(&self) -> bool {
        false
    }

    /// Whether it draws images from noise ([`Task::draw`]).
    fn draws_samples(&self) -> bool {
        false
    }

    /// Builds images drawn from noise ([`StepGraph::noise`]): `[batch, height, width, channels]`, normalised as those of the data.
    /// A task that draws images of a class reads it from the field `label`. One that needs several passes keeps what it has so far in
    /// [`StepGraph::carried`].
    ///
    /// # Errors
    /// If it does not draw images, or a node can't be built.
    fn draw<'g>(&self, _step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
        Err(Error::Config(format!(
            "the task {} does not draw images; name a run of a task that does, such as gan",
            self.registered().name
        )))
    }

    /// The passes of the graph of [`Task::draw`] for a batch of images, one after another: the values of the task's own scalar inputs
    /// in each. `steps` is the number of passes that was asked for.
    ///
    /// # Errors
    /// If the task can't draw in that many passes.
    fn draw_passes(&self, steps: Option<usize>) -> Result<Vec<DrawPass>> {
        match steps {
            None => Ok(vec![DrawPass::new()]),
            Some(_) => Err(Error::Config(format!(
                "the task {} draws images in one pass; leave --steps out",
                self.registered().name
            ))),
        }
    }

    /// Decodes the prediction for one sample.
    ///
    /// # Errors
    /// If an output is missing, or a file can't be made.
    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction>;

    /// The known targets of a sample, one for each line of its prediction or one for all of them: by default its class, if samples
    /// have one.
    fn known(&self, sample: &Decoded<'_>) -> Vec<Known> {
        let label = sample.label().map(|label| Known {
            text: format!("label {label}"),
            json: Map::from_iter([("label".to_string(), label.into())]),
        });
        label.into_iter().collect()
    }

    /// What scores `samples` on the host during an evaluation, for metrics of outputs that are too large to be kept
    /// ([`Task::host_outputs`]).
    fn scorer(&self, _samples: &Samples) -> Option<Box<dyn Scorer>> {
        None
    }

    /// Results of an evaluation beyond its metrics.
    fn findings(&self, _found: &Evaluated<'_>) -> Findings {
        Findings::default()
    }

    /// Sections of the report.
    fn report(&self, _found: &Evaluated<'_>) -> Vec<Section> {
        Vec::new()
    }

    /// Files that a run saves from the evaluation after each epoch.
    ///
    /// # Errors
    /// If one can't be made.
    fn epoch_files(&self, _found: &Evaluated<'_>) -> Result<Vec<EpochFile>> {
        Ok(Vec::new())
    }

    /// The number of leading samples that [`Task::report`] shows with their outputs.
    fn shown_samples(&self) -> usize {
        0
    }

    /// Outputs that [`Task::report`] and [`Task::worst_samples`] need of all samples. They are kept up to a bound, of the first
    /// samples, in evaluations after which a report is written.
    fn reported_outputs(&self) -> &'static [&'static str] {
        &[]
    }

    /// The samples with the largest losses among those whose [`Task::reported_outputs`] were kept, the worst first, at most `most`.
    fn worst_samples(&self, _found: &Evaluated<'_>, _most: usize) -> Vec<WorstSample> {
        Vec::new()
    }

    /// Outputs that only [`Task::report`] uses, such as images: they are kept for the first samples, never for all.
    fn shown_outputs(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Names and values of the scalar inputs of a pass of [`Task::draw`].
pub type DrawPass = Vec<(&'static str, Scalar)>;

/// A part of a step with its own loss, models and optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name, empty if it is the only one; the prefix of its optimizer's state.
    pub name: &'static str,
    /// Names of the models whose parameters it trains.
    pub roles: &'static [&'static str],
    /// The phase runs once every this many steps.
    pub every: u64,
}

/// How a model writes sequences token by token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceDecoding {
    /// The model's input of the tokens so far. The other is the field `tokens`.
    pub input: &'static str,
    /// The output of the tokens that were written, ended by padding.
    pub output: &'static str,
    /// Sequences that a beam search continues for each sample; 1 for a greedy search, as after an epoch of training.
    pub beam: usize,
    /// Power of the length by which the logarithm of a sequence's probability is divided where sequences are compared.
    pub length_penalty: f64,
}

/// A field that a task needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Need {
    /// Name of the field; names separated by `|` are alternatives.
    pub field: &'static str,
    /// Description.
    pub about: &'static str,
    /// Whether it is also needed for predictions, not only for training and evaluation.
    pub input: bool,
}

/// The results of an evaluation: counters, samples, and everything needed to interpret them.
#[derive(Clone, Copy)]
pub struct Evaluated<'a> {
    /// Sums over the samples.
    pub counters: &'a Counters,
    /// The samples, without pixels if these are on the device.
    pub samples: &'a Samples,
    /// Values that were fitted on the training data.
    pub fitted: &'a Fitted,
    /// The data settings of the run.
    pub data: &'a DataSettings,
    /// Outputs by name with the shape for one sample: for all samples, or for the first few.
    pub outputs: &'a [(String, Vec<usize>, Vec<f32>)],
    /// Whether the outputs cover all samples, except for [`Task::shown_outputs`].
    pub complete: bool,
}

impl<'a> Evaluated<'a> {
    /// The values of the output `name` of the samples for which it was kept, with the number of values of each.
    pub fn output(&self, name: &str) -> Option<(&'a [f32], usize)> {
        let found = self.outputs.iter().find(|(known, ..)| known == name);
        let (_, shape, values) = found?;
        Some((values, shape.iter().product::<usize>().max(1)))
    }
}

/// Results of an evaluation beyond its metrics.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Also reported at the end of a training run.
    pub brief: Reported,
    /// Only reported by `wgrad eval`.
    pub full: Reported,
}

/// Lines of text, and keys for JSON.
#[derive(Clone, Debug, Default)]
pub struct Reported {
    /// Lines.
    pub lines: Vec<String>,
    /// Keys for the JSON line.
    pub json: Map<String, Value>,
}

/// A section of a report.
#[derive(Clone, Debug)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// Content as HTML.
    pub html: String,
}

/// A file that a run saves for an epoch: `FOLDER/epoch-N.EXTENSION` in its folder.
#[derive(Clone, Debug)]
pub struct EpochFile {
    /// Subfolder of the run folder.
    pub folder: &'static str,
    /// File extension, without a dot.
    pub extension: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl EpochFile {
    /// Images drawn after an epoch, as a PNG file.
    pub fn drawn_samples(bytes: Vec<u8>) -> EpochFile {
        EpochFile {
            folder: "samples",
            extension: "png",
            bytes,
        }
    }
}

/// The settings that concern a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskSettings {
    /// Name of the task; determined by the data if absent.
    pub name: Option<String>,
    /// The loss.
    pub loss: Loss,
    /// Label smoothing: share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Augmentation of training images.
    pub augment: AugmentSettings,
    /// Normalisation of the windows of a series.
    pub window_norm: WindowNorm,
    /// The task's own settings: the rest of the `[task]` table.
    pub own: toml::Table,
    /// The trained models that it names, in a run that is trained.
    pub teachers: Vec<Teacher>,
    /// Thresholds of groups by which a trained classifier decides.
    pub decision: Option<GroupDecision>,
    /// The temperature by which the logits of a trained classifier are divided.
    pub temperature: Option<f64>,
}

impl TaskSettings {
    /// The task's own settings, as its type.
    ///
    /// # Errors
    /// Names the unknown key.
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

    /// Refuses settings of its own for the task `name`, which has none.
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
    /// Name of its file, and the value of `task` in a run's settings.
    pub name: &'static str,
    /// One-line description.
    pub about: &'static str,
    /// The fields that it needs.
    pub needs: &'static [Need],
    /// All metrics that it may report.
    pub metrics: fn() -> Vec<Metric>,
    /// Whether the task suits these samples, if the settings name no task.
    pub suits: fn(&Samples) -> bool,
    /// Whether the task suits a model, if there are no data to decide by.
    pub suits_model: fn(&dyn Model) -> bool,
    /// The schema of the settings of its own.
    pub settings: fn(&mut SchemaGenerator) -> Schema,
    /// The task with these settings.
    pub make: fn(&TaskSettings) -> Result<Box<dyn Task>>,
    /// A tiny training run for the shared tests.
    pub sample: fn() -> Result<TaskCase>,
}

/// The task called `name`.
///
/// # Errors
/// Lists the existing tasks.
pub fn named(name: &str) -> Result<&'static Registered> {
    let found = REGISTRY.iter().find(|task| task.name == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = REGISTRY.iter().map(|task| task.name).collect();
        Error::Config(format!(
            "there is no task \"{name}\"; there are {}{}",
            names.join(", "),
            did_you_mean(name, names.iter().copied())
        ))
    })
}

/// The task that `settings` name, or the first one that fits `samples`.
///
/// # Errors
/// If there is none, or its settings are invalid.
pub fn task(settings: &TaskSettings, samples: &Samples) -> Result<Box<dyn Task>> {
    let registered = match &settings.name {
        Some(name) => named(name)?,
        None => *REGISTRY
            .iter()
            .find(|task| (task.suits)(samples))
            .ok_or_else(|| {
                let fields: Vec<&str> = samples.fields().iter().map(|field| field.name).collect();
                Error::Config(format!(
                    "no task fits data with the fields {}; name one with task = \"...\"",
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
                "the task {} needs the field {} ({}), which the data lack: they have {}",
                registered.name,
                need.field.replace('|', " or "),
                need.about,
                fields.join(", ")
            )));
        }
    }
    if samples.tiles().is_some()
        && !registered
            .needs
            .iter()
            .any(|need| need.field == field::MASK)
    {
        return Err(Error::Config(format!(
            "data.fit = \"tile\" is for segmentation, whose predictions for tiles are put together, and the task is {}; set it to \
             \"crop\", \"stretch\" or \"pad\"",
            registered.name
        )));
    }
    if settings.window_norm != WindowNorm::None && samples.field(field::TARGET).is_none() {
        return Err(Error::Config(format!(
            "data.window_norm is for series with windows of at least two rows, but the data are {} of {:?}; leave it out",
            samples.noun(),
            samples.shape()
        )));
    }
    (registered.make)(settings)
}

/// The first task that fits a model, for plans and benchmarks without data.
///
/// # Errors
/// If there is none.
pub fn suiting(model: &dyn Model) -> Result<&'static Registered> {
    let found = REGISTRY.iter().find(|task| (task.suits_model)(model));
    found.copied().ok_or_else(|| {
        Error::Config(format!(
            "no task fits model {} without data; name data with --data",
            model.name()
        ))
    })
}

macro_rules! register {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// Every task, for `wgrad tasks` and the shared tests.
        pub static REGISTRY: &[&Registered] = &[$(&$module::REGISTERED),*];
    };
}

register! {
    gan,
    vae,
    diffusion,
    autoencoder,
    masked_autoencoder,
    contrastive,
    restoration,
    detection,
    segmentation,
    tagging,
    multilabel,
    fixmatch,
    pseudo_labels,
    distillation,
    adversarial,
    reweighing,
    gap_penalty,
    adversarial_debiasing,
    translation,
    masked_language_model,
    text_classification,
    classification,
    language_model,
    forecasting,
    regression,
    ppo,
    reinforce,
    dqn,
}

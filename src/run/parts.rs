//! What a run is made of: task, models, recipe and data, checked against each other.

use super::monitor::{self, Monitor};
use super::saving::Saving;
use crate::cpu::Tensor;
use crate::data::labelled::{self, Mixture};
use crate::data::{
    Buckets, DataSettings, Dataset, Fitted, Normalization, Samples, SetLayout, field,
};
use crate::device::{Device, Engine};
use crate::error::{Error, Result};
use crate::federated::{FederatedSettings, Federation};
use crate::graph::Graph;
use crate::privacy::{PrivacySettings, PrivateSteps};
use crate::tasks::{Fit, Models, Task};
use crate::train::{
    Anchor, AnchorTerm, BatchSource, ImageClassifier, PhaseGraphs, Recipe, Replay, RowModel, Sizes,
    TextClassifier, evaluation_graph, importance, planned_graphs, suggest_batch, training_graphs,
};
use std::sync::Arc;

/// The length of a run.
#[derive(Clone, Debug)]
pub struct Length {
    /// Passes over the training set.
    pub epochs: u32,
    /// Steps of the run, instead of epochs.
    pub steps: Option<u64>,
    /// Steps per epoch; one pass over the training set if absent.
    pub steps_per_epoch: Option<usize>,
    /// Whether every epoch shuffles the samples.
    pub shuffle: bool,
}

/// The parts of a run.
pub struct RunParts {
    /// The task.
    pub task: Arc<dyn Task>,
    /// The models.
    pub models: Models,
    /// How steps are taken.
    pub recipe: Recipe,
    /// How long.
    pub length: Length,
    /// Which epoch is the best, and when to stop.
    pub monitor: Monitor,
    /// When checkpoints are written.
    pub saving: Saving,
    /// Whether event files for TensorBoard are written.
    pub tensorboard: bool,
    /// Private training.
    pub privacy: Option<PrivacySettings>,
    /// Federated averaging.
    pub federated: Option<FederatedSettings>,
    /// The data settings of the user.
    pub data: DataSettings,
    /// The values fitted to the data.
    pub fitted: Fitted,
    /// Initial values of [`Models::state`]; drawn by the seed if absent.
    pub values: Option<Vec<Tensor<f32>>>,
    /// Its name in reports.
    pub title: String,
}

impl RunParts {
    pub(super) fn normal(&self) -> Normalization<'_> {
        Normalization {
            mean: &self.fitted.mean,
            std: &self.fitted.std,
        }
    }

    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            batch: self.recipe.batch,
            stream: self.data.stream,
        }
    }

    /// Adds to a memory error of `device`, on which the training set `set` lies, the batch for which it has room.
    pub(super) fn advised(&self, error: Error, device: &dyn Device, set: &SetLayout) -> Error {
        let planned = |recipe: &Recipe| -> Result<_> {
            let source = BatchSource::Set(set.with_batch(recipe.batch));
            let evaluation = evaluation_graph(&*self.task, &self.models, &source)?;
            let steps = planned_graphs(device, &*self.task, &self.models, recipe, &source)?;
            Ok((steps, device.plan(evaluation)?))
        };
        suggest_batch(error, &self.recipe, |recipe| {
            planned(recipe).is_ok_and(|(steps, evaluation)| {
                let steps = steps.iter().flat_map(PhaseGraphs::graphs);
                device.has_room(&steps.chain([&evaluation]).collect::<Vec<_>>())
            })
        })
    }

    /// The layout of `samples` in batches of `batch`, on a device whose kernels read up to `most_bytes` of a tensor.
    pub fn layout(&self, set: &str, samples: &Samples, batch: usize, most_bytes: u64) -> SetLayout {
        let streamed = self.sizes().streamed(samples, most_bytes);
        SetLayout::of(set, samples, self.normal(), batch, streamed)
    }

    /// The buckets of the training set, if the settings name lengths.
    ///
    /// # Errors
    /// If its samples are no texts with padding, or their batches can't differ.
    pub(crate) fn buckets(&self, train: &Samples, streamed: bool) -> Result<Option<Buckets>> {
        let lengths = &self.data.buckets;
        if lengths.is_empty() {
            return Ok(None);
        }
        let wrong = |why: &str| Err(Error::Config(format!("data.buckets {why}; leave it out")));
        let are_pairs = train.field(field::TARGET_TOKENS).is_some();
        let are_texts = train.field(field::TOKENS).is_some() && train.field(field::NEXT).is_none();
        match () {
            () if !are_pairs && !are_texts => {
                wrong("is for texts that are padded, and these data are none")
            }
            () if streamed => wrong("is for data that lie on the device, and these are streamed"),
            () if self.recipe.accumulate > 1 => {
                wrong("can't be used where gradients are accumulated")
            }
            () => Ok(Some(Buckets::new(train, lengths))),
        }
    }

    /// How samples with and without classes are mixed in batches of the training set, if the task learns from both.
    ///
    /// # Errors
    /// If the settings do not say how many have classes, or batches are too small for both.
    pub(crate) fn mixture(&self, train: &Samples) -> Result<Option<Mixture>> {
        let batch = self.recipe.batch;
        if let Some(replay) = self.recipe.replay {
            return self.replayed(replay).map(Some);
        }
        let Some(of_batch) = self.task.labelled_of(batch) else {
            return Ok(None);
        };
        let name = self.task.registered().name;
        let wrong = |what: String| Err(Error::Config(what));
        let Some(labelled) = self.data.labelled else {
            return wrong(format!(
                "the task {name} learns from a few samples with classes and many without; set data.labelled, the number of training samples \
                 that keep their classes"
            ));
        };
        if of_batch == 0 || of_batch >= batch {
            return wrong(format!(
                "a batch of {batch} is too small for samples with and without classes, of which {name} mixes both; make it larger"
            ));
        }
        if !self.length.shuffle {
            return wrong(format!(
                "the task {name} mixes samples with and without classes in every batch, so they can't be visited in their order; leave \
                 shuffle (--no-shuffle) out"
            ));
        }
        Ok(Some(Mixture {
            labelled: labelled::number(labelled, train.len()),
            of_batch,
            apart: false,
        }))
    }

    /// How samples that are replayed are mixed with new ones.
    fn replayed(&self, replay: Replay) -> Result<Mixture> {
        let (batch, name) = (self.recipe.batch, self.task.registered().name);
        let of_batch = (replay.share * batch as f64).round() as usize;
        let wrong = |what: String| Err(Error::Config(what));
        match () {
            () if self.task.labelled_of(batch).is_some() => wrong(format!(
                "the task {name} mixes samples with and without classes in every batch, so no others can be replayed there; choose another \
                 continual.method"
            )),
            () if of_batch == 0 || of_batch >= batch => wrong(format!(
                "continual.share = {} of a batch of {batch} is {of_batch} samples, but a batch needs replayed and new ones; change one of \
                 the two",
                replay.share
            )),
            () if !self.length.shuffle => wrong(
                "samples that are replayed are mixed with new ones in every batch, so they can't be visited in their order; leave shuffle \
                 (--no-shuffle) out"
                    .to_string(),
            ),
            () if !self.data.buckets.is_empty() => wrong(
                "data.buckets makes batches of texts of one length, into which no others can be mixed for a replay; leave it out"
                    .to_string(),
            ),
            () => Ok(Mixture {
                labelled: replay.samples,
                of_batch,
                apart: true,
            }),
        }
    }

    /// The graphs of a training step over a set, a phase each.
    ///
    /// # Errors
    /// If models, data and recipe don't fit together.
    pub fn training_graphs(&self, set: SetLayout) -> Result<Vec<PhaseGraphs>> {
        let source = BatchSource::Set(set);
        training_graphs(&*self.task, &self.models, &self.recipe, &source)
    }

    /// The graph of an evaluation step over a set.
    ///
    /// # Errors
    /// If models and data don't fit together.
    pub fn evaluation_graph(&self, set: SetLayout) -> Result<Graph> {
        evaluation_graph(&*self.task, &self.models, &BatchSource::Set(set))
    }

    /// The layout of a hypothetical set of `samples` samples, in batches of `batch`.
    ///
    /// # Errors
    /// If the task's fields can only be determined from data.
    pub fn example_layout(&self, set: &str, samples: usize, batch: usize) -> Result<SetLayout> {
        let layout = SetLayout::new(set, samples, batch);
        self.task
            .example_layout(&self.models, layout, self.normal())
    }

    /// The importance of the parameters of a trained run for `samples`, with their values.
    ///
    /// # Errors
    /// If models and data don't fit together, or the device failed.
    pub fn importance(mut self, engine: &Engine, samples: Samples) -> Result<Vec<AnchorTerm>> {
        let mut device = engine.device();
        let values = self.initial();
        self.models.put(&mut *device, &values)?;
        let normal = self.normal();
        let found = importance(&mut *device, &*self.task, &self.models, samples, normal)?;
        let term = |(name, importance): (String, Tensor<f32>)| {
            Ok(AnchorTerm {
                value: device.get(&name)?,
                name,
                importance,
            })
        };
        found.into_iter().map(term).collect()
    }

    /// The trained classifier of images on `engine`, for at most `batch` images at once.
    ///
    /// # Errors
    /// If the models are of another kind, or device memory is too small.
    pub fn image_classifier(
        mut self,
        engine: &Engine,
        batch: usize,
    ) -> Result<ImageClassifier<'_>> {
        let values = self.initial();
        let (task, models) = (self.task.clone(), self.models.clone());
        ImageClassifier::new(engine.device(), task, models, &values, self.normal(), batch)
    }

    /// The trained model of the rows of a table on `engine`, for at most `batch` rows at once.
    ///
    /// # Errors
    /// If the models are of another kind, or device memory is too small.
    pub fn row_model(mut self, engine: &Engine, batch: usize) -> Result<RowModel<'_>> {
        let values = self.initial();
        RowModel::new(engine.device(), self.task, self.models, &values, batch)
    }

    /// The trained classifier of texts on `engine`, for at most `batch` texts at once.
    ///
    /// # Errors
    /// If the models are of another kind, or device memory is too small.
    pub fn text_classifier(mut self, engine: &Engine, batch: usize) -> Result<TextClassifier<'_>> {
        let values = self.initial();
        TextClassifier::new(engine.device(), self.task, self.models, &values, batch)
    }

    pub(crate) fn initial(&mut self) -> Vec<Tensor<f32>> {
        let seed = self.recipe.seed;
        self.values
            .take()
            .unwrap_or_else(|| self.models.initial_state(seed))
    }

    /// Checks models, data and settings against each other.
    ///
    /// # Errors
    /// If shapes, classes, labels or patterns don't fit, a batch is larger than the training set, or an epoch has more steps than
    /// the training set has batches.
    pub fn check(mut self, dataset: impl Into<Dataset<Samples>>) -> Result<CheckedRun> {
        let mut dataset = dataset.into();
        let epoch_samples = samples_of_epoch(&mut dataset.train, &self.length, &self.recipe)?;
        let fit = |part, samples| self.fit(part, samples, &dataset.classes, &dataset.name);
        self.task.check(&fit("training", &dataset.train))?;
        self.task.check(&fit("test", &dataset.test))?;
        self.mixture(&dataset.train)?;
        let samples = dataset.train.len();
        if self.recipe.batch > samples {
            return Err(Error::Config(format!(
                "a batch of {} is larger than the training set of {samples} {}; use --batch {samples} or less",
                self.recipe.batch,
                dataset.train.noun()
            )));
        }
        if let Some(plateau) = self.recipe.schedule.plateau() {
            monitor::check_metric("schedule.metric", &plateau.metric, &*self.task)?;
        }
        self.monitor.check(&*self.task)?;
        let each = self.recipe.samples_of_step();
        self.recipe.steps_per_epoch = epoch_samples.div_ceil(each) as u64;
        self.recipe.phase_optimizers(&*self.task, &self.models)?;
        let federation = self.federation(&dataset.train)?;
        match &federation {
            Some(federation) => self.recipe.steps_per_epoch = federation.steps_of_round() as u64,
            None => self.make_private(&dataset.train, epoch_samples)?,
        }
        Ok(CheckedRun {
            parts: self,
            dataset,
            epoch_samples,
            federation,
        })
    }

    pub(super) fn fit<'a>(
        &'a self,
        part: &'a str,
        samples: &'a Samples,
        classes: &'a [String],
        data: &'a str,
    ) -> Fit<'a> {
        Fit {
            models: &self.models,
            samples,
            part,
            classes,
            data,
            normal: self.normal(),
        }
    }
}

/// A run whose parts and data were checked against each other by [`RunParts::check`].
pub struct CheckedRun {
    pub(super) parts: RunParts,
    pub(super) dataset: Dataset<Samples>,
    /// Number of training samples per epoch.
    pub(super) epoch_samples: usize,
    /// The clients of federated averaging.
    pub(super) federation: Option<Federation>,
}

impl CheckedRun {
    /// Task, models and recipe.
    pub fn parts(&self) -> &RunParts {
        &self.parts
    }

    /// The data.
    pub fn dataset(&self) -> &Dataset<Samples> {
        &self.dataset
    }

    /// The data alone.
    pub fn into_dataset(self) -> Dataset<Samples> {
        self.dataset
    }

    /// How steps, or the rounds of federated averaging, are made private, if they are.
    pub fn privacy(&self) -> Option<&PrivateSteps> {
        let rounds = self.federation.as_ref().and_then(Federation::privacy);
        rounds.or(self.parts.recipe.privacy.as_ref())
    }

    /// Replaces the initial values of [`Models::state`].
    pub fn set_values(&mut self, values: Vec<Tensor<f32>>) {
        self.parts.values = Some(values);
    }

    /// Holds parameters at earlier values.
    pub fn set_anchor(&mut self, anchor: Anchor) {
        self.parts.recipe.anchor = Some(Arc::new(anchor));
    }

    /// Number of steps of a run of this `length`.
    fn steps(&self, length: &Length) -> u64 {
        if let Some(federation) = &self.federation {
            let all = u64::from(length.epochs) * federation.steps_of_round() as u64;
            return length.steps.unwrap_or(all);
        }
        let recipe = &self.parts.recipe;
        let each = recipe.samples_of_step().max(1);
        let of_epoch = length
            .steps_per_epoch
            .unwrap_or(self.dataset.train.len().div_ceil(each));
        length
            .steps
            .unwrap_or(of_epoch as u64 * u64::from(length.epochs))
    }

    /// A sentence about the learning rate after `done` steps of a run that was to be of the `earlier` length, if it does not go on as it
    /// would have.
    pub fn changed_schedule(&self, earlier: &Length, done: u64) -> Option<String> {
        let recipe = &self.parts.recipe;
        let (before, now) = (self.steps(earlier), self.steps(&self.parts.length));
        let base = recipe.optimizer.lr();
        let lr = |step, total| recipe.schedule.lr(base, step, total);
        let (last, expected, next) = (lr(done, before), lr(done + 1, before), lr(done + 1, now));
        if done == 0 || before == now || (next - expected).abs() <= 1e-9 * base {
            return None;
        }
        Some(format!(
            "the learning rate schedule now spans {now} steps instead of {before}: the rate was {last:.2e} at step {done} and continues at \
             {next:.2e}; to continue at a low rate, start a new run with --init, a small --lr and the constant schedule"
        ))
    }

    /// Warnings about settings that are valid but rarely intended, one sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let CheckedRun { parts, dataset, .. } = self;
        let (recipe, length) = (&parts.recipe, &parts.length);
        let fit = parts.fit("training", &dataset.train, &dataset.classes, &dataset.name);
        let mut remarks = parts.task.remarks(&fit);
        let steps = self.steps(length);
        if let Some(warmup) = recipe.schedule.warmup_steps()
            && warmup >= steps
        {
            remarks.push(format!(
                "the warm-up takes {warmup} steps and the run has {steps}, so the learning rate rises until the end"
            ));
        }
        if let Some(private) = self.privacy() {
            let (unit, what) = match self.federation {
                Some(_) => ("rounds", "clients a round"),
                None => ("steps", "samples a step"),
            };
            let taken = private.most_steps;
            let spent = private
                .loss(taken)
                .map_or(f64::INFINITY, |loss| loss.epsilon);
            remarks.push(format!(
                "private training: noise {:.4}, {} of {} {what} on average; all {taken} {unit} spend epsilon {spent:.3} for delta {}",
                private.noise, private.expected, private.samples, private.delta
            ));
            if taken < private.planned_steps {
                remarks.push(format!(
                    "the budget allows {taken} of {} {unit}",
                    private.planned_steps
                ));
            }
        }
        let normalized = |name: &str| name.ends_with("running_mean");
        if recipe.accumulate > 1 && parts.models.state().any(|part| normalized(&part.name)) {
            remarks.push(
                "gradients are accumulated, but batch normalisation sees each batch by itself: the steps are not equivalent to those of one \
                 large batch"
                    .to_string(),
            );
        }
        remarks
    }
}

/// The number of training samples per epoch. A `set` of random windows is resized to what `steps_per_epoch` asks for.
///
/// # Errors
/// If an epoch would have more steps than the set has batches.
fn samples_of_epoch(set: &mut Samples, length: &Length, recipe: &Recipe) -> Result<usize> {
    let each = recipe.samples_of_step();
    let Some(steps) = length.steps_per_epoch else {
        return Ok(set.len());
    };
    let wanted = steps * each;
    if set.starts().is_some_and(|starts| starts.anywhere) && length.shuffle {
        set.resize_epoch(wanted);
    } else {
        let all = set.len().div_ceil(each);
        if steps > all {
            return Err(Error::Config(format!(
                "steps_per_epoch is {steps}, but the training set has only {all} batches of {each}; make it smaller"
            )));
        }
    }
    Ok(wanted.min(set.len()))
}

//! The graphs of a training step and of an evaluation step. Both take their batch from data that lives in variables.

use super::loss::Losses;
use super::metrics::MOST_CONFUSED;
use crate::autodiff::gradients;
use crate::data::WindowNorm;
use crate::error::{Error, Result};
use crate::graph::{Builder, Graph, Var};
use crate::nn::{Mode, Network, Training};
use crate::ops::gather_batch::GatherBatch;
use crate::ops::squared_error::SquaredError;
use crate::optim::{DEFAULT_PREFIX, OptimizerInstance, clip_grad_norm};
use crate::settings::Settings;
use crate::tensor::TensorType;
use std::collections::HashSet;

/// How samples lie on the device.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Layout {
    /// As bytes, four to a word.
    #[default]
    Bytes,
    /// As windows of rows.
    Rows {
        /// All rows that there are.
        rows: usize,
        /// Numbers of a row.
        columns: usize,
        /// Rows of a sample.
        length: usize,
    },
    /// As windows of tokens.
    Tokens {
        /// All tokens that there are.
        rows: usize,
        /// Tokens of a sample.
        length: usize,
    },
}

/// How what is to be learned lies on the device; it decides the loss where the settings leave it to the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Target {
    /// A class for each sample.
    #[default]
    Class,
    /// The token after each; the mean over a sample's tokens.
    NextToken,
    /// Numbers of windows of rows, as many rows as the samples are windows of.
    Values {
        /// Numbers of a row.
        columns: usize,
        /// Rows from the first of a sample to the first of its target.
        offset: usize,
        /// Rows of a target.
        length: usize,
    },
}

/// Sizes and names of the data that a graph reads.
#[derive(Clone, Debug)]
pub struct DataShape {
    /// Prefix of the variables: `train` or `test`.
    pub set: &'static str,
    /// Samples in the set (in a streamed set, in the batch that is there).
    pub samples: usize,
    /// Samples in a step.
    pub batch: usize,
    /// Shape of a sample.
    pub sample: Vec<usize>,
    /// How samples lie on the device.
    pub layout: Layout,
    /// What is to be learned of them.
    pub target: Target,
}

impl DataShape {
    /// `samples` images of the shape `sample`, each of a class.
    pub fn images_of(set: &'static str, samples: usize, batch: usize, sample: Vec<usize>) -> Self {
        DataShape {
            set,
            samples,
            batch,
            sample,
            layout: Layout::Bytes,
            target: Target::Class,
        }
    }

    /// `samples` samples as `network` takes them, with what it gives as what is to be learned: for plans without data.
    pub fn of_model(set: &'static str, samples: usize, batch: usize, network: &Network) -> Self {
        let sample = network.spec.input.sample();
        let shape = DataShape::images_of(set, samples, batch, sample);
        match network.spec.input.tokens() {
            None => shape,
            Some(input) => DataShape {
                layout: Layout::Tokens {
                    rows: samples * input.tokens + 1,
                    length: input.tokens,
                },
                target: match network.per_token {
                    true => Target::NextToken,
                    false => Target::Class,
                },
                ..shape
            },
        }
    }

    /// Name of one of the set's variables.
    pub fn name(&self, part: &str) -> String {
        format!("data.{}.{part}", self.set)
    }

    /// Type of the packed bytes: four to a word.
    pub fn images(&self) -> TensorType {
        let bytes = self.samples * self.sample.iter().product::<usize>();
        TensorType::u32([bytes.div_ceil(4)])
    }

    /// Type of the rows that samples are windows of.
    pub fn rows(&self) -> TensorType {
        match self.layout {
            Layout::Rows { rows, columns, .. } => TensorType::f32([rows, columns]),
            Layout::Tokens { rows, .. } => TensorType::u32([rows]),
            Layout::Bytes => TensorType::f32([0, 0]),
        }
    }

    /// Type of the numbers to predict.
    pub fn values(&self) -> TensorType {
        match (&self.layout, &self.target) {
            (Layout::Rows { rows, .. }, Target::Values { columns, .. }) => {
                TensorType::f32([*rows, *columns])
            }
            _ => TensorType::f32([0, 0]),
        }
    }

    /// Type of the labels, of the first rows, and of the order in which samples are visited.
    pub fn per_sample(&self) -> TensorType {
        TensorType::u32([self.samples])
    }
}

/// Variables that a graph adds its metrics to: the sum over the samples of the loss, and of what [`Measure`] says; where
/// samples count differently in the loss, the sum of their weights too.
///
/// [`Measure`]: super::Measure
pub(super) fn metrics(settings: &Settings) -> &'static [&'static str] {
    const METRICS: &[&str] = &["metrics.loss", "metrics.score", "metrics.weight"];
    match settings.loss.is_weighted() {
        true => METRICS,
        false => &METRICS[..2],
    }
}

/// Variables of an evaluation. Of classes: the number of samples with their class among the five likeliest, and the confusion
/// matrix. Of numbers: the sum of the mean squared errors of the samples, whatever the loss is.
pub(super) const TOP_5: &str = "metrics.top_5";
pub(super) const CONFUSION: &str = "metrics.confusion";
pub(super) const SQUARED_ERROR: &str = "metrics.squared_error";

/// Types of those that there are for `target`, which may be one of `classes` classes.
pub(super) fn details(target: &Target, classes: usize) -> Vec<(&'static str, TensorType)> {
    match target {
        Target::Class => {
            let top_5 = (classes > 5).then(|| (TOP_5, TensorType::f32([])));
            let matrix = TensorType::f32([classes, classes]);
            let confusion = (classes <= MOST_CONFUSED).then_some((CONFUSION, matrix));
            top_5.into_iter().chain(confusion).collect()
        }
        Target::NextToken => Vec::new(),
        Target::Values { .. } => vec![(SQUARED_ERROR, TensorType::f32([]))],
    }
}

/// What the first `valid` rows of a batch of classes add to the variables of [`details`].
fn detailed<'g>(
    logits: Var<'g>,
    y: Var<'g>,
    valid: Var<'g>,
) -> Result<Vec<(&'static str, Var<'g>)>> {
    let count = |(name, _)| {
        let count = match name {
            TOP_5 => logits.count_in_top_k(y, valid, 5)?,
            _ => logits.confusion(y, valid)?,
        };
        Ok((name, count))
    };
    details(&Target::Class, logits.shape().last())
        .into_iter()
        .map(count)
        .collect()
}

struct Batch<'g> {
    /// What the network gives; of classes, a score for each.
    outputs: Var<'g>,
    losses: Losses<'g>,
}

/// Adds `value` to the variable `name`.
fn accumulate(builder: &Builder, name: &str, value: Var<'_>) -> Result<()> {
    let total = builder.variable(name, value.ty())?;
    builder.update(total, total.add(value)?)
}

/// The batch at the scalar input `cursor`, without what is to be learned of it.
struct Samples<'g> {
    x: Var<'g>,
    /// First row of each, where samples are windows of rows.
    starts: Option<Var<'g>>,
    order: Var<'g>,
    cursor: Var<'g>,
}

impl<'g> Samples<'g> {
    /// All rows, and the first of each sample.
    fn windows(&self, builder: &'g Builder, shape: &DataShape) -> Result<(Var<'g>, Var<'g>)> {
        let starts = self.starts.ok_or_else(|| {
            Error::Graph("what follows a sample is known of windows of rows alone".to_string())
        })?;
        Ok((builder.variable(&shape.name("rows"), shape.rows())?, starts))
    }
}

fn samples<'g>(
    builder: &'g Builder,
    settings: &Settings,
    shape: &DataShape,
) -> Result<Samples<'g>> {
    let order = builder.variable(&shape.name("order"), shape.per_sample())?;
    let cursor = builder.input("cursor", TensorType::u32([]));
    let (x, starts) = match shape.layout {
        Layout::Bytes => {
            let images = builder.variable(&shape.name("images"), shape.images())?;
            let doubles =
                |x: &Option<Vec<f32>>| x.iter().flatten().map(|&x| f64::from(x)).collect();
            let gather = GatherBatch {
                batch: shape.batch,
                item: shape.sample.clone().into(),
                mean: doubles(&settings.data.mean),
                std: doubles(&settings.data.std),
            };
            (images.gather_batch(order, cursor, gather)?, None)
        }
        Layout::Rows { length, .. } | Layout::Tokens { length, .. } => {
            let rows = builder.variable(&shape.name("rows"), shape.rows())?;
            let starts = builder.variable(&shape.name("starts"), shape.per_sample())?;
            let starts = starts.gather_labels(order, cursor, shape.batch)?;
            let x = rows.gather_windows(starts, 0, length)?;
            let dims = [&[shape.batch], &shape.sample[..]].concat();
            (x.reshape(dims)?, Some(starts))
        }
    };
    Ok(Samples {
        x,
        starts,
        order,
        cursor,
    })
}

/// Takes the batch at the scalar input `cursor`, runs the network and adds to the metrics; only the first `valid`
/// samples count.
fn batch<'g>(
    builder: &'g Builder,
    network: &Network,
    settings: &Settings,
    shape: &DataShape,
    valid: Var<'g>,
    mode: Mode<'g>,
    smoothing: f64,
) -> Result<Batch<'g>> {
    let samples = samples(builder, settings, shape)?;
    let mut mixed = None;
    let mut x = samples.x;
    if let Mode::Train(Training { step, seed, .. }) = mode {
        let _scope = builder.scope("augment");
        x = settings.augment.apply(x, step, seed)?;
        if settings.augment.mixes() {
            let mix = settings.augment.mixed(x, step, valid, seed)?;
            x = mix.x;
            mixed = Some(mix);
        }
    }
    let norm = settings.data.window_norm;
    if norm != WindowNorm::None {
        x = norm.apply(x)?;
    }
    let mut outputs = network.forward(x, mode)?;
    let _scope = builder.scope("loss");
    let loss = &settings.loss;
    loss.check_target(
        &shape.target,
        &network.spec.name,
        network.classes,
        smoothing,
    )?;
    let (losses, score) = match shape.target {
        Target::Class => {
            let labels = builder.variable(&shape.name("labels"), shape.per_sample())?;
            let y = labels.gather_labels(samples.order, samples.cursor, shape.batch)?;
            let of = |y| loss.of_classes(builder, outputs, y, valid, smoothing);
            let losses = match mixed {
                Some(mixed) => mixed.losses(y, of)?,
                None => of(y)?,
            };
            outputs = loss.logits(outputs)?;
            if matches!(mode, Mode::Eval) {
                for (name, count) in detailed(outputs, y, valid)? {
                    accumulate(builder, name, count)?;
                }
            }
            (losses, outputs.count_correct(y, valid)?)
        }
        Target::NextToken => {
            let (rows, starts) = samples.windows(builder, shape)?;
            let length = shape.sample.iter().product::<usize>();
            let count = shape.batch * length;
            let y = rows.gather_windows(starts, 1, length)?.reshape([count])?;
            let vocabulary = outputs.shape().elements() / count;
            let logits = outputs.reshape([count, vocabulary])?;
            let tokens = builder.input("valid_tokens", TensorType::u32([]));
            let losses = logits.softmax_cross_entropy(y, tokens, smoothing)?;
            let losses = Losses {
                losses: losses.reshape([shape.batch, length])?.mean(&[1])?,
                weights: None,
            };
            let right = logits.count_correct(y, tokens)?;
            (losses, right.scale(1.0 / length as f64)?)
        }
        Target::Values { offset, length, .. } => {
            let values = builder.variable(&shape.name("values"), shape.values())?;
            let (_, starts) = samples.windows(builder, shape)?;
            if norm != WindowNorm::None {
                // The rows before those to predict: as many as the network saw.
                let seen = values.gather_windows(starts, 0, shape.sample[0])?;
                outputs = norm.undo(outputs, seen)?;
            }
            let y = values.gather_windows(starts, offset, length)?;
            let y = y.reshape(outputs.shape())?;
            let losses = loss.of_numbers(outputs, y, valid)?;
            if matches!(mode, Mode::Eval) {
                let squares = builder.op(SquaredError, &[outputs, y])?;
                let squares = squares.mean(&[1])?.mask_rows(valid)?;
                accumulate(builder, SQUARED_ERROR, squares.sum_all()?)?;
            }
            let errors = outputs.sub(y)?.abs()?.mean(&[1])?.mask_rows(valid)?;
            (losses, errors.sum_all()?)
        }
    };
    let weight = losses
        .weights
        .map(|weights| weights.sum_all())
        .transpose()?;
    let values = [Some(losses.losses.sum_all()?), Some(score), weight];
    for (name, value) in metrics(settings).iter().zip(values.into_iter().flatten()) {
        accumulate(builder, name, value)?;
    }
    Ok(Batch { outputs, losses })
}

/// One training step: batch, loss, gradients, update. Scalar inputs: `cursor`, `valid`, `step`, `inverse_valid` and those
/// of the optimizer.
///
/// # Errors
/// If the network does not fit the data.
pub fn training_graph(network: &Network, settings: &Settings, shape: &DataShape) -> Result<Graph> {
    let builder = Builder::new();
    let step = builder.input("step", TensorType::u32([]));
    let valid = builder.input("valid", TensorType::u32([]));
    let inverse_valid = builder.input("inverse_valid", TensorType::f32([]));
    let mode = Mode::Train(Training {
        step,
        valid,
        inverse_valid,
        seed: settings.seed,
    });
    let batch = batch(
        &builder,
        network,
        settings,
        shape,
        valid,
        mode,
        settings.label_smoothing,
    )?;
    // The mean over the samples that count: fewer than the batch in the last step of an epoch.
    let loss = batch.losses.mean(inverse_valid)?;
    let optimizer = optimizer(network, settings, shape.samples)?;
    let trained: HashSet<&str> = optimizer.trained().collect();
    let weights = network
        .parameters
        .iter()
        .filter(|p| trained.contains(&*p.name))
        .map(|p| Ok((p.name.clone(), builder.variable(&p.name, p.ty.clone())?)))
        .collect::<Result<Vec<_>>>()?;
    let variables: Vec<Var<'_>> = weights.iter().map(|(_, v)| *v).collect();
    let mut grads = gradients(loss, &variables)?;
    if let Some(norm) = settings.clip_norm {
        grads = clip_grad_norm(&grads, norm)?;
    }
    {
        let _scope = builder.scope("optimizer");
        optimizer.apply(&builder, &weights, &grads)?;
    }
    builder.finish()
}

/// The optimizer of the network's parameters, in a run whose epochs go over `samples` samples.
///
/// # Errors
/// If the settings are out of their ranges, or a group of them fits no parameter.
pub(super) fn optimizer(
    network: &Network,
    settings: &Settings,
    samples: usize,
) -> Result<OptimizerInstance> {
    let steps = samples.div_ceil(settings.batch.max(1)) as u64;
    let parameters: Vec<(String, TensorType)> = network
        .parameters
        .iter()
        .map(|p| (p.name.clone(), p.ty.clone()))
        .collect();
    let (config, groups) = (&settings.optimizer, &settings.group);
    let optimizer = OptimizerInstance::new(DEFAULT_PREFIX, config, groups, &parameters)?;
    Ok(optimizer.with_steps_per_epoch(steps))
}

/// One evaluation step: batch, loss, count of correct answers, and the output `logits`. Scalar inputs: `cursor`, `valid`.
///
/// # Errors
/// If the network does not fit the data.
pub fn evaluation_graph(
    network: &Network,
    settings: &Settings,
    shape: &DataShape,
) -> Result<Graph> {
    let builder = Builder::new();
    let valid = builder.input("valid", TensorType::u32([]));
    let batch = batch(&builder, network, settings, shape, valid, Mode::Eval, 0.0)?;
    builder.output("logits", batch.outputs);
    builder.finish()
}

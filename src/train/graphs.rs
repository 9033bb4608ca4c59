//! The graphs of a training step and of an evaluation step. Both take their batch from data that lives in variables.

use crate::autodiff::gradients;
use crate::error::Result;
use crate::graph::{Builder, Graph, Var};
use crate::nn::{Mode, Network, Training};
use crate::ops::gather_batch::GatherBatch;
use crate::optim::clip_grad_norm;
use crate::settings::Settings;
use crate::tensor::TensorType;

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
}

impl DataShape {
    /// Name of one of the set's variables.
    pub fn name(&self, part: &str) -> String {
        format!("data.{}.{part}", self.set)
    }

    /// Type of the packed bytes: four to a word.
    pub fn images(&self) -> TensorType {
        let bytes = self.samples * self.sample.iter().product::<usize>();
        TensorType::u32([bytes.div_ceil(4)])
    }

    /// Type of the labels, and of the order in which samples are visited.
    pub fn per_sample(&self) -> TensorType {
        TensorType::u32([self.samples])
    }
}

/// Variables that a graph adds its metrics to: the sum of losses and the number of correct answers.
pub const METRICS: [&str; 2] = ["metrics.loss", "metrics.correct"];

struct Batch<'g> {
    logits: Var<'g>,
    losses: Var<'g>,
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
    let images = builder.variable(&shape.name("images"), shape.images())?;
    let labels = builder.variable(&shape.name("labels"), shape.per_sample())?;
    let order = builder.variable(&shape.name("order"), shape.per_sample())?;
    let cursor = builder.input("cursor", TensorType::u32([]));
    let doubles = |x: &Option<Vec<f32>>| x.iter().flatten().map(|&x| f64::from(x)).collect();
    let gather = GatherBatch {
        batch: shape.batch,
        item: shape.sample.clone().into(),
        mean: doubles(&settings.data.mean),
        std: doubles(&settings.data.std),
    };
    let x = images.gather_batch(order, cursor, gather)?;
    let y = labels.gather_labels(order, cursor, shape.batch)?;
    let logits = network.forward(x, mode)?;
    let _scope = builder.scope("loss");
    let losses = logits.softmax_cross_entropy(y, valid, smoothing)?;
    let loss = builder.variable(METRICS[0], TensorType::f32([]))?;
    builder.update(loss, loss.add(losses.sum_all()?)?)?;
    let correct = builder.variable(METRICS[1], TensorType::f32([]))?;
    builder.update(correct, correct.add(logits.count_correct(y, valid)?)?)?;
    Ok(Batch { logits, losses })
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
    let loss = batch.losses.sum_all()?.mul(inverse_valid)?;
    let weights = network
        .parameters
        .iter()
        .map(|p| Ok((p.name.clone(), builder.variable(&p.name, p.ty.clone())?)))
        .collect::<Result<Vec<_>>>()?;
    let variables: Vec<Var<'_>> = weights.iter().map(|(_, v)| *v).collect();
    let mut grads = gradients(loss, &variables)?;
    if let Some(norm) = settings.clip_norm {
        grads = clip_grad_norm(&grads, norm)?;
    }
    {
        let _scope = builder.scope("optimizer");
        settings
            .optimizer
            .optimizer()
            .apply(&builder, &weights, &grads)?;
    }
    builder.finish()
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
    builder.output("logits", batch.logits);
    builder.finish()
}

//! The graphs of a step. Normally one graph computes gradients and update; with gradients accumulated over several batches, two
//! graphs share the same variables.

use crate::autodiff::{clipped_gradients, gradients};
use crate::data::{Batch, Normalization, SetLayout, field};
use crate::device::{Device, PlannedGraph};
use crate::error::{Error, Result};
use crate::graph::{Builder, Graph, Precision, Var};
use crate::nn::{Forward, Training};
use crate::optim::{OptimizerInstance, clip_grad_norm};
use crate::privacy::PrivateSteps;
use crate::tasks::{Models, Objective, StepGraph, Task};
use crate::tensor::TensorType;

use super::loss_scale::LossScale;
use super::recipe::Recipe;

/// The source of a step's batches.
#[derive(Clone, Debug)]
pub enum BatchSource {
    /// A set on the device.
    Set(SetLayout),
    /// Fields that are fed, with the batch as the first axis.
    Fed {
        /// Samples of a batch.
        size: usize,
        /// Names and types.
        fields: Vec<(String, TensorType)>,
    },
}

impl BatchSource {
    pub(super) fn batch<'g>(&self, builder: &'g Builder) -> Batch<'g> {
        match self {
            BatchSource::Set(layout) => Batch::of_set(builder, layout),
            BatchSource::Fed { size, fields } => Batch::fed(builder, *size, fields.clone()),
        }
    }

    /// Samples of a batch.
    pub fn size(&self) -> usize {
        match self {
            BatchSource::Set(layout) => layout.batch,
            BatchSource::Fed { size, .. } => *size,
        }
    }
}

/// The graphs of one phase of a step, as they were built or as a device planned them.
pub struct PhaseGraphs<G = Graph> {
    /// Batch, loss and gradients; the update too, unless that stands apart.
    pub gradients: G,
    /// The update from gradients that were accumulated in variables.
    pub update: Option<G>,
    /// The optimizer of the phase.
    pub optimizer: OptimizerInstance,
}

impl<G> PhaseGraphs<G> {
    /// The one or two graphs.
    pub fn graphs(&self) -> impl Iterator<Item = &G> {
        std::iter::once(&self.gradients).chain(&self.update)
    }
}

impl PhaseGraphs {
    /// The same, planned.
    ///
    /// # Errors
    /// If there is no room for one of them on `device`.
    pub fn plan(self, device: &dyn Device) -> Result<PhaseGraphs<PlannedGraph>> {
        Ok(PhaseGraphs {
            gradients: device.plan(self.gradients)?,
            update: self.update.map(|graph| device.plan(graph)).transpose()?,
            optimizer: self.optimizer,
        })
    }
}

/// Names of the variables in which gradients are accumulated begin with this, after that of the phase. No layer's name holds a
/// colon, so no parameter is taken for one.
const GRADIENT: &str = "gradient:";

/// The variable in which the gradient of a parameter is accumulated.
fn accumulated(phase: &str, parameter: &str) -> String {
    match phase {
        "" => format!("{GRADIENT}{parameter}"),
        _ => format!("{phase}.{GRADIENT}{parameter}"),
    }
}

/// The graphs of all phases of a training step. Scalar inputs: `cursor` (of data on the device), `valid`, `step`,
/// `inverse_valid`, with accumulation `inverse_total`, those of the optimizers, and the task's own.
///
/// # Errors
/// If models, data and settings don't fit together.
pub fn training_graphs(
    task: &dyn Task,
    models: &Models,
    recipe: &Recipe,
    source: &BatchSource,
) -> Result<Vec<PhaseGraphs>> {
    if recipe.anchor.is_some() && recipe.has_own_update() {
        return Err(Error::Config(
            "weights that are held by elastic weight consolidation are penalised once per step, which gradients that are accumulated or clipped \
             sample by sample are not: leave accumulate and [privacy] out"
                .to_string(),
        ));
    }
    let phases = task.phases();
    let optimizers = recipe.phase_optimizers(task, models)?;
    let each = phases.iter().zip(optimizers).enumerate();
    let phases = each.map(|(index, (phase, optimizer))| {
        let builder = Builder::new();
        builder.set_precision(recipe.precision);
        if recipe.privacy.is_some() {
            builder.keep_apart();
        }
        let step_number = builder.input("step", TensorType::u32([]));
        let batch = source.batch(&builder);
        let inverse_valid = builder.input("inverse_valid", TensorType::f32([]));
        let training = Training {
            step: step_number,
            valid: batch.valid(),
            inverse_valid,
            seed: recipe.seed,
        };
        let forward = Forward::training(&builder, training).with_frozen(recipe.frozen(models));
        let mut step = StepGraph::new(batch, forward, models);
        let objective = task.loss(&mut step, index)?;
        let counted = |name: &str| match (phase.name, index) {
            (_, 0) => name.to_string(),
            (phase, _) => format!("{name}.{phase}"),
        };
        step.count(&counted("loss"), objective.sum)?;
        let weight = match (objective.weight, phase.every) {
            // Only the samples of the steps in which the phase runs.
            (None, 2..) => Some(builder.constant(1.0).div(inverse_valid)?),
            (weight, _) => weight,
        };
        if let Some(weight) = weight {
            step.count(&counted("weight"), weight)?;
        }
        let loss = match (recipe.has_own_update(), objective.weight) {
            // The mean over the valid samples, which are fewer than the batch in the last step of an epoch.
            (false, _) => objective.mean(inverse_valid)?,
            _ if recipe.privacy.is_some() => objective.sum,
            (_, Some(_)) => objective.sum,
            (_, None) => {
                let inverse_total = builder.input("inverse_total", TensorType::f32([]));
                objective.sum.mul(inverse_total)?
            }
        };
        let own = models.parameters(phase.roles);
        let parameters: Vec<_> = own.map(|p| (p.name.clone(), p.ty.clone())).collect();
        let weights = variables(&builder, &optimizer, &parameters)?;
        // What was counted stays the loss of the task.
        let penalty = match &recipe.anchor {
            Some(anchor) => anchor.penalty(&builder, &weights)?,
            None => None,
        };
        let loss = penalty.map_or(Ok(loss), |penalty| loss.add(penalty))?;
        let handles: Vec<Var<'_>> = weights.iter().map(|(_, v)| *v).collect();
        let scale = loss_scale(&builder, recipe, phase.name)?;
        let loss = scale.map_or(Ok(loss), |scale| scale.scaled(loss))?;
        let mut grads = match &recipe.privacy {
            Some(private) => clipped(task, &step, objective, &handles, private)?,
            None => gradients(loss, &handles)?,
        };
        if let Some((objective, strength)) = step.opposed() {
            if recipe.has_own_update() {
                return Err(Error::Config(
                    "a step that is turned against an adversary needs the gradients of the whole batch at once: leave accumulate out"
                        .to_string(),
                ));
            }
            let opposed = objective.mean(inverse_valid)?;
            let opposed = scale.map_or(Ok(opposed), |scale| scale.scaled(opposed))?;
            grads = against(grads, gradients(opposed, &handles)?, strength)?;
        }
        step.forward.finish()?;
        builder.keep_precise(&grads);
        let mut update = None;
        let precise = builder.precise();
        if !recipe.has_own_update() {
            apply(&builder, recipe, &optimizer, &weights, scale, grads)?;
        } else {
            for ((name, _), grad) in weights.iter().zip(&grads) {
                let sum = builder.variable(&accumulated(phase.name, name), grad.ty())?;
                builder.update(sum, sum.add(*grad)?)?;
            }
            // Private steps divide by a number that no sample changes.
            let weight = objective.weight.filter(|_| recipe.privacy.is_none());
            if let Some(weight) = weight {
                let sum = builder.variable(&accumulated(phase.name, WEIGHT), weight.ty())?;
                builder.update(sum, sum.add(weight)?)?;
            }
            let weighted = weight.is_some();
            update = Some(update_graph(
                recipe,
                &optimizer,
                &parameters,
                phase.name,
                weighted,
            )?);
        }
        drop(precise);
        Ok(PhaseGraphs {
            gradients: builder.finish()?,
            update,
            optimizer,
        })
    });
    phases.collect()
}

/// The graphs of a step, planned by `device`.
///
/// # Errors
/// If models, data and recipe don't fit together, or there is no room for them.
pub(crate) fn planned_graphs(
    device: &dyn Device,
    task: &dyn Task,
    models: &Models,
    recipe: &Recipe,
    source: &BatchSource,
) -> Result<Vec<PhaseGraphs<PlannedGraph>>> {
    let graphs = training_graphs(task, models, recipe, source)?;
    graphs.into_iter().map(|phase| phase.plan(device)).collect()
}

/// The gradients `own` without their part along those of `opposed`, and without `strength` times these (Zhang et al. 2018).
fn against<'g>(own: Vec<Var<'g>>, opposed: Vec<Var<'g>>, strength: f64) -> Result<Vec<Var<'g>>> {
    let product = |a: &[Var<'g>], b: &[Var<'g>]| -> Result<Option<Var<'g>>> {
        let mut sum: Option<Var<'g>> = None;
        for (a, b) in a.iter().zip(b) {
            let own = a.mul(*b)?.sum_all()?;
            sum = Some(sum.map_or(Ok(own), |sum| sum.add(own))?);
        }
        Ok(sum)
    };
    let (Some(along), Some(length)) = (product(&own, &opposed)?, product(&opposed, &opposed)?)
    else {
        return Ok(own);
    };
    let builder = length.builder();
    // An adversary without a gradient opposes nothing.
    let share = along.div(length.maximum(builder.constant(1e-30))?)?;
    let share = share.add(builder.constant(strength))?;
    let turned = own.iter().zip(&opposed);
    turned
        .map(|(own, opposed)| own.sub(opposed.mul(share)?))
        .collect()
}

/// The name of the counter of samples whose gradients were clipped.
pub(crate) const CLIPPED: &str = "clipped";

/// The sums of the clipped gradients of the samples of a private step.
fn clipped<'g>(
    task: &dyn Task,
    step: &StepGraph<'g, '_>,
    objective: Objective<'g>,
    parameters: &[Var<'g>],
    private: &PrivateSteps,
) -> Result<Vec<Var<'g>>> {
    let losses = objective.losses.ok_or_else(|| {
        Error::Config(format!(
            "the task {} has no loss of its own for each sample, so it can't be trained privately; leave [privacy] out",
            task.registered().name
        ))
    })?;
    let found = clipped_gradients(losses, parameters, &step.batch.loaded(), private.clip)?;
    let bound = losses.builder().constant(private.clip * private.clip);
    step.count(CLIPPED, found.squared_norms.gt(bound)?.sum_all()?)?;
    Ok(found.sums)
}

/// Gradients of a private step: the mean of the clipped ones, by the mean number of samples, with normal noise from the run's seed and the
/// number of the step.
fn with_noise<'g>(
    builder: &'g Builder,
    grads: Vec<Var<'g>>,
    private: &PrivateSteps,
    seed: u64,
) -> Result<Vec<Var<'g>>> {
    /// The streams of normal numbers of the models begin at 0.
    const FIRST_STREAM: u32 = 1 << 31;
    let step = builder.input("step", TensorType::u32([]));
    let deviation = private.noise * private.clip;
    let noisy = |(stream, grad): (u32, Var<'g>)| {
        let grad = grad.gaussian_noise(step, deviation, seed, FIRST_STREAM + stream)?;
        grad.scale(1.0 / private.expected as f64)
    };
    (0..).zip(grads).map(noisy).collect()
}

/// The divisor of accumulated losses, among the accumulated gradients.
const WEIGHT: &str = "weight";

/// The scale of the loss of a phase, where gradients are 16-bit floats of IEEE 754.
fn loss_scale<'g>(
    builder: &'g Builder,
    recipe: &Recipe,
    phase: &str,
) -> Result<Option<LossScale<'g>>> {
    match recipe.precision {
        Precision::Mixed => LossScale::new(builder, phase).map(Some),
        Precision::Float32 | Precision::MixedBfloat16 => Ok(None),
    }
}

/// The parameters that the optimizer trains, in its order.
fn variables<'g>(
    builder: &'g Builder,
    optimizer: &OptimizerInstance,
    parameters: &[(String, TensorType)],
) -> Result<Vec<(String, Var<'g>)>> {
    optimizer
        .trained()
        .filter_map(|name| parameters.iter().find(|(known, _)| *known == *name))
        .map(|(name, ty)| Ok((name.clone(), builder.variable(name, ty.clone())?)))
        .collect()
}

/// Adds the update of the parameters with `grads`, which are those of a loss that was multiplied by `scale`.
fn apply<'g>(
    builder: &'g Builder,
    recipe: &Recipe,
    optimizer: &OptimizerInstance,
    weights: &[(String, Var<'g>)],
    scale: Option<LossScale<'g>>,
    grads: Vec<Var<'g>>,
) -> Result<()> {
    let update = |grads| apply_unscaled(builder, recipe, optimizer, weights, grads);
    match scale {
        Some(scale) => scale.guard(&grads, update),
        None => update(grads),
    }
}

/// Clips the gradients and adds the update of the parameters.
fn apply_unscaled<'g>(
    builder: &'g Builder,
    recipe: &Recipe,
    optimizer: &OptimizerInstance,
    weights: &[(String, Var<'g>)],
    mut grads: Vec<Var<'g>>,
) -> Result<()> {
    if let Some(norm) = recipe.clip_norm {
        grads = clip_grad_norm(&grads, norm)?;
    }
    let _scope = builder.scope("optimizer");
    optimizer.apply(builder, weights, &grads)?;
    match &recipe.average {
        Some(average) => average.apply(builder, weights),
        None => Ok(()),
    }
}

/// The update from accumulated gradients, which are reset to zero.
fn update_graph(
    recipe: &Recipe,
    optimizer: &OptimizerInstance,
    parameters: &[(String, TensorType)],
    phase: &str,
    weighted: bool,
) -> Result<Graph> {
    let builder = Builder::new();
    let weights = variables(&builder, optimizer, parameters)?;
    let zero = |variable: Var<'_>| -> Result<()> {
        let zeros = builder.constant(0.0).broadcast_to(&variable.shape())?;
        builder.update(variable, zeros)
    };
    let divisor = match weighted {
        true => {
            let sum = builder.variable(&accumulated(phase, WEIGHT), TensorType::f32([]))?;
            zero(sum)?;
            Some(sum.maximum(builder.constant(1e-30))?)
        }
        false => None,
    };
    let mut grads = Vec::with_capacity(weights.len());
    for (name, weight) in &weights {
        let sum = builder.variable(&accumulated(phase, name), weight.ty())?;
        zero(sum)?;
        grads.push(match divisor {
            Some(divisor) => sum.div(divisor)?,
            None => sum,
        });
    }
    if let Some(private) = &recipe.privacy {
        grads = with_noise(&builder, grads, private, recipe.seed)?;
    }
    let scale = loss_scale(&builder, recipe, phase)?;
    apply(&builder, recipe, optimizer, &weights, scale, grads)?;
    builder.finish()
}

/// One evaluation step: batch, loss, counters for metrics, and the task's outputs. Scalar inputs: `cursor` (for data on the
/// device), `valid`.
///
/// # Errors
/// If models and data don't fit together.
pub fn evaluation_graph(task: &dyn Task, models: &Models, source: &BatchSource) -> Result<Graph> {
    let builder = Builder::new();
    let batch = source.batch(&builder);
    let mut step = StepGraph::new(batch, Forward::evaluation(&builder), models);
    let objective = task.evaluate(&mut step)?;
    step.count("loss", objective.sum)?;
    if let Some(weight) = objective.weight {
        step.count("weight", weight)?;
    }
    step.forward.finish()?;
    builder.finish()
}

/// One prediction step: the task's outputs from inputs alone. Scalar inputs: `cursor`, `valid`, if they are used.
///
/// # Errors
/// If models and data don't fit together.
pub fn prediction_graph(task: &dyn Task, models: &Models, source: &BatchSource) -> Result<Graph> {
    let builder = Builder::new();
    let batch = source.batch(&builder);
    let mut step = StepGraph::new(batch, Forward::evaluation(&builder), models);
    task.predict(&mut step)?;
    step.forward.finish()?;
    builder.finish()
}

/// The bytes of an image, as numbers, of a set on the device with images of this shape. Scalar inputs: `cursor`, `valid`.
///
/// # Errors
/// If a node can't be built.
pub(super) fn picture_graph(set: &SetLayout, shape: &[usize]) -> Result<Graph> {
    let channels = shape.last().copied().unwrap_or(1);
    let bytes = Normalization {
        mean: &vec![0.0; channels],
        std: &vec![1.0 / 255.0; channels],
    };
    let layout = SetLayout::new(&set.set, set.samples, 1).bytes(field::IMAGE, shape, bytes);
    let builder = Builder::new();
    let batch = Batch::of_set(&builder, &layout);
    builder.output(field::IMAGE, batch.field(field::IMAGE)?);
    builder.finish()
}

/// Whether the variable `name` holds accumulated gradients.
pub(super) fn is_accumulated(name: &str) -> bool {
    name.contains(GRADIENT)
}

//! A step under construction, from which a task builds its nodes.

use super::models::Models;
use crate::data::{Batch, field};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::nn::{DecodeStep, Forward, Mode, Training};
use crate::tensor::TensorType;
use std::cell::OnceCell;

/// Prefix of the names of the variables that accumulate metrics. No layer's name contains a colon, so no parameter has this prefix.
const COUNTERS: &str = "metrics:";

/// Random bits of each number of [`StepGraph::uniform`]: as many as an `f32` holds exactly.
const UNIFORM_BITS: i32 = 24;

/// The variable of [`StepGraph::carried`]. No layer's name contains a colon.
pub(crate) const CARRIED: &str = "draw:carried";

/// Names of variables that accumulate metrics.
pub(crate) struct StepGraphCounters;

impl StepGraphCounters {
    /// Whether the variable `name` is one of them.
    pub fn is_one(name: &str) -> bool {
        name.starts_with(COUNTERS)
    }

    /// The name of the variable of the counter `short`.
    pub fn full(short: &str) -> String {
        format!("{COUNTERS}{short}")
    }

    /// The name without the prefix.
    pub fn short(name: &str) -> &str {
        name.strip_prefix(COUNTERS).unwrap_or(name)
    }
}

/// A step under construction: batch, models and counters.
pub struct StepGraph<'g, 'a> {
    builder: &'g Builder,
    /// The samples of the step.
    pub batch: Batch<'g>,
    /// The forward passes: mode, random streams, updates of buffers.
    pub forward: Forward<'g>,
    models: &'a Models,
    number: OnceCell<Var<'g>>,
    noise_seed: u64,
    opposed: Option<(Objective<'g>, f64)>,
}

impl<'g, 'a> StepGraph<'g, 'a> {
    /// A step with these models.
    pub fn new(batch: Batch<'g>, forward: Forward<'g>, models: &'a Models) -> StepGraph<'g, 'a> {
        StepGraph {
            builder: forward.builder(),
            batch,
            forward,
            models,
            number: OnceCell::new(),
            noise_seed: 0,
            opposed: None,
        }
    }

    /// Turns the step of the phase against an objective that another phase lowers: its gradient's part along that of the loss is taken
    /// off the gradient of the loss, and `strength` times the whole of it.
    pub fn oppose(&mut self, objective: Objective<'g>, strength: f64) {
        self.opposed = Some((objective, strength));
    }

    /// The objective of [`StepGraph::oppose`], with the strength.
    pub(crate) fn opposed(&self) -> Option<(Objective<'g>, f64)> {
        self.opposed
    }

    /// Sets the seed of the noise outside of training.
    #[must_use]
    pub fn with_noise_seed(mut self, seed: u64) -> StepGraph<'g, 'a> {
        self.noise_seed = seed;
        self
    }

    /// The graph.
    pub fn builder(&self) -> &'g Builder {
        self.builder
    }

    /// The models.
    pub fn models(&self) -> &'a Models {
        self.models
    }

    /// The details of a training step; `None` in an evaluation.
    pub fn training(&self) -> Option<Training<'g>> {
        match self.forward.mode() {
            Mode::Train(training) => Some(training),
            Mode::Eval => None,
        }
    }

    /// Number of the step from 0, a scalar u32: the training step, or the batch in a pass over a set.
    pub fn number(&self) -> Var<'g> {
        match self.training() {
            Some(training) => training.step,
            None => *self
                .number
                .get_or_init(|| self.builder.input("step", TensorType::u32([]))),
        }
    }

    /// Standard normal numbers, `[batch, ...sample]`, drawn anew for every step. In training they follow from the run's seed, and
    /// the phases of a step draw the same numbers in the same order; otherwise from the seed 0, or that of
    /// [`StepGraph::with_noise_seed`].
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn noise(&mut self, sample: &[usize]) -> Result<Var<'g>> {
        let seed = self
            .training()
            .map_or(self.noise_seed, |training| training.seed);
        let stream = self.forward.noise_stream();
        let shape = [&[self.batch.size()], sample].concat().into();
        let zeros = self.builder.constant(0.0).broadcast_to(&shape)?;
        zeros.gaussian_noise(self.number(), 1.0, seed, stream)
    }

    /// Random numbers from 0 to 1, below 1, `[batch, ...sample]`, drawn anew for every step, with the same bits on every device: each
    /// is a sum of powers of two, which are included with probability one half. [`StepGraph::noise`] differs between devices by
    /// rounding, so that nothing discrete can be decided by it. In training they follow from the run's seed, otherwise from 0.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn uniform(&mut self, sample: &[usize]) -> Result<Var<'g>> {
        let builder = self.builder;
        let seed = self.training().map_or(0, |training| training.seed);
        let stream = self.forward.dropout_stream();
        let shape = [&[self.batch.size()], sample, &[UNIFORM_BITS as usize]].concat();
        let ones = builder.constant(1.0).broadcast_to(&shape.into())?;
        // 0 or 2.
        let coins = ones.dropout(self.number(), 0.5, seed, stream)?;
        let weights = (0..UNIFORM_BITS)
            .map(|bit| builder.constant(0.5f64.powi(bit + 2)).reshape([1]))
            .collect::<Result<Vec<_>>>()?;
        coins
            .mul(Var::concat(&weights, 0)?)?
            .sum(&[sample.len() + 1])
    }

    /// The classes of the samples as rows: 1 for the class of a sample and 0 for the other ones, `[batch, classes]`.
    ///
    /// # Errors
    /// If samples have no class.
    pub fn one_hot(&self, classes: usize) -> Result<Var<'g>> {
        self.one_hot_of(self.batch.field(field::LABEL)?, classes)
    }

    /// The same of other numbers below `classes`, u32 `[batch]`.
    ///
    /// # Errors
    /// If they are not one for each sample.
    pub fn one_hot_of(&self, numbers: Var<'g>, classes: usize) -> Result<Var<'g>> {
        let label = numbers.to_float()?.reshape([self.batch.size(), 1])?;
        let columns = (0..classes)
            .map(|class| label.eq(self.builder.constant(class as f64)))
            .collect::<Result<Vec<_>>>()?;
        Var::concat(&columns, 1)
    }

    /// Runs the model of a role and returns its outputs.
    ///
    /// # Errors
    /// If there is none, or a node can't be built.
    pub fn run(&mut self, role: &str, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        self.models.get(role)?.forward(&mut self.forward, inputs)
    }

    /// Runs the model of a role that another phase trains. As in [`StepGraph::run`] it normalises by the statistics of the batch in
    /// training, but its running statistics are not updated.
    ///
    /// # Errors
    /// If there is none, or a node can't be built.
    pub fn run_without_updates(&mut self, role: &str, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        let model = self.models.get(role)?;
        self.forward
            .without_buffers(|forward| model.forward(forward, inputs))
    }

    /// Runs the only model on `x` and returns its first output.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn run_first(&mut self, x: &[Var<'g>]) -> Result<Var<'g>> {
        let outputs = self.models.first()?.forward(&mut self.forward, x)?;
        let first = outputs.first().copied();
        first.ok_or_else(|| Error::Graph("the model has no output".to_string()))
    }

    /// Keeps what the only model reads of its other inputs while it writes the sequences of `input` token by token, for the
    /// [`SequenceDecoding`](super::SequenceDecoding) of the batch.
    ///
    /// # Errors
    /// If the model can't decode, or a node can't be built.
    pub fn remember(&mut self, input: &str) -> Result<()> {
        let model = self.models.first()?;
        let others = model.inputs().iter().filter(|known| known.name != input);
        let others = others.map(|known| Ok((&*known.name, self.batch.field(&known.name)?)));
        let others = others.collect::<Result<Vec<_>>>()?;
        for (name, value) in model.memory(&mut self.forward, input, &others)? {
            let variable = DecodeStep::variable(&name);
            let variable = self.builder.variable(&variable, value.ty())?;
            self.builder.update(variable, value)?;
        }
        Ok(())
    }

    /// `x` with each element set to zero with probability `rate`, and the others scaled by `1 / (1 - rate)`: drawn anew in every
    /// training step, but the same in every evaluation pass, so that epochs can be compared.
    ///
    /// # Errors
    /// If the rate is not in [0, 1), or `x` is not a float tensor.
    pub fn dropout(&mut self, x: Var<'g>, rate: f64) -> Result<Var<'g>> {
        let stream = self.forward.dropout_stream();
        match self.forward.mode() {
            Mode::Train(training) => x.dropout(training.step, rate, training.seed, stream),
            Mode::Eval => x.dropout(self.batch.valid(), rate, 0, stream),
        }
    }

    /// Adds `value` to the counter `name` ([`Counters`](super::Counters)).
    ///
    /// # Errors
    /// If the counter has another type.
    pub fn count(&self, name: &str, value: Var<'g>) -> Result<()> {
        let total = self
            .builder
            .variable(&format!("{COUNTERS}{name}"), value.ty())?;
        self.builder.update(total, total.add(value)?)
    }

    /// What the passes of a drawing hand on to each other ([`Task::draw_passes`](super::Task::draw_passes)): a variable `[batch,
    /// ...sample]`, zeros before the first pass. [`Builder::update`] sets it.
    ///
    /// # Errors
    /// If it has another type already.
    pub fn carried(&self, sample: &[usize]) -> Result<Var<'g>> {
        let shape = [&[self.batch.size()], sample].concat();
        self.builder.variable(CARRIED, TensorType::f32(shape))
    }

    /// Makes `value`, `[batch, ...]`, an output called `name`, which can be read after a step.
    pub fn output(&self, name: &str, value: Var<'g>) {
        self.builder.output(name, value);
    }
}

/// The objective of a phase: a sum over the valid samples of the batch, divided by their number or by the sum of their weights.
#[derive(Clone, Copy)]
pub struct Objective<'g> {
    /// The sum, a scalar.
    pub sum: Var<'g>,
    /// The divisor, a scalar; the number of valid samples if absent.
    pub weight: Option<Var<'g>>,
    /// The terms of the sum, `[batch]`, if there is one for each sample: what private training needs.
    pub losses: Option<Var<'g>>,
}

impl<'g> Objective<'g> {
    /// The mean of `losses`, `[batch]`, which are 0 for padding samples.
    ///
    /// # Errors
    /// If they are not floats.
    pub fn mean_of(losses: Var<'g>) -> Result<Objective<'g>> {
        Ok(Objective {
            sum: losses.sum_all()?,
            weight: None,
            losses: Some(losses),
        })
    }

    /// The weighted mean of `losses`, which have already been multiplied by `weights`.
    ///
    /// # Errors
    /// If they are not floats.
    pub fn weighted_mean(losses: Var<'g>, weights: Option<Var<'g>>) -> Result<Objective<'g>> {
        Ok(Objective {
            sum: losses.sum_all()?,
            weight: weights.map(|weights| weights.sum_all()).transpose()?,
            losses: Some(losses),
        })
    }

    /// The quotient; `inverse_valid` is one over the number of valid samples.
    ///
    /// # Errors
    /// If the types don't fit.
    pub fn mean(&self, inverse_valid: Var<'g>) -> Result<Var<'g>> {
        match self.weight {
            None => self.sum.mul(inverse_valid),
            Some(weight) => {
                // If all samples belong to classes with weight 0, the loss is 0, not 0 / 0.
                let least = self.sum.builder().constant(1e-30);
                self.sum.div(weight.maximum(least)?)
            }
        }
    }
}

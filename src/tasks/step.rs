//! A step under construction: what a task builds its nodes from.

use super::models::Models;
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::nn::{Forward, Mode, Training};
use crate::tensor::TensorType;
use std::cell::OnceCell;

/// Names of the variables that metrics are counted in begin with this. No layer's name holds a colon, so no parameter is taken
/// for one.
const COUNTERS: &str = "metrics:";

/// The names of variables in which metrics are counted.
pub(crate) struct StepGraphCounters;

impl StepGraphCounters {
    /// Whether the variable `name` is one.
    pub fn is_one(name: &str) -> bool {
        name.starts_with(COUNTERS)
    }

    /// What it counts.
    pub fn short(name: &str) -> &str {
        name.strip_prefix(COUNTERS).unwrap_or(name)
    }
}

/// A step under construction: its batch, its models, and what it counts.
pub struct StepGraph<'g, 'a> {
    builder: &'g Builder,
    /// The samples of the step.
    pub batch: Batch<'g>,
    /// The forward passes: mode, random streams, updates of buffers.
    pub forward: Forward<'g>,
    models: &'a Models,
    number: OnceCell<Var<'g>>,
    noise_seed: u64,
}

impl<'g, 'a> StepGraph<'g, 'a> {
    /// A step of these models.
    pub fn new(batch: Batch<'g>, forward: Forward<'g>, models: &'a Models) -> StepGraph<'g, 'a> {
        StepGraph {
            builder: forward.builder(),
            batch,
            forward,
            models,
            number: OnceCell::new(),
            noise_seed: 0,
        }
    }

    /// The same, with noise of this seed where it is not that of a training.
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

    /// What is known of a training step; `None` in an evaluation.
    pub fn training(&self) -> Option<Training<'g>> {
        match self.forward.mode() {
            Mode::Train(training) => Some(training),
            Mode::Eval => None,
        }
    }

    /// Number of the step, from 0, a scalar u32: of the training, or of the batch in a pass over a set.
    pub fn number(&self) -> Var<'g> {
        match self.training() {
            Some(training) => training.step,
            None => *self
                .number
                .get_or_init(|| self.builder.input("step", TensorType::u32([]))),
        }
    }

    /// Standard normal numbers, `[batch, ...sample]`, anew for every step. In a training they follow from the run's seed, and the
    /// phases of a step draw the same ones in the same order; elsewhere from the seed 0, or that of [`StepGraph::with_noise_seed`].
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

    /// Runs the model of a role: one result for each of its outputs.
    ///
    /// # Errors
    /// If there is none, or a node can't be built.
    pub fn run(&mut self, role: &str, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        self.models.get(role)?.forward(&mut self.forward, inputs)
    }

    /// Runs the model of a role that another phase trains: in a training by the statistics of the batch, as [`StepGraph::run`],
    /// but its running statistics stay.
    ///
    /// # Errors
    /// If there is none, or a node can't be built.
    pub fn run_unmoved(&mut self, role: &str, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        let model = self.models.get(role)?;
        self.forward
            .without_buffers(|forward| model.forward(forward, inputs))
    }

    /// Runs the only model on `x`: its first output.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn run_first(&mut self, x: &[Var<'g>]) -> Result<Var<'g>> {
        let outputs = self.models.first()?.forward(&mut self.forward, x)?;
        let first = outputs.first().copied();
        first.ok_or_else(|| Error::Graph("the model has no output".to_string()))
    }

    /// `x` with each element zero with probability `rate`, and what stays scaled by `1 / (1 - rate)`: in training anew at every
    /// step, in an evaluation the same in every pass, so that epochs can be compared.
    ///
    /// # Errors
    /// If the rate is not in [0, 1), or `x` is no float tensor.
    pub fn dropout(&mut self, x: Var<'g>, rate: f64) -> Result<Var<'g>> {
        let stream = self.forward.dropout_stream();
        match self.forward.mode() {
            Mode::Train(training) => x.dropout(training.step, rate, training.seed, stream),
            Mode::Eval => x.dropout(self.batch.valid(), rate, 0, stream),
        }
    }

    /// Adds `value` to what is counted as `name` ([`Counters`](super::Counters)).
    ///
    /// # Errors
    /// If it was counted with another type before.
    pub fn count(&self, name: &str, value: Var<'g>) -> Result<()> {
        let total = self
            .builder
            .variable(&format!("{COUNTERS}{name}"), value.ty())?;
        self.builder.update(total, total.add(value)?)
    }

    /// Lets the caller read `value`, `[batch, ...]`, under `name` after a step.
    pub fn output(&self, name: &str, value: Var<'g>) {
        self.builder.output(name, value);
    }
}

/// What a phase minimises: a sum over the samples of the batch that count, divided by how many they are or by their weights.
#[derive(Clone, Copy)]
pub struct Objective<'g> {
    /// The sum, one number.
    pub sum: Var<'g>,
    /// What it is divided by, one number; the samples that count if absent.
    pub weight: Option<Var<'g>>,
}

impl<'g> Objective<'g> {
    /// The mean of `losses`, `[batch]`, which are 0 for samples that do not count.
    ///
    /// # Errors
    /// If they are no numbers.
    pub fn mean_of(losses: Var<'g>) -> Result<Objective<'g>> {
        Ok(Objective {
            sum: losses.sum_all()?,
            weight: None,
        })
    }

    /// The mean of `losses`, which are multiplied by `weights`, over these.
    ///
    /// # Errors
    /// If they are no numbers.
    pub fn weighted_mean(losses: Var<'g>, weights: Option<Var<'g>>) -> Result<Objective<'g>> {
        Ok(Objective {
            sum: losses.sum_all()?,
            weight: weights.map(|weights| weights.sum_all()).transpose()?,
        })
    }

    /// The quotient, where one over the number of samples that count is `inverse_valid`.
    ///
    /// # Errors
    /// If the types don't fit.
    pub fn mean(&self, inverse_valid: Var<'g>) -> Result<Var<'g>> {
        match self.weight {
            None => self.sum.mul(inverse_valid),
            Some(weight) => {
                // Where every sample is of a class without weight the loss is 0, not 0 / 0.
                let least = self.sum.builder().constant(1e-30);
                self.sum.div(weight.maximum(least)?)
            }
        }
    }
}

//! The context of building forward passes in one graph: for training or for use, random streams, updates of buffers.

use crate::error::Result;
use crate::graph::{Builder, Var};
use std::collections::BTreeSet;

/// Whether a model is built for training or for use.
#[derive(Clone, Copy)]
pub enum Mode<'g> {
    /// Dropout drops, batch statistics are those of the batch.
    Train(Training<'g>),
    /// Nothing is random, and samples do not see each other.
    Eval,
}

/// What layers need to know of a training step.
#[derive(Clone, Copy)]
pub struct Training<'g> {
    /// Number of the step: a scalar input of type u32.
    pub step: Var<'g>,
    /// Samples of the batch that count: a scalar input of type u32.
    pub valid: Var<'g>,
    /// One over that: a scalar input of type f32.
    pub inverse_valid: Var<'g>,
    /// Seed of the run.
    pub seed: u64,
}

/// Forward passes in one graph. Every pass of a training graph goes through the same one, so that two passes get different
/// random numbers, and each moves the buffers on from where the one before it left them. After the last pass
/// [`finish`](Forward::finish) adds the updates of the buffers to the graph.
pub struct Forward<'g> {
    builder: &'g Builder,
    mode: Mode<'g>,
    dropout_streams: u32,
    augment_streams: u32,
    noise_streams: u32,
    /// Names of parameters that are not trained.
    frozen: BTreeSet<String>,
    /// Variables with their next values, in the order in which they were first set.
    buffers: Vec<(Var<'g>, Var<'g>)>,
}

impl<'g> Forward<'g> {
    /// Passes of a training step.
    pub fn training(builder: &'g Builder, training: Training<'g>) -> Forward<'g> {
        Forward::new(builder, Mode::Train(training))
    }

    /// Passes for use: evaluation, prediction, or a model that another one learns from.
    pub fn evaluation(builder: &'g Builder) -> Forward<'g> {
        Forward::new(builder, Mode::Eval)
    }

    fn new(builder: &'g Builder, mode: Mode<'g>) -> Forward<'g> {
        Forward {
            builder,
            mode,
            dropout_streams: 0,
            augment_streams: 0,
            noise_streams: 0,
            frozen: BTreeSet::new(),
            buffers: Vec::new(),
        }
    }

    /// The graph.
    pub fn builder(&self) -> &'g Builder {
        self.builder
    }

    /// For training or for use.
    pub fn mode(&self) -> Mode<'g> {
        self.mode
    }

    /// Whether it is for training.
    pub fn is_training(&self) -> bool {
        matches!(self.mode, Mode::Train(_))
    }

    /// The same passes with parameters that are not trained: a batch normalisation whose weight is among them normalises by its
    /// running statistics, which stay, as Keras' does with `trainable = False`.
    #[must_use]
    pub fn with_frozen(mut self, names: impl IntoIterator<Item = String>) -> Forward<'g> {
        self.frozen = names.into_iter().collect();
        self
    }

    /// Whether the parameter `name` is not trained.
    pub fn is_frozen(&self, name: &str) -> bool {
        self.frozen.contains(name)
    }

    /// The number of a random stream of dropout that no other layer of any pass has: 0, 1, 2, …
    pub fn dropout_stream(&mut self) -> u32 {
        next(&mut self.dropout_streams)
    }

    /// The number of a random stream of augmentation that no other change of any pass has: 0, 1, 2, …
    pub fn augment_stream(&mut self) -> u32 {
        next(&mut self.augment_streams)
    }

    /// The number of a random stream of noise that no other addition of noise in any pass has: 0, 1, 2, …
    pub fn noise_stream(&mut self) -> u32 {
        next(&mut self.noise_streams)
    }

    /// What the buffer `variable` holds after the passes so far: the value that it was last set to, or the variable itself.
    pub fn buffer(&self, variable: Var<'g>) -> Var<'g> {
        let set = self.buffers.iter().find(|(v, _)| v.id() == variable.id());
        set.map_or(variable, |&(_, value)| value)
    }

    /// Sets the buffer `variable` to `value` after the step, in place of what an earlier pass set it to.
    pub fn set_buffer(&mut self, variable: Var<'g>, value: Var<'g>) {
        let mut buffers = self.buffers.iter_mut();
        match buffers.find(|(v, _)| v.id() == variable.id()) {
            Some((_, pending)) => *pending = value,
            None => self.buffers.push((variable, value)),
        }
    }

    /// Runs `pass`, which leaves the buffers as they were before it: a model whose statistics belong to another phase of the step.
    ///
    /// # Errors
    /// That of `pass`.
    pub fn without_buffers<T>(&mut self, pass: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = self.buffers.clone();
        let result = pass(self);
        self.buffers = before;
        result
    }

    /// Adds one update for each buffer that was set.
    ///
    /// # Errors
    /// If a value is not of its buffer's type.
    pub fn finish(self) -> Result<()> {
        let mut buffers = self.buffers.into_iter();
        buffers.try_for_each(|(variable, value)| self.builder.update(variable, value))
    }
}

fn next(count: &mut u32) -> u32 {
    let stream = *count;
    *count += 1;
    stream
}

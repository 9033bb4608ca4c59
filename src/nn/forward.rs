//! The context for building forward passes in one graph: mode (training or inference), random streams, updates of buffers.

use super::decoding::{DecodeStart, DecodeStep};
use super::layers::TimePoolKind;
use super::observed::{Observed, ObservedAttention};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use std::collections::BTreeSet;

/// Whether a model is built for training or inference.
#[derive(Clone, Copy)]
pub enum Mode<'g> {
    /// Dropout is active, and batch normalization uses the statistics of the batch.
    Train(Training<'g>),
    /// Nothing is random, and samples are independent.
    Eval,
}

/// Scalars of a training step for layers.
#[derive(Clone, Copy)]
pub struct Training<'g> {
    /// Number of the step: a scalar input of type u32.
    pub step: Var<'g>,
    /// Number of valid samples of the batch: a scalar input of type u32.
    pub valid: Var<'g>,
    /// Its reciprocal: a scalar input of type f32.
    pub inverse_valid: Var<'g>,
    /// Seed of the run.
    pub seed: u64,
}

/// Which positions of its sequences a pass is over.
#[derive(Clone, Copy)]
enum Positions<'g> {
    /// All.
    All,
    /// All, and it keeps what decoding needs of them.
    Kept(DecodeStart<'g>),
    /// The one that is decoded.
    One(DecodeStep<'g>),
}

/// Forward passes in one graph. All passes of a training graph share one, so that they get different random numbers, and each
/// updates the buffers as the previous one left them. After the last pass [`finish`](Forward::finish) adds the updates of the
/// buffers to the graph.
pub struct Forward<'g> {
    builder: &'g Builder,
    mode: Mode<'g>,
    dropout_streams: u32,
    augment_streams: u32,
    noise_streams: u32,
    /// Names of parameters that are not trained.
    frozen: BTreeSet<String>,
    /// Which positions of sequences it is over.
    positions: Positions<'g>,
    /// Variables with their next values, in the order in which they were first set.
    buffers: Vec<(Var<'g>, Var<'g>)>,
    /// What explanations look at, if this is a pass for them.
    observed: Option<Observed<'g>>,
}

impl<'g> Forward<'g> {
    /// Passes of a training step.
    pub fn training(builder: &'g Builder, training: Training<'g>) -> Forward<'g> {
        Forward::new(builder, Mode::Train(training))
    }

    /// Passes for inference: evaluation, prediction, or a teacher model.
    pub fn evaluation(builder: &'g Builder) -> Forward<'g> {
        Forward::new(builder, Mode::Eval)
    }

    /// A pass for inference that keeps what explanations look at in `observed`.
    pub fn observing(builder: &'g Builder, observed: Observed<'g>) -> Forward<'g> {
        let mut forward = Forward::evaluation(builder);
        forward.observed = Some(observed);
        forward
    }

    /// What was kept for explanations, if this is a pass for them.
    pub fn observed(&self) -> Option<&Observed<'g>> {
        self.observed.as_ref()
    }

    /// The vectors `whole` of an embedding layer, as the other layers take them.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn embedded(&mut self, whole: Var<'g>) -> Result<Var<'g>> {
        match &mut self.observed {
            Some(observed) => observed.embedding(whole),
            None => Ok(whole),
        }
    }

    /// Keeps what an attention layer reads, if this is a pass for explanations.
    pub fn attends(&mut self, attention: impl FnOnce() -> ObservedAttention<'g>) {
        if let Some(observed) = &mut self.observed {
            observed.attention.push(attention());
        }
    }

    /// Keeps how a sequence becomes one row, if this is a pass for explanations.
    pub fn pools(&mut self, by: TimePoolKind) {
        if let Some(observed) = &mut self.observed {
            observed.pooling = Some(by);
        }
    }

    /// A pass for inference over one position of the sequences that are decoded.
    pub fn decoding(builder: &'g Builder, step: DecodeStep<'g>) -> Forward<'g> {
        let mut forward = Forward::evaluation(builder);
        forward.positions = Positions::One(step);
        forward
    }

    /// A pass for inference over all positions, from which sequences are decoded.
    pub fn decoding_from(builder: &'g Builder, start: DecodeStart<'g>) -> Forward<'g> {
        let mut forward = Forward::evaluation(builder);
        forward.positions = Positions::Kept(start);
        forward
    }

    fn new(builder: &'g Builder, mode: Mode<'g>) -> Forward<'g> {
        Forward {
            builder,
            mode,
            dropout_streams: 0,
            augment_streams: 0,
            noise_streams: 0,
            frozen: BTreeSet::new(),
            positions: Positions::All,
            buffers: Vec::new(),
            observed: None,
        }
    }

    /// The graph.
    pub fn builder(&self) -> &'g Builder {
        self.builder
    }

    /// The mode.
    pub fn mode(&self) -> Mode<'g> {
        self.mode
    }

    /// The position that is decoded, if this is such a pass.
    pub fn decode_step(&self) -> Option<DecodeStep<'g>> {
        match self.positions {
            Positions::One(step) => Some(step),
            Positions::All | Positions::Kept(_) => None,
        }
    }

    /// What the layer `name` keeps of every position, `[sequences, positions, width]`, with `value`, `[sequences, 1, width]`, at the
    /// position that is decoded. It is a variable that the step updates ([`DecodeStep::variable`]).
    ///
    /// # Errors
    /// If nothing is decoded, or a node can't be built.
    pub fn remembered(&mut self, name: &str, value: Var<'g>) -> Result<Var<'g>> {
        let step = self
            .decode_step()
            .ok_or_else(|| Error::Graph(format!("{name} keeps positions, but none are decoded")))?;
        step.remembered(name, value)
    }

    /// Keeps what decoding needs of the layer `name`, `values()` of all positions, `[sequences, positions, width]`, if this is a pass
    /// from which sequences are decoded.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn keep(&mut self, name: &str, values: impl FnOnce() -> Result<Var<'g>>) -> Result<()> {
        match self.positions {
            Positions::Kept(start) => start.keep(name, values()?),
            Positions::All | Positions::One(_) => Ok(()),
        }
    }

    /// Whether it is for training.
    pub fn is_training(&self) -> bool {
        matches!(self.mode, Mode::Train(_))
    }

    /// Sets the parameters that are frozen: a batch normalisation whose weight is among them normalises by its running statistics
    /// and does not update them, as in Keras with `trainable = False`.
    #[must_use]
    pub fn with_frozen(mut self, names: impl IntoIterator<Item = String>) -> Forward<'g> {
        self.frozen = names.into_iter().collect();
        self
    }

    /// Whether the parameter `name` is not trained.
    pub fn is_frozen(&self, name: &str) -> bool {
        self.frozen.contains(name)
    }

    /// The number of a random stream for dropout, unique among the layers of all passes: 0, 1, 2, …
    pub fn dropout_stream(&mut self) -> u32 {
        next(&mut self.dropout_streams)
    }

    /// The number of a random stream for augmentation, unique in all passes: 0, 1, 2, …
    pub fn augment_stream(&mut self) -> u32 {
        next(&mut self.augment_streams)
    }

    /// The number of a random stream for noise, unique in all passes: 0, 1, 2, …
    pub fn noise_stream(&mut self) -> u32 {
        next(&mut self.noise_streams)
    }

    /// The value of the buffer `variable` after the passes so far: the last one set, or the variable itself.
    pub fn buffer(&self, variable: Var<'g>) -> Var<'g> {
        let set = self.buffers.iter().find(|(v, _)| v.id() == variable.id());
        set.map_or(variable, |&(_, value)| value)
    }

    /// Sets the buffer `variable` to `value` after the step, overriding earlier passes.
    pub fn set_buffer(&mut self, variable: Var<'g>, value: Var<'g>) {
        let mut buffers = self.buffers.iter_mut();
        match buffers.find(|(v, _)| v.id() == variable.id()) {
            Some((_, pending)) => *pending = value,
            None => self.buffers.push((variable, value)),
        }
    }

    /// Runs `pass` without changes to the buffers, for a model whose statistics belong to another phase of the step.
    ///
    /// # Errors
    /// That of `pass`.
    pub fn without_buffers<T>(&mut self, pass: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = self.buffers.clone();
        let result = pass(self);
        self.buffers = before;
        result
    }

    /// Adds the updates of all buffers that were set.
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

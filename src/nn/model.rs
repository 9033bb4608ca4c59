//! What every model is to a run: inputs, outputs, parameters, and a forward pass.

use super::forward::Forward;
use super::input::InputSpec;
use super::parameter::Parameter;
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::Var;
use std::fmt::Debug;

/// An input of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInput {
    /// Name among the model's inputs; `input` where it has one alone and does not name it.
    pub name: String,
    /// What a sample is.
    pub spec: InputSpec,
}

/// A result of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOutput {
    /// Name among the model's outputs; `output` where it has one alone and does not name it.
    pub name: String,
    /// Shape of what it gives for each sample.
    pub shape: Vec<usize>,
}

/// A model: what it takes and gives, what it learns, and its forward pass. Implemented by layers
/// ([`Network`](super::Network)).
pub trait Model: Debug + Send + Sync {
    /// Name for reports and messages.
    fn name(&self) -> &str;

    /// What it takes.
    fn inputs(&self) -> &[ModelInput];

    /// What it gives.
    fn outputs(&self) -> &[ModelOutput];

    /// Trainable weights, in an order that stays.
    fn parameters(&self) -> &[Parameter];

    /// State that is not trained: running statistics, tables.
    fn buffers(&self) -> &[Parameter];

    /// Names under which files hold the number of training steps.
    fn counters(&self) -> &[String];

    /// Names under which files hold a weight a second time, with the weight that it is: those of tied layers.
    fn aliases(&self) -> &[(String, String)];

    /// Adds a forward pass on batches `inputs`, in the order of [`inputs`](Model::inputs), to the graph of `cx`: one result
    /// for each of [`outputs`](Model::outputs), `[N, ...shape]`. Weights and buffers are variables under their names; a pass
    /// of a training step sets the buffers that it moves in `cx`.
    ///
    /// # Errors
    /// If the inputs are not those of the model, or a node can't be built.
    fn forward<'g>(&self, cx: &mut Forward<'g>, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>>;

    /// The forward pass of a model of one input and one output.
    ///
    /// # Errors
    /// If it has more, or as [`forward`](Model::forward).
    fn forward_one<'g>(&self, cx: &mut Forward<'g>, input: Var<'g>) -> Result<Var<'g>> {
        let results = self.forward(cx, &[input])?;
        match results[..] {
            [result] => Ok(result),
            _ => Err(Error::Config(format!(
                "model {} has {} outputs, but one is needed; give it one output",
                self.name(),
                results.len()
            ))),
        }
    }

    /// Everything that files hold: weights, then buffers.
    fn state(&self) -> Box<dyn Iterator<Item = &Parameter> + '_> {
        Box::new(self.parameters().iter().chain(self.buffers()))
    }

    /// What weights and buffers start at with `seed`, in the order of [`state`](Model::state).
    fn initial_state(&self, seed: u64) -> Vec<Tensor<f32>> {
        let numbered = self.state().zip(0..);
        numbered
            .map(|(part, index)| part.initial(seed, index))
            .collect()
    }

    /// Number of trainable numbers.
    fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|p| p.ty.elements()).sum()
    }
}

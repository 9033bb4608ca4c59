//! The trait of all models: inputs, outputs, parameters, and a forward pass.

use super::forward::Forward;
use super::input::InputSpec;
use super::lora::Lora;
use super::parameter::Parameter;
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::Var;
use std::fmt::Debug;
use std::sync::Arc;

/// An input of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInput {
    /// Name; `input` for a single unnamed input.
    pub name: String,
    /// Shape or tokens of a sample.
    pub spec: InputSpec,
}

/// An output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOutput {
    /// Name; `output` for a single unnamed output.
    pub name: String,
    /// Shape for one sample.
    pub shape: Vec<usize>,
}

/// A model whose low-rank adapters were added to its weights.
pub struct Merged {
    /// The model without adapters.
    pub model: Arc<dyn Model>,
    /// Its state.
    pub values: Vec<Tensor<f32>>,
}

/// A model: inputs, outputs, parameters, and a forward pass. Implemented by [`Network`](super::Network), a model made of layers.
pub trait Model: Debug + Send + Sync {
    /// Name for reports and messages.
    fn name(&self) -> &str;

    /// Inputs.
    fn inputs(&self) -> &[ModelInput];

    /// Outputs.
    fn outputs(&self) -> &[ModelOutput];

    /// Trainable weights, in a fixed order.
    fn parameters(&self) -> &[Parameter];

    /// State that is not trained: running statistics, tables.
    fn buffers(&self) -> &[Parameter];

    /// Names in files of the number of training steps.
    fn counters(&self) -> &[String];

    /// Additional names of tied weights in files, each with the name of the weight.
    fn aliases(&self) -> &[(String, String)];

    /// Adds a forward pass on batches `inputs`, in the order of [`inputs`](Model::inputs), to the graph of `cx`, and returns the
    /// [`outputs`](Model::outputs), `[N, ...shape]`. Weights and buffers are variables of their names; a pass of a training step
    /// sets the buffers that it updates in `cx`.
    ///
    /// # Errors
    /// If the inputs are not those of the model, or a node can't be built.
    fn forward<'g>(&self, cx: &mut Forward<'g>, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>>;

    /// The same model, with the same weights, for inputs of `tokens` tokens instead of more.
    ///
    /// # Errors
    /// If it does not take tokens, or weights depend on their number.
    fn shortened(&self, _tokens: usize) -> Result<Arc<dyn Model>> {
        Err(Error::Config(format!(
            "model {} can't take shorter batches, as data.buckets asks; use a model of layers",
            self.name()
        )))
    }

    /// Its low-rank adapters, if it has some.
    fn lora(&self) -> Option<&Lora> {
        None
    }

    /// The model without its low-rank adapters, and its state, to whose weights they are added; `None` if it has none. `values` are in
    /// the order of [`state`](Model::state).
    ///
    /// # Errors
    /// If `values` are those of another model.
    fn merged(&self, _values: &[Tensor<f32>]) -> Result<Option<Merged>> {
        Ok(None)
    }

    /// Checks that the model can decode, that is, be run over one position of its input `input` after another: what depends on that
    /// input does so position by position, and only on earlier ones.
    ///
    /// # Errors
    /// Says why it can't be.
    fn check_decoding(&self, _input: &str) -> Result<()> {
        Err(Error::Config(format!(
            "model {} can't decode position by position; use a model of layers",
            self.name()
        )))
    }

    /// What decoding over `input` reads at every position and does not depend on it, such as the states of an encoder: values with
    /// their names, from batches of the other inputs, `known`, given by name.
    ///
    /// # Errors
    /// If the model can't decode, or a node can't be built.
    fn memory<'g>(
        &self,
        _cx: &mut Forward<'g>,
        input: &str,
        _known: &[(&str, Var<'g>)],
    ) -> Result<Vec<(String, Var<'g>)>> {
        self.check_decoding(input)?;
        Ok(Vec::new())
    }

    /// The outputs at the position that `cx` decodes, `[sequences, 1, ...]`, of the tokens `tokens` there, `u32 [sequences, 1]`, with
    /// the values of [`memory`](Model::memory). There may be several sequences for each sample of the other inputs.
    ///
    /// # Errors
    /// If the model can't decode, or a node can't be built.
    fn decode<'g>(
        &self,
        _cx: &mut Forward<'g>,
        (input, _tokens): (&str, Var<'g>),
        _known: &[(&str, Var<'g>)],
        _memory: &[(String, Var<'g>)],
    ) -> Result<Vec<Var<'g>>> {
        self.check_decoding(input)?;
        Ok(Vec::new())
    }

    /// The forward pass of a model with one input and one output.
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

    /// The state that is saved to files: weights, then buffers.
    fn state(&self) -> Box<dyn Iterator<Item = &Parameter> + '_> {
        Box::new(self.parameters().iter().chain(self.buffers()))
    }

    /// Initial weights and buffers with `seed`, in the order of [`state`](Model::state).
    fn initial_state(&self, seed: u64) -> Vec<Tensor<f32>> {
        let numbered = self.state().zip(0..);
        numbered
            .map(|(part, index)| part.initial(seed, index))
            .collect()
    }

    /// Number of elements of all parameters.
    fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|p| p.ty.elements()).sum()
    }
}

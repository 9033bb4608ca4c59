//! The graph of a model for inference.

use super::forward::Forward;
use super::input::InputSpec;
use super::model::{Model, ModelInput};
use crate::error::{Error, Result};
use crate::graph::{Builder, Graph};
use crate::tensor::TensorType;

/// The type of `input` for `samples` samples.
///
/// # Errors
/// If its shape is that of the data.
pub fn input_type(model: &dyn Model, input: &ModelInput, samples: usize) -> Result<TensorType> {
    let dims = [&[samples], &input.spec.sample()[..]].concat();
    match input.spec {
        InputSpec::Shape(_) | InputSpec::AutoShape(_) => Ok(TensorType::f32(dims)),
        InputSpec::Tokens(_) => Ok(TensorType::u32(dims)),
        InputSpec::Auto => Err(Error::Config(format!(
            "model {} takes its input shape from data; give it a shape",
            model.name()
        ))),
    }
}

/// The forward pass of `model` for `samples` samples, in evaluation mode, with inputs and outputs under their names.
///
/// # Errors
/// If an input's shape is that of the data, or a node can't be built.
pub fn inference_graph(model: &dyn Model, samples: usize) -> Result<Graph> {
    let builder = Builder::new();
    let mut fed = Vec::new();
    for input in model.inputs() {
        fed.push(builder.input(&input.name, input_type(model, input, samples)?));
    }
    let mut forward = Forward::evaluation(&builder);
    let results = model.forward(&mut forward, &fed)?;
    forward.finish()?;
    for (output, result) in model.outputs().iter().zip(results) {
        builder.output(&output.name, result);
    }
    builder.finish()
}

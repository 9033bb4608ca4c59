//! Networks as `.keras` files: the nodes of the ONNX file become layers of a Functional model, and what has no layer an operation of
//! `keras.ops`, as Keras itself saves it.
//!
//! A value of the nodes is `[N, C, H, W]` and a tensor of Keras `[N, H, W, C]`: each remembers the order of its axes, so that
//! transpositions cost nothing until an operation must see the nodes' order.

mod archive;
mod folded;
mod layers;
mod order;
mod tensor;
mod write;

use super::super::export::nodes;
use super::super::messages::NodeProto;
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::nn::Model;
use tensor::Kept;
use write::KerasWriter;

/// Version of ONNX's operators from which layers are made.
const OPSET: i64 = 17;

/// The content of a `.keras` file of `model` with the `values` of its state, for inference.
///
/// # Errors
/// If an operation has no form in Keras; the message names it.
pub fn export_keras(model: &dyn Model, values: &[Tensor<f32>]) -> Result<Vec<u8>> {
    let (nodes, initializers) = nodes(model, values, OPSET)?;
    let mut writer = KerasWriter::new(&initializers)?;
    for input in model.inputs() {
        let is_tokens = input.spec.tokens().is_some();
        writer.input(&input.name, &input.spec.sample(), is_tokens);
    }
    for node in &nodes {
        add(&mut writer, node).map_err(|why| {
            Error::Config(format!(
                "the node {} ({}) {why}; export the network as ONNX, or its weights as safetensors",
                node.name, node.op_type
            ))
        })?;
    }
    let outputs = model.outputs().iter().map(|output| {
        // An image has its channels first among the nodes, and last in Keras.
        let rank = output.shape.len() + 1;
        let order: Vec<usize> = match rank {
            4 => vec![0, 2, 3, 1],
            rank => (0..rank).collect(),
        };
        writer
            .tensor_in(&output.name, &order)
            .map_err(Error::Config)
    });
    let outputs = outputs.collect::<Result<Vec<_>>>()?;
    archive::archive(model, &writer.layers, &outputs)
}

/// Adds what `node` becomes.
fn add(writer: &mut KerasWriter, node: &NodeProto) -> Result<(), String> {
    if folded::fold(writer, node) {
        return Ok(());
    }
    let made: Kept = layers::layer(writer, node)?;
    let output = node.output.first().ok_or("makes nothing")?;
    writer.keep(output, made);
    Ok(())
}

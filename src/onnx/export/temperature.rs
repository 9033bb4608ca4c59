//! The division of logits by a temperature as the last node of a network.

use super::floats;
use crate::error::{Error, Result};
use crate::nn::Model;
use crate::onnx::messages::{NodeProto, OnnxTensor};
use std::collections::BTreeMap;

/// Divides the output of the network by `temperature`.
///
/// # Errors
/// If the model has several outputs.
pub fn divide(
    model: &dyn Model,
    temperature: f64,
    nodes: &mut Vec<NodeProto>,
    initializers: &mut BTreeMap<String, OnnxTensor>,
) -> Result<()> {
    let [output] = model.outputs() else {
        return Err(Error::Config(format!(
            "model {} has {} outputs, and a temperature divides the logits of a network with one; remove temperature.toml from the run",
            model.name(),
            model.outputs().len()
        )));
    };
    let name = &output.name;
    let unscaled = format!("{name}.unscaled");
    for used in nodes
        .iter_mut()
        .flat_map(|node| node.input.iter_mut().chain(&mut node.output))
    {
        if used == name {
            used.clone_from(&unscaled);
        }
    }
    let constant = format!("{name}.temperature");
    initializers.insert(
        constant.clone(),
        floats(constant.clone(), &[], &[temperature as f32]),
    );
    nodes.push(NodeProto {
        input: vec![unscaled, constant],
        output: vec![name.clone()],
        name: format!("{name}.Div"),
        op_type: "Div".to_string(),
        ..NodeProto::default()
    });
    Ok(())
}

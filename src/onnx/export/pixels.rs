//! The normalisation of pixels as the first nodes of a network.

use super::floats;
use crate::error::{Error, Result};
use crate::nn::Model;
use crate::onnx::messages::{NodeProto, OnnxTensor};
use std::collections::BTreeMap;

/// Lets the network take pixels from 0 to 255: the first nodes compute `(pixel / 255 - mean) / std` for each channel.
///
/// # Errors
/// If the model takes no image of as many channels.
pub fn normalise(
    model: &dyn Model,
    mean: &[f32],
    std: &[f32],
    nodes: &mut Vec<NodeProto>,
    initializers: &mut BTreeMap<String, OnnxTensor>,
) -> Result<()> {
    let [input] = model.inputs() else {
        return Err(Error::Config(
            "pixels are normalised for a network with one input; export it without --pixels"
                .to_string(),
        ));
    };
    let channels = input.spec.image().map(|[_, _, channels]| channels);
    if channels != Some(mean.len()) || std.len() != mean.len() {
        return Err(Error::Config(format!(
            "the network takes no images of {} channels, whose pixels could be normalised; export it without --pixels",
            mean.len()
        )));
    }
    let normalised = format!("{}.normalised", input.name);
    for name in nodes.iter_mut().flat_map(|node| &mut node.input) {
        if *name == input.name {
            name.clone_from(&normalised);
        }
    }
    let dims = [1, mean.len(), 1, 1];
    let scale: Vec<f32> = std.iter().map(|std| 1.0 / (255.0 * std)).collect();
    let shift: Vec<f32> = mean
        .iter()
        .zip(std)
        .map(|(mean, std)| -mean / std)
        .collect();
    let mut before = input.name.clone();
    let steps = [("Mul", "scale", scale), ("Add", "shift", shift)];
    for (at, (op, what, values)) in steps.into_iter().enumerate() {
        let constant = format!("{}.{what}", input.name);
        initializers.insert(constant.clone(), floats(constant.clone(), &dims, &values));
        let result = match op {
            "Mul" => format!("{}.scaled", input.name),
            _ => normalised.clone(),
        };
        let node = NodeProto {
            input: vec![before, constant],
            output: vec![result.clone()],
            name: format!("{}.{op}", input.name),
            op_type: op.to_string(),
            ..NodeProto::default()
        };
        nodes.insert(at, node);
        before = result;
    }
    Ok(())
}

//! Weights in fewer bits: the file holds them so, and a node for each gives them as 32-bit floats.

use super::WeightStorage;
use crate::onnx::messages::{AttributeProto, NodeProto, OnnxTensor};
use std::collections::BTreeMap;

/// Weights of fewer elements stay as they are.
const LEAST: usize = 64;

/// Stores the constants of floats as `storage` says.
pub fn apply(
    storage: WeightStorage,
    nodes: &mut Vec<NodeProto>,
    initializers: &mut BTreeMap<String, OnnxTensor>,
) {
    let mut first = Vec::new();
    let mut more = Vec::new();
    for (name, tensor) in initializers.iter_mut() {
        let count: i64 = tensor.dims.iter().product();
        if tensor.data_type != 1 || count < LEAST as i64 {
            continue;
        }
        let floats: Vec<f32> = tensor
            .raw_data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let whole = format!("{name}.float32");
        let node = match storage {
            WeightStorage::Float32 => return,
            WeightStorage::Float16 => {
                let fits = floats.iter().all(|x| half::f16::from_f32(*x).is_finite());
                if !fits {
                    continue;
                }
                let halves = floats
                    .iter()
                    .flat_map(|&x| half::f16::from_f32(x).to_le_bytes());
                tensor.raw_data = halves.collect();
                tensor.data_type = 10;
                node("Cast", vec![name.clone()], &whole, ("to", 1))
            }
            WeightStorage::Int8 => {
                if tensor.dims.len() < 2 {
                    continue;
                }
                // A scale for each row: the weights of one output.
                let row = floats.len() / tensor.dims[0].max(1) as usize;
                let largest = |row: &[f32]| row.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
                let scales: Vec<f32> = floats
                    .chunks(row.max(1))
                    .map(|row| largest(row).max(f32::MIN_POSITIVE) / 127.0)
                    .collect();
                let level = |(i, x): (usize, &f32)| {
                    let x = (x / scales[i / row]).round_ties_even().clamp(-127.0, 127.0);
                    (x as i8) as u8
                };
                tensor.raw_data = floats.iter().enumerate().map(level).collect();
                tensor.data_type = 3;
                let scale = format!("{name}.scale");
                more.push(super::floats(scale.clone(), &[scales.len()], &scales));
                node(
                    "DequantizeLinear",
                    vec![name.clone(), scale],
                    &whole,
                    ("axis", 0),
                )
            }
        };
        first.push(node);
    }
    let renamed: BTreeMap<String, String> = first
        .iter()
        .map(|node| (node.input[0].clone(), node.output[0].clone()))
        .collect();
    for input in nodes.iter_mut().flat_map(|node| &mut node.input) {
        if let Some(name) = renamed.get(input) {
            *input = name.clone();
        }
    }
    first.append(nodes);
    *nodes = first;
    initializers.extend(more.into_iter().map(|tensor| (tensor.name.clone(), tensor)));
}

fn node(op: &str, input: Vec<String>, output: &str, (name, value): (&str, i64)) -> NodeProto {
    NodeProto {
        input,
        output: vec![output.to_string()],
        name: format!("node_{output}"),
        op_type: op.to_string(),
        attribute: vec![AttributeProto {
            name: name.to_string(),
            i: Some(value),
            r#type: 2,
            ..AttributeProto::default()
        }],
        domain: String::new(),
    }
}

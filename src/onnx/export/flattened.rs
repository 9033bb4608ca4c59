//! Dense layers on flattened images. The engine flattens an image with its channels last, other frameworks with them first: a product
//! with weights whose columns were put in the engine's order is one with the weights as they are, on the image as it is.

use crate::onnx::messages::{NodeProto, OnnxTensor};
use std::collections::{BTreeMap, HashMap};

/// Replaces such products.
pub fn unfold(nodes: &mut Vec<NodeProto>, initializers: &BTreeMap<String, OnnxTensor>) {
    let mut makers: HashMap<String, usize> = HashMap::new();
    let mut done: Vec<NodeProto> = Vec::with_capacity(nodes.len());
    for mut node in std::mem::take(nodes) {
        if node.op_type == "Gemm"
            && let Some((weight, image, shape)) = pattern(&node, &done, &makers, initializers)
        {
            let flat = format!("{}_flat", node.output[0]);
            let reshape = NodeProto {
                input: vec![image, shape],
                output: vec![flat.clone()],
                name: format!("node_{flat}"),
                op_type: "Reshape".to_string(),
                ..NodeProto::default()
            };
            done.push(reshape);
            node.input[0] = flat;
            node.input[1] = weight;
        }
        makers.insert(node.output[0].clone(), done.len());
        done.push(node);
    }
    *nodes = done;
}

/// The weights, the image and the shape of a product that can be replaced.
fn pattern(
    node: &NodeProto,
    done: &[NodeProto],
    makers: &HashMap<String, usize>,
    initializers: &BTreeMap<String, OnnxTensor>,
) -> Option<(String, String, String)> {
    let made = |name: &str, op: &str| {
        let node = &done[*makers.get(name)?];
        (node.op_type == op).then_some(node)
    };
    let gather = made(&node.input[1], "Gather")?;
    let is_columns = gather
        .attribute
        .iter()
        .any(|a| a.name == "axis" && a.i == Some(1));
    let reshape = made(&node.input[0], "Reshape")?;
    let transpose = made(&reshape.input[0], "Transpose")?;
    let axes = transpose.attribute.iter().find(|a| a.name == "perm")?;
    let order = integers(initializers.get(&gather.input[1])?);
    let fits = is_columns && axes.ints == [0, 2, 3, 1] && is_image_order(&order);
    fits.then(|| {
        (
            gather.input[0].clone(),
            transpose.input[0].clone(),
            reshape.input[1].clone(),
        )
    })
}

/// Whether `order` gives, for each place of an image with its channels last, its place with the channels first.
fn is_image_order(order: &[i64]) -> bool {
    let Some(&pixels) = order.get(1) else {
        return false;
    };
    let count = order.len() as i64;
    if pixels < 1 || count % pixels != 0 {
        return false;
    }
    let channels = count / pixels;
    (0..count).all(|e| order[e as usize] == e % channels * pixels + e / channels)
}

fn integers(tensor: &OnnxTensor) -> Vec<i64> {
    let words = tensor.raw_data.chunks_exact(8);
    words
        .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
        .collect()
}

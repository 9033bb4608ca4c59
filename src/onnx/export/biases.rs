//! Puts sums with a bias into the convolutions and products that make them.

use crate::onnx::messages::{NodeProto, OnnxTensor};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Makes a constant `[C]` that is added to the result of a convolution, whose channels were moved to the end, or of a product of
/// matrices, an operand of that node.
pub fn fuse(
    nodes: &mut Vec<NodeProto>,
    initializers: &BTreeMap<String, OnnxTensor>,
    outputs: &HashSet<&str>,
) {
    let mut uses: HashMap<String, usize> = HashMap::new();
    for node in nodes.iter() {
        for input in &node.input {
            *uses.entry(input.clone()).or_default() += 1;
        }
    }
    let mut renamed: HashMap<String, String> = HashMap::new();
    let mut done: Vec<NodeProto> = Vec::with_capacity(nodes.len());
    // Where the node that makes a value is.
    let mut makers: HashMap<String, usize> = HashMap::new();
    for mut node in std::mem::take(nodes) {
        for input in &mut node.input {
            if let Some(name) = renamed.get(input) {
                *input = name.clone();
            }
        }
        if node.op_type == "Add"
            && !outputs.contains(node.output[0].as_str())
            && let Some((value, bias)) = sum(&node, initializers)
            && uses.get(&value) == Some(&1)
            && let Some(at) = source(&done, &makers, &uses, &value)
            && done[at].input.len() == 2
        {
            let is_row = initializers[&bias].dims.len() == 1;
            if is_row {
                done[at].input.push(bias);
                renamed.insert(node.output[0].clone(), value.clone());
                let count = uses.get(&node.output[0]).copied().unwrap_or(0);
                uses.insert(value, count);
                continue;
            }
        }
        makers.insert(node.output[0].clone(), done.len());
        done.push(node);
    }
    *nodes = done;
}

/// The operands of a sum, if one of them is a constant.
fn sum(node: &NodeProto, initializers: &BTreeMap<String, OnnxTensor>) -> Option<(String, String)> {
    let [a, b] = &node.input[..] else {
        return None;
    };
    match (initializers.contains_key(a), initializers.contains_key(b)) {
        (false, true) => Some((a.clone(), b.clone())),
        (true, false) => Some((b.clone(), a.clone())),
        _ => None,
    }
}

/// The convolution or product that makes `value`, through a transposition of its own.
fn source(
    done: &[NodeProto],
    makers: &HashMap<String, usize>,
    uses: &HashMap<String, usize>,
    value: &str,
) -> Option<usize> {
    let at = *makers.get(value)?;
    match done[at].op_type.as_str() {
        "Gemm" => Some(at),
        "Transpose" => {
            let mut inner = &done[at].input[0];
            let mut at = *makers.get(inner)?;
            // The largest of sums with one number is the sum of the largest.
            if done[at].op_type == "MaxPool" && uses.get(inner) == Some(&1) {
                inner = &done[at].input[0];
                at = *makers.get(inner)?;
            }
            let is_conv = matches!(done[at].op_type.as_str(), "Conv" | "ConvTranspose");
            (is_conv && uses.get(inner) == Some(&1)).then_some(at)
        }
        _ => None,
    }
}

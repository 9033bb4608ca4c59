//! Removes transpositions that undo one another, also through what works element by element, joins and pads, and values that
//! nothing reads.

use crate::onnx::messages::{AttributeProto, NodeProto, OnnxTensor};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Operators that work element by element, so that a transposition before them may come after them.
const POINTWISE: [&str; 30] = [
    "Abs",
    "Add",
    "Cast",
    "Clip",
    "Div",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Floor",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Not",
    "Pow",
    "Relu",
    "Round",
    "Sigmoid",
    "Sqrt",
    "Sub",
    "Tanh",
    "Where",
];

/// Moves transpositions towards the end of the network as far as that removes some. `weights` are constants that keep their names.
pub fn simplify(
    nodes: &mut Vec<NodeProto>,
    initializers: &mut BTreeMap<String, OnnxTensor>,
    outputs: &HashSet<&str>,
    weights: &HashSet<&str>,
) {
    // What each transposed value is: its source and its permutation.
    let mut sources: HashMap<String, (String, Vec<usize>)> = HashMap::new();
    let mut renamed: HashMap<String, String> = HashMap::new();
    let mut done: Vec<NodeProto> = Vec::with_capacity(nodes.len());
    let mut made = 0;
    for mut node in std::mem::take(nodes) {
        for input in &mut node.input {
            if let Some(name) = renamed.get(input) {
                *input = name.clone();
            }
        }
        if node.op_type == "Transpose" {
            let axes = permutation(&node);
            let (source, axes) = match sources.get(&node.input[0]) {
                // Two in a row are one.
                Some((source, first)) => {
                    let joined = axes.iter().map(|&a| first[a]).collect();
                    (source.clone(), joined)
                }
                None => (node.input[0].clone(), axes),
            };
            let is_output = outputs.contains(node.output[0].as_str());
            if axes.is_sorted() && !is_output {
                renamed.insert(node.output[0].clone(), source);
                continue;
            }
            if !axes.is_sorted() {
                sources.insert(node.output[0].clone(), (source.clone(), axes.clone()));
            }
            node.input[0] = source;
            if axes.is_sorted() {
                node.op_type = "Identity".to_string();
                node.attribute.clear();
            } else {
                set_permutation(&mut node, &axes);
            }
            done.push(node);
            continue;
        }
        // A constant is turned where anything else reads it; a weight of a product keeps its name and its node.
        let keeps_weights = node.op_type == "MatMul";
        for input in &mut node.input {
            let Some((source, axes)) = sources.get(input) else {
                continue;
            };
            if keeps_weights && weights.contains(source.as_str()) {
                continue;
            }
            let constant = initializers.get(source);
            if let Some(tensor) = constant.and_then(|t| transposed(t, axes)) {
                made += 1;
                let name = format!("turned_{made}");
                let tensor = OnnxTensor {
                    name: name.clone(),
                    ..tensor
                };
                initializers.insert(name.clone(), tensor);
                renamed.insert(input.clone(), name.clone());
                sources.remove(input);
                *input = name;
            }
        }
        let joined = joined(&node, &sources);
        if let Some(axes) = joined.or_else(|| moves(&node, &sources, initializers)) {
            if !along(&mut node, &axes, initializers, &mut made) {
                done.push(node);
                continue;
            }
            let inner = format!("{}_inner", node.output[0]);
            let outer = std::mem::replace(&mut node.output[0], inner.clone());
            for (at, input) in node.input.iter_mut().enumerate() {
                // The bounds of a clip are single numbers, and pads were taken along.
                if at > 0 && matches!(node.op_type.as_str(), "Clip" | "Pad") {
                    continue;
                }
                if let Some((source, _)) = sources.get(input) {
                    *input = source.clone();
                } else if let Some(tensor) = initializers.get(input)
                    && let Some(turned) = aligned(tensor, &axes)
                {
                    made += 1;
                    let name = format!("turned_{made}");
                    let tensor = OnnxTensor {
                        name: name.clone(),
                        ..turned
                    };
                    initializers.insert(name.clone(), tensor);
                    *input = name;
                }
            }
            done.push(node);
            let mut turn = NodeProto {
                input: vec![inner.clone()],
                output: vec![outer.clone()],
                name: format!("turn_{outer}"),
                op_type: "Transpose".to_string(),
                ..NodeProto::default()
            };
            set_permutation(&mut turn, &axes);
            done.push(turn);
            sources.insert(outer, (inner, axes));
            continue;
        }
        done.push(node);
    }
    *nodes = done;
}

/// The permutation that all operands of a concatenation, or that of a padding, come with.
fn joined(node: &NodeProto, sources: &HashMap<String, (String, Vec<usize>)>) -> Option<Vec<usize>> {
    let operands = match node.op_type.as_str() {
        "Concat" => &node.input[..],
        "Pad" => &node.input[..1],
        _ => return None,
    };
    let (_, first) = sources.get(operands.first()?)?;
    let same = |name: &String| sources.get(name).is_some_and(|(_, axes)| axes == first);
    operands.iter().all(same).then(|| first.clone())
}

/// Changes the axes that a concatenation or a padding names to those before the permutation `axes`; whether that is possible.
fn along(
    node: &mut NodeProto,
    axes: &[usize],
    initializers: &mut BTreeMap<String, OnnxTensor>,
    made: &mut usize,
) -> bool {
    match node.op_type.as_str() {
        "Concat" => {
            let Some(axis) = node.attribute.iter_mut().find(|a| a.name == "axis") else {
                return false;
            };
            let own = axis.i.and_then(|i| usize::try_from(i).ok());
            let Some(&to) = own.and_then(|a| axes.get(a)) else {
                return false;
            };
            axis.i = Some(to as i64);
            true
        }
        "Pad" => {
            let pads = node.input.get(1).and_then(|name| initializers.get(name));
            let Some(pads) = pads.filter(|t| t.raw_data.len() == 16 * axes.len()) else {
                return false;
            };
            let mut turned = pads.clone();
            let rank = axes.len();
            for (a, &to) in axes.iter().enumerate() {
                for side in [0, rank] {
                    let (from, to) = (8 * (side + a), 8 * (side + to));
                    turned.raw_data[to..to + 8].copy_from_slice(&pads.raw_data[from..from + 8]);
                }
            }
            *made += 1;
            turned.name = format!("turned_{made}");
            node.input[1] = turned.name.clone();
            initializers.insert(turned.name.clone(), turned);
            true
        }
        _ => true,
    }
}

/// The permutation that all operands of `node` come with, if it works element by element on them and on constants.
fn moves(
    node: &NodeProto,
    sources: &HashMap<String, (String, Vec<usize>)>,
    initializers: &BTreeMap<String, OnnxTensor>,
) -> Option<Vec<usize>> {
    if !POINTWISE.contains(&node.op_type.as_str()) || node.output[0].is_empty() {
        return None;
    }
    let mut found: Option<&Vec<usize>> = None;
    for (at, input) in node.input.iter().enumerate() {
        if node.op_type == "Clip" && at > 0 {
            continue;
        }
        match (sources.get(input), initializers.get(input)) {
            (Some((_, axes)), _) if found.is_none_or(|own| own == axes) => found = Some(axes),
            (None, Some(tensor)) if tensor.data_type == 1 || tensor.data_type == 7 => {}
            _ => return None,
        }
    }
    let axes = found?;
    // Constants of fewer axes are aligned at the end.
    let fits = node.input.iter().all(|input| {
        initializers
            .get(input)
            .is_none_or(|t| t.dims.len() <= axes.len())
    });
    fits.then(|| axes.clone())
}

/// A constant that broadcasts against a value with permuted axes, for the value before that permutation.
fn aligned(tensor: &OnnxTensor, axes: &[usize]) -> Option<OnnxTensor> {
    let count: i64 = tensor.dims.iter().product();
    if count == 1 {
        return None;
    }
    let missing = axes.len() - tensor.dims.len();
    let mut full = tensor.clone();
    full.dims = std::iter::repeat_n(1, missing)
        .chain(tensor.dims.iter().copied())
        .collect();
    let mut inverse = vec![0; axes.len()];
    for (to, &from) in axes.iter().enumerate() {
        inverse[from] = to;
    }
    transposed(&full, &inverse)
}

/// `tensor` with its axes permuted.
fn transposed(tensor: &OnnxTensor, axes: &[usize]) -> Option<OnnxTensor> {
    let size = match tensor.data_type {
        1 => 4,
        7 => 8,
        _ => return None,
    };
    let dims: Vec<usize> = tensor.dims.iter().map(|&d| d as usize).collect();
    if dims.len() != axes.len() {
        return None;
    }
    let strides = crate::tensor::Shape::from(&dims[..]).strides();
    let to: Vec<usize> = axes.iter().map(|&a| dims[a]).collect();
    let own = crate::tensor::Shape::from(&to[..]).strides();
    let count: usize = dims.iter().product();
    let mut raw = Vec::with_capacity(tensor.raw_data.len());
    for i in 0..count {
        let place: usize = (0..to.len())
            .map(|a| i / own[a] % to[a] * strides[axes[a]])
            .sum();
        raw.extend_from_slice(&tensor.raw_data[place * size..(place + 1) * size]);
    }
    Some(OnnxTensor {
        dims: to.iter().map(|&d| d as i64).collect(),
        raw_data: raw,
        ..tensor.clone()
    })
}

fn permutation(node: &NodeProto) -> Vec<usize> {
    let perm = node.attribute.iter().find(|a| a.name == "perm");
    perm.map_or_else(Vec::new, |a| a.ints.iter().map(|&x| x as usize).collect())
}

fn set_permutation(node: &mut NodeProto, axes: &[usize]) {
    node.attribute = vec![AttributeProto {
        name: "perm".to_string(),
        ints: axes.iter().map(|&a| a as i64).collect(),
        r#type: 7,
        ..AttributeProto::default()
    }];
}

/// Removes nodes and constants that none of `outputs` needs.
pub fn remove_unused(
    nodes: &mut Vec<NodeProto>,
    initializers: &mut BTreeMap<String, OnnxTensor>,
    outputs: &HashSet<&str>,
) {
    let mut wanted: HashSet<String> = outputs.iter().map(|name| name.to_string()).collect();
    let mut kept = Vec::with_capacity(nodes.len());
    for node in std::mem::take(nodes).into_iter().rev() {
        if node.output.iter().any(|name| wanted.contains(name)) {
            wanted.extend(node.input.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    *nodes = kept;
    initializers.retain(|name, _| wanted.contains(name));
}

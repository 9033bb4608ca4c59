//! Which constants of an ONNX file are weights.

use super::array::Array;
use super::file::OnnxFile;
use super::value::{Held, NodeValue};
use super::walk::Names;
use crate::nn::Layout;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The operands of operators that may be weights or statistics.
const WEIGHTS: [(&str, &[usize]); 31] = [
    ("Conv", &[1, 2]),
    ("ConvTranspose", &[1, 2]),
    ("Gemm", &[0, 1, 2]),
    ("MatMul", &[0, 1]),
    ("BatchNormalization", &[1, 2, 3, 4]),
    ("InstanceNormalization", &[1, 2]),
    ("LayerNormalization", &[1, 2]),
    ("GroupNormalization", &[1, 2]),
    ("RMSNormalization", &[1]),
    ("PRelu", &[1]),
    ("LSTM", &[1, 2, 3, 7]),
    ("GRU", &[1, 2, 3]),
    ("RNN", &[1, 2, 3]),
    ("Gather", &[0]),
    ("Add", &[0, 1]),
    ("Sub", &[0, 1]),
    ("Mul", &[0, 1]),
    ("Div", &[0, 1]),
    ("Einsum", &[0, 1, 2, 3]),
    ("Transpose", &[0]),
    ("Reshape", &[0]),
    ("Unsqueeze", &[0]),
    ("Expand", &[0]),
    ("Split", &[0]),
    ("Slice", &[0]),
    ("Squeeze", &[0]),
    ("Concat", &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ("Identity", &[0]),
    ("Cast", &[0]),
    ("Flatten", &[0]),
    ("Tile", &[0]),
];

/// Whether the constant `name` may be a weight: floats, more than one, that are no mask (two different numbers, or infinite ones)
/// and do not come from a node for constants, after which exporters name those that they computed.
fn may_be_trained(name: &str, array: &Array) -> bool {
    if !array.element.is_float() || array.len() < 2 || array.dims.is_empty() {
        return false;
    }
    let first = array.at(0);
    let second = array.iter().find(|&x| x != first);
    let is_mask = second.is_some_and(|second| array.iter().all(|x| x == first || x == second));
    let is_computed = name.contains("Constant");
    array.iter().all(f64::is_finite) && !(is_mask && array.len() > 2) && !is_computed
}

/// What the file's constants are used for.
#[derive(Debug)]
pub struct Roles {
    /// Names of weights.
    pub weights: HashSet<String>,
    /// Names of the running statistics of batch normalizations.
    pub statistics: HashSet<String>,
    /// Layouts that differ from those of the file.
    pub layouts: HashMap<String, Layout>,
}

impl Roles {
    /// Those of the constants of `file`.
    pub fn of(file: &OnnxFile) -> Roles {
        let mut roles = Roles {
            weights: HashSet::new(),
            statistics: HashSet::new(),
            layouts: HashMap::new(),
        };
        let mut uses: HashMap<&str, usize> = HashMap::new();
        for node in file.nodes.needed() {
            for name in &node.input {
                *uses.entry(name).or_default() += 1;
            }
        }
        for node in file.nodes.needed() {
            let weights = WEIGHTS.iter().find(|(op, _)| *op == node.op_type);
            let is_function = file.function(node).is_some();
            for (at, name) in node.input.iter().enumerate() {
                let Some(array) = file.constants.get(name) else {
                    continue;
                };
                let is_weight =
                    is_function || weights.is_some_and(|(_, slots)| slots.contains(&at));
                if !is_weight || !(file.weights.contains(name) || may_be_trained(name, array)) {
                    continue;
                }
                match (node.op_type.as_str(), at) {
                    ("BatchNormalization", 3 | 4) => roles.statistics.insert(name.clone()),
                    _ => roles.weights.insert(name.clone()),
                };
                let is_filter =
                    matches!(node.op_type.as_str(), "Conv" | "ConvTranspose") && at == 1;
                if is_filter && array.dims.len() == 4 && uses.get(name.as_str()) == Some(&1) {
                    roles.layouts.insert(name.clone(), Layout::Conv);
                }
            }
        }
        roles
            .weights
            .retain(|name| !roles.statistics.contains(name));
        roles
    }

    /// The values of the file's constants.
    pub fn constants<'g>(&self, file: &OnnxFile) -> Names<'g> {
        let constants = file.constants.iter().map(|(name, array)| {
            let is_stored = self.weights.contains(name) || self.statistics.contains(name);
            let place = match is_stored {
                true => Held::Stored {
                    name: Arc::from(name.as_str()),
                    array: array.clone(),
                },
                false => Held::Known(array.clone()),
            };
            let value = NodeValue {
                element: array.element,
                dims: array.dims.clone(),
                place,
            };
            (name.clone(), value)
        });
        constants.collect()
    }
}

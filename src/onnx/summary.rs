//! What an ONNX file holds, for people and programs.

use super::file::{Declared, DeclaredExtent};
use super::network::OnnxNetwork;
use super::operators;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a file holds.
#[derive(Clone, Debug, Serialize)]
pub struct OnnxSummary {
    /// The file.
    pub model: String,
    /// Version of ONNX's operators.
    pub opset: i64,
    /// The program that wrote it.
    pub producer: String,
    /// Inputs.
    pub inputs: Vec<DeclaredValue>,
    /// Outputs.
    pub outputs: Vec<DeclaredValue>,
    /// Weights that are trained.
    pub parameters: Vec<NamedShape>,
    /// Number of their elements.
    pub parameter_count: usize,
    /// Operators with the numbers of their nodes.
    pub operators: BTreeMap<String, usize>,
    /// Names of the values that nodes make, in order: where the network can be cut.
    pub values: Vec<String>,
    /// What can't be computed, a sentence each.
    pub unsupported: Vec<String>,
}

/// An input or output.
#[derive(Clone, Debug, Serialize)]
pub struct DeclaredValue {
    /// Its name.
    pub name: String,
    /// Type of its elements, if it is declared.
    pub dtype: Option<String>,
    /// Its extents, if they are declared: numbers, or names.
    pub shape: Option<Vec<serde_json::Value>>,
}

/// A weight.
#[derive(Clone, Debug, Serialize)]
pub struct NamedShape {
    /// Its name in the file.
    pub name: String,
    /// Its extents in the file.
    pub shape: Vec<usize>,
}

impl From<&Declared> for DeclaredValue {
    fn from(value: &Declared) -> DeclaredValue {
        let extent = |extent: &DeclaredExtent| match extent {
            DeclaredExtent::Fixed(extent) => (*extent).into(),
            DeclaredExtent::Named(name) => name.as_str().into(),
        };
        let dims = value.dims.as_ref();
        DeclaredValue {
            name: value.name.clone(),
            dtype: value.element.map(|element| element.to_string()),
            shape: dims.map(|dims| dims.iter().map(extent).collect()),
        }
    }
}

impl OnnxSummary {
    /// What the file of `network` holds.
    pub fn of(network: &OnnxNetwork) -> OnnxSummary {
        let file = network.file();
        let mut operators: BTreeMap<String, usize> = BTreeMap::new();
        let mut unsupported = Vec::new();
        for node in file.nodes.needed() {
            *operators.entry(node.op_type.clone()).or_default() += 1;
            let is_known = file.function(node).is_some()
                || matches!(node.domain.as_str(), "" | "ai.onnx")
                    && (node.op_type == "If" || operators::find(&node.op_type).is_some());
            if !is_known {
                let domain = match node.domain.as_str() {
                    "" | "ai.onnx" => String::new(),
                    domain => format!("{domain}."),
                };
                unsupported.push(format!(
                    "node {} ({domain}{}): this operator is not supported; replace it in the network, or cut the file before it",
                    node.name, node.op_type
                ));
            }
        }
        let mut parameters: Vec<NamedShape> = file
            .constants
            .iter()
            .filter(|(name, _)| network.is_weight(name))
            .map(|(name, array)| NamedShape {
                name: name.clone(),
                shape: array.dims.clone(),
            })
            .collect();
        parameters.sort_by(|a, b| a.name.cmp(&b.name));
        let count = |p: &NamedShape| p.shape.iter().product::<usize>();
        OnnxSummary {
            model: file.path.display().to_string(),
            opset: file.opset,
            producer: file.producer.clone(),
            inputs: file.inputs.iter().map(DeclaredValue::from).collect(),
            outputs: file.outputs.iter().map(DeclaredValue::from).collect(),
            parameter_count: parameters.iter().map(count).sum(),
            parameters,
            values: file
                .nodes
                .needed()
                .flat_map(|node| node.output.iter())
                .filter(|name| !name.is_empty())
                .cloned()
                .collect(),
            operators,
            unsupported,
        }
    }
}

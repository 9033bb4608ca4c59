//! Nodes and constants of a file that is written.

use super::{biases, flattened, transposes};
use super::{floats, integers, is_real};
use crate::cpu::{Data, Tensor};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, NodeKind};
use crate::nn::{Layout, Model, Parameter};
use crate::onnx::messages::{AttributeProto, NodeProto, OnnxTensor};
use crate::ops::onnx_form::{OnnxAttribute, OnnxExtent, OnnxForm, OnnxNodes};
use crate::tensor::TensorType;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A file that is written.
pub struct Writer<'m> {
    opset: i64,
    model: &'m dyn Model,
    /// State by name.
    state: HashMap<&'m str, (&'m Parameter, &'m Tensor<f32>)>,
    nodes: Vec<NodeProto>,
    initializers: BTreeMap<String, OnnxTensor>,
    /// Number of names that were made up.
    made: usize,
    /// Name of the layer under construction.
    scope: String,
}

impl<'m> Writer<'m> {
    pub fn new(opset: i64, model: &'m dyn Model, values: &'m [Tensor<f32>]) -> Writer<'m> {
        let state = model.state().zip(values);
        Writer {
            opset,
            model,
            state: state
                .map(|(part, value)| (part.name.as_str(), (part, value)))
                .collect(),
            nodes: Vec::new(),
            initializers: BTreeMap::new(),
            made: 0,
            scope: String::new(),
        }
    }

    /// Writes `graph`; `other` is the same for another number of samples.
    ///
    /// # Errors
    /// If an operation has no form in ONNX.
    pub fn write(&mut self, graph: &Graph, other: &Graph) -> Result<()> {
        if graph.nodes.len() != other.nodes.len() {
            return Err(Error::Config(
                "the network's operations depend on the number of samples; it can't be exported"
                    .to_string(),
            ));
        }
        let needed = needed(graph);
        // What is computed from weights alone.
        let mut known: HashMap<NodeId, Tensor<f32>> = HashMap::new();
        let mut names: HashMap<NodeId, String> = HashMap::new();
        for id in graph.ids().filter(|id| needed.contains(id)) {
            let node = graph.node(id);
            self.scope = node.scope.to_string();
            match &node.kind {
                NodeKind::Input(name) => {
                    let name = self.input(name, &node.ty);
                    names.insert(id, name);
                }
                NodeKind::Variable(name) => {
                    let (_, value) = self.state.get(&**name).ok_or_else(|| {
                        Error::Graph(format!("the model has no value for {name}"))
                    })?;
                    known.insert(id, (*value).clone());
                }
                NodeKind::Constant(value) => {
                    let scalar = Tensor::real(node.ty.shape.clone(), vec![*value as f32]);
                    known.insert(id, scalar);
                }
                NodeKind::Op(op) => {
                    let operands: Option<Vec<&Tensor<f32>>> =
                        node.inputs.iter().map(|i| known.get(i)).collect();
                    let same = graph.ty(id) == other.ty(id);
                    // The axes of a weight are permuted by a node: the one that reads it undoes that.
                    let turns_weight = op.name() == "permute" && {
                        let kind = &graph.node(node.inputs[0]).kind;
                        matches!(kind, NodeKind::Variable(_))
                    };
                    if let (Some(operands), true, false) = (operands, same, turns_weight) {
                        let value = op.reference_f32(&operands, &node.ty);
                        known.insert(id, value);
                        continue;
                    }
                    for input in &node.inputs {
                        if let (false, Some(value)) = (names.contains_key(input), known.get(input))
                        {
                            let name = self.constant(graph, *input, value);
                            names.insert(*input, name);
                        }
                    }
                    let inputs: Vec<String> = node
                        .inputs
                        .iter()
                        .map(|input| names.get(input).cloned().unwrap_or_default())
                        .collect();
                    let types: Vec<TensorType> =
                        node.inputs.iter().map(|&i| graph.ty(i).clone()).collect();
                    let extents: Vec<Vec<OnnxExtent>> = node
                        .inputs
                        .iter()
                        .map(|&i| extents(graph, other, i))
                        .collect();
                    let output = extents_of(graph.ty(id), other.ty(id));
                    let mut form = OnnxForm {
                        nodes: self,
                        inputs: &inputs,
                        types: &types,
                        extents: &extents,
                        output: &output,
                    };
                    let written = op.onnx(&mut form).map_err(|why| {
                        let layer = match &*node.scope {
                            "" => String::new(),
                            scope => format!("layer {scope}: "),
                        };
                        Error::Config(format!(
                            "{layer}the operation {} {why}; export the weights alone as safetensors",
                            op.name()
                        ))
                    })?;
                    names.insert(id, written);
                }
            }
        }
        for output in &graph.outputs {
            let name = match names.get(&output.node) {
                Some(name) => name.clone(),
                None => match known.get(&output.node) {
                    Some(value) => self.constant(graph, output.node, value),
                    None => String::new(),
                },
            };
            // Images have their channels first in files.
            let written = match graph.ty(output.node).shape.rank() {
                4 => self.node_named("Transpose", &[&name], perm(&[0, 3, 1, 2]), &output.name),
                _ => self.node_named("Identity", &[&name], Vec::new(), &output.name),
            };
            debug_assert_eq!(written, output.name);
        }
        Ok(())
    }

    /// Nodes and constants.
    pub fn finish(mut self) -> (Vec<NodeProto>, BTreeMap<String, OnnxTensor>) {
        let outputs = self.model.outputs().iter();
        let outputs: HashSet<&str> = outputs.map(|o| o.name.as_str()).collect();
        biases::fuse(&mut self.nodes, &self.initializers, &outputs);
        flattened::unfold(&mut self.nodes, &self.initializers);
        let weights: HashSet<&str> = self.state.keys().copied().collect();
        transposes::simplify(&mut self.nodes, &mut self.initializers, &outputs, &weights);
        transposes::remove_unused(&mut self.nodes, &mut self.initializers, &outputs);
        (self.nodes, self.initializers)
    }

    /// The value of an input, with the axes of the engine.
    fn input(&mut self, name: &str, ty: &TensorType) -> String {
        match ty.shape.rank() {
            4 if is_real(ty) => self
                .node("Transpose", &[name], perm_list(&[0, 2, 3, 1]), 1)
                .remove(0),
            _ => name.to_string(),
        }
    }

    /// The name of the constant `value`, that of node `id`. A weight has its own name and PyTorch's layout.
    fn constant(&mut self, graph: &Graph, id: NodeId, value: &Tensor<f32>) -> String {
        let own = match &graph.node(id).kind {
            NodeKind::Variable(name) => self.state.get(&**name).copied(),
            _ => None,
        };
        if let (Some((part, value)), Data::Real(_)) = (own, &value.data) {
            let file = part.to_file(value);
            let dims = part.file_shape();
            let tensor = floats(part.name.clone(), dims.dims(), &file);
            match (&part.layout, value.shape.rank()) {
                (Layout::Same, _) => {
                    self.initializers.insert(part.name.clone(), tensor);
                    return part.name.clone();
                }
                (Layout::Conv, 4) => {
                    self.initializers.insert(part.name.clone(), tensor);
                    let name = part.name.clone();
                    return self
                        .node("Transpose", &[&name], perm_list(&[0, 2, 3, 1]), 1)
                        .remove(0);
                }
                (Layout::Features(_), rank @ 1..=2) => {
                    self.initializers.insert(part.name.clone(), tensor);
                    return self.reordered(part, rank - 1);
                }
                _ => {}
            }
        }
        let name = self.name("constant");
        let tensor = match &value.data {
            Data::Real(values) => floats(name.clone(), value.shape.dims(), values),
            Data::Index(values) => {
                let values: Vec<i64> = values.iter().map(|&x| i64::from(x)).collect();
                integers(name.clone(), value.shape.dims(), &values)
            }
        };
        self.initializers.insert(name.clone(), tensor);
        name
    }

    /// The weight `part`, whose features are in another order in files along `axis`, in the engine's order.
    fn reordered(&mut self, part: &Parameter, axis: usize) -> String {
        let features = part.ty.shape.last();
        let columns = (0..part.ty.elements()).map(|i| (i % features) as f32);
        let columns = Tensor::real(part.ty.shape.clone(), columns.collect());
        let mut order = vec![0; features];
        for (at, &column) in part.to_file(&columns)[..features].iter().enumerate() {
            order[column as usize] = at as i64;
        }
        let order = self.ints(&order);
        let axis = vec![("axis", OnnxAttribute::Int(axis as i64))];
        self.node("Gather", &[&part.name, &order], axis, 1)
            .remove(0)
    }

    /// A name that no other value has.
    fn name(&mut self, stem: &str) -> String {
        self.made += 1;
        format!("{stem}_{}", self.made)
    }

    /// A node whose result is called `output`.
    fn node_named(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        output: &str,
    ) -> String {
        let node = NodeProto {
            input: inputs.iter().map(|name| name.to_string()).collect(),
            output: vec![output.to_string()],
            name: format!("node_{output}"),
            op_type: op.to_string(),
            attribute: attributes,
            domain: String::new(),
        };
        self.nodes.push(node);
        output.to_string()
    }
}

impl OnnxNodes for Writer<'_> {
    fn opset(&self) -> i64 {
        self.opset
    }

    fn node(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Vec<(&'static str, OnnxAttribute)>,
        results: usize,
    ) -> Vec<String> {
        let stem = match self.scope.as_str() {
            "" => op.to_lowercase(),
            scope => format!("{scope}.{}", op.to_lowercase()),
        };
        let outputs: Vec<String> = (0..results).map(|_| self.name(&stem)).collect();
        let node = NodeProto {
            input: inputs.iter().map(|name| name.to_string()).collect(),
            output: outputs.clone(),
            name: format!("node_{}", outputs.first().map_or("", String::as_str)),
            op_type: op.to_string(),
            attribute: attributes
                .into_iter()
                .map(|(name, value)| attribute(name, value))
                .collect(),
            domain: String::new(),
        };
        self.nodes.push(node);
        outputs
    }

    fn ints(&mut self, values: &[i64]) -> String {
        let name = self.name("ints");
        let tensor = integers(name.clone(), &[values.len()], values);
        self.initializers.insert(name.clone(), tensor);
        name
    }

    fn floats(&mut self, dims: &[usize], values: &[f64]) -> String {
        let name = self.name("floats");
        let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        self.initializers
            .insert(name.clone(), floats(name.clone(), dims, &values));
        name
    }
}

/// The attribute `perm`.
fn perm(axes: &[usize]) -> Vec<AttributeProto> {
    perm_list(axes)
        .into_iter()
        .map(|(name, value)| attribute(name, value))
        .collect()
}

fn perm_list(axes: &[usize]) -> Vec<(&'static str, OnnxAttribute)> {
    vec![(
        "perm",
        OnnxAttribute::Ints(crate::ops::onnx_form::ints(axes)),
    )]
}

fn attribute(name: &str, value: OnnxAttribute) -> AttributeProto {
    let mut proto = AttributeProto {
        name: name.to_string(),
        ..AttributeProto::default()
    };
    match value {
        OnnxAttribute::Float(x) => (proto.f, proto.r#type) = (Some(x as f32), 1),
        OnnxAttribute::Int(x) => (proto.i, proto.r#type) = (Some(x), 2),
        OnnxAttribute::Text(text) => (proto.s, proto.r#type) = (Some(text.as_bytes().to_vec()), 3),
        OnnxAttribute::Ints(values) => (proto.ints, proto.r#type) = (values, 7),
    }
    proto
}

/// Extents of `id` in two graphs.
fn extents(graph: &Graph, other: &Graph, id: NodeId) -> Vec<OnnxExtent> {
    extents_of(graph.ty(id), other.ty(id))
}

fn extents_of(a: &TensorType, b: &TensorType) -> Vec<OnnxExtent> {
    let pairs = a.dims().iter().zip(b.dims());
    pairs.map(|(&a, &b)| (a == b).then_some(a)).collect()
}

/// The nodes that the outputs need.
fn needed(graph: &Graph) -> HashSet<NodeId> {
    let mut needed: HashSet<NodeId> = HashSet::new();
    let mut stack: Vec<NodeId> = graph.outputs.iter().map(|output| output.node).collect();
    while let Some(id) = stack.pop() {
        if needed.insert(id) {
            stack.extend(&graph.node(id).inputs);
        }
    }
    needed
}

//! The nodes that a network becomes.

use crate::onnx::array::Array;
use crate::onnx::element::Element;
use crate::onnx::messages::{AttributeProto, NodeProto};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A value between layers: its name, and its number of axes.
#[derive(Clone, Debug)]
pub struct KerasValue {
    /// Name.
    pub name: String,
    /// Number of axes.
    pub rank: usize,
}

/// Nodes and constants.
pub struct Net {
    /// The version of Keras: "Keras 2.15.0".
    pub version: String,
    nodes: Vec<NodeProto>,
    constants: HashMap<String, Arc<Array>>,
    weights: HashSet<String>,
    /// The layer that nodes are made for, a prefix of their names.
    pub scope: String,
    /// Names that were given.
    names: HashMap<String, usize>,
}

/// An attribute of a node.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        i: Some(value),
        r#type: 2,
        ..named(name)
    }
}

/// An attribute of a node.
pub fn float(name: &str, value: f64) -> AttributeProto {
    AttributeProto {
        f: Some(value as f32),
        r#type: 1,
        ..named(name)
    }
}

/// An attribute of a node.
pub fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        ints: values.iter().map(|&x| x as i64).collect(),
        r#type: 7,
        ..named(name)
    }
}

/// An attribute of a node.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        s: Some(value.as_bytes().to_vec()),
        r#type: 3,
        ..named(name)
    }
}

/// An attribute of a node.
pub fn texts(name: &str, values: &[String]) -> AttributeProto {
    AttributeProto {
        strings: values.iter().map(|s| s.as_bytes().to_vec()).collect(),
        r#type: 8,
        ..named(name)
    }
}

fn named(name: &str) -> AttributeProto {
    AttributeProto {
        name: name.to_string(),
        ..AttributeProto::default()
    }
}

impl Net {
    /// An empty network, saved by `version` of Keras.
    pub fn new(version: &str) -> Net {
        Net {
            version: version.to_string(),
            nodes: Vec::new(),
            constants: HashMap::new(),
            weights: HashSet::new(),
            scope: String::new(),
            names: HashMap::new(),
        }
    }

    /// Number of nodes so far.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A name that nothing else has: that of the layer, and `end`.
    fn name(&mut self, end: &str) -> String {
        let name = format!("{}/{end}", self.scope);
        let count = self.names.entry(name.clone()).or_default();
        *count += 1;
        match *count {
            1 => name,
            n => format!("{name}_{n}"),
        }
    }

    /// Adds a node and returns the name of its result.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = self.name(op);
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|name| name.to_string()).collect(),
            output: vec![output.clone()],
            name: output.clone(),
            op_type: op.to_string(),
            attribute: attributes,
            domain: String::new(),
        });
        output
    }

    /// A node on `x` whose result has as many axes.
    pub fn same(
        &mut self,
        op: &str,
        x: &KerasValue,
        attributes: Vec<AttributeProto>,
    ) -> KerasValue {
        KerasValue {
            name: self.node(op, &[&x.name], attributes),
            rank: x.rank,
        }
    }

    /// `x` with its axes in the order `perm`.
    pub fn transposed(&mut self, x: &str, perm: &[usize]) -> String {
        self.node("Transpose", &[x], vec![ints("perm", perm)])
    }

    /// `x [N, ..., C]` as `[N, C, ...]`.
    pub fn channels_first(&mut self, x: &KerasValue) -> String {
        let order: Vec<usize> = [0, x.rank - 1].into_iter().chain(1..x.rank - 1).collect();
        self.transposed(&x.name, &order)
    }

    /// `x [N, C, ...]` with `rank` axes as `[N, ..., C]`.
    pub fn channels_last(&mut self, x: &str, rank: usize) -> KerasValue {
        let order: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        KerasValue {
            name: self.transposed(x, &order),
            rank,
        }
    }

    /// A weight of the layer.
    pub fn weight(&mut self, end: &str, array: Array) -> String {
        let name = format!("{}/{end}", self.scope);
        self.weights.insert(name.clone());
        self.constants.insert(name.clone(), Arc::new(array));
        name
    }

    /// A constant.
    pub fn constant(&mut self, array: Array) -> String {
        let name = self.name("constant");
        self.constants.insert(name.clone(), Arc::new(array));
        name
    }

    /// A constant number.
    pub fn number(&mut self, value: f64) -> String {
        self.constant(Array::new(Element::Float, vec![], vec![value]))
    }

    /// Constant numbers along the last axis.
    pub fn floats(&mut self, values: Vec<f64>) -> String {
        self.constant(Array::new(Element::Float, vec![values.len()], values))
    }

    /// Constant integers.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let numbers = values.iter().map(|&x| x as f64).collect();
        self.constant(Array::new(Element::Int64, vec![values.len()], numbers))
    }

    /// Nodes, constants, and the names of weights.
    #[allow(clippy::type_complexity, reason = "the parts of a file")]
    pub fn finish(self) -> (Vec<NodeProto>, HashMap<String, Arc<Array>>, HashSet<String>) {
        (self.nodes, self.constants, self.weights)
    }
}

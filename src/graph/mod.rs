//! The graph: nodes in static single assignment form with static shapes.
//!
//! A node is a *variable* (a tensor that persists across steps: weight, optimizer state, data set), an *input* (fed
//! before each step), a scalar *constant*, or an *operation* on earlier nodes. After a step each variable in
//! [`Graph::updates`] is set to the value of its node. The caller may read the [`Graph::outputs`].

mod builder;
mod dump;
mod precision;
mod verify;

pub use builder::{Builder, Precise, Scope, Var};
pub use precision::Precision;

use crate::ops::ErasedOp;
use crate::tensor::TensorType;
use std::panic::Location;
use std::sync::Arc;

/// Position of a node in its graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// Index into [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The kind of a node.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A tensor that persists across steps, identified by its name.
    Variable(Arc<str>),
    /// A tensor that the caller feeds, identified by its name.
    Input(Arc<str>),
    /// A scalar known when the graph is built.
    Constant(f64),
    /// An operation on [`Node::inputs`].
    Op(Arc<dyn ErasedOp>),
}

/// A value of the graph and how it is computed.
#[derive(Clone, Debug)]
pub struct Node {
    /// Variable, input, constant or operation.
    pub kind: NodeKind,
    /// Operands, earlier in the graph.
    pub inputs: Vec<NodeId>,
    /// Element type and shape of the value.
    pub ty: TensorType,
    /// Whether its value may be stored in 16 bits in mixed precision.
    pub may_be_narrow: bool,
    /// Name of the layer that built it, empty at top level.
    pub scope: Arc<str>,
    /// Source line that built it.
    pub location: &'static Location<'static>,
}

impl Node {
    /// The operation, if the node is one.
    pub fn op(&self) -> Option<&Arc<dyn ErasedOp>> {
        match &self.kind {
            NodeKind::Op(op) => Some(op),
            _ => None,
        }
    }

    /// Short name for dumps and labels: the operation, or the name of the variable or input.
    pub fn label(&self) -> String {
        match &self.kind {
            NodeKind::Variable(name) | NodeKind::Input(name) => name.to_string(),
            NodeKind::Constant(value) => format!("{value}"),
            NodeKind::Op(op) if self.scope.is_empty() => op.name().to_string(),
            NodeKind::Op(op) => format!("{}/{}", self.scope, op.name()),
        }
    }
}

/// A variable and the node that it is set to after the step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Update {
    /// A node of kind [`NodeKind::Variable`].
    pub variable: NodeId,
    /// Its next value, of the same type.
    pub value: NodeId,
}

/// A named value that the caller may read after a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// The value.
    pub node: NodeId,
}

/// Nodes in topological order, with the outputs and updates of one step.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Every node; operands come before their users.
    pub nodes: Vec<Node>,
    /// Values that the caller may read.
    pub outputs: Vec<Output>,
    /// New values of variables.
    pub updates: Vec<Update>,
    /// The precision of its products.
    pub precision: Precision,
}

impl Graph {
    /// The node at `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Element type and shape of the value at `id`.
    pub fn ty(&self, id: NodeId) -> &TensorType {
        &self.nodes[id.index()].ty
    }

    /// The variables that it updates and whose names `belongs` is true for, with their types.
    pub fn updated(&self, belongs: impl Fn(&str) -> bool) -> Vec<(String, TensorType)> {
        let updated = self.updates.iter().map(|update| self.node(update.variable));
        updated
            .filter_map(|node| match &node.kind {
                NodeKind::Variable(name) if belongs(name) => {
                    Some((name.to_string(), node.ty.clone()))
                }
                _ => None,
            })
            .collect()
    }

    /// Types of the operands of `node`.
    pub fn operand_types(&self, node: &Node) -> Vec<&TensorType> {
        node.inputs.iter().map(|&input| self.ty(input)).collect()
    }

    /// Whether [`Precision::Mixed`] rounds the operands of an operation.
    pub fn has_rounded_operands(&self) -> bool {
        let rounds = |node: &Node| {
            let types = self.operand_types(node);
            node.op().is_some_and(|op| op.rounds_operands(&types))
        };
        self.nodes.iter().any(rounds)
    }

    /// All ids in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The nodes whose values are needed after a step: outputs and new values of variables.
    pub fn roots(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.outputs
            .iter()
            .map(|o| o.node)
            .chain(self.updates.iter().map(|u| u.value))
    }

    /// For each node, the number of operands and roots that refer to it.
    pub fn use_counts(&self) -> Vec<usize> {
        let mut uses = vec![0; self.nodes.len()];
        for node in &self.nodes {
            for input in &node.inputs {
                uses[input.index()] += 1;
            }
        }
        for root in self.roots() {
            uses[root.index()] += 1;
        }
        uses
    }
}

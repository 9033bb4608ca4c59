//! Merges nodes that compute the same value: same operation, same attributes, same operands.

use super::rewrite::{Action, rewrite};
use crate::graph::{Graph, NodeId, NodeKind};
use std::collections::HashMap;

pub(super) fn run(graph: &Graph) -> Graph {
    let mut known: HashMap<(String, Vec<NodeId>), NodeId> = HashMap::new();
    rewrite(graph, |_, node, new| {
        let text = match &node.kind {
            NodeKind::Op(op) => format!("{op:?} {} {}", node.ty, node.may_be_narrow),
            NodeKind::Constant(value) => format!("constant {:x}", value.to_bits()),
            NodeKind::Variable(_) | NodeKind::Input(_) => return Action::Node(node),
        };
        let key = (text, node.inputs.clone());
        match known.get(&key) {
            Some(&same) => Action::Replace(same),
            None => {
                known.insert(key, NodeId(new.nodes.len() as u32));
                Action::Node(node)
            }
        }
    })
}

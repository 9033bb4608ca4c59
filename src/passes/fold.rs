//! Constant folding: computes pointwise operations on constants at plan time, with the reference.

use super::rewrite::{Action, rewrite};
use crate::cpu::Tensor;
use crate::graph::{Graph, NodeKind};
use crate::ops::Role;

pub(super) fn run(graph: &Graph) -> Graph {
    rewrite(graph, |_, mut node, new| {
        let NodeKind::Op(op) = &node.kind else {
            return Action::Node(node);
        };
        if node.ty.shape.rank() != 0 || !matches!(op.role(), Role::Pointwise(_)) {
            return Action::Node(node);
        }
        let constants: Option<Vec<Tensor<f64>>> = node
            .inputs
            .iter()
            .map(|&i| match new.node(i).kind {
                NodeKind::Constant(value) => Some(Tensor::real([], vec![value])),
                _ => None,
            })
            .collect();
        if let Some(constants) = constants {
            let value = op.reference_f64(&constants.iter().collect::<Vec<_>>(), &node.ty);
            node.kind = NodeKind::Constant(value.reals()[0]);
            node.inputs.clear();
        }
        Action::Node(node)
    })
}

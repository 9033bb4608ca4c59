//! Removes nodes that no output or update needs.

use super::rewrite::{Action, rewrite};
use crate::graph::Graph;

pub(super) fn run(graph: &Graph) -> Graph {
    let mut live = vec![false; graph.nodes.len()];
    for root in graph.roots() {
        live[root.index()] = true;
    }
    for update in &graph.updates {
        live[update.variable.index()] = true;
    }
    for id in graph.ids().rev() {
        if live[id.index()] {
            for input in &graph.node(id).inputs {
                live[input.index()] = true;
            }
        }
    }
    rewrite(graph, |id, node, _| {
        if live[id.index()] {
            Action::Node(node)
        } else {
            Action::Drop
        }
    })
}

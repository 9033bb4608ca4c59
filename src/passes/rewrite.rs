//! Copies a graph node by node; a pass decides what to do with each node.

use crate::graph::{Graph, Node, NodeId, Output, Update};

/// What a pass does with a node.
pub(super) enum Action {
    /// Keep it, or replace it by this node. Operands are ids of the new graph.
    Node(Node),
    /// Use this node of the new graph instead.
    Replace(NodeId),
    /// Remove it; nothing may refer to it.
    Drop,
}

/// Copies `graph`. `visit` receives each old id, the node with its operands translated, and the new graph so far.
pub(super) fn rewrite(
    graph: &Graph,
    mut visit: impl FnMut(NodeId, Node, &Graph) -> Action,
) -> Graph {
    let mut new = Graph {
        precision: graph.precision,
        ..Graph::default()
    };
    let mut map: Vec<Option<NodeId>> = Vec::with_capacity(graph.nodes.len());
    for id in graph.ids() {
        let mut node = graph.node(id).clone();
        let known = node
            .inputs
            .iter()
            .map(|i| map[i.index()])
            .collect::<Option<Vec<_>>>();
        let step = match known {
            Some(inputs) => {
                node.inputs = inputs;
                visit(id, node, &new)
            }
            None => Action::Drop,
        };
        map.push(match step {
            Action::Node(node) => {
                new.nodes.push(node);
                Some(NodeId(new.nodes.len() as u32 - 1))
            }
            Action::Replace(id) => Some(id),
            Action::Drop => None,
        });
    }
    new.outputs = graph
        .outputs
        .iter()
        .filter_map(|o| {
            map[o.node.index()].map(|node| Output {
                name: o.name.clone(),
                node,
            })
        })
        .collect();
    new.updates = graph
        .updates
        .iter()
        .filter_map(|u| {
            let (variable, value) = (map[u.variable.index()]?, map[u.value.index()]?);
            Some(Update { variable, value })
        })
        .collect();
    new
}

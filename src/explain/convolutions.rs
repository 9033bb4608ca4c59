//! The layers of a network that have a convolution.

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, NodeKind};
use crate::nearest::did_you_mean;

/// The operation of convolutions, and those of layers that can follow it as one.
const CONVOLUTION: &str = "conv2d";

/// The operation that adds a bias.
const ADDITION: &str = "add";

/// A layer with a convolution.
pub(super) struct Convolution {
    /// Its name.
    pub name: String,
    /// The node whose value the layer gives: what its activation makes of the convolution.
    pub active: NodeId,
    /// The node of the convolution with its bias, before the activation.
    pub response: NodeId,
    /// The variable with its filters, `[filters, height, width, channels]`, if they are one.
    pub filters: Option<String>,
}

/// The layers with a convolution, in their order.
pub(super) fn convolutions(graph: &Graph) -> Vec<Convolution> {
    let mut layers: Vec<Convolution> = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let Some(op) = node.op() else { continue };
        let known = layers.iter_mut().find(|known| *known.name == *node.scope);
        match known {
            // The last node of the layer.
            Some(known) if node.ty.dims().len() == 4 => {
                known.active = id;
                if op.name() == ADDITION && node.inputs.first() == Some(&known.response) {
                    known.response = id;
                }
            }
            Some(_) => {}
            None if op.name() == CONVOLUTION => {
                let weight = node.inputs.get(1).map(|&weight| &graph.node(weight).kind);
                layers.push(Convolution {
                    name: node.scope.to_string(),
                    active: id,
                    response: id,
                    filters: match weight {
                        Some(NodeKind::Variable(name)) => Some(name.to_string()),
                        _ => None,
                    },
                });
            }
            None => {}
        }
    }
    layers
}

/// The layer `name`, which the option `option` gives.
///
/// # Errors
/// If it is none of `layers`, which are listed.
pub(super) fn named<'l>(
    layers: &'l [Convolution],
    option: &str,
    name: &str,
) -> Result<&'l Convolution> {
    let found = layers.iter().find(|known| known.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = layers.iter().map(|known| &*known.name).collect();
        let known = match names.is_empty() {
            true => "it has none".to_string(),
            false => format!("its convolutions are {}", names.join(", ")),
        };
        Error::Config(format!(
            "{option} {name} is no convolution of the model; {known}{}",
            did_you_mean(name, names.iter().copied())
        ))
    })
}

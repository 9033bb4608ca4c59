//! The reference: runs the unfused graph node by node on the CPU, in `f32` or `f64`, independently of the GPU code.
//!
//! Every kernel is checked against it, and `--device cpu` trains with it.

mod real;
mod tensor;

pub use real::Real;
pub use tensor::{Data, Tensor};

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, NodeKind};
use crate::tensor::Half;
use std::collections::HashMap;
use std::sync::Arc;

/// Values of variables between steps, by name.
pub type Variables<T> = HashMap<String, Arc<Tensor<T>>>;

/// A check of every operation, given its node, its operands and its result.
pub(crate) type Check<'a, T> = dyn Fn(NodeId, &[&Tensor<T>], &Tensor<T>) -> Result<()> + 'a;

/// Runs one step of `graph`: reads `variables` and `inputs` (both by name), writes the updates back to
/// `variables`, and returns the outputs in the order of [`Graph::outputs`].
///
/// # Errors
/// If a variable or an input is missing or has another type than its node.
pub fn interpret<T: Real>(
    graph: &Graph,
    variables: &mut Variables<T>,
    inputs: &HashMap<String, Arc<Tensor<T>>>,
) -> Result<Vec<Arc<Tensor<T>>>> {
    interpret_with(graph, variables, inputs, &|_, _, _| Ok(()))
}

/// The same; `check` is given every operation with its operands and its result.
///
/// # Errors
/// As [`interpret`], or that of `check`.
pub(crate) fn interpret_with<T: Real>(
    graph: &Graph,
    variables: &mut Variables<T>,
    inputs: &HashMap<String, Arc<Tensor<T>>>,
    check: &Check<'_, T>,
) -> Result<Vec<Arc<Tensor<T>>>> {
    let mut remaining = graph.use_counts();
    let mut values: Vec<Option<Arc<Tensor<T>>>> = vec![None; graph.nodes.len()];
    for id in graph.ids() {
        if remaining[id.index()] == 0 {
            continue;
        }
        let node = graph.node(id);
        let value = match &node.kind {
            NodeKind::Variable(name) => leaf(graph, id, "variable", variables.get(&**name))?,
            NodeKind::Input(name) => leaf(graph, id, "input", inputs.get(&**name))?,
            NodeKind::Constant(value) => {
                Arc::new(Tensor::real(node.ty.shape.clone(), vec![T::of(*value)]))
            }
            NodeKind::Op(op) => {
                let operands = node
                    .inputs
                    .iter()
                    .map(|i| {
                        values[i.index()]
                            .as_deref()
                            .ok_or_else(|| missing(graph, *i))
                    })
                    .collect::<Result<Vec<_>>>()?;
                let half = graph.precision.half();
                let value = match half.filter(|_| op.rounds_operands(&graph.operand_types(node))) {
                    Some(half) => {
                        let rounded: Vec<_> = operands.iter().map(|x| rounded(x, half)).collect();
                        T::run(&**op, &rounded.iter().collect::<Vec<_>>(), &node.ty)
                    }
                    None => T::run(&**op, &operands, &node.ty),
                };
                debug_assert_eq!(value.ty(), node.ty, "{op:?} returned another type");
                check(id, &operands, &value)?;
                Arc::new(value)
            }
        };
        values[id.index()] = Some(value);
        for input in &node.inputs {
            remaining[input.index()] -= 1;
            if remaining[input.index()] == 0 {
                values[input.index()] = None;
            }
        }
    }
    let take = |id: NodeId| values[id.index()].clone().ok_or_else(|| missing(graph, id));
    let outputs = graph
        .outputs
        .iter()
        .map(|o| take(o.node))
        .collect::<Result<Vec<_>>>()?;
    let news = graph
        .updates
        .iter()
        .map(|u| take(u.value))
        .collect::<Result<Vec<_>>>()?;
    for (update, value) in graph.updates.iter().zip(news) {
        if let NodeKind::Variable(name) = &graph.node(update.variable).kind {
            variables.insert(name.to_string(), value);
        }
    }
    Ok(outputs)
}

/// Peak size in bytes of the results that exist while [`interpret`] runs `graph` in `f32`, excluding variables.
pub fn workspace_bytes(graph: &Graph) -> u64 {
    let mut remaining = graph.use_counts();
    let bytes = |id: NodeId| match graph.node(id).kind {
        NodeKind::Variable(_) => 0,
        _ => graph.ty(id).bytes() as u64,
    };
    let (mut live, mut most) = (0_u64, 0);
    for id in graph.ids() {
        if remaining[id.index()] == 0 {
            continue;
        }
        live += bytes(id);
        most = most.max(live);
        for &input in &graph.node(id).inputs {
            remaining[input.index()] -= 1;
            if remaining[input.index()] == 0 {
                live -= bytes(input);
            }
        }
    }
    most
}

/// Size in bytes of the variables of `graph` in `f32`.
pub fn variable_bytes(graph: &Graph) -> u64 {
    let variables = graph
        .nodes
        .iter()
        .filter(|node| matches!(node.kind, NodeKind::Variable(_)));
    variables.map(|node| node.ty.bytes() as u64).sum()
}

/// What an operation in mixed precision reads of `x`, one of its operands: the nearest 16-bit floats.
fn rounded<T: Real>(x: &Tensor<T>, half: Half) -> Tensor<T> {
    let round = |x: &T| T::of(half.rounded(x.to_f64()));
    Tensor::real(x.shape.clone(), x.reals().iter().map(round).collect())
}

fn leaf<T: Real>(
    graph: &Graph,
    id: NodeId,
    kind: &str,
    value: Option<&Arc<Tensor<T>>>,
) -> Result<Arc<Tensor<T>>> {
    let node = graph.node(id);
    let value =
        value.ok_or_else(|| Error::Graph(format!("{kind} {} has no value", node.label())))?;
    if value.ty() != node.ty {
        let message = format!(
            "{kind} {} is a {} but was given a {}",
            node.label(),
            node.ty,
            value.ty()
        );
        return Err(Error::Graph(message));
    }
    Ok(value.clone())
}

fn missing(graph: &Graph, id: NodeId) -> Error {
    Error::Graph(format!(
        "%{} ({}) has no value",
        id.index(),
        graph.node(id).label()
    ))
}

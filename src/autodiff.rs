//! Reverse-mode differentiation: one walk from the loss to the leaves. Every operation brings its own rule
//! (`Op::vjp`); the gradient is ordinary nodes at the end of the same graph.

mod clipped;

pub use clipped::{ClippedGradients, clipped_gradients};

use crate::error::{Error, Result};
use crate::graph::{Builder, NodeId, NodeKind, Var};
use crate::ops::Vjp;
use std::collections::HashMap;

/// Gradients of the one-element value `loss` with respect to each of `wrt`, of their shapes. Where the loss does
/// not depend on a value its gradient is zero.
///
/// # Errors
/// If `loss` has more than one element, or an operation on the way has no gradient.
pub fn gradients<'g>(loss: Var<'g>, wrt: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
    if loss.ty().elements() != 1 {
        return Err(Error::Graph(format!(
            "the loss must be one number, not a {}",
            loss.ty()
        )));
    }
    let one = loss.builder().constant(1.0).broadcast_to(&loss.shape())?;
    vjp(loss, one, wrt)
}

/// The vector-Jacobian product: gradients with respect to each of `wrt` of the loss whose gradient with respect to
/// `value` is `upstream`. PyTorch `autograd.grad(value, wrt, upstream)`.
///
/// # Errors
/// If `upstream` is of another type than `value`, or an operation on the way has no gradient.
pub fn vjp<'g>(value: Var<'g>, upstream: Var<'g>, wrt: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
    vjp_with(value, upstream, wrt, |_, grad| Ok(grad))
}

/// The same, with what arrives at each operation replaced by what `change` makes of it, given the name of the operation: for rules
/// other than that of the derivative, such as guided back-propagation.
///
/// # Errors
/// As [`vjp`], and those of `change`.
pub fn vjp_with<'g>(
    value: Var<'g>,
    upstream: Var<'g>,
    wrt: &[Var<'g>],
    change: impl Fn(&str, Var<'g>) -> Result<Var<'g>>,
) -> Result<Vec<Var<'g>>> {
    if upstream.ty() != value.ty() {
        return Err(Error::Graph(format!(
            "a {} can't be the gradient of a {}",
            upstream.ty(),
            value.ty()
        )));
    }
    let builder = value.builder();
    let needed = dependents(builder, wrt);
    let mut grads = HashMap::from([(value.id(), upstream)]);
    for index in (0..=value.id().index()).rev() {
        let id = NodeId(index as u32);
        let Some(&grad) = grads.get(&id).filter(|_| needed[index]) else {
            continue;
        };
        let node = builder.with_graph(|graph| graph.node(id).clone());
        let NodeKind::Op(op) = &node.kind else {
            continue;
        };
        let _scope = builder.absolute_scope(&backward_scope(&node.scope));
        let inputs: Vec<Var<'g>> = node.inputs.iter().map(|&i| builder.var(i)).collect();
        let partials = op.vjp(&Vjp {
            inputs,
            output: builder.var(id),
            grad: change(op.name(), grad)?,
        })?;
        for (input, partial) in node.inputs.iter().zip(partials) {
            let Some(partial) = partial.filter(|_| needed[input.index()]) else {
                continue;
            };
            let want = builder.with_graph(|graph| graph.ty(*input).clone());
            if partial.ty() != want {
                let message = format!(
                    "the gradient rule of {op:?} gives a {} for a {want}",
                    partial.ty()
                );
                return Err(Error::Graph(message));
            }
            let total = match grads.get(input) {
                Some(&sum) => sum.add(partial)?,
                None => partial,
            };
            grads.insert(*input, total);
        }
    }
    wrt.iter()
        .map(|v| match grads.get(&v.id()) {
            Some(&grad) => Ok(grad),
            None => builder.constant(0.0).broadcast_to(&v.shape()),
        })
        .collect()
}

/// Which nodes depend on one of `wrt`.
fn dependents(builder: &Builder, wrt: &[Var<'_>]) -> Vec<bool> {
    builder.with_graph(|graph| {
        let mut depends = vec![false; graph.nodes.len()];
        for v in wrt {
            depends[v.id().index()] = true;
        }
        for id in graph.ids() {
            if graph.node(id).inputs.iter().any(|i| depends[i.index()]) {
                depends[id.index()] = true;
            }
        }
        depends
    })
}

fn backward_scope(scope: &str) -> String {
    match scope {
        "" => "backward".to_string(),
        _ if scope.ends_with(".backward") => scope.to_string(),
        _ => format!("{scope}.backward"),
    }
}

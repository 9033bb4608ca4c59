//! The sum of the gradients of single samples, each clipped to a norm: the gradients of differentially private training (Abadi et al.,
//! "Deep Learning with Differential Privacy", 2016).
//!
//! One walk back from the losses finds the gradient that arrives at every operation which reads a parameter. As samples do not mix, it
//! consists of those of the samples: the norm of each sample's part follows from it (`Op::sample_norms`), and with each sample's rows
//! multiplied by its factor, the operation's own gradient rule gives the clipped sum. The layers are walked only once, and no gradient of
//! a single sample is stored where its norm can be had without (Li et al. 2022; Bu et al., "Differentially Private Optimization on Large
//! Model at Small Cost", 2023).

use super::{backward_scope, dependents};
use crate::error::{Error, Result};
use crate::graph::{Builder, Node, NodeId, NodeKind, Var};
use crate::ops::{Role, Vjp};
use std::collections::{HashMap, HashSet};

/// Clipped gradients of a batch.
pub struct ClippedGradients<'g> {
    /// For each parameter, the sum over the samples of their clipped gradients.
    pub sums: Vec<Var<'g>>,
    /// The squared norm of the gradient of each sample, over all parameters and before it is clipped: `[batch]`.
    pub squared_norms: Var<'g>,
}

/// Where the samples of a batch lie in a value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Samples {
    /// It is the same for all samples.
    Shared,
    /// Data before they are divided into samples.
    Source,
    /// In equal blocks along this axis.
    Along(usize),
}

/// An operation that reads a parameter, or a view of one, together with samples.
struct Reader<'g> {
    node: NodeId,
    operand: usize,
    /// The gradient of its result.
    grad: Var<'g>,
}

/// Gradients of the sum of `losses` `[batch]` with respect to `parameters`, of which every sample's part, over all parameters together,
/// is divided by its norm if that is larger than `bound`, and then multiplied by it. `fields` are the values of the batch.
///
/// # Errors
/// If samples are mixed on the way from the fields to the losses, an operation has no rule for gradients of single samples, or a
/// parameter is read more than once.
pub fn clipped_gradients<'g>(
    losses: Var<'g>,
    parameters: &[Var<'g>],
    fields: &[Var<'g>],
    bound: f64,
) -> Result<ClippedGradients<'g>> {
    let builder = losses.builder();
    let shape = losses.shape();
    let &[samples] = shape.dims() else {
        return Err(Error::Graph(format!(
            "takes one loss for each sample, not a {}",
            losses.ty()
        )));
    };
    let places = places(losses, fields, samples)?;
    let ones = builder.constant(1.0).broadcast_to(&shape)?;
    let readers = readers(losses, ones, parameters, &places)?;
    let mut total: Option<Var<'g>> = None;
    let mut read = HashSet::new();
    for reader in &readers {
        let node = node(builder, reader.node);
        if !read.insert(parameter_of(builder, node.inputs[reader.operand])?) {
            return Err(unsupported(
                &node,
                "reads a parameter that another layer reads, too; layers that share weights can't be trained privately",
            ));
        }
        let _scope = builder.absolute_scope(&backward_scope(&node.scope));
        let cx = context(builder, reader.node, &node, reader.grad);
        let NodeKind::Op(op) = &node.kind else {
            continue;
        };
        let norms = op.sample_norms(&cx, reader.operand, samples)?;
        let norms = norms.ok_or_else(|| {
            unsupported(&node,
                "has no rule for the gradients of single samples; dense layers, convolutions of one group, embeddings, layer and group \
                 normalisation have one",
            )
        })?;
        total = Some(total.map_or(Ok(norms), |total| total.add(norms))?);
    }
    let Some(squared_norms) = total else {
        return Err(Error::Config(
            "no parameter is trained, so there is no gradient to clip".to_string(),
        ));
    };
    // A sample whose gradient is 0 keeps it.
    let norm = squared_norms.maximum(builder.constant(1e-30))?.sqrt()?;
    let limit = builder.constant(bound);
    let factors = limit.div(norm)?.minimum(builder.constant(1.0))?;
    let sums = clipped_sums(builder, &readers, parameters, factors)?;
    Ok(ClippedGradients {
        sums,
        squared_norms,
    })
}

fn node(builder: &Builder, id: NodeId) -> Node {
    builder.with_graph(|graph| graph.node(id).clone())
}

fn context<'g>(builder: &'g Builder, id: NodeId, node: &Node, grad: Var<'g>) -> Vjp<'g> {
    Vjp {
        inputs: node
            .inputs
            .iter()
            .map(|&input| builder.var(input))
            .collect(),
        output: builder.var(id),
        grad,
    }
}

/// An error about the layer of `node`, which `what` describes.
fn unsupported(node: &Node, what: &str) -> Error {
    let operation = node.label();
    let layer = match operation.rsplit_once('/') {
        Some((layer, operation)) => format!("layer {layer} ({operation})"),
        None => operation,
    };
    Error::Config(format!("{layer} {what}"))
}

/// Where the samples lie in every node on the way from `fields` to `losses`.
///
/// # Errors
/// If they are mixed there.
fn places(losses: Var<'_>, fields: &[Var<'_>], samples: usize) -> Result<Vec<Samples>> {
    let builder = losses.builder();
    let roots: HashSet<usize> = fields.iter().map(|field| field.id().index()).collect();
    builder.with_graph(|graph| {
        let ancestors = |of: &[NodeId]| {
            let mut found = vec![false; graph.nodes.len()];
            of.iter().for_each(|id| found[id.index()] = true);
            for index in (0..graph.nodes.len()).rev() {
                if found[index] {
                    let inputs = &graph.nodes[index].inputs;
                    inputs.iter().for_each(|id| found[id.index()] = true);
                }
            }
            found
        };
        let needed = ancestors(&[losses.id()]);
        let of_fields: Vec<NodeId> = fields.iter().map(|field| field.id()).collect();
        let sources = ancestors(&of_fields);
        let mut places = vec![Samples::Shared; graph.nodes.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            if !needed[index] {
                continue;
            }
            if roots.contains(&index) {
                let divides = node.ty.dims().first().is_some_and(|d| d.is_multiple_of(samples));
                if !divides {
                    return Err(unsupported(
                        node,
                        "has no part for each of the losses, so that no gradient belongs to one sample; the task can't be trained privately",
                    ));
                }
                places[index] = Samples::Along(0);
                continue;
            }
            let of_inputs = || node.inputs.iter().map(|id| places[id.index()]);
            let NodeKind::Op(op) = &node.kind else {
                let is_data = sources[index] && node.ty.shape.rank() > 0;
                places[index] = if is_data { Samples::Source } else { Samples::Shared };
                continue;
            };
            if of_inputs().all(|place| place == Samples::Shared) {
                continue;
            }
            if sources[index] && of_inputs().all(|place| !matches!(place, Samples::Along(_))) {
                places[index] = Samples::Source;
                continue;
            }
            let own: Vec<Option<usize>> = of_inputs()
                .map(|place| match place {
                    Samples::Along(axis) => Some(axis),
                    Samples::Shared | Samples::Source => None,
                })
                .collect();
            let mixes = || {
                unsupported(node,
                    "has no rule that keeps the samples of a batch apart, so that no gradient belongs to one of them; batch normalisation mixes them: use \
                     a group_norm or layer_norm in its place",
                )
            };
            if of_inputs().any(|place| place == Samples::Source) {
                return Err(mixes());
            }
            let types = graph.operand_types(node);
            let axis = op.sample_axis(&types, &own, samples).ok_or_else(mixes)?;
            places[index] = Samples::Along(axis);
        }
        match places[losses.id().index()] {
            Samples::Along(0) => Ok(places),
            _ => Err(Error::Config(
                "the losses of the samples can't be told apart, so the task can't be trained privately"
                    .to_string(),
            )),
        }
    })
}

/// Walks back from `losses` to the operations that read a parameter together with samples.
fn readers<'g>(
    losses: Var<'g>,
    upstream: Var<'g>,
    parameters: &[Var<'g>],
    places: &[Samples],
) -> Result<Vec<Reader<'g>>> {
    let builder = losses.builder();
    let needed = dependents(builder, parameters);
    let mut grads = HashMap::from([(losses.id(), upstream)]);
    let mut readers = Vec::new();
    for index in (0..=losses.id().index()).rev() {
        let id = NodeId(index as u32);
        let Some(&grad) = grads.get(&id).filter(|_| needed[index]) else {
            continue;
        };
        let node = node(builder, id);
        let NodeKind::Op(op) = &node.kind else {
            continue;
        };
        let place = |input: NodeId| places.get(input.index()).copied();
        let _scope = builder.absolute_scope(&backward_scope(&node.scope));
        let partials = op.vjp(&context(builder, id, &node, grad))?;
        for (operand, (&input, partial)) in node.inputs.iter().zip(partials).enumerate() {
            if !needed[input.index()] {
                continue;
            }
            if let Some(Samples::Along(_)) = place(input) {
                let Some(partial) = partial else { continue };
                let total = match grads.get(&input) {
                    Some(&sum) => sum.add(partial)?,
                    None => partial,
                };
                grads.insert(input, total);
                continue;
            }
            let others = node.inputs.iter().filter_map(|&input| place(input));
            let leads = |place: Samples| matches!(place, Samples::Along(0) | Samples::Shared);
            if !leads(places[index]) || !others.into_iter().all(leads) {
                return Err(unsupported(
                    &node,
                    "reads a parameter where the samples do not come first, for which there are no gradients of single samples",
                ));
            }
            readers.push(Reader {
                node: id,
                operand,
                grad,
            });
        }
    }
    Ok(readers)
}

/// The parameter of which `id` is a view.
fn parameter_of(builder: &Builder, mut id: NodeId) -> Result<NodeId> {
    loop {
        let found = node(builder, id);
        match &found.kind {
            NodeKind::Op(op) if op.role() == Role::View => id = found.inputs[0],
            NodeKind::Op(_) => {
                return Err(unsupported(
                    &found,
                    "computes with parameters before they meet a sample, which can't be trained privately",
                ));
            }
            _ => return Ok(id),
        }
    }
}

/// The gradients of `parameters`, with those that arrive at `readers` multiplied by the factor of each sample.
fn clipped_sums<'g>(
    builder: &'g Builder,
    readers: &[Reader<'g>],
    parameters: &[Var<'g>],
    factors: Var<'g>,
) -> Result<Vec<Var<'g>>> {
    let mut sums: HashMap<NodeId, Var<'g>> = HashMap::new();
    for reader in readers {
        let node = node(builder, reader.node);
        let NodeKind::Op(op) = &node.kind else {
            continue;
        };
        let _scope = builder.absolute_scope(&backward_scope(&node.scope));
        let grad = reader.grad.mul(of_rows(factors, reader.grad)?)?;
        let partials = op.vjp(&context(builder, reader.node, &node, grad))?;
        let mut partial = partials.into_iter().nth(reader.operand).flatten();
        let mut id = node.inputs[reader.operand];
        while let Some(known) = partial {
            let view = self::node(builder, id);
            let NodeKind::Op(op) = &view.kind else {
                sums.insert(id, known);
                break;
            };
            let through = op.vjp(&context(builder, id, &view, known))?;
            partial = through.into_iter().next().flatten();
            id = view.inputs[0];
        }
    }
    let sum = |parameter: &Var<'g>| match sums.get(&parameter.id()) {
        Some(&sum) => Ok(sum),
        None => builder.constant(0.0).broadcast_to(&parameter.shape()),
    };
    parameters.iter().map(sum).collect()
}

/// The `factors` `[batch]` for the rows of `grad`, of which each sample has the same number, one after another.
fn of_rows<'g>(factors: Var<'g>, grad: Var<'g>) -> Result<Var<'g>> {
    let (samples, shape) = (factors.ty().elements(), grad.shape());
    let rows = shape.dims()[0];
    let factors = match rows / samples {
        1 => factors,
        each => {
            let each = [samples, each].into();
            factors.reshape([samples, 1])?.broadcast_to(&each)?
        }
    };
    let mut dims = vec![1; shape.rank()];
    dims[0] = rows;
    factors.reshape(dims)
}

#[cfg(test)]
mod tests;

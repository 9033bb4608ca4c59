//! `If`, whose condition must be known or choose between results of one shape, and dropout.

use super::{Built, Operator, operator};
use crate::error::{Error, Result};
use crate::nn::Mode;
use crate::onnx::call::{Call, refused};
use crate::onnx::element::Element;
use crate::onnx::file::{Nodes, array_of};
use crate::onnx::messages::{GraphProto, NodeProto};
use crate::onnx::value::NodeValue;
use crate::onnx::walk::{Names, Walk};

pub const OPERATORS: &[Operator] = &[operator("Dropout", dropout)];

/// The results of the branch that `node` takes.
pub fn branch<'g>(
    walk: &mut Walk<'_, 'g>,
    node: &NodeProto,
    inputs: &[Option<NodeValue<'g>>],
    names: &mut Names<'g>,
) -> Built<'g> {
    let graph = |name: &str| {
        let attribute = node.attribute.iter().find(|a| a.name == name);
        attribute
            .and_then(|a| a.g.as_ref())
            .ok_or_else(|| refused(format!("it has no {name}")))
    };
    let condition = inputs.first().and_then(Option::as_ref);
    let condition = condition.ok_or_else(|| refused("it has no condition"))?;
    if let Some(array) = condition.array().filter(|array| array.len() == 1) {
        let taken = match array.at(0) != 0.0 {
            true => graph("then_branch")?,
            false => graph("else_branch")?,
        };
        return built(walk, taken, names);
    }
    let yes = built(walk, graph("then_branch")?, names)?;
    let no = built(walk, graph("else_branch")?, names)?;
    let mask = walk.var(condition)?.reshape(Vec::new())?;
    let chosen = yes.iter().zip(&no).map(|(yes, no)| {
        if yes.dims != no.dims {
            return Err(refused(
                "its condition is computed from the input and its branches have different shapes; export the network without it",
            ));
        }
        let var = mask.select(walk.var(yes)?, walk.var(no)?)?;
        Ok(NodeValue::live(yes.element, var))
    });
    chosen.collect()
}

fn built<'g>(walk: &mut Walk<'_, 'g>, graph: &GraphProto, names: &Names<'g>) -> Built<'g> {
    let mut inner = names.clone();
    for tensor in &graph.initializer {
        let array = array_of(tensor, &walk.file.path).map_err(Error::Config)?;
        inner.insert(tensor.name.clone(), NodeValue::known(array));
    }
    let known: Vec<&str> = names.keys().map(String::as_str).collect();
    let nodes = Nodes::of_branch(graph, &known).map_err(Error::Config)?;
    walk.nodes(&nodes, &mut inner)?;
    let output = |name: &String| {
        let value = inner.get(name).cloned();
        value.ok_or_else(|| refused(format!("its branch makes no {name}")))
    };
    let names = graph.output.iter().map(|output| &output.name);
    names.map(output).collect::<Result<_>>()
}

/// In training it drops elements; otherwise it passes them on.
fn dropout<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, x) = call.own(0)?;
    let rate = match call.has("ratio") {
        true => call.float("ratio", 0.5),
        false => call.known_number(1)?.unwrap_or(0.5),
    };
    let y = match call.walk.cx.as_mut() {
        Some(cx) => match cx.mode() {
            Mode::Train(training) if rate > 0.0 => {
                let stream = cx.dropout_stream();
                x.dropout(training.step, rate, training.seed, stream)?
            }
            _ => x,
        },
        None => x,
    };
    let mut results = vec![call.like(&value, value.element, y)];
    if call.node.output.len() > 1 {
        let ones = call.constant(1.0).broadcast_to(&x.shape())?;
        results.push(call.like(&value, Element::Bool, ones));
    }
    Ok(results)
}

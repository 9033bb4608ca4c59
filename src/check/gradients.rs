//! Gradient rules against central differences in `f64`.

use crate::autodiff::gradients;
use crate::cpu::{Data, Tensor, Variables, interpret};
use crate::error::Result;
use crate::graph::{Builder, Graph};
use crate::ops::Case;
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use std::collections::HashMap;
use std::sync::Arc;

/// The worst disagreement of a case.
#[derive(Clone, Debug)]
pub struct GradientError {
    /// Operand and element.
    pub place: String,
    /// From the gradient rule.
    pub rule: f64,
    /// From differences.
    pub difference: f64,
}

/// Elements of each operand that are checked; larger ones are sampled.
const CHECKED: usize = 40;
const STEP: f64 = 1e-5;
const ABSOLUTE: f64 = 1e-7;
const RELATIVE: f64 = 1e-5;

/// Checks the gradient of `case` with respect to every differentiable operand. The operation stands in the middle of a
/// graph: its operands are computed, and its result is weighted unevenly before it is summed.
///
/// # Errors
/// If the graph can't be built. Disagreement is the inner result.
pub fn check_gradients(case: &Case, seed: u64) -> Result<Result<(), GradientError>> {
    let mut stream = Stream::new(seed, 0);
    let mut variables: Variables<f64> = HashMap::new();
    let graph = build(case, &mut stream, &mut variables)?;
    let none = HashMap::new();
    let outputs = interpret(&graph, &mut variables, &none)?;
    let loss_only = Graph {
        outputs: graph.outputs[..1].to_vec(),
        ..graph.clone()
    };
    let checked = case
        .inputs
        .iter()
        .enumerate()
        .filter(|(_, operand)| operand.differentiable);
    for ((i, operand), rule) in checked.zip(&outputs[1..]) {
        let name = format!("a{i}");
        let n = operand.ty.elements();
        let elements: Vec<usize> = if n <= CHECKED {
            (0..n).collect()
        } else {
            (0..CHECKED)
                .map(|_| stream.below(n as u32) as usize)
                .collect()
        };
        for e in elements {
            let at = |delta: f64| -> Result<f64> {
                let mut nudged = variables.clone();
                let mut values = variables[&name].reals().to_vec();
                values[e] += delta;
                nudged.insert(
                    name.clone(),
                    Arc::new(Tensor::real(operand.ty.shape.clone(), values)),
                );
                Ok(interpret(&loss_only, &mut nudged, &none)?[0].reals()[0])
            };
            let difference = (at(STEP)? - at(-STEP)?) / (2.0 * STEP);
            let rule = rule.reals()[e];
            let close =
                (rule - difference).abs() <= ABSOLUTE + RELATIVE * difference.abs().max(1.0);
            if !close {
                return Ok(Err(GradientError {
                    place: format!("operand {i}, element {e}"),
                    rule,
                    difference,
                }));
            }
        }
    }
    Ok(Ok(()))
}

/// The graph `sum(op(0.5 a, …) * w)`, with the loss and then its gradients as outputs.
fn build(case: &Case, stream: &mut Stream, variables: &mut Variables<f64>) -> Result<Graph> {
    let builder = Builder::new();
    let mut leaves = Vec::new();
    let mut operands = Vec::new();
    for (i, operand) in case.inputs.iter().enumerate() {
        let value: Tensor<f64> = operand.sample(stream);
        let name = format!("a{i}");
        let leaf = builder.variable(&name, operand.ty.clone())?;
        match &value.data {
            Data::Real(x) => {
                let doubled =
                    Tensor::real(value.shape.clone(), x.iter().map(|x| 2.0 * x).collect());
                variables.insert(name, Arc::new(doubled));
                operands.push(leaf.scale(0.5)?);
            }
            Data::Index(_) => {
                variables.insert(name, Arc::new(value));
                operands.push(leaf);
            }
        }
        if operand.differentiable {
            leaves.push(leaf);
        }
    }
    let y = builder.erased(case.op.clone(), &operands)?;
    let weights = TensorType {
        dtype: DType::F32,
        shape: y.shape(),
    };
    let uneven = crate::ops::Operand::uniform(y.shape()).sample(stream);
    variables.insert("weights".to_string(), Arc::new(uneven));
    let loss = y.mul(builder.variable("weights", weights)?)?.sum_all()?;
    builder.output("loss", loss);
    for (n, grad) in gradients(loss, &leaves)?.into_iter().enumerate() {
        builder.output(&format!("grad{n}"), grad);
    }
    builder.finish()
}

//! Checks gradient rules against central differences in `f64`.

use super::Group;
use crate::autodiff::gradients;
use crate::cpu::{Data, Tensor, Variables, interpret};
use crate::error::Result;
use crate::graph::{Builder, Graph};
use crate::ops::{Case, REGISTRY};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Number of elements of each operand that are checked; larger operands are sampled.
const CHECKED: usize = 40;
const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 1e-6;

/// Checks the gradient rules of the registered operations whose name `wanted` accepts, and reports a [`Group`] for each
/// that has gradients.
///
/// # Errors
/// If a graph can't be built. Wrong rules are reported in the groups.
pub fn check_gradient_rules(
    seed: u64,
    wanted: impl Fn(&str) -> bool,
    mut report: impl FnMut(Group),
) -> Result<()> {
    for op in REGISTRY.iter().filter(|op| wanted(op.name)) {
        let started = Instant::now();
        let mut group = Group::new(op.name, "gradient", "f64 differences", TOLERANCE);
        let cases = (op.cases)(&mut Stream::new(seed, 1));
        for (n, case) in cases.iter().enumerate() {
            if case.inputs.iter().any(|i| i.differentiable) {
                let worst = worst_disagreement(case, seed + n as u64)?;
                let what = || format!("{case:?} with seed {seed}: {worst}");
                group.add(worst.error, TOLERANCE, what);
            }
        }
        if group.cases > 0 {
            group.seconds = started.elapsed().as_secs_f64();
            report(group);
        }
    }
    Ok(())
}

/// The largest disagreement of a rule with the difference.
struct Disagreement {
    /// `|rule - difference| / max(1, |difference|)`.
    error: f64,
    operand: usize,
    element: usize,
    rule: f64,
    difference: f64,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the gradient of operand {}, element {}, is {} by the rule but {} by finite differences",
            self.operand, self.element, self.rule, self.difference
        )
    }
}

/// The largest disagreement over all differentiable operands of `case`. The operation is in the middle of a graph: its
/// operands are computed, and its result is multiplied with uneven weights before it is summed.
fn worst_disagreement(case: &Case, seed: u64) -> Result<Disagreement> {
    let mut stream = Stream::new(seed, 0);
    let mut variables: Variables<f64> = HashMap::new();
    let graph = build(case, &mut stream, &mut variables)?;
    let none = HashMap::new();
    let outputs = interpret(&graph, &mut variables, &none)?;
    let loss_only = Graph {
        outputs: graph.outputs[..1].to_vec(),
        ..graph.clone()
    };
    let mut worst = Disagreement {
        error: 0.0,
        operand: 0,
        element: 0,
        rule: 0.0,
        difference: 0.0,
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
        for element in elements {
            let at = |delta: f64| -> Result<f64> {
                let mut nudged = variables.clone();
                let mut values = variables[&name].reals().to_vec();
                values[element] += delta;
                nudged.insert(
                    name.clone(),
                    Arc::new(Tensor::real(operand.ty.shape.clone(), values)),
                );
                Ok(interpret(&loss_only, &mut nudged, &none)?[0].reals()[0])
            };
            let difference = (at(STEP)? - at(-STEP)?) / (2.0 * STEP);
            let rule = rule.reals()[element];
            let error = (rule - difference).abs() / difference.abs().max(1.0);
            let error = if error.is_nan() { f64::INFINITY } else { error };
            if error >= worst.error {
                worst = Disagreement {
                    error,
                    operand: i,
                    element,
                    rule,
                    difference,
                };
            }
        }
    }
    Ok(worst)
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

//! Choosing kernel variants by measurement: `wgrad tune`.
//!
//! Every variant of an operation is first compared with the reference, at the exact shapes that it will be used for; wrong ones
//! are neither timed nor chosen. The others are timed in turn, and one replaces the default only if it is faster by more than the
//! spread of the measurements. Choices are saved in a file per adapter ([`Cache`]), and a run records its own ([`Tuning`]):
//! variants sum in different orders, so a resumed run uses the same ones to get the same bits.

mod file;
mod timing;

pub use file::{Cache, MadeFor, Tuning, choose};

use crate::check::{tolerance, worst_of_run};
use crate::cpu::{Tensor, Variables, interpret};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Program, Store};
use crate::graph::{Builder, Graph};
use crate::ops::ErasedOp;
use crate::passes;
use crate::plan::{Choices, Plan, Target};
use crate::random::Stream;
use crate::tensor::TensorType;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use timing::Candidate;

/// An operation on operands of given types, for which there is more than one kernel.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The operation.
    pub op: Arc<dyn ErasedOp>,
    /// Types of its operands.
    pub inputs: Vec<TensorType>,
    /// Number of uses in the graphs.
    pub uses: usize,
}

impl Operation {
    /// Its key among [`Choices`].
    pub fn key(&self) -> String {
        Choices::key(&*self.op, &self.types())
    }

    /// Variants that `target` can run, the default first.
    pub fn variants(&self, target: &Target) -> Vec<&'static str> {
        self.op.variants(target, &self.types())
    }

    /// Its kind without attributes, such as `Conv2dInputGrad`.
    pub fn kind(&self) -> String {
        let text = format!("{:?}", self.op);
        let end = text.find(|c: char| !c.is_alphanumeric());
        text[..end.unwrap_or(text.len())].to_string()
    }

    fn types(&self) -> Vec<&TensorType> {
        self.inputs.iter().collect()
    }

    /// The operation alone, on variables.
    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let operands = self.inputs.iter().enumerate();
        let operands = operands
            .map(|(i, ty)| builder.variable(&operand_name(i), ty.clone()))
            .collect::<Result<Vec<_>>>()?;
        builder.output("y", builder.erased(self.op.clone(), &operands)?);
        builder.finish()
    }
}

fn operand_name(i: usize) -> String {
    format!("operand{i}")
}

/// The distinct operations of `graphs` that have several variants on `target`, in the order of computation.
///
/// # Errors
/// If a graph is invalid: a defect.
pub fn operations(graphs: &[Graph], target: &Target) -> Result<Vec<Operation>> {
    let mut found: Vec<Operation> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for graph in graphs {
        let graph = passes::simplify(graph)?;
        for node in &graph.nodes {
            let Some(op) = node.op() else { continue };
            let operation = Operation {
                op: op.clone(),
                inputs: node.inputs.iter().map(|&i| graph.ty(i).clone()).collect(),
                uses: 1,
            };
            if operation.variants(target).len() < 2 {
                continue;
            }
            match known.get(&operation.key()) {
                Some(&at) => found[at].uses += 1,
                None => {
                    known.insert(operation.key(), found.len());
                    found.push(operation);
                }
            }
        }
    }
    Ok(found)
}

/// The result of trying a variant.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The variant.
    pub variant: &'static str,
    /// Median time in milliseconds; `None` if the variant is wrong.
    pub ms: Option<f64>,
    /// Why it can't be chosen.
    pub rejected: Option<String>,
}

/// The results of trying an operation's variants.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Every variant, the default first.
    pub trials: Vec<Trial>,
    /// The one to use; `None` if all are wrong.
    pub chosen: Option<&'static str>,
}

impl Verdict {
    /// Whether the choice differs from the default.
    pub fn departs(&self) -> bool {
        self.chosen.is_some_and(|v| v != self.trials[0].variant)
    }

    /// Time of the variant called `name`, in milliseconds.
    fn ms_of(&self, name: Option<&str>) -> Option<f64> {
        let found = self.trials.iter().find(|t| Some(t.variant) == name);
        found.and_then(|trial| trial.ms)
    }

    /// Time of the chosen variant, in milliseconds.
    pub fn chosen_ms(&self) -> Option<f64> {
        self.ms_of(self.chosen)
    }

    /// Milliseconds that the choice saves per use; 0 if it is the default, or the default is wrong.
    pub fn saved_ms(&self) -> f64 {
        match (self.trials[0].ms, self.chosen_ms()) {
            (Some(default), Some(chosen)) => default - chosen,
            _ => 0.0,
        }
    }
}

/// Tries the variants of `operation` on `gpu`. `seed` draws the operands.
///
/// # Errors
/// If the device fails or its memory is too small for the operands.
pub fn tune(gpu: &Gpu, operation: &Operation, seed: u64) -> Result<Verdict> {
    let graph = operation.graph()?;
    let mut stream = Stream::new(seed, 3);
    let mut store = Store::new();
    let mut variables: Variables<f64> = HashMap::new();
    let operands = operation.op.trial_operands(&operation.types());
    for (i, operand) in operands.iter().enumerate() {
        let value: Tensor<f32> = operand.sample(&mut stream);
        store.set(gpu, &operand_name(i), &value)?;
        variables.insert(operand_name(i), Arc::new(value.to_f64()));
    }
    let reference = interpret(&graph, &mut variables, &HashMap::new())?;
    let allowed = tolerance(operation.op.reduction_length(&operation.types()));
    let (mut trials, mut candidates) = (Vec::new(), Vec::new());
    for variant in operation.variants(&gpu.target) {
        let proved = || -> Result<(Program, f64)> {
            let plan = Plan::with_variant(&graph, &gpu.target, Some(variant))?;
            let mut program = Program::new(gpu, &plan, &store)?;
            let error = worst_of_run(gpu, &mut program, &graph, &reference)?;
            Ok((program, error))
        };
        let rejected = match proved() {
            Ok((program, error)) if error <= allowed => {
                candidates.push(Candidate::new(trials.len(), program));
                None
            }
            Ok((_, error)) => Some(format!(
                "wrong: error {error:.1e}, at most {allowed:.1e} is allowed"
            )),
            Err(e @ Error::Device(_)) => return Err(e),
            Err(e) => Some(e.to_string()),
        };
        trials.push(Trial {
            variant,
            ms: None,
            rejected,
        });
    }
    timing::measure(gpu, &mut candidates)?;
    for candidate in &candidates {
        trials[candidate.trial].ms = Some(candidate.times.typical_ms());
    }
    let times: Vec<_> = candidates
        .iter()
        .map(|c| (c.trial == 0, &c.times))
        .collect();
    let chosen = timing::fastest(&times).map(|i| trials[candidates[i].trial].variant);
    Ok(Verdict { trials, chosen })
}

//! A test of an adapter in less than a minute: a kernel of every operation, and whether results repeat bit for bit.

use super::kernels::first_case;
use crate::cpu::Tensor;
use crate::error::Result;
use crate::gpu::{Gpu, Program, Store};
use crate::graph::{Graph, NodeKind};
use crate::ops::REGISTRY;
use crate::plan::{Plan, Scalar};
use std::time::Instant;

/// The result of a self-test.
#[derive(Clone, Debug, Default)]
pub struct SelfTest {
    /// Graphs that were run: forward and backward pass of each operation.
    pub graphs: usize,
    /// What went wrong, one sentence each.
    pub failures: Vec<String>,
    /// Operations that were not reached in time.
    pub left_out: usize,
}

/// Runs the first case of every operation, forward and backward, with the default kernels, until `deadline`.
///
/// # Errors
/// If the device fails.
pub fn self_test(gpu: &Gpu, seed: u64, deadline: Instant) -> Result<SelfTest> {
    let mut result = SelfTest::default();
    for (n, op) in REGISTRY.iter().enumerate() {
        if Instant::now() >= deadline {
            result.left_out = REGISTRY.len() - n;
            break;
        }
        for pass in ["forward", "backward"] {
            let Some((error, allowed)) = first_case(gpu, op, pass, seed)? else {
                continue;
            };
            result.graphs += 1;
            match error {
                Ok(error) if error <= allowed => {}
                Ok(error) => result.failures.push(format!(
                    "{} {pass}: error {error:.1e}, allowed {allowed:.1e}",
                    op.name
                )),
                Err(problem) => result
                    .failures
                    .push(format!("{} {pass}: {problem}", op.name)),
            }
        }
    }
    Ok(result)
}

/// Whether `graph`, run twice for `steps` steps from `variables` with the values of `scalars` in each, gives the same
/// variables bit for bit.
///
/// # Errors
/// If the device fails.
pub fn repeats(
    gpu: &Gpu,
    graph: &Graph,
    variables: &[(String, Tensor<f32>)],
    scalars: &[(String, Scalar)],
    steps: usize,
) -> Result<bool> {
    let run = || -> Result<Vec<Tensor<f32>>> {
        let mut store = Store::new();
        for (name, value) in variables {
            store.set(gpu, name, value)?;
        }
        let plan = Plan::new(graph, &gpu.target)?;
        let mut program = Program::new(gpu, &plan, &store)?;
        let value = |name: &String| scalars.iter().find(|(n, _)| n == name).map(|&(_, v)| v);
        let step: Vec<Scalar> = program.scalar_names().iter().filter_map(value).collect();
        program.run(gpu, steps, &step.repeat(steps))?;
        let variables = graph.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Variable(name) => Some(name),
            _ => None,
        });
        variables.map(|name| store.read(gpu, name)).collect()
    };
    Ok(run()? == run()?)
}

//! Timing of kernels and whole training steps on an adapter: `wgrad bench`.
//!
//! A workload is a graph with initial values of its variables. Names give extents in PyTorch's order (NCHW) so that
//! they can be compared with other frameworks; tensors are NHWC as everywhere.

mod baseline;
mod ceiling;
mod contractions;
mod cost;
mod decoding;
mod kernels;
mod measure;
mod record;
mod roof;
mod roofline;
mod sequence;
mod trace;
mod training;

pub use baseline::{Baseline, BaselineChange};
pub use ceiling::{Bandwidth, Ceilings, ceiling_plans};
pub use cost::Cost;
pub use decoding::{DECODING, Decoding, decoding};
pub use measure::{Bench, Clock, Effort, Profile, Timing};
pub use record::Record;
pub use roof::{Bound, Roof};
pub use roofline::roofline;
pub use trace::{Timeline, describe, trace};

use crate::autodiff::vjp;
use crate::cpu::Tensor;
use crate::error::Result;
use crate::graph::{Builder, Graph, NodeKind, Var};
use crate::optim::{DEFAULT_PREFIX, OptimizerConfig, OptimizerInstance};
use crate::plan::Scalar;
use crate::random::Stream;
use crate::tensor::{DType, TensorType};

/// A workload: one step, and the initial values of its variables.
pub trait Workload {
    /// Name in tables and files.
    fn name(&self) -> String;

    /// The step.
    ///
    /// # Errors
    /// If it can't be built: a defect of the workload.
    fn graph(&self) -> Result<Graph>;

    /// Values of all variables of `graph`, by name: random by default.
    ///
    /// # Errors
    /// If the data can't be created.
    fn variables(&self, graph: &Graph) -> Result<Vec<(String, Tensor<f32>)>> {
        Ok(leaves(graph)
            .enumerate()
            .map(|(n, (name, ty))| (name.to_string(), random(ty, n as u64)))
            .collect())
    }

    /// Whether a step takes seconds on a software adapter, so that it only runs there if its whole name is given.
    fn needs_gpu(&self) -> bool {
        false
    }

    /// Values of the scalar inputs, by name.
    fn scalars(&self) -> Vec<(String, Scalar)> {
        Vec::new()
    }
}

/// Adds the update of `parameters` with the gradients `grads` by the optimizer of `config`.
fn update<'g>(
    builder: &'g Builder,
    config: &OptimizerConfig,
    parameters: &[(String, Var<'g>)],
    grads: &[Var<'g>],
) -> Result<()> {
    let types = parameters.iter().map(|(name, p)| (name.clone(), p.ty()));
    let types: Vec<(String, TensorType)> = types.collect();
    OptimizerInstance::new(DEFAULT_PREFIX, config, &[], &types)?.apply(builder, parameters, grads)
}

/// The scalar inputs of the first such update; none if the settings are out of range.
fn update_scalars(config: &OptimizerConfig) -> Vec<(String, Scalar)> {
    let Ok(instance) = OptimizerInstance::new(DEFAULT_PREFIX, config, &[], &[]) else {
        return Vec::new();
    };
    let mut values = Vec::new();
    instance.scalars(1, config.lr(), &mut values);
    let names = instance.scalar_names().iter().cloned();
    names.zip(values.into_iter().map(Scalar::F32)).collect()
}

/// All workloads, in the order in which they are reported.
pub fn workloads() -> Vec<Box<dyn Workload>> {
    let mut all = contractions::workloads();
    all.extend(kernels::workloads());
    all.extend(sequence::workloads());
    all.extend(training::workloads());
    all
}

/// The variables of `graph` with their types.
fn leaves(graph: &Graph) -> impl Iterator<Item = (&str, &TensorType)> {
    graph.nodes.iter().filter_map(|node| match &node.kind {
        NodeKind::Variable(name) => Some((&**name, &node.ty)),
        _ => None,
    })
}

/// Adds the outputs `y` and its gradients with respect to each of `wrt`, for a random upstream gradient.
fn with_gradients(builder: &Builder, y: Var<'_>, wrt: &[Var<'_>]) -> Result<()> {
    let upstream = builder.variable("upstream", y.ty())?;
    builder.output("y", y);
    for (n, grad) in vjp(y, upstream, wrt)?.into_iter().enumerate() {
        builder.output(&format!("grad{n}"), grad);
    }
    Ok(())
}

/// Random values: floats uniform in [-0.5, 0.5), or indices below 10.
fn random(ty: &TensorType, stream: u64) -> Tensor<f32> {
    let mut stream = Stream::new(1, stream);
    let n = ty.elements();
    match ty.dtype {
        DType::F32 => {
            let values = (0..n).map(|_| stream.range(-0.5, 0.5)).collect();
            Tensor::real(ty.shape.clone(), values)
        }
        DType::U32 => Tensor::index(ty.shape.clone(), (0..n).map(|_| stream.below(10)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, Target};
    use std::collections::BTreeSet;

    #[test]
    fn every_workload_plans_and_moves_bytes() {
        for target in [Target::portable(), Target::lavapipe()] {
            for workload in workloads() {
                let name = workload.name();
                let plan = Plan::new(&workload.graph().unwrap(), &target).unwrap();
                let cost = Cost::of_plan(&plan);
                assert!(cost.bytes > 0, "{name} moves no bytes");
                let contracts = [
                    "matmul",
                    "conv2d",
                    "cnn",
                    "resnet",
                    "attention",
                    "lstm",
                    "gpt",
                ]
                .iter()
                .any(|p| name.starts_with(p));
                assert_eq!(contracts, cost.flops > 0, "{name}: {} flops", cost.flops);
            }
        }
    }

    #[test]
    fn a_convolution_with_its_gradients_is_three_contractions() {
        let flops = |name: &str| {
            let all = workloads();
            let found = all.iter().find(|w| w.name() == name).unwrap();
            let plan = Plan::new(&found.graph().unwrap(), &Target::portable()).unwrap();
            Cost::of_plan(&plan).flops
        };
        let forward = flops("conv2d_fwd_16x32x16x16_to64_k5_p2");
        assert_eq!(forward, 2 * 16 * 16 * 16 * 32 * 64 * 25);
        assert_eq!(flops("conv2d_fwdbwd_16x32x16x16_to64_k5_p2"), 3 * forward);
    }

    #[test]
    fn names_are_distinct_and_scalars_are_known() {
        let mut names = BTreeSet::new();
        for workload in workloads() {
            assert!(
                names.insert(workload.name()),
                "{} comes twice",
                workload.name()
            );
            let known: BTreeSet<_> = workload
                .scalars()
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            for node in workload.graph().unwrap().nodes {
                if let NodeKind::Input(name) = &node.kind {
                    assert!(known.contains(&**name), "{}: {name}", workload.name());
                }
            }
        }
    }
}

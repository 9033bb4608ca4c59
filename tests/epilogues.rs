//! Every operation that can apply pointwise operations to what it writes: the fused kernel against the reference.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use wgrad::Result;
use wgrad::check::{tolerance, worst_error};
use wgrad::cpu::{Tensor, interpret};
use wgrad::gpu::{Gpu, Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::ops::{Case, Operand, REGISTRY, Role};
use wgrad::plan::Plan;
use wgrad::random::Stream;
use wgrad::tensor::{DType, TensorType};

/// The graph `relu(op(a, …) + bias) * scale`, where the bias has the last axis only and the scale every one.
fn graph(case: &Case, values: &mut HashMap<String, Tensor<f32>>) -> Result<Option<Graph>> {
    let builder = Builder::new();
    let mut stream = Stream::new(3, 1);
    let mut variable = |name: String, operand: &Operand| {
        values.insert(name.clone(), operand.sample(&mut stream));
        builder.variable(&name, operand.ty.clone())
    };
    let mut operands = Vec::new();
    for (i, operand) in case.inputs.iter().enumerate() {
        operands.push(variable(format!("a{i}"), operand)?);
    }
    let y = builder.erased(case.op.clone(), &operands)?;
    if y.dtype() != DType::F32 || y.shape().rank() == 0 {
        return Ok(None);
    }
    let bias = variable("bias".to_string(), &Operand::uniform([y.shape().last()]))?;
    let scale = variable("scale".to_string(), &Operand::uniform(y.shape()))?;
    builder.output("y", y.add(bias)?.relu()?.mul(scale)?);
    builder.finish().map(Some)
}

/// The error of the fused kernel of this variant, or `None` where the operation and its epilogue did not become one group.
fn error(
    gpu: &Gpu,
    graph: &Graph,
    variant: &str,
    values: &HashMap<String, Tensor<f32>>,
) -> Result<Option<f64>> {
    let mut store = Store::new();
    for (name, value) in values {
        store.set(gpu, name, value)?;
    }
    let plan = Plan::with_variant(graph, &gpu.target, Some(variant))?;
    if plan
        .launches()
        .any(|launch| launch.shader.name == "pointwise")
    {
        return Ok(None);
    }
    let mut program = Program::new(gpu, &plan, &store)?;
    program.poison(gpu)?;
    program.run(gpu, 1, &[])?;
    let in_f64 = |(name, value): (&String, &Tensor<f32>)| (name.clone(), Arc::new(value.to_f64()));
    let mut variables = values.iter().map(in_f64).collect();
    let want = interpret(graph, &mut variables, &HashMap::new())?;
    Ok(Some(worst_error(&program.read(gpu, "y")?, &want[0])))
}

#[test]
fn every_epilogue_is_applied_to_what_its_kernel_writes() -> Result<()> {
    let Some(gpu) = support::gpu() else {
        return Ok(());
    };
    let mut fused = 0;
    for op in REGISTRY {
        // Compiling is what takes the time: a third of the cases still has every way of writing, of the variants the likely fastest
        // and another in turn.
        let cases = (op.cases)(&mut Stream::new(5, 1)).into_iter().step_by(3);
        for (turn, case) in cases.enumerate() {
            if case.op.role() != Role::KernelWithEpilogue {
                continue;
            }
            let mut values = HashMap::new();
            let Some(graph) = graph(&case, &mut values)? else {
                continue;
            };
            let types: Vec<&TensorType> = case.inputs.iter().map(|i| &i.ty).collect();
            let allowed = tolerance(case.op.reduction_length(&types));
            let variants = case.op.variants(&gpu.target, &types);
            let mut chosen = vec![variants[0], variants[turn % variants.len()]];
            chosen.dedup();
            for variant in chosen {
                if let Some(error) = error(gpu, &graph, variant, &values)? {
                    assert!(
                        error <= allowed,
                        "{case:?}, {variant}: {error:e} is more than {allowed:e}"
                    );
                    fused += 1;
                }
            }
        }
    }
    assert!(fused > 0, "nothing was fused");
    eprintln!("{fused} fused kernels");
    Ok(())
}

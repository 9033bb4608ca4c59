//! Every operation that can apply pointwise operations to its output: its last launch applies them, which
//! tests/golden/epilogues.txt records for every operation, and the fused kernel agrees with the reference.

use crate::golden::assert_golden;
use crate::support;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use wgrad::Result;
use wgrad::check::{tolerance, worst_error};
use wgrad::cpu::{Tensor, interpret};
use wgrad::gpu::{Gpu, Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::ops::{Case, Operand, REGISTRY, RegisteredOp, Role};
use wgrad::plan::{Launch, Plan, Target};
use wgrad::random::Stream;
use wgrad::tensor::{DType, TensorType};

/// The graph `relu(op(a, …) + bias) * scale`, where the bias has only the last axis and the scale has all axes.
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

/// The cases of every operation that takes an epilogue.
fn cases() -> impl Iterator<Item = Case> {
    let cases = |op: &RegisteredOp| (op.cases)(&mut Stream::new(5, 1));
    let all = REGISTRY.iter().flat_map(cases);
    all.filter(|case| case.op.role() == Role::KernelWithEpilogue)
}

/// The pointwise operations that `launch` applies to its output, in order.
fn epilogue(launch: &Launch) -> Result<Vec<String>> {
    let source = launch.shader.source()?;
    let Some(start) = source.find("fn epilogue(") else {
        return Ok(Vec::new());
    };
    let body = source[start..].split("\n}").next().unwrap_or_default();
    let calls = body.split("= op_").skip(1);
    let name = |call: &str| call.split('(').next().unwrap_or_default().to_string();
    Ok(calls.map(name).collect())
}

/// The launches of a plan of [`graph`]: the kernels in order, the last with its epilogue.
fn launches(plan: &Plan) -> Result<String> {
    let mut text = Vec::new();
    for launch in plan.launches() {
        let epilogue = epilogue(launch)?;
        let name = &launch.shader.name;
        text.push(match epilogue.is_empty() {
            true => name.clone(),
            false => format!("{name} [{}]", epilogue.join(" ")),
        });
    }
    Ok(text.join(", "))
}

/// Whether all launches but the last have no epilogue, and the last applies all pointwise operations.
fn is_fused(plan: &Plan) -> Result<bool> {
    let all = plan.launches().map(epilogue).collect::<Result<Vec<_>>>()?;
    let Some((last, others)) = all.split_last() else {
        return Ok(false);
    };
    Ok(*last == ["add", "relu", "mul"] && others.iter().all(Vec::is_empty))
}

/// The error of the fused kernel with this variant.
fn error(
    gpu: &Gpu,
    graph: &Graph,
    variant: &str,
    values: &HashMap<String, Tensor<f32>>,
) -> Result<f64> {
    let mut store = Store::new();
    for (name, value) in values {
        store.set(gpu, name, value)?;
    }
    let plan = Plan::with_variant(graph, &gpu.target, Some(variant))?;
    assert!(is_fused(&plan)?, "{variant}: {}", launches(&plan)?);
    let mut program = Program::new(gpu, &plan, &store)?;
    program.poison(gpu)?;
    program.run(gpu, 1, &[])?;
    let in_f64 = |(name, value): (&String, &Tensor<f32>)| (name.clone(), Arc::new(value.to_f64()));
    let mut variables = values.iter().map(in_f64).collect();
    let want = interpret(graph, &mut variables, &HashMap::new())?;
    Ok(worst_error(&program.read(gpu, "y")?, &want[0]))
}

/// The operation's kind without its attributes: `Conv2dInputGrad`.
fn kind(case: &Case) -> String {
    let text = format!("{:?}", case.op);
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

#[test]
fn the_last_launch_of_every_such_operation_applies_what_follows() -> Result<()> {
    let mut text = String::new();
    for target in [Target::portable(), Target::lavapipe()] {
        let mut cases_by_launches: BTreeMap<(String, String), usize> = BTreeMap::new();
        for case in cases() {
            let Some(graph) = graph(&case, &mut HashMap::new())? else {
                continue;
            };
            for variant in case.op.variants(&target, &types_of(&case)) {
                let plan = Plan::with_variant(&graph, &target, Some(variant))?;
                let launches = launches(&plan)?;
                assert!(is_fused(&plan)?, "{case:?}, {variant}: {launches}");
                *cases_by_launches
                    .entry((kind(&case), launches))
                    .or_default() += 1;
            }
        }
        let _ = writeln!(text, "{}", target.name);
        for ((kind, launches), count) in cases_by_launches {
            let _ = writeln!(text, "  {kind}, {count} times: {launches}");
        }
    }
    assert_golden("epilogues", "epilogues.txt", &text);
    Ok(())
}

fn types_of(case: &Case) -> Vec<&TensorType> {
    case.inputs.iter().map(|i| &i.ty).collect()
}

#[test]
fn every_epilogue_is_applied_to_what_its_kernel_writes() -> Result<()> {
    let Some(gpu) = support::gpu() else {
        return Ok(());
    };
    // Compilation takes most of the time. A third of the cases still covers every way of writing; of the variants, the one that is
    // probably fastest and one other in turn are tested.
    for (turn, case) in cases().step_by(3).enumerate() {
        let mut values = HashMap::new();
        let Some(graph) = graph(&case, &mut values)? else {
            continue;
        };
        let allowed = tolerance(case.op.reduction_length(&types_of(&case)));
        let variants = case.op.variants(&gpu.target, &types_of(&case));
        let mut chosen = vec![variants[0], variants[turn % variants.len()]];
        chosen.dedup();
        for variant in chosen {
            let error = error(gpu, &graph, variant, &values)?;
            assert!(
                error <= allowed,
                "{case:?}, {variant}: {error:e} is more than {allowed:e}"
            );
        }
    }
    Ok(())
}

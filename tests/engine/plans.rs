//! Plans: their content, and that memory planning, ordering and updates in place preserve the meaning of the graph. The last
//! test runs random graphs on an adapter; the others need none.

use crate::golden::assert_golden;
use crate::random_graph::{RandomGraph, random_graph};
use crate::support;
use crate::targets;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use wgrad::autodiff::gradients;
use wgrad::check::worst_error;
use wgrad::cpu::{Real, Tensor, Variables, interpret};
use wgrad::gpu::{Gpu, Program, Store};
use wgrad::graph::{Builder, Graph, NodeId, NodeKind, Var};
use wgrad::ops::{Op, Role, Vjp};
use wgrad::passes;
use wgrad::plan::{
    Access, Choices, Launch, Lowering, Plan, Scalar, Step, Target, TextureReads, ValueId, memory,
};
use wgrad::tensor::TensorType;

/// Number of random graphs that are planned.
const PLANNED: u64 = 300;
/// Number of random graphs that are run on the adapter.
const RUN: u64 = 24;
/// Number of steps that each of them runs.
const STEPS: usize = 2;

/// One training step of two dense layers: loss, gradients and update by gradient descent.
fn training_step() -> wgrad::Result<Graph> {
    let builder = Builder::new();
    let parameter = |name: &str, dims: &[usize]| builder.variable(name, TensorType::f32(dims));
    // The products of the hidden layer are large enough for a contraction kernel; those of the output use a plain kernel.
    let x = builder.input("x", TensorType::f32([32, 128]));
    let labels = builder.input("labels", TensorType::u32([32]));
    let valid = builder.input("valid", TensorType::u32([]));
    let rate = builder.input("rate", TensorType::f32([]));
    let weights = [
        parameter("hidden.weight", &[64, 128])?,
        parameter("hidden.bias", &[64])?,
        parameter("output.weight", &[3, 64])?,
        parameter("output.bias", &[3])?,
    ];
    let hidden = {
        let _scope = builder.scope("hidden");
        x.linear(weights[0])?.add(weights[1])?.relu()?
    };
    let logits = {
        let _scope = builder.scope("output");
        hidden.linear(weights[2])?.add(weights[3])?
    };
    let loss = logits
        .softmax_cross_entropy(labels, valid, 0.0)?
        .mean(&[0])?;
    builder.output("loss", loss);
    for (weight, gradient) in weights.into_iter().zip(gradients(loss, &weights)?) {
        builder.update(weight, weight.sub(gradient.mul(rate)?)?)?;
    }
    builder.finish()
}

#[test]
fn the_graph_of_a_training_step_reads_as_before() {
    assert_golden(
        "plans",
        "step.graph.txt",
        &training_step().unwrap().to_string(),
    );
}

#[test]
fn the_plan_of_a_training_step_reads_as_before() {
    let graph = training_step().unwrap();
    let lavapipe = Target {
        texture_reads: TextureReads::Always,
        ..Target::lavapipe()
    };
    for (name, target) in [("portable", Target::portable()), ("lavapipe", lavapipe)] {
        let plan = Plan::new(&graph, &target).unwrap();
        assert_golden("plans", &format!("step.plan.{name}.txt"), &plan.to_string());
    }
}

/// The plans of `graph` for every kind of adapter.
fn plans(graph: &Graph) -> Vec<Plan> {
    let plan = |target: &Target| Plan::new(graph, target).expect("the graph can be planned");
    targets::targets().iter().map(plan).collect()
}

#[test]
fn no_slot_is_shared_while_needed_and_nothing_is_read_before_it_is_written() {
    let mut shared = 0;
    for seed in 0..PLANNED {
        let random = random_graph(seed).unwrap();
        for plan in plans(&random.graph) {
            if let Err(e) = memory::verify(&plan) {
                panic!(
                    "seed {seed}, {}: {e}\n{}\n{plan}",
                    plan.target.name, random.graph
                );
            }
            shared += plan.slot_of.iter().flatten().count() - plan.slots.len();
        }
    }
    assert!(shared as u64 > PLANNED, "slots were hardly ever shared");
}

#[test]
fn the_check_of_slots_finds_an_overlap() {
    let plan = Plan::new(&training_step().unwrap(), &Target::portable()).unwrap();
    assert_eq!(memory::verify(&plan), Ok(()));
    let first = plan.slot_of.iter().flatten().next().copied();
    let squeezed = Plan {
        slot_of: plan.slot_of.iter().map(|slot| slot.and(first)).collect(),
        ..plan
    };
    assert!(memory::verify(&squeezed).is_err());
}

#[test]
fn variables_change_after_everybody_has_read_them() {
    let (mut in_place, mut copied) = (0, 0);
    for seed in 0..PLANNED {
        let random = random_graph(seed).unwrap();
        for plan in plans(&random.graph) {
            let mut changed: HashSet<ValueId> = HashSet::new();
            let late = |changed: &HashSet<ValueId>, value: ValueId| {
                assert!(
                    !changed.contains(&value),
                    "seed {seed}, {}: {} is read after it changed\n{}\n{plan}",
                    plan.target.name,
                    plan.values[value.index()].label,
                    random.graph
                );
            };
            for step in &plan.steps {
                match step {
                    Step::Launch(launch) => {
                        for operand in launch.operands.iter().filter(|o| !o.texture) {
                            late(&changed, operand.value);
                        }
                        let written = launch.operands.iter().filter(|o| o.access != Access::Read);
                        for operand in written.filter(|o| is_variable(&plan, o.value)) {
                            changed.insert(operand.value);
                            in_place += 1;
                        }
                    }
                    Step::Texture(value) => late(&changed, *value),
                    Step::Copy { to, .. } if is_variable(&plan, *to) => {
                        changed.insert(*to);
                        copied += 1;
                    }
                    Step::Copy { from, .. } => late(&changed, *from),
                }
            }
            // Only outputs that are variables are checked: another output may be the new value of a variable.
            for (output, (_, value, _)) in random.graph.outputs.iter().zip(&plan.outputs) {
                let node = random.graph.node(through_views(&random.graph, output.node));
                if matches!(node.kind, NodeKind::Variable(_)) {
                    late(&changed, *value);
                }
            }
        }
    }
    assert!(
        in_place > 0 && copied > 0,
        "{in_place} in place, {copied} copied"
    );
}

fn is_variable(plan: &Plan, value: ValueId) -> bool {
    matches!(
        plan.values[value.index()].kind,
        wgrad::plan::ValueKind::Variable(_)
    )
}

#[test]
fn fused_groups_hold_every_operation_once_and_can_run_in_their_order() {
    let mut fused = 0;
    for seed in 0..PLANNED {
        for max_buffers in [2, 4, 8] {
            let graph = passes::simplify(&random_graph(seed).unwrap().graph).unwrap();
            let mut done: HashSet<NodeId> = HashSet::new();
            let in_place = graph
                .updates
                .iter()
                .map(|u| (u.value, u.variable))
                .collect();
            for group in passes::fuse(&graph, max_buffers, &in_place) {
                let members: HashSet<NodeId> = group.members().collect();
                for operand in members.iter().flat_map(|&m| &graph.node(m).inputs) {
                    let computed = through_views(&graph, *operand);
                    assert!(
                        graph.node(computed).op().is_none()
                            || done.contains(&computed)
                            || members.contains(&computed) && computed == *operand,
                        "seed {seed}: {group:?} needs %{}\n{graph}",
                        computed.index()
                    );
                }
                fused += usize::from(members.len() > 1);
                for member in members {
                    assert!(
                        done.insert(member),
                        "seed {seed}: %{} runs twice",
                        member.index()
                    );
                }
            }
            let runs = |id: &NodeId| {
                graph
                    .node(*id)
                    .op()
                    .is_some_and(|op| op.role() != Role::View)
            };
            assert_eq!(
                done.len(),
                graph.ids().filter(runs).count(),
                "seed {seed}:\n{graph}"
            );
        }
    }
    assert!(fused as u64 > PLANNED, "hardly anything was fused");
}

#[test]
fn what_a_product_reads_is_not_in_its_epilogue() {
    let builder = Builder::new();
    let x = builder.input("x", TensorType::f32([8, 8]));
    let w = builder.input("w", TensorType::f32([8, 8]));
    let h = x.tanh().unwrap();
    let y = h.linear(w).unwrap().add(h).unwrap();
    builder.output("y", y);
    let graph = passes::simplify(&builder.finish().unwrap()).unwrap();
    let groups = passes::fuse(&graph, 8, &HashMap::new());
    assert_eq!(groups.len(), 2, "{groups:?}");
    for group in groups {
        let members: HashSet<NodeId> = group.members().collect();
        let operands = group.anchor.map(|anchor| &graph.node(anchor).inputs);
        for operand in operands.into_iter().flatten() {
            assert!(
                !members.contains(operand),
                "{group:?} reads what it computes\n{graph}"
            );
        }
    }
}

fn through_views(graph: &Graph, mut id: NodeId) -> NodeId {
    while graph
        .node(id)
        .op()
        .is_some_and(|op| op.role() == Role::View)
    {
        id = graph.node(id).inputs[0];
    }
    id
}

/// A graph on `v = [1, 2, 3, 4]`, its output, and the values of `v` after the step.
struct Updated {
    graph: Graph,
    output: Vec<f32>,
    after: Vec<f32>,
}

/// Graphs that read a variable after its new value could have replaced it.
fn updated_while_read() -> Vec<Updated> {
    let ty = || TensorType::f32([4]);
    let mut cases = Vec::new();
    // The new value is computed first; the old value is added to a sum that can't be in the same kernel.
    let builder = Builder::new();
    let v = builder.variable("v", ty()).unwrap();
    let next = v.scale(2.0).unwrap();
    builder.update(v, next).unwrap();
    let sum = next.sum_keep(&[0]).unwrap();
    builder.output("y", sum.add(v).unwrap());
    cases.push(Updated {
        graph: builder.finish().unwrap(),
        output: vec![21.0, 22.0, 23.0, 24.0],
        after: vec![2.0, 4.0, 6.0, 8.0],
    });
    // The variable itself is an output.
    let builder = Builder::new();
    let v = builder.variable("v", ty()).unwrap();
    builder.update(v, v.neg().unwrap()).unwrap();
    builder.output("y", v);
    cases.push(Updated {
        graph: builder.finish().unwrap(),
        output: vec![1.0, 2.0, 3.0, 4.0],
        after: vec![-1.0, -2.0, -3.0, -4.0],
    });
    // The variable is read in another order, through a view that broadcasts against the new value.
    let builder = Builder::new();
    let v = builder.variable("v", ty()).unwrap();
    let column = v.reshape([4, 1]).unwrap();
    let next = column.mul(v).unwrap().sum(&[0]).unwrap();
    builder.update(v, next).unwrap();
    builder.output(
        "y",
        column
            .reshape([2, 2])
            .unwrap()
            .sum(&[1, 0])
            .unwrap()
            .add(v)
            .unwrap(),
    );
    cases.push(Updated {
        graph: builder.finish().unwrap(),
        output: vec![11.0, 12.0, 13.0, 14.0],
        after: vec![10.0, 20.0, 30.0, 40.0],
    });
    // Two variables take the same new value.
    let builder = Builder::new();
    let v = builder.variable("v", ty()).unwrap();
    let w = builder.variable("w", ty()).unwrap();
    let next = v.add(w).unwrap();
    builder.update(w, next).unwrap();
    builder.update(v, next).unwrap();
    builder.output("y", next);
    cases.push(Updated {
        graph: builder.finish().unwrap(),
        output: vec![2.0, 3.0, 4.0, 5.0],
        after: vec![2.0, 3.0, 4.0, 5.0],
    });
    // A variable takes the value of another variable, which is updated too.
    let builder = Builder::new();
    let v = builder.variable("v", ty()).unwrap();
    let w = builder.variable("w", ty()).unwrap();
    builder.update(v, w).unwrap();
    builder.update(w, v).unwrap();
    builder.output("y", v.add(w).unwrap());
    cases.push(Updated {
        graph: builder.finish().unwrap(),
        output: vec![2.0, 3.0, 4.0, 5.0],
        after: vec![1.0; 4],
    });
    cases
}

fn updated_variables() -> Vec<(String, Tensor<f32>)> {
    vec![
        ("v".to_string(), Tensor::real([4], vec![1.0, 2.0, 3.0, 4.0])),
        ("w".to_string(), Tensor::real([4], vec![1.0; 4])),
    ]
}

#[test]
fn a_variable_keeps_its_old_value_for_the_whole_step_of_the_reference() {
    for case in updated_while_read() {
        let mut variables: Variables<f32> = updated_variables()
            .into_iter()
            .map(|(name, value)| (name, Arc::new(value)))
            .collect();
        let outputs = interpret(&case.graph, &mut variables, &HashMap::new()).unwrap();
        assert_eq!(outputs[0].reals(), case.output, "{}", case.graph);
        assert_eq!(variables["v"].reals(), case.after, "{}", case.graph);
    }
}

#[test]
fn a_variable_keeps_its_old_value_for_the_whole_step_of_a_program() {
    let Some(gpu) = support::gpu() else { return };
    for case in updated_while_read() {
        let mut store = Store::new();
        for (name, value) in updated_variables() {
            store.set(gpu, &name, &value).unwrap();
        }
        let plan = Plan::new(&case.graph, &gpu.target).unwrap();
        let mut program = Program::new(gpu, &plan, &store).unwrap();
        program.run(gpu, 1, &[]).unwrap();
        assert_eq!(
            program.read(gpu, "y").unwrap().reals(),
            case.output,
            "{}\n{plan}",
            case.graph
        );
        assert_eq!(
            store.read(gpu, "v").unwrap().reals(),
            case.after,
            "{}\n{plan}",
            case.graph
        );
    }
}

#[test]
fn random_graphs_give_the_same_on_the_adapter_and_in_the_reference() {
    let Some(gpu) = support::gpu() else { return };
    let (mut worst, mut tiled) = (0.0_f64, false);
    for seed in 0..RUN {
        let random = random_graph(seed).unwrap();
        let reference = run_reference(&random);
        for texture_reads in [TextureReads::Always, TextureReads::Never] {
            let target = Target {
                texture_reads,
                ..gpu.target.clone()
            };
            // Products of these sizes use a plain kernel by default.
            let known = Plan::variants(&random.graph, &target).unwrap();
            let variant = Some("broadcast8 16x64")
                .filter(|v| texture_reads == TextureReads::Always && known.contains(v));
            tiled |= variant.is_some();
            let plan = Plan::with_variant(&random.graph, &target, variant).unwrap();
            let got = run_program(gpu, &random, &plan);
            for ((name, want), got) in reference.iter().zip(&got) {
                let error = worst_error(got, want);
                worst = worst.max(error);
                assert!(
                    error < 1e-4,
                    "seed {seed}, {texture_reads:?}: {name} is off by {error:.1e}\n{}\n{plan}",
                    random.graph
                );
            }
        }
    }
    println!("{RUN} random graphs, worst error {worst:.1e}");
    assert!(
        tiled || !gpu.target.subgroups_are(8),
        "no product ran on a tiled kernel"
    );
}

/// The value of the scalar inputs in a step.
fn scalar(step: usize) -> f32 {
    0.25 + step as f32 * 0.5
}

/// Every output after every step, then every variable.
fn run_reference(random: &RandomGraph) -> Vec<(String, Arc<Tensor<f64>>)> {
    let mut variables: Variables<f64> = random
        .variables
        .iter()
        .map(|(name, value)| (name.clone(), Arc::new(value.to_f64())))
        .collect();
    let mut results = Vec::new();
    for step in 0..STEPS {
        let mut inputs: HashMap<String, Arc<Tensor<f64>>> = random
            .inputs
            .iter()
            .map(|(name, value)| (name.clone(), Arc::new(value.to_f64())))
            .collect();
        for n in 0..3 {
            let value = Tensor::real([], vec![f64::from(scalar(step))]);
            inputs.insert(format!("scalar{n}"), Arc::new(value));
        }
        let outputs = interpret(&random.graph, &mut variables, &inputs).unwrap();
        for (output, value) in random.graph.outputs.iter().zip(outputs) {
            results.push((format!("{} of step {step}", output.name), value));
        }
    }
    for (name, _) in &random.variables {
        results.push((name.clone(), variables[name].clone()));
    }
    results
}

/// The same, computed by a program on the adapter.
fn run_program(gpu: &Gpu, random: &RandomGraph, plan: &Plan) -> Vec<Tensor<f32>> {
    let mut store = Store::new();
    for (name, value) in &random.variables {
        store.set(gpu, name, value).unwrap();
    }
    let mut program = Program::new(gpu, plan, &store).unwrap();
    program.poison(gpu).unwrap();
    for (name, value) in &random.inputs {
        if plan.values.iter().any(|v| v.label == *name) {
            program.feed(gpu, name, value).unwrap();
        }
    }
    let mut results = Vec::new();
    for step in 0..STEPS {
        let row = vec![Scalar::F32(scalar(step)); program.scalar_names().len()];
        program.run(gpu, 1, &row).unwrap();
        for output in &random.graph.outputs {
            results.push(program.read(gpu, &output.name).unwrap());
        }
    }
    for (name, _) in &random.variables {
        results.push(store.read(gpu, name).unwrap());
    }
    results
}

/// The sum of a variable and seven inputs binds eight tensors if it replaces the variable in place, and nine otherwise.
#[test]
fn an_update_in_place_binds_its_variable_once() {
    let builder = Builder::new();
    let variable = |name: &str, size: usize| builder.variable(name, TensorType::f32([size]));
    let (large, small) = (variable("large", 5).unwrap(), variable("small", 3).unwrap());
    let inputs = (0..7).map(|n| builder.input(&format!("x{n}"), TensorType::f32([5])));
    let sum = inputs.fold(large, |sum, input| sum.add(input).unwrap());
    builder.update(large, sum).unwrap();
    builder.update(small, small.add(small).unwrap()).unwrap();
    let plan = Plan::new(&builder.finish().unwrap(), &Target::portable()).unwrap();
    let launches = plan.steps.iter().filter_map(|step| match step {
        Step::Launch(launch) => Some(launch.operands.len()),
        _ => None,
    });
    let mut bound: Vec<usize> = launches.collect();
    bound.sort_unstable();
    assert_eq!(bound, [1, 8], "{plan}");
}

/// Each of these updates binds its variable, in place, and an input.
#[test]
fn small_updates_share_a_launch_up_to_the_limit_of_buffers() {
    let builder = Builder::new();
    for n in 0..5 {
        let ty = TensorType::f32([8]);
        let variable = builder.variable(&format!("v{n}"), ty.clone()).unwrap();
        let input = builder.input(&format!("x{n}"), ty);
        builder
            .update(variable, variable.add(input).unwrap())
            .unwrap();
    }
    let target = Target::portable();
    assert_eq!(target.max_storage_buffers, 8);
    let plan = Plan::new(&builder.finish().unwrap(), &target).unwrap();
    let launches = plan.steps.iter().filter_map(|step| match step {
        Step::Launch(launch) => Some(launch.operands.len()),
        _ => None,
    });
    assert_eq!(launches.collect::<Vec<_>>(), [8, 2], "{plan}");
}

#[test]
fn a_forced_variant_that_no_operation_has_is_an_error() {
    let (graph, target) = (training_step().unwrap(), Target::portable());
    let known = Plan::variants(&graph, &target).unwrap();
    assert!(known.len() > 1, "there is a choice: {known:?}");
    for variant in known {
        Plan::with_variant(&graph, &target, Some(variant)).unwrap();
    }
    let message = Plan::with_variant(&graph, &target, Some("tild 64x64"))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("no operation") && message.contains("tild 64x64"),
        "{message}"
    );
    assert!(
        message.contains("tiled 64x64"),
        "says what there is: {message}"
    );
}

#[test]
fn a_tuned_choice_that_names_no_variant_is_passed_over() {
    let (graph, mut target) = (training_step().unwrap(), Target::portable());
    let default = Plan::new(&graph, &target).unwrap().to_string();
    for node in &graph.nodes {
        let types = graph.operand_types(node);
        if let Some(op) = node.op() {
            target
                .choices
                .set(Choices::key(&**op, &types), "tild 64x64");
        }
    }
    assert_eq!(Plan::new(&graph, &target).unwrap().to_string(), default);
}

/// An operation that violates its role.
#[derive(Debug)]
struct Misplaced {
    role: Role,
    /// For each of its launches, whether it has an epilogue.
    launches: &'static [bool],
}

impl Op for Misplaced {
    fn name(&self) -> &'static str {
        "misplaced"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(inputs[0].clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> wgrad::Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("misplaced")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        inputs[0].clone()
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> wgrad::Result<()> {
        for &with_epilogue in self.launches {
            match with_epilogue {
                true => cx.launch_with_epilogue(Launch::new("softmax/softmax"))?,
                false => cx.launch(Launch::new("softmax/softmax"))?,
            }
        }
        Ok(())
    }

    fn role(&self) -> Role {
        self.role.clone()
    }
}

#[test]
fn the_launch_with_the_epilogue_is_the_last_of_operations_that_have_one() {
    let planned = |role: Role, launches: &'static [bool], relu: bool| {
        let builder = Builder::new();
        let x = builder.input("x", TensorType::f32([4, 4]));
        let y = builder.op(Misplaced { role, launches }, &[x]).unwrap();
        builder.output("y", if relu { y.relu().unwrap() } else { y });
        let lowered = Plan::new(&builder.finish().unwrap(), &Target::portable());
        lowered.map_err(|e| e.to_string()).map(|_| ()).unwrap_err()
    };
    for relu in [false, true] {
        let message = planned(Role::KernelWithEpilogue, &[false], relu);
        assert!(
            message.contains("has no launch with an epilogue"),
            "{message}"
        );
        let message = planned(Role::Kernel, &[true], relu);
        assert!(
            message.contains("is not of role KernelWithEpilogue"),
            "{message}"
        );
    }
    let message = planned(Role::KernelWithEpilogue, &[true, false], false);
    assert!(message.contains("must be the last"), "{message}");
    let message = planned(Role::KernelWithEpilogue, &[true], true);
    assert!(message.contains("declares no `fn epilogue"), "{message}");
}

/// On the adapter: the product reads what the same step wrote into the variable, not a view that was filled before.
#[test]
fn a_variable_is_read_as_the_step_wrote_it() -> wgrad::Result<()> {
    // Large enough for a kernel that reads through views.
    const SHAPE: [usize; 2] = [128, 128];
    let Some(gpu) = support::gpu() else {
        return Ok(());
    };
    let builder = Builder::new();
    let [state, weight] =
        ["state", "weight"].map(|name| builder.variable(name, TensorType::f32(SHAPE)));
    let (state, weight) = (state?, weight?);
    // The first product fills the views of all variables.
    builder.output("first", weight.linear(weight)?);
    let next = state.add(builder.constant(1.0))?;
    builder.update(state, next)?;
    builder.output("y", weight.linear(next)?);
    let graph = builder.finish()?;
    let target = Target {
        texture_reads: TextureReads::Always,
        ..gpu.target.clone()
    };
    let ones = Tensor::real(SHAPE, vec![1.0_f32; SHAPE[0] * SHAPE[1]]);
    let mut store = Store::new();
    store.set(gpu, "state", &ones)?;
    store.set(gpu, "weight", &ones)?;
    let mut program = Program::new(gpu, &Plan::new(&graph, &target)?, &store)?;
    for step in 1..=3 {
        program.run(gpu, 1, &[])?;
        let y = program.read(gpu, "y")?;
        let wanted = (step + 1) as f32 * SHAPE[1] as f32;
        assert!(
            y.reals().iter().all(|&x| x == wanted),
            "step {step} gives {}, not {wanted}",
            y.reals()[0]
        );
    }
    Ok(())
}

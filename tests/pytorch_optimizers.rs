//! The optimizers against PyTorch's recorded steps, on the CPU and on a device, and the plan that they become.

mod support;

use safetensors::SafeTensors;
use std::collections::HashMap;
use std::sync::Arc;
use wgrad::autodiff::gradients;
use wgrad::cpu::{Tensor, Variables, interpret};
use wgrad::gpu::{Gpu, Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::optim::{Adam, AdamW, Optimizer, OptimizerConfig, Sgd, clip_grad_norm};
use wgrad::plan::{Access, Binding, Launch, Plan, Scalar, Step, Target, ValueKind};
use wgrad::tensor::TensorType;

const TOLERANCE: f32 = 1e-6;

/// The recorded cases with their settings.
fn cases() -> Vec<(&'static str, OptimizerConfig)> {
    let sgd = Sgd {
        lr: 0.1,
        ..Sgd::default()
    };
    let momentum = Sgd {
        momentum: 0.9,
        ..sgd.clone()
    };
    let adam = Adam {
        lr: 0.01,
        ..Adam::default()
    };
    let betas = Adam {
        beta1: 0.7,
        beta2: 0.9,
        eps: 1e-2,
        ..adam.clone()
    };
    let adamw = AdamW {
        lr: 0.01,
        weight_decay: 0.2,
        ..AdamW::default()
    };
    vec![
        ("sgd", OptimizerConfig::Sgd(sgd.clone())),
        (
            "sgd_weight_decay",
            OptimizerConfig::Sgd(Sgd {
                weight_decay: 0.2,
                ..sgd
            }),
        ),
        ("sgd_momentum", OptimizerConfig::Sgd(momentum.clone())),
        (
            "sgd_nesterov",
            OptimizerConfig::Sgd(Sgd {
                nesterov: true,
                ..momentum.clone()
            }),
        ),
        (
            "sgd_momentum_weight_decay",
            OptimizerConfig::Sgd(Sgd {
                weight_decay: 0.2,
                ..momentum
            }),
        ),
        ("adam", OptimizerConfig::Adam(adam.clone())),
        ("adam_other_betas", OptimizerConfig::Adam(betas)),
        (
            "adam_weight_decay",
            OptimizerConfig::Adam(Adam {
                weight_decay: 0.2,
                ..adam
            }),
        ),
        ("adamw", OptimizerConfig::AdamW(adamw)),
    ]
}

/// The initial parameter, the gradients of each step, and the parameter after each step of every case.
struct Record {
    initial: Tensor<f32>,
    gradients: Vec<Tensor<f32>>,
    after: HashMap<String, Vec<Vec<f32>>>,
}

fn record() -> Record {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/optimizers.safetensors"
    );
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let data = file.tensor(name).unwrap().data();
        data.chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    };
    let steps = |name: &str| {
        floats(name)
            .chunks(15)
            .map(<[f32]>::to_vec)
            .collect::<Vec<_>>()
    };
    let tensor = |values: Vec<f32>| Tensor::real([3, 5], values);
    let others = file
        .names()
        .into_iter()
        .filter(|n| !["init", "gradients"].contains(n));
    Record {
        initial: tensor(floats("init")),
        gradients: steps("gradients").into_iter().map(tensor).collect(),
        after: others.map(|name| (name.to_string(), steps(name))).collect(),
    }
}

/// A step on one parameter `w` with the gradient fed as `g`.
fn graph(optimizer: &dyn Optimizer) -> Graph {
    let builder = Builder::new();
    let ty = TensorType::f32([3, 5]);
    let w = builder.variable("w", ty.clone()).unwrap();
    let g = builder.input("g", ty);
    optimizer
        .apply(&builder, &[("w".to_string(), w)], &[g])
        .unwrap();
    builder.finish().unwrap()
}

fn state(optimizer: &dyn Optimizer) -> Vec<(String, Tensor<f32>)> {
    let params = [("w".to_string(), TensorType::f32([3, 5]))];
    let zeros = |(name, ty): (String, TensorType)| (name, Tensor::zeros(&ty));
    optimizer.state(&params).into_iter().map(zeros).collect()
}

fn assert_close(case: &str, step: usize, got: &[f32], want: &[f32]) {
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs();
        assert!(
            error <= TOLERANCE,
            "{case}, step {step}, element {i}: {got} is not {want}"
        );
    }
}

#[test]
fn every_recorded_case_is_tested() {
    let record = record();
    let mut recorded: Vec<&str> = record.after.keys().map(String::as_str).collect();
    let mut tested: Vec<&str> = cases().iter().map(|(name, _)| *name).collect();
    recorded.sort_unstable();
    tested.sort_unstable();
    assert_eq!(recorded, tested);
}

#[test]
fn the_reference_takes_the_steps_of_pytorch() {
    let record = record();
    for (case, config) in cases() {
        let optimizer = config.optimizer();
        let graph = graph(optimizer);
        let mut variables: Variables<f32> = state(optimizer)
            .into_iter()
            .map(|(name, value)| (name, Arc::new(value)))
            .collect();
        variables.insert("w".to_string(), Arc::new(record.initial.clone()));
        for (n, gradient) in record.gradients.iter().enumerate() {
            let mut inputs: HashMap<String, Arc<Tensor<f32>>> = optimizer
                .scalars(n as u64 + 1, optimizer.lr())
                .into_iter()
                .map(|(name, x)| (name.to_string(), Arc::new(Tensor::real([], vec![x]))))
                .collect();
            inputs.insert("g".to_string(), Arc::new(gradient.clone()));
            interpret(&graph, &mut variables, &inputs).unwrap();
            assert_close(case, n, variables["w"].reals(), &record.after[case][n]);
        }
    }
}

#[test]
fn the_kernels_take_the_steps_of_pytorch() {
    let Some(gpu) = support::gpu() else { return };
    let record = record();
    for (case, config) in cases() {
        let optimizer = config.optimizer();
        let mut store = Store::new();
        store.set(gpu, "w", &record.initial).unwrap();
        for (name, value) in state(optimizer) {
            store.set(gpu, &name, &value).unwrap();
        }
        let plan = Plan::new(&graph(optimizer), &gpu.target).unwrap();
        let mut program = Program::new(gpu, &plan, &store).unwrap();
        for (n, gradient) in record.gradients.iter().enumerate() {
            program.feed(gpu, "g", gradient).unwrap();
            run(
                gpu,
                &mut program,
                &optimizer.scalars(n as u64 + 1, optimizer.lr()),
            );
            let w = store.read(gpu, "w").unwrap();
            assert_close(case, n, w.reals(), &record.after[case][n]);
        }
    }
}

/// Runs one step with the scalars in the order that the program wants.
fn run(gpu: &Gpu, program: &mut Program, scalars: &[(&str, f32)]) {
    let value = |name: &String| {
        let found = scalars.iter().find(|(n, _)| n == name);
        Scalar::F32(found.unwrap_or_else(|| panic!("{name} has no value")).1)
    };
    let row: Vec<Scalar> = program.scalar_names().iter().map(value).collect();
    program.run(gpu, 1, &row).unwrap();
}

/// A step of a small model whose gradients come out of a matmul and a sum.
fn training_step(optimizer: &dyn Optimizer) -> Graph {
    let builder = Builder::new();
    let x = builder.input("x", TensorType::f32([6, 8]));
    let weight = builder.variable("weight", TensorType::f32([8, 5])).unwrap();
    let bias = builder.variable("bias", TensorType::f32([5])).unwrap();
    let y = x.matmul(weight).unwrap().add(bias).unwrap();
    let loss = y.mul(y).unwrap().sum_all().unwrap();
    let params = [("weight".to_string(), weight), ("bias".to_string(), bias)];
    let grads = gradients(loss, &[weight, bias]).unwrap();
    optimizer.apply(&builder, &params, &grads).unwrap();
    builder.finish().unwrap()
}

#[test]
fn one_kernel_updates_both_parameters_in_place() {
    for target in [Target::portable(), Target::lavapipe()] {
        for (case, config) in cases() {
            let optimizer = config.optimizer();
            let plan = Plan::new(&training_step(optimizer), &target).unwrap();
            let copies = plan
                .steps
                .iter()
                .filter(|s| matches!(s, Step::Copy { .. }))
                .count();
            assert_eq!(copies, 0, "{case}:\n{plan}");
            let writes = |launch: &Launch| {
                let written = |o: &&Binding| {
                    let variable =
                        matches!(plan.values[o.value.index()].kind, ValueKind::Variable(_));
                    variable && o.access != Access::Read
                };
                launch.operands.iter().filter(written).count()
            };
            let updates: Vec<usize> = plan.launches().map(writes).filter(|&n| n > 0).collect();
            let terms = 1 + state(optimizer).len();
            assert_eq!(updates, [2 * terms], "{case}:\n{plan}");
        }
    }
}

#[test]
fn no_kernel_binds_too_much_where_an_update_can_not_work_in_place() {
    let optimizer = AdamW::default();
    let builder = Builder::new();
    let ty = TensorType::f32([3, 5]);
    let w = builder.variable("w", ty.clone()).unwrap();
    let g = builder.input("g", ty.clone());
    optimizer
        .apply(&builder, &[("w".to_string(), w)], &[g])
        .unwrap();
    // The values before the step are read after it, so the new ones go elsewhere first.
    builder.output("w", w);
    for (name, ty) in optimizer.state(&[("w".to_string(), ty)]) {
        builder.output(&name, builder.variable(&name, ty).unwrap());
    }
    let plan = Plan::new(&builder.finish().unwrap(), &Target::portable()).unwrap();
    let most = plan.launches().map(|l| l.operands.len()).max().unwrap();
    assert!(
        most <= Target::portable().max_storage_buffers as usize,
        "{plan}"
    );
}

#[test]
fn gradients_are_clipped_by_their_global_norm() {
    let builder = Builder::new();
    let a = builder.variable("a", TensorType::f32([2])).unwrap();
    let b = builder.variable("b", TensorType::f32([2, 1])).unwrap();
    for (max_norm, name) in [(2.5, "tight"), (6.0, "loose")] {
        for (n, clipped) in clip_grad_norm(&[a, b], max_norm)
            .unwrap()
            .into_iter()
            .enumerate()
        {
            builder.output(&format!("{name}{n}"), clipped);
        }
    }
    let graph = builder.finish().unwrap();
    let mut variables: Variables<f32> = HashMap::from([
        ("a".to_string(), Arc::new(Tensor::real([2], vec![3.0, 0.0]))),
        (
            "b".to_string(),
            Arc::new(Tensor::real([2, 1], vec![0.0, -4.0])),
        ),
    ]);
    let out = interpret(&graph, &mut variables, &HashMap::new()).unwrap();
    let (a, b) = (out[0].reals(), out[1].reals());
    assert!(
        (a[0] - 1.5).abs() < 1e-5 && (b[1] + 2.0).abs() < 1e-5,
        "{a:?} {b:?}"
    );
    assert_eq!(
        (out[2].reals(), out[3].reals()),
        (&[3.0, 0.0][..], &[0.0, -4.0][..])
    );
}

//! The optimizers against recorded steps of PyTorch or of their papers, on the CPU and on a device, and the plans of their
//! updates; the schedules against PyTorch's.

use crate::support;
use safetensors::SafeTensors;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use wgrad::autodiff::gradients;
use wgrad::cpu::{Tensor, Variables, interpret};
use wgrad::gpu::{Gpu, Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::optim::{
    Adam, AdamW, DEFAULT_PREFIX, OptimizerConfig, OptimizerInstance, PlateauState, Schedule, Sgd,
    clip_grad_norm, clip_grad_value,
};
use wgrad::plan::{Access, Binding, Launch, Plan, Scalar, Step, Target, ValueKind};
use wgrad::tensor::TensorType;

const TOLERANCE: f32 = 1e-6;

/// Newton-Schulz steps amplify the rounding errors of small singular values by up to 3.4445^5.
fn tolerance(case: &str) -> f32 {
    match case.starts_with("muon") {
        true => 1e-5,
        false => TOLERANCE,
    }
}

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
    .into_iter()
    .chain(newer_cases())
    .collect()
}

/// The settings of a TOML table.
fn table(text: &str) -> OptimizerConfig {
    toml::from_str(text).unwrap()
}

fn newer_cases() -> Vec<(&'static str, OptimizerConfig)> {
    [
        ("rmsprop", "name = 'rmsprop'\nalpha = 0.9"),
        (
            "rmsprop_centered",
            "name = 'rmsprop'\nalpha = 0.9\neps = 1e-4\ncentered = true",
        ),
        (
            "rmsprop_momentum",
            "name = 'rmsprop'\nalpha = 0.9\nmomentum = 0.9\nweight_decay = 0.2",
        ),
        ("adagrad", "name = 'adagrad'\nlr = 0.1\nlr_decay = 0.5"),
        (
            "adagrad_initial",
            "name = 'adagrad'\nlr = 0.1\ninitial_accumulator_value = 0.3\neps = 1e-2\nweight_decay = 0.2",
        ),
        ("lamb", "name = 'lamb'\nlr = 0.1\nweight_decay = 0.2"),
        (
            "lion",
            "name = 'lion'\nlr = 0.1\nbeta1 = 0.7\nbeta2 = 0.9\nweight_decay = 0.2",
        ),
        ("muon", "name = 'muon'\nweight_decay = 0.2"),
        (
            "muon_plain",
            "name = 'muon'\nmomentum = 0.7\nnesterov = false",
        ),
        ("muon_tall", "name = 'muon'\nweight_decay = 0.2"),
        (
            "muon_adamw",
            "name = 'muon'\nadamw = 'w'\nadamw_lr = 0.003\nweight_decay = 0.2",
        ),
    ]
    .map(|(name, text)| (name, table(text)))
    .to_vec()
}

/// Shape of the recorded parameter in a case.
fn shape(case: &str) -> [usize; 2] {
    match case.ends_with("_tall") {
        true => [5, 3],
        false => [3, 5],
    }
}

/// Whether an optimizer's update is one elementwise kernel in place. Those of LAMB and Muon are not elementwise; with Lion, both
/// parameter and state depend on the old state, so neither new value can overwrite it.
fn is_in_place(case: &str) -> bool {
    !["lamb", "lion", "muon"]
        .iter()
        .any(|name| case.starts_with(name))
}

/// The initial parameter, the gradients of each step, and the parameter after each step of every case.
struct Record {
    initial: Vec<f32>,
    gradients: Vec<Vec<f32>>,
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
    let others = file
        .names()
        .into_iter()
        .filter(|n| !["init", "gradients"].contains(n));
    Record {
        initial: floats("init"),
        gradients: steps("gradients"),
        after: others.map(|name| (name.to_string(), steps(name))).collect(),
    }
}

/// The optimizer of `parameters`, without groups.
fn instance(config: &OptimizerConfig, parameters: &[(&str, TensorType)]) -> OptimizerInstance {
    let parameters: Vec<(String, TensorType)> = parameters
        .iter()
        .map(|(name, ty)| (name.to_string(), ty.clone()))
        .collect();
    OptimizerInstance::new(DEFAULT_PREFIX, config, &[], &parameters).unwrap()
}

/// The optimizer of a single parameter `w`.
fn of_parameter(config: &OptimizerConfig, shape: [usize; 2]) -> OptimizerInstance {
    instance(config, &[("w", TensorType::f32(shape))])
}

/// The scalar inputs of step number `n`, from 0.
fn scalars(optimizer: &OptimizerInstance, n: usize, lr: f64) -> Vec<(String, f32)> {
    let mut values = Vec::new();
    optimizer.scalars(n as u64 + 1, lr, &mut values);
    optimizer
        .scalar_names()
        .iter()
        .cloned()
        .zip(values)
        .collect()
}

/// A step on one parameter `w` with the gradient fed as `g`.
fn graph(optimizer: &OptimizerInstance, shape: [usize; 2]) -> Graph {
    let builder = Builder::new();
    let ty = TensorType::f32(shape);
    let w = builder.variable("w", ty.clone()).unwrap();
    let g = builder.input("g", ty);
    optimizer
        .apply(&builder, &[("w".to_string(), w)], &[g])
        .unwrap();
    builder.finish().unwrap()
}

fn state(optimizer: &OptimizerInstance) -> Vec<(String, Tensor<f32>)> {
    let zeros = |(name, ty): (String, TensorType)| (name, Tensor::zeros(&ty));
    optimizer.state().into_iter().map(zeros).collect()
}

fn assert_close(case: &str, step: usize, got: &[f32], want: &[f32]) {
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs();
        assert!(
            error <= tolerance(case),
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
fn the_reference_takes_the_recorded_steps() {
    let record = record();
    for (case, config) in cases() {
        let optimizer = of_parameter(&config, shape(case));
        let graph = graph(&optimizer, shape(case));
        let mut variables: Variables<f32> = state(&optimizer)
            .into_iter()
            .map(|(name, value)| (name, Arc::new(value)))
            .collect();
        variables.insert(
            "w".to_string(),
            Arc::new(Tensor::real(shape(case), record.initial.clone())),
        );
        for (n, gradient) in record.gradients.iter().enumerate() {
            let mut inputs: HashMap<String, Arc<Tensor<f32>>> = scalars(&optimizer, n, config.lr())
                .into_iter()
                .map(|(name, x)| (name, Arc::new(Tensor::real([], vec![x]))))
                .collect();
            inputs.insert(
                "g".to_string(),
                Arc::new(Tensor::real(shape(case), gradient.clone())),
            );
            interpret(&graph, &mut variables, &inputs).unwrap();
            assert_close(case, n, variables["w"].reals(), &record.after[case][n]);
        }
    }
}

#[test]
fn the_kernels_take_the_recorded_steps() {
    let Some(gpu) = support::gpu() else { return };
    let record = record();
    for (case, config) in cases() {
        let optimizer = of_parameter(&config, shape(case));
        let mut store = Store::new();
        let initial = Tensor::real(shape(case), record.initial.clone());
        store.set(gpu, "w", &initial).unwrap();
        for (name, value) in state(&optimizer) {
            store.set(gpu, &name, &value).unwrap();
        }
        let plan = Plan::new(&graph(&optimizer, shape(case)), &gpu.target).unwrap();
        let mut program = Program::new(gpu, &plan, &store).unwrap();
        for (n, gradient) in record.gradients.iter().enumerate() {
            let gradient = Tensor::real(shape(case), gradient.clone());
            program.feed(gpu, "g", &gradient).unwrap();
            run(gpu, &mut program, &scalars(&optimizer, n, config.lr()));
            let w = store.read(gpu, "w").unwrap();
            assert_close(case, n, w.reals(), &record.after[case][n]);
        }
    }
}

/// Runs one step with the scalars in the order of the program.
fn run(gpu: &Gpu, program: &mut Program, scalars: &[(String, f32)]) {
    let value = |name: &String| {
        let found = scalars.iter().find(|(n, _)| n == name);
        Scalar::F32(found.unwrap_or_else(|| panic!("{name} has no value")).1)
    };
    let row: Vec<Scalar> = program.scalar_names().iter().map(value).collect();
    program.run(gpu, 1, &row).unwrap();
}

/// A step of a small model whose gradients are results of a matmul and a sum.
fn training_step(optimizer: &OptimizerInstance) -> Graph {
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
            if !is_in_place(case) {
                continue;
            }
            let parameters = [
                ("weight", TensorType::f32([8, 5])),
                ("bias", TensorType::f32([5])),
            ];
            let optimizer = instance(&config, &parameters);
            let plan = Plan::new(&training_step(&optimizer), &target).unwrap();
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
            let terms = 2 + optimizer.state().len();
            assert_eq!(updates, [terms], "{case}:\n{plan}");
        }
    }
}

#[test]
fn no_kernel_binds_too_much_where_an_update_can_not_work_in_place() {
    let optimizer = of_parameter(&AdamW::default().into(), [3, 5]);
    let builder = Builder::new();
    let ty = TensorType::f32([3, 5]);
    let w = builder.variable("w", ty.clone()).unwrap();
    let g = builder.input("g", ty);
    optimizer
        .apply(&builder, &[("w".to_string(), w)], &[g])
        .unwrap();
    // The outputs are the values before the step, so the new values can't replace them at once.
    builder.output("w", w);
    for (name, ty) in optimizer.state() {
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

#[test]
fn a_convolution_is_a_matrix_to_muon() {
    let record = record();
    let config = table("name = 'muon'\nweight_decay = 0.2");
    let ty = TensorType::f32([3, 1, 5, 1]);
    let optimizer = instance(&config, &[("w", ty.clone())]);
    let builder = Builder::new();
    let w = builder.variable("w", ty.clone()).unwrap();
    let g = builder.input("g", ty.clone());
    optimizer
        .apply(&builder, &[("w".to_string(), w)], &[g])
        .unwrap();
    let graph = builder.finish().unwrap();
    let mut variables: Variables<f32> = state(&optimizer)
        .into_iter()
        .map(|(name, value)| (name, Arc::new(value)))
        .collect();
    let tensor = |values: &[f32]| Arc::new(Tensor::real(ty.shape.clone(), values.to_vec()));
    variables.insert("w".to_string(), tensor(&record.initial));
    let mut inputs: HashMap<String, Arc<Tensor<f32>>> = scalars(&optimizer, 0, config.lr())
        .into_iter()
        .map(|(name, x)| (name, Arc::new(Tensor::real([], vec![x]))))
        .collect();
    inputs.insert("g".to_string(), tensor(&record.gradients[0]));
    interpret(&graph, &mut variables, &inputs).unwrap();
    assert_close("muon", 0, variables["w"].reals(), &record.after["muon"][0]);
}

#[test]
fn lamb_leaves_vectors_to_adam_where_that_is_asked_for() {
    let after = |text: &str| {
        let config = table(text);
        let ty = TensorType::f32([2]);
        let optimizer = instance(&config, &[("w", ty.clone())]);
        let builder = Builder::new();
        let w = builder.variable("w", ty.clone()).unwrap();
        let g = w.scale(0.5).unwrap();
        optimizer
            .apply(&builder, &[("w".to_string(), w)], &[g])
            .unwrap();
        let graph = builder.finish().unwrap();
        let mut variables: Variables<f32> = state(&optimizer)
            .into_iter()
            .map(|(name, value)| (name, Arc::new(value)))
            .collect();
        variables.insert(
            "w".to_string(),
            Arc::new(Tensor::real([2], vec![3.0, -4.0])),
        );
        let inputs = scalars(&optimizer, 0, config.lr())
            .into_iter()
            .map(|(name, x)| (name, Arc::new(Tensor::real([], vec![x]))))
            .collect();
        interpret(&graph, &mut variables, &inputs).unwrap();
        variables["w"].reals().to_vec()
    };
    let lamb = "name = 'lamb'\nlr = 0.1\nexclude_bias_and_norm = ";
    let (without, with) = (
        after(&format!("{lamb}true")),
        after(&format!("{lamb}false")),
    );
    let adam = after("name = 'adam'\nlr = 0.1\neps = 1e-6");
    assert!((without[0] - adam[0]).abs() < 1e-6, "{without:?} {adam:?}");
    // The step has 0.1 times the norm of the parameter.
    let length = ((3.0 - with[0]).powi(2) + (4.0 + with[1]).powi(2)).sqrt();
    assert!((length - 0.5).abs() < 1e-5, "{with:?}");
}

#[test]
fn gradients_are_clipped_each_by_itself() {
    let builder = Builder::new();
    let a = builder.variable("a", TensorType::f32([3])).unwrap();
    let clipped = clip_grad_value(&[a], 0.5).unwrap();
    builder.output("a", clipped[0]);
    let values = Arc::new(Tensor::real([3], vec![3.0, 0.25, -0.75]));
    let mut variables: Variables<f32> = HashMap::from([("a".to_string(), values)]);
    let out = interpret(&builder.finish().unwrap(), &mut variables, &HashMap::new()).unwrap();
    assert_eq!(out[0].reals(), [0.5, 0.25, -0.5]);
}

/// Recorded learning rates of PyTorch's schedulers.
#[derive(Deserialize)]
struct Schedules {
    base_lr: f64,
    schedules: Vec<Recorded>,
    plateaus: Vec<RecordedPlateau>,
}

#[derive(Deserialize)]
struct Recorded {
    schedule: Schedule,
    steps: u64,
    lr: Vec<f64>,
}

#[derive(Deserialize)]
struct RecordedPlateau {
    schedule: Schedule,
    higher_is_better: bool,
    values: Vec<f64>,
    lr: Vec<f64>,
}

fn schedules() -> Schedules {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/schedules.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn schedules_give_the_learning_rates_of_pytorch() {
    let record = schedules();
    for Recorded {
        schedule,
        steps,
        lr,
    } in record.schedules
    {
        schedule.validate().unwrap();
        for (step, want) in (1..=steps).zip(lr) {
            let got = schedule.lr(record.base_lr, step, steps);
            assert!(
                (got - want).abs() < 1e-12,
                "{schedule:?}, step {step}: {got} is not {want}"
            );
        }
    }
}

#[test]
fn a_plateau_drops_where_pytorch_does() {
    let record = schedules();
    for plateau in record.plateaus {
        let settings = plateau.schedule.plateau().unwrap();
        let mut state = PlateauState::default();
        for (n, (&value, want)) in plateau.values.iter().zip(&plateau.lr).enumerate() {
            state.observe(settings, value, plateau.higher_is_better);
            let got = settings.lr_after(record.base_lr, &state);
            assert!(
                (got - want).abs() < 1e-12,
                "{settings:?}, value {n}: {got} is not {want}"
            );
        }
        assert!(state.factor() < 1.0, "{settings:?} never dropped");
    }
}

#[test]
fn every_schedule_is_recorded() {
    let record = schedules();
    let constant = Schedule::default();
    let names = record.schedules.iter().map(|r| &r.schedule);
    let names = names.chain(record.plateaus.iter().map(|r| &r.schedule));
    let recorded: BTreeSet<String> = names.chain([&constant]).map(name_of).collect();
    assert!(Schedule::NAMES.iter().all(|name| recorded.contains(*name)));
}

fn name_of(schedule: &Schedule) -> String {
    let table = toml::Table::try_from(schedule).unwrap();
    table["name"].as_str().unwrap().to_string()
}

//! Every task of the registry on its own case: the case can be learned, devices agree, a run resumes bit for bit, predictions
//! equal those of the evaluation and can be decoded, and weights can be saved and loaded.

use crate::support;
use std::sync::Arc;
use wgrad::cpu::{Data, Tensor};
use wgrad::data::{Dataset, Samples};
use wgrad::device::Engine;
use wgrad::nn::{Model, Network, weights};
use wgrad::optim::{OptimizerConfig, Sgd};
use wgrad::run::{Checkpoint, Length, Measured, Monitor, Run, RunParts, Saving, Silent};
use wgrad::tasks::{Decoded, Models, REGISTRY, Registered, Task, TaskCase};
use wgrad::train::{Collected, Recipe};

/// Calls `test` with every task and its case. A failure names the task.
fn each(test: impl Fn(&Registered, TaskCase)) {
    for task in REGISTRY {
        println!("task {}", task.name);
        test(task, (task.sample)().unwrap());
    }
}

fn parts(task: &Registered, case: &TaskCase, epochs: u32) -> RunParts {
    let network = |(role, spec): &(&'static str, _)| -> (String, Arc<dyn Model>) {
        let network = Network::new(wgrad::nn::ModelSpec::clone(spec)).unwrap();
        (role.to_string(), Arc::new(network.with_prefix(role)))
    };
    let optimizer = format!("name = \"adam\"\nlr = {:?}", case.lr);
    let optimizer: OptimizerConfig = wgrad::toml_text::parse(&optimizer, "optimizer").unwrap();
    let made: Arc<dyn Task> = (task.make)(&case.task).unwrap().into();
    RunParts {
        task: made,
        models: Models::named(case.models.iter().map(network).collect()),
        recipe: Recipe {
            seed: 3,
            batch: case.batch,
            optimizer,
            ..Recipe::default()
        },
        length: Length {
            epochs,
            steps: None,
            steps_per_epoch: None,
            shuffle: true,
        },
        monitor: Monitor::default(),
        saving: Saving::default(),
        tensorboard: false,
        privacy: None,
        federated: None,
        data: case.data.clone(),
        fitted: case.fitted.clone(),
        values: None,
        title: task.name.to_string(),
    }
}

fn dataset(case: &TaskCase) -> Dataset<Samples> {
    let (train, test) = (case.samples.clone(), case.samples.clone());
    Dataset::new("a sample case", train, test, case.fitted.classes.clone())
        .unwrap()
        .into_samples()
}

fn run<'e>(engine: &'e Engine, case: &TaskCase, parts: RunParts) -> Run<'e> {
    Run::new(engine, parts.check(dataset(case)).unwrap()).unwrap()
}

fn variables(run: &Run<'_>) -> Vec<(String, Tensor<f32>)> {
    run.checkpoint().unwrap().variables
}

/// The reference, and the software adapter if there is one.
fn engines() -> Vec<&'static Engine> {
    std::iter::once(&Engine::Cpu)
        .chain(support::engine())
        .collect()
}

#[test]
fn every_task_has_a_case_of_its_own_that_it_accepts() {
    each(|task, case| {
        assert_eq!(case.task.name.as_deref(), Some(task.name));
        assert_ne!(
            case.samples.len() % case.batch,
            0,
            "{}: the last batch is full",
            task.name
        );
        let parts = parts(task, &case, 1);
        let checked = parts.check(dataset(&case)).unwrap();
        let all: Vec<&str> = (task.metrics)().iter().map(|metric| metric.name).collect();
        let reported = checked.parts().task.metrics();
        let unknown = reported.iter().find(|metric| !all.contains(&metric.name));
        assert!(
            unknown.is_none(),
            "{}: {unknown:?} is not in its registration",
            task.name
        );
        let chosen = wgrad::tasks::task(&case.task, &case.samples).unwrap();
        assert_eq!(chosen.registered().name, task.name);
    });
}

#[test]
fn a_tiny_set_is_overfitted() {
    each(|task, case| {
        let mut run = run(&Engine::Cpu, &case, parts(task, &case, case.epochs));
        let before = run.evaluate().unwrap();
        let after = run.fit(&mut Silent, None).unwrap();
        let (metric, wanted) = case.reaches;
        let value = |found: &wgrad::run::Evaluation| found.value(metric).unwrap();
        let monitor = Monitor {
            metric: Some(metric.to_string()),
            ..Monitor::default()
        };
        let judged = monitor.metric(&**run.trainer().task()).unwrap();
        let (before, after) = (value(&before), value(&after));
        println!("{}: {metric} from {before} to {after}", task.name);
        assert!(
            judged.improves(after, wanted, 0.0) && !judged.improves(before, wanted, 0.0),
            "{}: {metric} went from {before} to {after}, not past {wanted}",
            task.name
        );
    });
}

#[test]
fn ten_steps_on_an_adapter_and_in_the_reference_give_the_same_weights_and_evaluation() {
    let Some(gpu) = support::engine() else { return };
    each(|task, case| {
        let after_ten = |engine| {
            let mut parts = parts(task, &case, 1);
            parts.length.steps = Some(10);
            // Plain SGD, because Adam would scale gradients that are only rounding errors, such as those of a bias before a batch
            // normalization, to full steps.
            parts.recipe.optimizer = OptimizerConfig::from(Sgd {
                lr: 0.05,
                ..Sgd::default()
            });
            let mut run = run(engine, &case, parts);
            let evaluation = run.fit(&mut Silent, None).unwrap();
            let weights: Vec<String> = run
                .trainer()
                .models()
                .state()
                .map(|p| p.name.clone())
                .collect();
            let all = variables(&run).into_iter();
            let kept = all.filter(|(name, _)| weights.contains(name));
            (kept.collect::<Vec<_>>(), evaluation)
        };
        let ((ours, our_evaluation), (theirs, their_evaluation)) =
            (after_ten(&Engine::Cpu), after_ten(gpu));
        let losses = [our_evaluation.loss, their_evaluation.loss];
        assert!(
            (losses[0] - losses[1]).abs() < 1e-4 * losses[0].abs().max(1.0),
            "{}: losses {losses:?}",
            task.name
        );
        for (own, other) in our_evaluation.figures.iter().zip(&their_evaluation.figures) {
            assert!(
                (own.value - other.value).abs() < 1e-3 * own.value.abs().max(1.0),
                "{}: {} is {} in the reference and {} on the adapter",
                task.name,
                own.metric.name,
                own.value,
                other.value
            );
        }
        for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
            let pairs = ours.reals().iter().zip(theirs.reals());
            let apart = pairs
                .map(|(a, b)| (a - b).abs() / a.abs().max(1.0))
                .fold(0.0, f32::max);
            assert!(apart < 1e-5, "{}: {name} is {apart:e} apart", task.name);
        }
    });
}

#[test]
fn a_resumed_run_gives_the_same_bits() {
    each(|task, case| {
        for engine in engines() {
            let through = |epochs, from: Option<Checkpoint>| {
                let mut run = run(engine, &case, parts(task, &case, 4));
                run.extend(epochs);
                from.into_iter()
                    .for_each(|checkpoint| run.restore(checkpoint).unwrap());
                run.fit(&mut Silent, None).unwrap();
                run.checkpoint().unwrap()
            };
            let whole = through(4, None);
            let resumed = through(4, Some(through(2, None)));
            assert_eq!(whole.progress, resumed.progress);
            for ((name, a), (_, b)) in whole.variables.iter().zip(&resumed.variables) {
                assert_eq!(
                    bits(a),
                    bits(b),
                    "{}: {name} on {}",
                    task.name,
                    engine.name()
                );
            }
        }
    });
}

#[test]
fn streamed_samples_give_the_same_bits_as_those_on_the_device() {
    each(|task, case| {
        let trained = |stream| {
            let mut parts = parts(task, &case, 2);
            parts.data.stream = Some(stream);
            let mut run = run(&Engine::Cpu, &case, parts);
            run.fit(&mut Silent, None).unwrap();
            variables(&run)
        };
        for ((name, a), (_, b)) in trained(false).iter().zip(&trained(true)) {
            assert_eq!(bits(a), bits(b), "{}: {name}", task.name);
        }
    });
}

#[test]
fn predictions_are_those_of_the_evaluation_and_every_sample_is_decoded() {
    each(|task, case| {
        let inputs = case.inputs().unwrap();
        assert!(
            inputs.fields().len() < case.samples.fields().len()
                || task.needs.iter().all(|need| need.input)
        );
        for engine in engines() {
            let evaluation =
                Measured::evaluation(engine, parts(task, &case, 1), case.samples.clone());
            let (_, _, evaluated) = evaluation.unwrap().run().unwrap();
            let prediction = Measured::prediction(engine, parts(task, &case, 1), inputs.clone());
            let (_, _, predicted) = prediction.unwrap().run().unwrap();
            assert!(!predicted.is_empty(), "{} predicts nothing", task.name);
            for (name, shape, values) in &predicted {
                let same = evaluated.iter().find(|(known, ..)| known == name);
                let Some((_, evaluated_shape, evaluated)) = same else {
                    continue;
                };
                assert_eq!(shape, evaluated_shape);
                let apart = values.iter().zip(evaluated).map(|(a, b)| (a - b).abs());
                assert!(apart.fold(0.0, f32::max) < 1e-5, "{}: {name}", task.name);
            }
            decode_all(task, &case, &inputs, &predicted);
        }
    });
}

fn decode_all(task: &Registered, case: &TaskCase, samples: &Samples, outputs: &Collected) {
    let made = (task.make)(&case.task).unwrap();
    for index in 0..samples.len() {
        let own: Collected = outputs
            .iter()
            .map(|(name, shape, values)| {
                let each = shape.iter().product::<usize>();
                (
                    name.clone(),
                    shape.clone(),
                    values[index * each..][..each].to_vec(),
                )
            })
            .collect();
        let decoded = made.decode(&Decoded {
            outputs: &own,
            samples,
            index,
            picture: None,
            fitted: &case.fitted,
            data: &case.data,
            top: 2,
            out_named: true,
        });
        if made.writes_text() {
            assert!(decoded.is_err_and(|e| e.to_string().contains("wgrad generate")));
            continue;
        }
        let decoded = decoded.unwrap();
        assert!(
            !decoded.lines.is_empty() && decoded.lines.iter().all(|line| !line.text.is_empty()),
            "{}: sample {index} has no line",
            task.name
        );
        let bad = decoded
            .lines
            .iter()
            .find(|line| line.shown(2).contains("NaN"));
        assert!(bad.is_none(), "{}: {bad:?}", task.name);
    }
}

#[test]
fn weights_that_were_written_and_read_give_the_same_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    each(|task, case| {
        let mut run = run(&Engine::Cpu, &case, parts(task, &case, 2));
        let trained = run.fit(&mut Silent, None).unwrap();
        let path = folder.path().join(format!("{}.safetensors", task.name));
        run.save_model(&path).unwrap();
        let mut parts = parts(task, &case, 1);
        parts.values = Some(weights::load(&path, parts.models.spec()).unwrap());
        let mut measured = Measured::evaluation(&Engine::Cpu, parts, case.samples.clone()).unwrap();
        let (read, ..) = measured.run().unwrap();
        assert_eq!(trained.to_json(), read.to_json(), "{}", task.name);
    });
}

fn bits(tensor: &Tensor<f32>) -> Vec<u32> {
    match &tensor.data {
        Data::Real(values) => values.iter().map(|x| x.to_bits()).collect(),
        Data::Index(values) => values.clone(),
    }
}

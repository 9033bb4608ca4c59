//! Adversarial networks: each phase of a step updates only its own model.

use std::sync::Arc;
use wgrad::cpu::Tensor;
use wgrad::device::Engine;
use wgrad::nn::{ModelSpec, Network};
use wgrad::optim::{OptimizerConfig, Sgd};
use wgrad::run::{Length, Monitor, Run, RunParts, Saving, Silent};
use wgrad::tasks::{Models, TaskCase, named};
use wgrad::train::Recipe;

fn case() -> TaskCase {
    (named("gan").unwrap().sample)().unwrap()
}

/// A run of the case, with these learning rates for its phases.
fn parts(case: &TaskCase, [discriminator, generator]: [f64; 2]) -> RunParts {
    let network = |(role, spec): &(&'static str, ModelSpec)| {
        let network = Network::new(spec.clone()).unwrap().with_prefix(role);
        let model: Arc<dyn wgrad::nn::Model> = Arc::new(network);
        (role.to_string(), model)
    };
    let sgd = |lr| {
        OptimizerConfig::from(Sgd {
            lr,
            ..Sgd::default()
        })
    };
    RunParts {
        task: (named("gan").unwrap().make)(&case.task).unwrap().into(),
        models: Models::named(case.models.iter().map(network).collect()),
        recipe: Recipe {
            seed: 3,
            batch: case.batch,
            optimizers: [
                ("discriminator".to_string(), sgd(discriminator)),
                ("generator".to_string(), sgd(generator)),
            ]
            .into(),
            ..Recipe::default()
        },
        length: Length {
            epochs: 1,
            steps: Some(2),
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
        title: "gan".to_string(),
    }
}

/// Names of the parameters that two steps with these learning rates change.
fn moved(rates: [f64; 2]) -> Vec<String> {
    let case = case();
    let parts = parts(&case, rates);
    let before = parts.models.initial_state(3);
    let names: Vec<String> = parts
        .models
        .parameters(&["generator", "discriminator"])
        .map(|parameter| parameter.name.clone())
        .collect();
    let all: Vec<String> = parts.models.state().map(|part| part.name.clone()).collect();
    let set = wgrad::data::Dataset::new(
        "case",
        case.samples.clone(),
        case.samples.clone(),
        Vec::new(),
    );
    let mut run = Run::new(
        &Engine::Cpu,
        parts.check(set.unwrap().into_samples()).unwrap(),
    )
    .unwrap();
    run.fit(&mut Silent, None).unwrap();
    let after: Vec<Tensor<f32>> = all
        .iter()
        .map(|name| run.trainer().device().get(name).unwrap())
        .collect();
    let pairs = all.iter().zip(before.iter().zip(&after));
    pairs
        .filter(|(name, (before, after))| names.contains(name) && before.reals() != after.reals())
        .map(|(name, _)| name.clone())
        .collect()
}

#[test]
fn a_phase_moves_its_own_model_alone() {
    let discriminator = moved([0.1, 0.0]);
    assert!(!discriminator.is_empty());
    assert!(
        discriminator
            .iter()
            .all(|name| name.starts_with("discriminator."))
    );
    let generator = moved([0.0, 0.1]);
    assert!(!generator.is_empty());
    assert!(generator.iter().all(|name| name.starts_with("generator.")));
}

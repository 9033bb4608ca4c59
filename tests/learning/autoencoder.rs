//! Autoencoders on an adapter and in the reference, and the effect of noise in training. The shared tests of tasks overfit the
//! task's own case and compare the devices on it; these tests train the built-in model on digits.

use crate::support;
use std::sync::Arc;
use wgrad::data::Part;
use wgrad::device::Engine;
use wgrad::nn::ModelSpec;
use wgrad::run::{Measured, Run, Silent};
use wgrad::settings::Settings;

const ADAM: &str = "name = \"adam\"\nlr = 0.003";

fn settings(own: &str, optimizer: &str) -> Settings {
    let text = format!(
        "batch = 16\n[task]\nname = \"autoencoder\"\n{own}\n[optimizer]\n{optimizer}\n\
         [data]\nsource = \"digits\"\ntrain = 40\ntest = 20"
    );
    let mut settings: Settings = toml::from_str(&text).unwrap();
    settings.model = ModelSpec::preset("autoencoder").unwrap();
    settings
}

/// Weights after `steps` steps on `engine`, and the test error of the run.
fn trained(engine: &Engine, own: &str, steps: u64) -> (Vec<f32>, f64) {
    trained_by(engine, own, ADAM, steps)
}

/// The same with another optimizer.
fn trained_by(engine: &Engine, own: &str, optimizer: &str, steps: u64) -> (Vec<f32>, f64) {
    let mut settings = settings(own, optimizer);
    settings.steps = Some(steps);
    let dataset = settings.load_data().unwrap();
    let parts = settings.resolve(&dataset.train).unwrap();
    let mut run = Run::new(engine, parts.check(dataset).unwrap()).unwrap();
    let evaluation = run.fit(&mut Silent, None).unwrap();
    let checkpoint = run.checkpoint().unwrap();
    let code = checkpoint.variables.iter();
    let code = code.filter(|(name, _)| name == "code.weight" || name == "decode1.weight");
    let weights = code.flat_map(|(_, value)| value.reals().to_vec()).collect();
    (weights, evaluation.value("mse").unwrap())
}

#[test]
fn an_adapter_and_the_reference_learn_the_same_from_the_same_noise() {
    let Some(gpu) = support::engine() else { return };
    for own in ["", "noise = 0.3\nmask = 0.2"] {
        // Plain SGD, because Adam would scale gradients that are only rounding errors to full steps.
        let sgd = "name = \"sgd\"\nlr = 0.05";
        let (ours, error) = trained_by(&Engine::Cpu, own, sgd, 4);
        let (theirs, same) = trained_by(gpu, own, sgd, 4);
        assert_eq!(ours.len(), 2 * 32 * 32 * 49);
        let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
        let apart = apart.fold(0.0, f32::max);
        assert!(apart < 1e-5, "{own}: {apart:e} apart");
        assert!(
            (error - same).abs() < 1e-5 * error,
            "{own}: {error} and {same}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_noise_and_noise_changes_what_is_learned() {
    let Some(gpu) = support::engine() else { return };
    let (first, _) = trained(gpu, "noise = 0.3", 3);
    assert_eq!(first, trained(gpu, "noise = 0.3", 3).0);
    assert_ne!(first, trained(gpu, "", 3).0);
}

#[test]
fn a_few_digits_are_given_back() {
    let Some(gpu) = support::engine() else { return };
    let (_, before) = trained(gpu, "", 1);
    let (_, after) = trained(gpu, "", 150);
    assert!(
        after < 0.6 * before,
        "the test error went from {before} to {after}"
    );
}

#[test]
fn an_evaluation_says_the_error_of_each_sample_and_keeps_few_pictures() {
    let mut settings = settings("", ADAM);
    settings.data.evaluate = Part::Test;
    settings.data.train_without = vec!["9".to_string()];
    let dataset = settings.load_data().unwrap();
    assert!(!dataset.train.labels().unwrap().contains(&9));
    let parts = settings.resolve(&dataset.train).unwrap();
    let task = Arc::clone(&parts.task);
    let labels = dataset.test.labels().unwrap().to_vec();
    assert!(labels.contains(&9));
    let mut measured = Measured::evaluation(&Engine::Cpu, parts, dataset.test).unwrap();
    let (evaluation, counters, outputs) = measured.run().unwrap();
    let kept = |name: &str| {
        let found = outputs.iter().find(|(known, ..)| known == name).unwrap();
        found.2.len()
    };
    assert_eq!(kept("mse"), 20);
    assert_eq!(kept("reconstruction"), task.shown_samples() * 28 * 28);
    let lines = measured.sample_lines(&outputs).unwrap();
    assert_eq!(lines.len(), 20);
    let mean = lines.iter().map(|line| line["mse"].as_f64().unwrap());
    let mean = mean.sum::<f64>() / 20.0;
    assert!((mean - evaluation.value("mse").unwrap()).abs() < 1e-5);
    for (index, (line, label)) in lines.iter().zip(&labels).enumerate() {
        assert_eq!(line["index"], index);
        assert_eq!(line["label"], label.to_string());
    }
    let found = task.findings(&measured.evaluated(&counters, &outputs));
    assert!(found.full.json["auc"].is_number(), "{:?}", found.full.json);
    let sections = task.report(&measured.evaluated(&counters, &outputs));
    let pictures = sections[0]
        .html
        .matches("data:image/png;base64,iVBORw0KGgo")
        .count();
    assert_eq!(pictures, 2 * task.shown_samples());
}

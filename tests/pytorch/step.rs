//! Training steps of the MNIST CNN against PyTorch's record: every updated weight, for every optimizer.

use crate::support;
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use wgrad::data::{Dataset, ImageSet};
use wgrad::device::Engine;
use wgrad::optim::{Adam, AdamW, OptimizerConfig, Sgd};
use wgrad::run::Silent;
use wgrad::settings::Settings;

/// Tolerance for a weight after a step: PyTorch's own record is within 1e-6 of the same steps in double precision.
const ALLOWED: f32 = 1e-5;

fn record() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cnn_step.safetensors");
    fs::read(path).expect("the fixture is in the repository")
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = file
        .tensor(name)
        .unwrap_or_else(|_| panic!("{name} is recorded"));
    let words = view.data().chunks_exact(4);
    words
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

/// Writes the recorded initial weights to a file, under the names of the model.
fn initial_weights(file: &SafeTensors<'_>, folder: &Path) -> PathBuf {
    let names = file
        .names()
        .into_iter()
        .filter_map(|n| n.strip_prefix("init."));
    let views: Vec<_> = names
        .map(|n| (n.to_string(), file.tensor(&format!("init.{n}")).unwrap()))
        .collect();
    let path = folder.join("init.safetensors");
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

fn batch(file: &SafeTensors<'_>) -> ImageSet {
    let images = file.tensor("images").unwrap().data().to_vec();
    let labels = file
        .tensor("labels")
        .unwrap()
        .data()
        .chunks_exact(4)
        .map(|b| u32::from(b[0]));
    ImageSet {
        images,
        labels: labels.collect(),
        height: 28,
        width: 28,
        channels: 1,
    }
}

/// Settings of the recorded cases: name, optimizer, clipping, steps.
fn cases() -> Vec<(&'static str, OptimizerConfig, Option<f64>, u32)> {
    let sgd = Sgd {
        lr: 0.01,
        ..Sgd::default()
    };
    let momentum = Sgd {
        momentum: 0.9,
        ..sgd.clone()
    };
    let nesterov = Sgd {
        nesterov: true,
        ..momentum.clone()
    };
    let decay = Sgd {
        weight_decay: 1e-4,
        ..sgd.clone()
    };
    let (adam, adamw) = (
        Adam {
            lr: 1e-3,
            ..Adam::default()
        },
        AdamW {
            lr: 1e-3,
            ..AdamW::default()
        },
    );
    vec![
        ("sgd", OptimizerConfig::Sgd(sgd.clone()), None, 1),
        ("sgd_weight_decay", OptimizerConfig::Sgd(decay), None, 1),
        ("sgd_clip", OptimizerConfig::Sgd(sgd), Some(0.25), 1),
        ("sgd_momentum", OptimizerConfig::Sgd(momentum), None, 2),
        ("sgd_nesterov", OptimizerConfig::Sgd(nesterov), None, 2),
        ("adam", OptimizerConfig::Adam(adam.clone()), None, 2),
        ("adam_clip", OptimizerConfig::Adam(adam), Some(1.0), 1),
        ("adamw", OptimizerConfig::AdamW(adamw), None, 2),
    ]
}

fn agrees_with_pytorch(engine: &Engine) {
    let bytes = record();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let init = initial_weights(&file, folder.path());
    for (name, optimizer, clip_norm, steps) in cases() {
        let mut settings = Settings {
            epochs: steps,
            batch: 16,
            shuffle: false,
            init: Some(init.clone()),
            optimizer,
            clip_norm,
            ..Settings::preset().unwrap()
        };
        (settings.fitted.mean, settings.fitted.std) = (vec![0.0], vec![1.0]);
        let set = batch(&file);
        let classes = (0..10).map(|c| c.to_string()).collect();
        let dataset = Dataset::new("record", set.clone(), set, classes).unwrap();
        let mut session = settings.start(engine, dataset).unwrap();
        session.fit(&mut Silent, None).unwrap();
        let written = folder.path().join("model.safetensors");
        session.save_model(&written).unwrap();
        let bytes = fs::read(&written).unwrap();
        let ours = SafeTensors::deserialize(&bytes).unwrap();
        let before: HashMap<String, Vec<f32>> = ours
            .names()
            .into_iter()
            .map(|n| (n.to_string(), floats(&file, &format!("init.{n}"))))
            .collect();
        assert_eq!(
            ours.names().len(),
            8,
            "four layers have a weight and a bias each"
        );
        for weight in ours.names() {
            let (got, want) = (
                floats(&ours, weight),
                floats(&file, &format!("{name}.{weight}")),
            );
            // The record holds only the first rows of dense1.weight.
            let worst = got
                .iter()
                .zip(&want)
                .map(|(g, w)| (g - w).abs())
                .fold(0.0, f32::max);
            let moved = want.iter().zip(&before[weight]).any(|(w, b)| w != b);
            assert!(moved, "{name}: {weight} did not move in the record");
            assert!(
                worst <= ALLOWED,
                "{name}: {weight} is off by {worst:e} on {}",
                engine.name()
            );
            println!("{name} {weight} {worst:.1e}");
        }
    }
}

#[test]
fn optimizer_steps_on_the_cpu_agree_with_pytorch() {
    agrees_with_pytorch(&Engine::Cpu);
}

#[test]
fn optimizer_steps_on_the_gpu_agree_with_pytorch() {
    if let Some(engine) = support::engine() {
        agrees_with_pytorch(engine);
    }
}

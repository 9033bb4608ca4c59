//! Whole training runs: CPU and GPU agree, runs and resumed runs repeat bit for bit, and memory use stays constant.

use crate::support;
use std::fs;
use std::path::Path;
use wgrad::data::{Dataset, digits};
use wgrad::device::Engine;
use wgrad::graph::Precision;
use wgrad::nn::ModelSpec;
use wgrad::optim::{OptimizerConfig, Sgd};
use wgrad::run::{Run, Silent};
use wgrad::settings::Settings;

/// A small network with every kind of layer that a short test allows.
const SMALL: &str = r#"
name = "small"
input = [28, 28, 1]
layer = [
    { type = "conv2d", filters = 8, kernel = 3, stride = 2, bias = false },
    { type = "batch_norm", activation = "relu" },
    { type = "max_pool2d", size = 2 },
    { type = "flatten" },
    { type = "batch_norm" },
    { type = "dropout", rate = 0.1 },
    { type = "dense", units = 10 },
]
"#;

fn settings(spec: &str) -> Settings {
    let model: ModelSpec = wgrad::toml_text::parse(spec, "test model").unwrap();
    let mut settings = Settings {
        model,
        batch: 32,
        epochs: 2,
        ..Settings::preset().unwrap()
    };
    (settings.fitted.mean, settings.fitted.std) = (vec![0.1], vec![0.3]);
    settings
}

fn session(engine: &Engine, settings: Settings, data: Dataset) -> Run<'_> {
    settings.start(engine, data).unwrap()
}

/// The weights after a run, as the bytes of its file.
fn weights(session: &Run<'_>, folder: &Path) -> Vec<u8> {
    let path = folder.join("model.safetensors");
    session.save_model(&path).unwrap();
    fs::read(path).unwrap()
}

fn trained(engine: &Engine, settings: Settings, data: Dataset) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(engine, settings, data);
    session.fit(&mut Silent, None).unwrap();
    weights(&session, folder.path())
}

/// Largest difference of two weight files, element by element.
fn distance(a: &[u8], b: &[u8]) -> f32 {
    let floats = |bytes: &[u8]| -> Vec<f32> {
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let mut names: Vec<_> = file.names().into_iter().map(str::to_string).collect();
        names.sort();
        let words = names
            .iter()
            .flat_map(|n| file.tensor(n).unwrap().data().to_vec());
        words
            .collect::<Vec<u8>>()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    };
    let (a, b) = (floats(a), floats(b));
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(&b)
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, f32::max)
}

#[test]
fn the_same_steps_on_cpu_and_gpu_give_the_same_weights() {
    let Some(gpu) = support::engine() else { return };
    // In mixed precision, the reference rounds no activations. Adam would scale gradients that are only rounding errors to
    // full steps, and normalisation after the convolutions those of activations that hardly vary. In IEEE 754's 16 bits,
    // gradients of activations overflow in the first step, which is skipped where they are stored.
    let sgd = OptimizerConfig::from(Sgd {
        lr: 0.05,
        ..Sgd::default()
    });
    let adam = settings(SMALL).optimizer;
    let plain = SMALL.replace("    { type = \"batch_norm\" },\n", "");
    for (precision, spec, optimizer, allowed) in [
        (Precision::Float32, SMALL, &adam, 1e-4),
        (Precision::MixedBfloat16, &plain, &sgd, 5e-3),
    ] {
        let settings = Settings {
            steps: Some(5),
            precision,
            optimizer: optimizer.clone(),
            ..settings(spec)
        };
        let cpu = trained(&Engine::Cpu, settings.clone(), digits(3, 160, 32));
        let gpu = trained(gpu, settings, digits(3, 160, 32));
        let apart = distance(&cpu, &gpu);
        assert!(
            apart < allowed,
            "{precision:?}: after five steps weights are {apart:e} apart"
        );
    }
}

#[test]
fn a_run_repeats_bit_for_bit() {
    let Some(gpu) = support::engine() else { return };
    // 150 is not a multiple of the batch, so the last step of an epoch is masked.
    let run = || trained(gpu, settings(SMALL), digits(3, 150, 32));
    assert_eq!(run(), run());
    let other = Settings {
        seed: 2,
        ..settings(SMALL)
    };
    assert_ne!(
        run(),
        trained(gpu, other, digits(3, 150, 32)),
        "the seed matters"
    );
}

#[test]
fn a_resumed_run_ends_bit_for_bit_where_an_unbroken_one_does() {
    let Some(gpu) = support::engine() else { return };
    for (engine, precision) in [
        (&Engine::Cpu, Precision::Float32),
        (gpu, Precision::Float32),
        (gpu, Precision::Mixed),
        (gpu, Precision::MixedBfloat16),
    ] {
        let settings = |spec| Settings {
            precision,
            ..settings(spec)
        };
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let whole = trained(
            engine,
            Settings {
                epochs: 3,
                ..settings(SMALL)
            },
            digits(3, 100, 32),
        );
        let first = Settings {
            epochs: 1,
            out: Some(out.clone()),
            ..settings(SMALL)
        };
        let run = first.create_folder().unwrap();
        session(engine, first, digits(3, 100, 32))
            .fit(&mut Silent, Some(&run))
            .unwrap();
        let (run, mut later) = Settings::open_run(&out).unwrap();
        later.epochs = 3;
        let mut resumed = session(engine, later, digits(3, 100, 32));
        resumed
            .restore(run.latest_checkpoint().unwrap().unwrap())
            .unwrap();
        resumed.fit(&mut Silent, Some(&run)).unwrap();
        assert!(
            weights(&resumed, folder.path()) == whole,
            "on {}, {precision:?}",
            engine.name()
        );
    }
}

#[test]
fn a_streamed_set_gives_the_same_weights_as_one_on_the_device() {
    let Some(gpu) = support::engine() else { return };
    let mut streamed = settings(SMALL);
    streamed.data.stream = Some(true);
    let resident = trained(gpu, settings(SMALL), digits(3, 150, 40));
    assert!(trained(gpu, streamed, digits(3, 150, 40)) == resident);
}

#[test]
fn a_tiny_set_is_learned_by_heart() {
    let Some(gpu) = support::engine() else { return };
    let mut settings = settings(&SMALL.replace("rate = 0.1", "rate = 0.0"));
    (settings.epochs, settings.batch) = (60, 16);
    settings.optimizer.set_lr(5e-3);
    let mut data = digits(5, 32, 32);
    data.test = data.train.clone();
    let result = session(gpu, settings, data).fit(&mut Silent, None).unwrap();
    let accuracy = result.value("accuracy");
    assert!(accuracy == Some(1.0) && result.loss < 0.05, "{result:?}");
}

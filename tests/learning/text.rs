//! Language models: they learn, generate the same text on CPU and GPU, and resume bit for bit from within an epoch.

use crate::support;
use std::fs;
use std::path::Path;
use wgrad::Error;
use wgrad::data::{Dataset, Samples};
use wgrad::device::Engine;
use wgrad::generate::{Generator, Sampling};
use wgrad::run::{Evaluation, Run, Silent};
use wgrad::settings::Settings;

/// Every letter determines the next one.
const TEXT: &str = "abcdefghijklmnopqrst ";

/// Settings of a run whose model sees one letter and predicts the next.
const LETTERS: &str = r#"
seed = 3
batch = 8
steps = 60
steps_per_epoch = 40

[data]
source = "letters.txt"

[optimizer]
name = "adamw"
lr = 0.05

[model]
name = "letters"
input = { tokens = 6, vocabulary = 2, auto = true }
layer = [
    { type = "embedding", width = 16 },
    { type = "dropout", rate = 0.1 },
    { type = "lstm", units = 16 },
    { type = "dense", units = "vocabulary" },
]
"#;

/// The settings of the run `text` in `folder`, and its data.
fn loaded(folder: &Path, text: &str) -> (Settings, Dataset<Samples>) {
    fs::write(folder.join("letters.txt"), TEXT.repeat(40)).unwrap();
    fs::write(folder.join("run.toml"), text).unwrap();
    let mut settings = Settings::read(&folder.join("run.toml")).unwrap();
    settings.check().unwrap();
    let data = settings.load_data().unwrap();
    (settings, data)
}

fn session(engine: &Engine, settings: Settings, data: Dataset<Samples>) -> Run<'_> {
    settings.start(engine, data).unwrap()
}

/// The weights of the run `session`.
fn weights(session: &Run<'_>, folder: &Path) -> Vec<u8> {
    let path = folder.join("model.safetensors");
    session.save_model(&path).unwrap();
    fs::read(path).unwrap()
}

/// Trains the run `text` in `folder`, and saves its weights there.
fn trained(engine: &Engine, folder: &Path, text: &str) -> (Settings, Evaluation, Vec<u8>) {
    let (mut settings, data) = loaded(folder, text);
    let mut session = session(engine, settings.clone(), data);
    let result = session.fit(&mut Silent, None).unwrap();
    settings.init = Some(folder.join("model.safetensors"));
    settings.task.name = Some("language_model".to_string());
    (settings, result, weights(&session, folder))
}

fn written(engine: &Engine, settings: &Settings, prompt: &str, sampling: &Sampling) -> String {
    all_written(engine, settings, &[prompt], sampling).remove(0)
}

/// What is written after `prompts`, two of them at once.
fn all_written(
    engine: &Engine,
    settings: &Settings,
    prompts: &[&str],
    sampling: &Sampling,
) -> Vec<String> {
    let parts = settings.resolve_trained(settings.init.as_deref().unwrap());
    let batch = prompts.len().min(2);
    let mut generator = Generator::new(engine, &parts.unwrap(), batch).unwrap();
    let mut texts = vec![String::new(); prompts.len()];
    let prompts: Vec<String> = prompts.iter().map(|prompt| prompt.to_string()).collect();
    let take = |number: usize, piece: &str| {
        texts[number].push_str(piece);
        Ok::<(), Error>(())
    };
    generator.write(&prompts, 40, sampling, take).unwrap();
    texts
}

#[test]
fn a_model_learns_what_follows_and_writes_it_on_both_devices_past_its_context() {
    let Some(gpu) = support::engine() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (settings, result, _) = trained(gpu, folder.path(), LETTERS);
    // The loss of an untrained model is the logarithm of 23 tokens, 3.1.
    assert!(
        result.loss < 0.3 && result.value("accuracy") > Some(0.95),
        "{result:?}"
    );
    let perplexity = result.value("perplexity").unwrap();
    assert!((perplexity - result.loss.exp()).abs() < 1e-9);
    let greedy = Sampling {
        temperature: 0.0,
        ..Sampling::default()
    };
    let on_gpu = written(gpu, &settings, "abc", &greedy);
    assert_eq!(on_gpu, TEXT.repeat(3)[3..43]);
    assert_eq!(written(&Engine::Cpu, &settings, "abc", &greedy), on_gpu);
    // Of different lengths, and more than are written at once.
    let prompts = ["abc", "bcdefgh", "c"];
    let together = all_written(gpu, &settings, &prompts, &greedy);
    let alone = prompts.map(|prompt| written(gpu, &settings, prompt, &greedy));
    assert_eq!(together, alone);
    // The temperature is so high that about every other letter differs.
    let hot = |seed| Sampling {
        temperature: 3.0,
        seed,
        ..Sampling::default()
    };
    let drawn = written(gpu, &settings, "abc", &hot(1));
    assert_eq!(written(gpu, &settings, "abc", &hot(1)), drawn);
    assert_ne!(written(gpu, &settings, "abc", &hot(2)), drawn);
    let one = Sampling {
        top_k: Some(1),
        ..hot(1)
    };
    assert_eq!(written(gpu, &settings, "abc", &one), on_gpu);
}

/// Keys and values stay on the device; texts are longer than the context.
#[test]
fn a_model_with_attention_writes_the_same_on_both_devices_past_its_context() {
    let Some(gpu) = support::engine() else { return };
    let folder = tempfile::tempdir().unwrap();
    let attention = r#"{ type = "self_attention", heads = 2, causal = true, rotary = 100.0 },
    { type = "positions", kind = "learned" }"#;
    let text = LETTERS.replace(r#"{ type = "lstm", units = 16 }"#, attention);
    assert_ne!(text, LETTERS);
    let (settings, ..) = trained(gpu, folder.path(), &text);
    let greedy = Sampling {
        temperature: 0.0,
        ..Sampling::default()
    };
    let prompts = ["abc", "bcdefghijkl", "t"];
    let on_gpu = all_written(gpu, &settings, &prompts, &greedy);
    assert_eq!(
        all_written(&Engine::Cpu, &settings, &prompts, &greedy),
        on_gpu
    );
    let alone = prompts.map(|prompt| written(gpu, &settings, prompt, &greedy));
    assert_eq!(on_gpu, alone);
}

#[test]
fn a_text_is_learned_the_same_on_both_devices_from_windows_anywhere_resident_or_streamed() {
    let Some(gpu) = support::engine() else { return };
    let folder = tempfile::tempdir().unwrap();
    let short = LETTERS.replace("steps = 60", "steps = 3");
    let (_, on_gpu, resident) = trained(gpu, folder.path(), &short);
    let (_, on_cpu, _) = trained(&Engine::Cpu, folder.path(), &short);
    let apart = (on_gpu.loss - on_cpu.loss).abs();
    assert!(apart < 1e-4, "after three steps losses are {apart:e} apart");
    let streamed = short.replace("[data]", "[data]\nstream = true");
    assert!(trained(gpu, folder.path(), &streamed).2 == resident);
    let listed = short.replace("[data]", "[data]\nstride = 6");
    let listed = listed.replace("steps_per_epoch = 40", "steps_per_epoch = 10");
    assert!(trained(gpu, folder.path(), &listed).2 != resident);
}

#[test]
fn a_run_that_ended_within_an_epoch_goes_on_bit_for_bit() {
    let Some(gpu) = support::engine() else { return };
    for engine in [&Engine::Cpu, gpu] {
        let folder = tempfile::tempdir().unwrap();
        // The second epoch begins at step 40: runs are stopped before and after it.
        let (_, _, whole) = trained(engine, folder.path(), LETTERS);
        let out = folder.path().join("run");
        let (mut settings, data) = loaded(folder.path(), LETTERS);
        settings.out = Some(out.clone());
        for steps in [13, 47, 60] {
            settings.steps = Some(steps);
            let first = !out.exists();
            let run = match first {
                true => settings.create_folder().unwrap(),
                false => Settings::open_run(&out).unwrap().0,
            };
            let mut session = session(engine, settings.clone(), data.clone());
            if !first {
                session
                    .restore(run.latest_checkpoint().unwrap().unwrap())
                    .unwrap();
            }
            session.fit(&mut Silent, Some(&run)).unwrap();
            assert_eq!(session.trainer().steps_done(), steps);
            if steps == 60 {
                assert!(
                    weights(&session, folder.path()) == whole,
                    "on {}",
                    engine.name()
                );
            }
        }
    }
}

//! Resumed runs: which of their settings may change, and that a resumed run gives the same result as an uninterrupted one.

use crate::support;
use std::path::{Path, PathBuf};
use wgrad::device::Engine;
use wgrad::run::EpochReport;
use wgrad::run::{Observer, Silent, StepReport};
use wgrad::settings::{Prepared, Settings};
use wgrad::{Error, Result};

const RUN: &str = r#"
batch = 20
epochs = 1
device = "cpu"
data = { source = "digits", train = 60, test = 20 }

[model]
name = "small"
input = [28, 28, 1]

[[model.layer]]
type = "flatten"

[[model.layer]]
type = "dense"
units = 10
"#;

/// Settings of a run of `epochs` epochs in the folder `out`.
fn settings(folder: &Path, out: &str, epochs: u32) -> Settings {
    let file = folder.join("settings.toml");
    std::fs::write(&file, RUN).unwrap();
    let mut settings = Settings::read(&file).unwrap();
    settings.epochs = epochs;
    settings.out = Some(folder.join(out));
    settings
}

fn train(prepared: Prepared, engine: &Engine, observer: &mut dyn Observer) -> Result<()> {
    let (mut run, folder) = prepared.start(engine)?;
    run.fit(observer, Some(&folder)).map(|_| ())
}

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model.safetensors")).unwrap()
}

/// Changes the text of a run's settings.
fn edit(run: &Path, from: &str, to: &str) {
    let path = run.join("run.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "no {from} in {text}");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
}

/// A finished run of one epoch.
fn run_of_an_epoch(folder: &Path) -> PathBuf {
    let prepared = settings(folder, "run", 1).prepare().unwrap();
    train(prepared, &Engine::Cpu, &mut Silent).unwrap();
    folder.join("run")
}

/// Stops after the first reported steps.
struct StopsAtOnce(bool);

impl Observer for StopsAtOnce {
    fn step(&mut self, _: &StepReport) {
        self.0 = true;
    }

    fn epoch(&mut self, _: &EpochReport) -> Result<()> {
        Ok(())
    }

    fn stops(&self) -> bool {
        self.0
    }
}

#[test]
fn an_edit_that_may_be_is_reported_and_gives_the_weights_of_an_unbroken_run() {
    let Some(gpu) = support::engine() else { return };
    for engine in [&Engine::Cpu, gpu] {
        let dir = tempfile::tempdir().unwrap();
        let whole = settings(dir.path(), "whole", 3).prepare().unwrap();
        train(whole, engine, &mut Silent).unwrap();
        let first = settings(dir.path(), "run", 1).prepare().unwrap();
        train(first, engine, &mut Silent).unwrap();
        let run = dir.path().join("run");
        edit(
            &run,
            "epochs = 1",
            "epochs = 3\npatience = 9\nmin_delta = 0.25",
        );
        let resumed = Settings::prepare_resumed(&run, |_| ()).unwrap();
        assert_eq!(
            resumed.notes[..3],
            [
                "epochs: 1 -> 3",
                "min_delta: none -> 0.25",
                "patience: none -> 9"
            ]
        );
        train(resumed, engine, &mut Silent).unwrap();
        assert!(
            weights(&run) == weights(&dir.path().join("whole")),
            "on {}",
            engine.name()
        );
        // Later changes are compared with the accepted settings.
        let again = Settings::prepare_resumed(&run, |settings| settings.epochs = 4).unwrap();
        assert_eq!(again.notes[0], "epochs: 3 -> 4");
    }
}

#[test]
fn a_stopped_run_goes_on_without_a_note_where_nothing_changed() {
    let dir = tempfile::tempdir().unwrap();
    let whole = settings(dir.path(), "whole", 2).prepare().unwrap();
    train(whole, &Engine::Cpu, &mut Silent).unwrap();
    let prepared = settings(dir.path(), "run", 2).prepare().unwrap();
    let stopped = train(prepared, &Engine::Cpu, &mut StopsAtOnce(false));
    assert!(matches!(stopped, Err(Error::Stopped(_))));
    let run = dir.path().join("run");
    let resumed = Settings::prepare_resumed(&run, |_| ()).unwrap();
    assert!(
        !resumed.notes.iter().any(|note| note.contains("->")),
        "{:?}",
        resumed.notes
    );
    train(resumed, &Engine::Cpu, &mut Silent).unwrap();
    assert!(weights(&run) == weights(&dir.path().join("whole")));
}

#[test]
fn any_other_edit_is_refused_by_its_key_with_both_values() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_of_an_epoch(dir.path());
    let text = std::fs::read_to_string(run.join("run.toml")).unwrap();
    let edits = [
        ("batch = 20", "batch = 10", ["batch was 20", "is 10 now"]),
        ("seed = 1", "seed = 2", ["seed was 1", "is 2 now"]),
        (
            "lr = 0.001",
            "lr = 0.5",
            ["optimizer.lr was 0.001", "is 0.5 now"],
        ),
        (
            "train = 60",
            "train = 80",
            ["data.train was 60", "is 80 now"],
        ),
        (
            "batch = 20",
            "batch = 20\nclip_norm = 1.0",
            ["clip_norm was none", "is 1.0 now"],
        ),
        (
            "units = 10",
            "units = 11",
            ["model.layer[2].units was 10", "is 11 now"],
        ),
    ];
    for (from, to, parts) in edits {
        edit(&run, from, to);
        let Err(refused) = Settings::prepare_resumed(&run, |_| ()) else {
            panic!("{to} was taken");
        };
        let message = refused.to_string();
        assert!(refused.is_usage(), "{message}");
        assert!(
            parts.iter().all(|part| message.contains(part)) && message.contains("run.toml"),
            "{message}"
        );
        std::fs::write(run.join("run.toml"), &text).unwrap();
    }
}

#[test]
fn another_monitor_seeks_the_best_epoch_anew() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_of_an_epoch(dir.path());
    let resumed = Settings::prepare_resumed(&run, |settings| {
        settings.epochs = 2;
        settings.monitor = Some("loss".to_string());
    });
    let (mut run, folder) = resumed.unwrap().start(&Engine::Cpu).unwrap();
    assert_eq!(run.progress().best, None);
    run.fit(&mut Silent, Some(&folder)).unwrap();
    let best = run.progress().best.as_ref().unwrap();
    assert_eq!((best.epoch, best.value), (2, best.loss));
}

#[test]
fn a_run_that_stopped_early_goes_on_where_its_patience_is_raised() {
    let dir = tempfile::tempdir().unwrap();
    let mut impatient = settings(dir.path(), "run", 9);
    (impatient.patience, impatient.min_delta) = (Some(1), 1e9);
    train(impatient.prepare().unwrap(), &Engine::Cpu, &mut Silent).unwrap();
    let path = dir.path().join("run");
    let run = |patience| {
        let resumed = Settings::prepare_resumed(&path, |settings| settings.patience = patience);
        let (run, _) = resumed.unwrap().start(&Engine::Cpu).unwrap();
        (run.progress().epoch, run.stopped_early(), run.is_done())
    };
    assert_eq!(run(Some(1)), (2, true, true));
    assert_eq!(run(Some(2)), (2, false, false));
}

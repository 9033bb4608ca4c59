//! Cross-validation resumes where it was stopped, and impossible folds are refused before any is trained.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use wgrad::device::Engine;
use wgrad::run::{EpochReport, Evaluation, GroupKind, Observer, StepReport};
use wgrad::settings::{Folds, FoldsSummary, Prepared, Settings};
use wgrad::{Error, Result};

const RUN: &str = r#"
batch = 4
epochs = 2
device = "cpu"
data = { source = "table.csv", target = "class" }

[model]
name = "small"
input = "auto"

[[model.layer]]
type = "dense"
units = 2
"#;

/// Settings over a table of 23 rows in two classes, in the folder `out`.
fn settings(folder: &Path, out: &str) -> Settings {
    let rows = (0..23).map(|i| {
        let class = if i % 3 == 0 { "no" } else { "yes" };
        format!("{i},{},{class}\n", i * 7 % 11)
    });
    let table = format!("a,b,class\n{}", rows.collect::<String>());
    std::fs::write(folder.join("table.csv"), table).unwrap();
    let file = folder.join("settings.toml");
    std::fs::write(&file, RUN).unwrap();
    let mut settings = Settings::read(&file).unwrap();
    settings.out = Some(folder.join(out));
    settings
}

/// Stops after `left` reported steps.
struct StopsAfter {
    left: u32,
    epochs: u32,
}

impl Observer for StopsAfter {
    fn step(&mut self, _: &StepReport) {
        self.left = self.left.saturating_sub(1);
    }

    fn epoch(&mut self, _: &EpochReport) -> Result<()> {
        self.epochs += 1;
        Ok(())
    }

    fn stops(&self) -> bool {
        self.left == 0
    }
}

fn train(prepared: Prepared, observer: &mut StopsAfter) -> Result<Evaluation> {
    let (mut run, folder) = prepared.start(&Engine::Cpu)?;
    run.fit(observer, Some(&folder))
}

/// Trains all folds, but stops after this many reported steps. Returns their result, and the number of trained epochs.
fn fit(folds: Folds, reports: u32) -> (Result<FoldsSummary>, u32) {
    let mut observer = StopsAfter {
        left: reports,
        epochs: 0,
    };
    let summary = folds.train(|prepared| train(prepared, &mut observer));
    (summary, observer.epochs)
}

fn uninterrupted(folder: &Path) -> FoldsSummary {
    let folds = Folds::begin(settings(folder, "whole"), GroupKind::Folds, 5).unwrap();
    let (summary, epochs) = fit(folds, u32::MAX);
    assert_eq!(epochs, 10);
    summary.unwrap()
}

/// The statistics of all metrics as text, without the folder.
fn message(summary: &FoldsSummary) -> Vec<String> {
    let message = summary.spreads.iter();
    message.map(|spread| format!("{spread:?}")).collect()
}

/// Folds that were stopped in the third fold.
fn stopped(folder: &Path) -> PathBuf {
    let path = folder.join("folds");
    let folds = Folds::begin(settings(folder, "folds"), GroupKind::Folds, 5).unwrap();
    let mut trained = 0;
    let summary: Result<FoldsSummary> = folds.train(|prepared| {
        trained += 1;
        let left = if trained == 3 { 1 } else { u32::MAX };
        train(prepared, &mut StopsAfter { left, epochs: 0 })
    });
    let Err(Error::Stopped(message)) = summary else {
        panic!("it was not stopped: {summary:?}");
    };
    let command = format!("wgrad train --resume {}", path.display());
    assert!(message.ends_with(&command), "{message}");
    assert!(path.join("fold-3/checkpoints").is_dir() && !path.join("fold-4").exists());
    path
}

fn modified(path: PathBuf) -> SystemTime {
    std::fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn stopped_folds_go_on_to_the_result_of_unbroken_ones() {
    let dir = tempfile::tempdir().unwrap();
    let whole = uninterrupted(dir.path());
    let path = stopped(dir.path());
    let weights = |fold: u32| path.join(format!("fold-{fold}/model.safetensors"));
    let before = [1, 2].map(|fold| modified(weights(fold)));
    let folds = Folds::resume(&path, |_| ()).unwrap();
    assert!(
        folds.notes.iter().any(|note| note.starts_with("2 of 5")),
        "{:?}",
        folds.notes
    );
    let (summary, epochs) = fit(folds, u32::MAX);
    assert_eq!(message(&summary.unwrap()), message(&whole));
    assert_eq!(epochs, 6, "of the third to the fifth fold");
    assert_eq!(before, [1, 2].map(|fold| modified(weights(fold))));
    for fold in 1..=5 {
        let uninterrupted = dir
            .path()
            .join(format!("whole/fold-{fold}/model.safetensors"));
        assert!(
            std::fs::read(weights(fold)).unwrap() == std::fs::read(uninterrupted).unwrap(),
            "fold {fold}"
        );
    }
    // All folds are done, so none is trained again.
    let (summary, epochs) = fit(Folds::resume(&path, |_| ()).unwrap(), 0);
    assert_eq!((message(&summary.unwrap()), epochs), (message(&whole), 0));
}

#[test]
fn the_same_settings_again_go_on_too_and_others_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let whole = uninterrupted(dir.path());
    stopped(dir.path());
    let refused = |change: &dyn Fn(&mut Settings), count, parts: [&str; 2]| {
        let mut settings = settings(dir.path(), "folds");
        change(&mut settings);
        let Err(refused) = Folds::begin(settings, GroupKind::Folds, count) else {
            panic!("taken: {parts:?}");
        };
        let message = refused.to_string();
        assert!(refused.is_usage(), "{message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    };
    refused(&|s| s.epochs = 3, 5, ["epochs was 2", "is 3 now"]);
    refused(&|s| s.batch = 5, 5, ["batch was 4", "is 5 now"]);
    refused(&|_| (), 4, ["data.folds was 5", "is 4 now"]);
    let longer = Folds::resume(&dir.path().join("folds"), |s| s.epochs = 3);
    assert!(longer.is_err_and(|e| e.to_string().contains("epochs was 2")));
    let folds = Folds::begin(settings(dir.path(), "folds"), GroupKind::Folds, 5).unwrap();
    let (summary, epochs) = fit(folds, u32::MAX);
    assert_eq!((message(&summary.unwrap()), epochs), (message(&whole), 6));
}

#[test]
fn a_fold_that_ended_before_its_first_checkpoint_is_trained_anew() {
    let dir = tempfile::tempdir().unwrap();
    let whole = uninterrupted(dir.path());
    let path = stopped(dir.path());
    // The weights are written after the checkpoint, so a fold without a checkpoint has none.
    std::fs::remove_dir_all(path.join("fold-3/checkpoints")).unwrap();
    std::fs::remove_file(path.join("fold-3/model.safetensors")).unwrap();
    let (summary, epochs) = fit(Folds::resume(&path, |_| ()).unwrap(), u32::MAX);
    assert_eq!((message(&summary.unwrap()), epochs), (message(&whole), 6));
}

#[test]
fn mean_and_deviation_are_those_of_the_folds() {
    let dir = tempfile::tempdir().unwrap();
    let folds = Folds::begin(settings(dir.path(), "folds"), GroupKind::Folds, 3).unwrap();
    let mut losses = Vec::new();
    let summary: Result<FoldsSummary> = folds.train(|prepared| {
        let mut observer = StopsAfter {
            left: u32::MAX,
            epochs: 0,
        };
        let evaluation = train(prepared, &mut observer)?;
        losses.push(evaluation.loss);
        Ok(evaluation)
    });
    let summary = summary.unwrap();
    let names: Vec<&str> = summary.spreads.iter().map(|s| &*s.mean.name).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("accuracy", "loss"));
    let loss = &summary.spreads[names.len() - 1];
    let mean = losses.iter().sum::<f64>() / 3.0;
    let squares: f64 = losses.iter().map(|loss| (loss - mean).powi(2)).sum();
    assert_eq!((loss.mean.value, loss.std), (mean, (squares / 3.0).sqrt()));
    let line = summary.to_json();
    assert_eq!(line["mean_test_loss"], mean);
    assert_eq!(line["run"], dir.path().join("folds").display().to_string());
}

#[test]
fn impossible_folds_are_refused_before_any_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut Settings), count| {
        let mut settings = settings(dir.path(), "folds");
        change(&mut settings);
        let refused = Folds::begin(settings, GroupKind::Folds, count)
            .map(|_| ())
            .unwrap_err();
        assert!(!dir.path().join("folds").exists(), "a folder was left");
        refused.to_string()
    };
    let message = refused(&|_| (), 24);
    assert!(
        message.contains("24") && message.contains("23 samples"),
        "{message}"
    );
    let text = dir.path().join("text.txt");
    std::fs::write(&text, "to be or not to be ".repeat(99)).unwrap();
    let message = refused(&|s| s.data.source = text.display().to_string(), 5);
    assert!(message.contains("text.txt is one text"), "{message}");
    let message = refused(&|_| (), 1);
    assert!(
        message.contains("data.folds must be at least 2"),
        "{message}"
    );
    let message = refused(&|s| s.batch = 20, 5);
    assert!(message.contains("training set of 18 rows"), "{message}");
}

#[test]
fn the_run_of_somebody_else_is_not_taken_for_a_fold() {
    let dir = tempfile::tempdir().unwrap();
    let mut observer = StopsAfter {
        left: u32::MAX,
        epochs: 0,
    };
    let other = settings(dir.path(), "folds/fold-2").prepare().unwrap();
    train(other, &mut observer).unwrap();
    let refused = Folds::begin(settings(dir.path(), "folds"), GroupKind::Folds, 5).map(|_| ());
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("fold-2 already holds a run"), "{message}");
}

#[test]
fn a_folder_whose_first_fold_failed_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let folds = Folds::begin(settings(dir.path(), "folds"), GroupKind::Folds, 5).unwrap();
    let failed: Result<FoldsSummary> =
        folds.train(|_| Err(Error::Training("the loss is not finite".to_string())));
    assert!(failed.is_err());
    let mut other = settings(dir.path(), "folds");
    other.epochs = 1;
    let (summary, epochs) = fit(Folds::begin(other, GroupKind::Folds, 2).unwrap(), u32::MAX);
    assert_eq!((summary.unwrap().folds, epochs), (2, 2));
}

//! `wgrad train --resume`: settings that were edited, and folds that were stopped.

use super::sandbox::{Sandbox, names};

#[test]
fn a_permitted_edit_is_reported_and_another_is_refused_by_name() {
    let sandbox = Sandbox::new();
    let path = sandbox.trained().path("run/run.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("epochs = 2", "epochs = 3")).unwrap();
    let message = sandbox.wgrad("train --resume run").succeeds();
    assert!(
        message.err.contains("note: epochs: 2 -> 3"),
        "{}",
        message.err
    );
    std::fs::write(&path, text.replace("batch = 8", "batch = 4")).unwrap();
    sandbox
        .wgrad("train --resume run --epochs 4")
        .fails(2, &["run/run.toml", "batch was 8", "is 4 now"]);
}

const MODEL: &str = "name = \"dense\"\ninput = \"auto\"\n[[layer]]\ntype = \"dense\"\nunits = 2\n";

/// A sandbox with `people.csv` and `dense.toml`.
fn with_table() -> Sandbox {
    let sandbox = Sandbox::new();
    let row = |i: u32| format!("{i},{}\n", if i.is_multiple_of(3) { "no" } else { "yes" });
    let rows: String = (0..20).map(row).collect();
    sandbox.write("people.csv", format!("age,class\n{rows}"));
    sandbox.write("dense.toml", MODEL);
    sandbox
}

const FOLDS: &str = "train dense.toml --data people.csv --device cpu --batch 4 --folds 4 --json";

#[test]
fn folds_go_on_by_resume_and_by_the_same_command_with_the_same_last_line() {
    let sandbox = with_table();
    let last = |args: &str| sandbox.wgrad(args).succeeds().json().pop().unwrap();
    let same = format!("{FOLDS} --out cross");
    let whole = last(&same);
    assert_eq!(whole["run"], "cross");
    for key in [
        "mean_test_accuracy",
        "std_test_accuracy",
        "mean_test_loss",
        "std_test_loss",
    ] {
        assert!(whole[key].is_f64(), "no {key} in {whole}");
    }
    // As if the process had been killed before the third fold was done.
    std::fs::remove_file(sandbox.path("cross/fold-3/result.toml")).unwrap();
    std::fs::remove_dir_all(sandbox.path("cross/fold-4")).unwrap();
    let message = sandbox.wgrad("train --resume cross --json").succeeds();
    let lines = message.json();
    assert_eq!(lines.last(), Some(&whole));
    let done = |line: &&serde_json::Value| line["event"] == "done";
    assert_eq!(lines.iter().filter(done).count(), 2, "{}", message.out);
    assert_eq!(last(&same), whole);
    let other = format!("{same} --epochs 9");
    sandbox
        .wgrad(&other)
        .fails(2, &["epochs was 3", "is 9 now"]);
}

#[test]
fn folds_without_a_folder_of_their_own_get_one() {
    let sandbox = with_table();
    let message = sandbox.wgrad(&FOLDS.replace(" --json", "")).succeeds();
    let folder = "runs/dense-people.csv-folds-1";
    assert_eq!(names(&sandbox.path("runs")), ["dense-people.csv-folds-1"]);
    assert_eq!(
        names(&sandbox.path(folder)),
        [
            ".wgrad.lock",
            "fold-1",
            "fold-2",
            "fold-3",
            "fold-4",
            "folds.toml",
            "settings.lock.toml"
        ]
    );
    assert!(message.out.contains(&format!("4 folds in {folder}")));
    let last = message.out.lines().last().unwrap();
    assert!(
        last.starts_with("4 folds: mean test accuracy ") && last.contains(", standard deviation "),
        "{last}"
    );
}

#[test]
fn more_folds_than_samples_are_refused_before_any_is_trained() {
    let sandbox = with_table();
    sandbox
        .wgrad(&FOLDS.replace("--folds 4", "--folds 21"))
        .fails(1, &["data.folds is 21", "20 samples"]);
    sandbox.holds_no_run();
}

#[test]
fn a_run_is_not_resumed_with_other_data() {
    let sandbox = with_table();
    let train = "train dense.toml --data people.csv --device cpu --batch 4 --epochs 1 --out run";
    sandbox.wgrad(train).succeeds();
    let text = std::fs::read_to_string(sandbox.path("people.csv")).unwrap();
    let (kept, _) = text.trim_end().rsplit_once('\n').unwrap();
    sandbox.write("people.csv", kept);
    sandbox.wgrad("train --resume run --epochs 2").fails(
        1,
        &[
            "part of",
            "people.csv",
            "is not the one with which the run began",
            ": people.csv changed",
        ],
    );
    sandbox.write("people.csv", &text);
    sandbox.wgrad("train --resume run --epochs 2").succeeds();
}

/// A bit of a weight is flipped.
#[test]
fn damaged_weights_and_checkpoints_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    for (file, command) in [
        ("run/model.safetensors", "eval run --last"),
        (
            "run/checkpoints/step-000000006.safetensors",
            "train --resume run --epochs 3",
        ),
    ] {
        let whole = std::fs::read(sandbox.path(file)).unwrap();
        let mut damaged = whole.clone();
        let last = damaged.len() - 9;
        damaged[last] ^= 64;
        sandbox.write(file, damaged);
        sandbox
            .wgrad(command)
            .fails(2, &[file, "does not match its checksum"]);
        sandbox.write(file, whole);
        sandbox.wgrad(command).succeeds();
    }
}

/// 1e300 is infinite in single precision.
#[test]
fn outputs_that_are_not_finite_are_an_error_with_their_sample() {
    let sandbox = with_table();
    let train = "train dense.toml --data people.csv --device cpu --batch 4 --epochs 1 --out run";
    sandbox.wgrad(train).succeeds();
    sandbox.write("new.csv", "age,class\n3,yes\n1e300,no\n4,no\n");
    let refused = ["of sample 1", "not finite"];
    sandbox.wgrad("eval run --data new.csv").fails(1, &refused);
    sandbox.wgrad("predict run new.csv").fails(1, &refused);
    sandbox.write("new.csv", "age,class\n3,yes\n4,no\n");
    sandbox.wgrad("predict run new.csv").succeeds();
}

#[test]
fn the_latest_checkpoints_and_that_of_the_best_epoch_are_kept() {
    let sandbox = Sandbox::new();
    let train = "train tiny.toml --data good --device cpu --batch 8 --set patience=4 --lr 1e-30 --epochs 50 --out run";
    sandbox.wgrad(train).succeeds();
    let text = std::fs::read_to_string(sandbox.path("run/metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let best = lines.iter().rfind(|line| line["is_best"] == true).unwrap();
    let (best, last) = (best["epoch"].as_u64().unwrap(), lines.len() as u64);
    assert!(best + 1 < last, "{text}");
    let file = |epoch: u64| format!("step-{:09}.safetensors", epoch * 3);
    assert_eq!(
        names(&sandbox.path("run/checkpoints")),
        [file(best), file(last - 1), file(last)]
    );
}

#[test]
fn checkpoints_within_an_epoch_are_written_when_they_are_due() {
    let sandbox = Sandbox::new();
    let train = "train tiny.toml --data good --device cpu --batch 8 --epochs 2 --set keep_checkpoints=9 --out";
    let steps = |run: &str| names(&sandbox.path(&format!("{run}/checkpoints")));
    let file = |step: u64| format!("step-{step:09}.safetensors");
    sandbox
        .wgrad(&format!("{train} two --checkpoint-every 2"))
        .succeeds();
    assert_eq!(steps("two"), [2, 3, 4, 6].map(file));
    sandbox
        .wgrad(&format!("{train} each --set checkpoint_every=1ns"))
        .succeeds();
    assert_eq!(steps("each"), [1, 2, 3, 4, 5, 6].map(file));
    sandbox
        .wgrad(&format!("{train} none --set checkpoint_every=soon"))
        .fails(2, &["checkpoint_every is \"soon\"", "500", "10m"]);
    sandbox
        .wgrad(&format!("{train} none --set keep_checkpoints=0"))
        .fails(2, &["keep_checkpoints must be at least 1"]);
}

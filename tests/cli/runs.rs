//! Run folders: where they are created, how runs are resumed from them, and what remains after a failure.

use super::sandbox::{Sandbox, names};
use std::process::Command;

#[test]
fn a_run_is_not_written_over_another() {
    let sandbox = Sandbox::new();
    sandbox
        .trained()
        .train("")
        .fails(2, &["run already holds a run", "--resume run"]);
}

#[test]
fn settings_in_a_folder_are_those_of_the_user_or_of_a_run() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("run")).unwrap();
    sandbox.write("run/run.toml", "batch = 8\n");
    sandbox
        .train("")
        .fails(2, &["run/run.toml exists and was not written by a run"]);
    // A run of an earlier version has no list of files.
    sandbox.write("run/variants.toml", "");
    sandbox.train("").fails(2, &["run already holds a run"]);
}

#[test]
fn an_invalid_folder_is_reported() {
    let sandbox = Sandbox::new();
    sandbox.write("run", "in the way");
    sandbox.train("").fails(2, &["run is a file"]);
    let args = "train tiny.toml --data good --batch 8 --device cpu --out run/below";
    sandbox.wgrad(args).fails(1, &["cannot create run/below"]);
}

#[test]
fn a_run_that_diverges_ends_with_a_sentence_and_leaves_no_folder() {
    let sandbox = Sandbox::new();
    let message = sandbox
        .train("--optimizer sgd --lr 1e30 --json")
        .fails(1, &["not finite", "lower the learning rate", "1e30"]);
    assert_eq!(message.out, "");
    sandbox.holds_no_run();
}

#[test]
fn a_run_that_diverges_names_the_step_the_layer_and_the_operation() {
    let sandbox = Sandbox::new();
    for device in ["cpu", "gpu"] {
        if device == "gpu" && !sandbox.has_adapter() {
            continue;
        }
        let train = format!(
            "train tiny.toml --data good --batch 8 --device {device} --optimizer sgd --set optimizer.momentum=0"
        );
        sandbox
            .wgrad(&format!("{train} --lr 1e30 --out run"))
            .fails(
                1,
                &[
                    "lower the learning rate",
                    "step 2 is the first: dense1/matmul gives",
                    "of a f32[8",
                    "dense1.weight (up to",
                ],
            );
        sandbox.holds_no_run();
        // A run with a checkpoint is replayed from there, and keeps it.
        sandbox
            .wgrad(&format!("{train} --epochs 1 --out run"))
            .succeeds();
        let settings = sandbox.path("run/run.toml");
        for file in ["run.toml", "settings.lock.toml"] {
            let path = settings.with_file_name(file);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace("lr = 0.01", "lr = 1e30")).unwrap();
        }
        sandbox
            .wgrad("train --resume run --epochs 9")
            .fails(1, &["step 5 is the first: dense1/matmul"]);
        assert!(
            sandbox
                .path("run/checkpoints/step-000000003.safetensors")
                .is_file()
        );
        std::fs::remove_dir_all(sandbox.path("run")).unwrap();
    }
}

#[test]
fn a_disk_that_is_full_ends_the_run_and_leaves_no_half_of_it() {
    // The pictures in the event file are larger than what the settings leave of the second disk.
    let digits = "--set data.train=64 --set data.test=16 --tensorboard";
    for (size, args, file) in [
        ("12k", "tiny.toml --data good", "disk/run/"),
        ("24k", digits, "disk/run/events.out.tfevents."),
    ] {
        let sandbox = Sandbox::new();
        let disk = sandbox.path("disk");
        std::fs::create_dir(&disk).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&disk)
            .output();
        if !mount.is_ok_and(|mount| mount.status.success()) {
            eprintln!("skipped: no small disk can be mounted");
            return;
        }
        let message = sandbox.wgrad(&format!(
            "train {args} --batch 8 --device cpu --out disk/run"
        ));
        let left = names(&disk);
        let unmounted = Command::new("umount").arg(&disk).status();
        let message = message.fails(1, &[&format!("cannot write {file}")]);
        let reasons = ["no storage space", "No space left on device"];
        assert!(
            reasons.iter().any(|reason| message.err.contains(reason)),
            "{}",
            message.err
        );
        assert_eq!(left, [""; 0]);
        assert!(unmounted.unwrap().success());
    }
}

#[test]
fn epochs_are_added_to_a_run_that_ended() {
    let sandbox = Sandbox::new();
    let message = sandbox
        .trained()
        .wgrad("train --resume run --epochs 3 --json");
    assert_eq!(message.succeeds().json()[0]["epoch"], 3);
    let metrics = std::fs::read_to_string(sandbox.path("run/metrics.jsonl")).unwrap();
    let epoch = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["epoch"].as_u64();
    let epochs: Vec<_> = metrics.lines().map(epoch).collect();
    assert_eq!(epochs, [Some(1), Some(2), Some(3)]);
}

#[test]
fn an_epoch_whose_checkpoint_was_never_written_is_reported_once() {
    let sandbox = Sandbox::new();
    let path = sandbox.trained().path("run/metrics.jsonl");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        format!("{before}{{\"event\":\"epoch\",\"epoch\":3}}\n"),
    )
    .unwrap();
    sandbox.wgrad("train --resume run --epochs 3").succeeds();
    let after = std::fs::read_to_string(&path).unwrap();
    assert!(after.starts_with(&before));
    assert_eq!(after.matches("\"epoch\":3").count(), 1);
}

#[test]
fn a_run_with_nothing_left_to_do_says_so() {
    let sandbox = Sandbox::new();
    let message = sandbox.trained().wgrad("train --resume run").succeeds();
    assert!(
        message
            .err
            .starts_with("note: nothing left to train in run"),
        "{}",
        message.err
    );
}

#[test]
fn a_run_goes_on_without_the_weights_it_once_started_from() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    std::fs::rename(sandbox.path("run"), sandbox.path("first")).unwrap();
    sandbox
        .train("--epochs 1 --init first/model.safetensors")
        .succeeds();
    std::fs::remove_dir_all(sandbox.path("first")).unwrap();
    sandbox.wgrad("train --resume run --epochs 2").succeeds();
}

#[test]
fn steps_end_a_run_and_epochs_asked_for_later_lift_them() {
    let sandbox = Sandbox::new();
    let message = sandbox.train("--steps 4 --json --no-shuffle").succeeds();
    assert_eq!(
        message.json().len(),
        3,
        "two epochs, the second cut short: {}",
        message.out
    );
    assert_eq!(
        names(&sandbox.path("run/checkpoints")),
        ["step-000000003.safetensors", "step-000000004.safetensors"]
    );
    let message = sandbox
        .wgrad("train --resume run --epochs 3 --json")
        .succeeds();
    let epochs: Vec<_> = message
        .json()
        .iter()
        .map(|line| line["epoch"].clone())
        .collect();
    assert_eq!(epochs[..2], [2, 3], "the second goes on where it was cut");
    assert_eq!(
        names(&sandbox.path("run/checkpoints")),
        ["step-000000006.safetensors", "step-000000009.safetensors"]
    );
    let resumed = std::fs::read(sandbox.path("run/model.safetensors")).unwrap();
    let unbroken = Sandbox::new();
    unbroken.train("--epochs 3 --no-shuffle").succeeds();
    let unbroken = std::fs::read(unbroken.path("run/model.safetensors")).unwrap();
    assert!(resumed == unbroken, "the weights differ");
}

#[test]
fn what_is_no_run_is_not_resumed_nor_evaluated() {
    let sandbox = Sandbox::new();
    for command in [
        "train --resume good",
        "eval good",
        "eval nowhere",
        "predict good a.png",
    ] {
        sandbox
            .wgrad(command)
            .fails(2, &["not a run folder", "run.toml"]);
    }
    sandbox.trained();
    std::fs::remove_dir_all(sandbox.path("run/checkpoints")).unwrap();
    std::fs::remove_file(sandbox.path("run/model.safetensors")).unwrap();
    sandbox
        .wgrad("train --resume run")
        .fails(2, &["finished 2 epochs", "checkpoints are missing"]);
    sandbox
        .wgrad("eval run --last")
        .fails(1, &["cannot read run/model.safetensors"]);
}

#[test]
fn a_checkpoint_of_another_model_or_optimizer_or_of_nothing_is_refused() {
    let change = |from: &str, to: &str| {
        let sandbox = Sandbox::new();
        let path = sandbox.trained().path("run/run.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
        sandbox.wgrad("train --resume run --epochs 3")
    };
    change("filters = 4", "filters = 5").fails(2, &["run/run.toml", "filters was 4", "is 5 now"]);
    change("name = \"adam\"", "name = \"adamw\"").fails(2, &["optimizer.name", "adamw"]);
    // Without the copy of its settings, a run is resumed with its run.toml, as far as that fits the checkpoint.
    let sandbox = Sandbox::new();
    let path = sandbox.trained().path("run/run.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("filters = 4", "filters = 5")).unwrap();
    std::fs::remove_file(sandbox.path("run/settings.lock.toml")).unwrap();
    sandbox
        .wgrad("train --resume run --epochs 3")
        .fails(2, &["another model", "conv1.weight", "f32[5,3,3,1]"]);
    let sandbox = Sandbox::new();
    let checkpoint = sandbox
        .trained()
        .path("run/checkpoints/step-000000006.safetensors");
    std::fs::copy(sandbox.path("run/model.safetensors"), &checkpoint).unwrap();
    sandbox
        .wgrad("train --resume run --epochs 3")
        .fails(2, &["not a checkpoint of wgrad"]);
    std::fs::write(&checkpoint, [7; 100]).unwrap();
    sandbox
        .wgrad("train --resume run --epochs 3")
        .fails(2, &["not a valid safetensors file"]);
}

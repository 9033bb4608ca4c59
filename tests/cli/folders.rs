//! What a run writes in its folder, and what it leaves alone: files of the user, and the folder of another run that is still going.

use super::sandbox::{Sandbox, names};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LONG: &str = "train long.toml --device cpu --out run";

/// A sandbox with `long.toml`, whose first epoch takes far longer than a test.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let settings = "batch = 1\ndata = { source = \"digits\", train = 60000, test = 10 }\n[model]\nname = \"long\"\n\
                    input = [28, 28, 1]\nlayer = [{ type = \"flatten\" }, { type = \"dense\", units = 10 }]\n";
    sandbox.write("long.toml", settings);
    sandbox
}

/// Starts a run and waits until it has begun in its folder.
fn begin(sandbox: &Sandbox, args: &str) -> Child {
    let mut command = sandbox.command(args);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !sandbox.path("run/settings.lock.toml").exists() {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "the run ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn text(sandbox: &Sandbox, file: &str) -> String {
    std::fs::read_to_string(sandbox.path(file)).unwrap()
}

fn weights(sandbox: &Sandbox, run: &str) -> Vec<u8> {
    std::fs::read(sandbox.path(&format!("{run}/model.safetensors"))).unwrap()
}

#[test]
fn files_of_the_user_are_neither_overwritten_nor_removed() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("run")).unwrap();
    for file in [
        "report.html",
        "tokenizer.json",
        "variants.toml",
        "best.safetensors",
        "files.json",
    ] {
        let path = format!("run/{file}");
        sandbox.write(&path, "mine");
        for more in ["", "--lr 1e30 --optimizer sgd"] {
            sandbox
                .train(more)
                .fails(2, &[file, "not written by a run", "another folder"]);
        }
        assert_eq!(text(&sandbox, &path), "mine");
        std::fs::remove_file(sandbox.path(&path)).unwrap();
    }
    sandbox.write("run/notes.txt", "mine");
    sandbox
        .train("--lr 1e30 --optimizer sgd")
        .fails(1, &["not finite"]);
    assert_eq!(names(&sandbox.path("run")), ["notes.txt"]);
    sandbox.train("").succeeds();
    assert_eq!(text(&sandbox, "run/notes.txt"), "mine");
}

#[test]
fn a_checkpoint_that_was_copied_stays_and_is_not_resumed_from() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    let of_run = sandbox.path("run/checkpoints/step-000000006.safetensors");
    let copy = sandbox.path("run/checkpoints/step-000999999.safetensors");
    std::fs::copy(&of_run, &copy).unwrap();
    sandbox.wgrad("train --resume run --epochs 3").succeeds();
    assert!(copy.exists());
    sandbox.wgrad("train --resume run --epochs 4").succeeds();
    assert!(copy.exists());
}

#[test]
fn temporary_files_of_a_killed_run_are_removed_by_the_next() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    for folder in ["run", "run/checkpoints"] {
        sandbox.write(&format!("{folder}/.wgrad-tmp-x1"), "half a file");
        sandbox.write(&format!("{folder}/.tmpx1"), "of another program");
    }
    sandbox.wgrad("train --resume run --epochs 3").succeeds();
    for folder in ["run", "run/checkpoints"] {
        assert!(!sandbox.path(&format!("{folder}/.wgrad-tmp-x1")).exists());
        assert!(sandbox.path(&format!("{folder}/.tmpx1")).exists());
    }
}

#[cfg(unix)]
#[test]
fn a_folder_in_which_a_run_is_writing_is_refused() {
    let sandbox = sandbox();
    let mut first = begin(&sandbox, LONG);
    let settings = text(&sandbox, "run/run.toml");
    for other in [
        LONG,
        "train --resume run",
        "train long.toml --device cpu --lr 1e30 --out run",
    ] {
        sandbox
            .wgrad(other)
            .fails(2, &["another run is writing in run"]);
    }
    assert!(first.try_wait().unwrap().is_none());
    assert_eq!(text(&sandbox, "run/run.toml"), settings);
    first.kill().unwrap();
    first.wait().unwrap();
}

/// A run that was killed in its first epoch leaves no checkpoint.
#[cfg(unix)]
#[test]
fn a_run_that_was_killed_before_its_first_checkpoint_begins_again() {
    let sandbox = sandbox();
    let killed = || {
        let mut child = begin(&sandbox, LONG);
        std::thread::sleep(Duration::from_millis(100));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!sandbox.path("run/checkpoints").exists());
    };
    killed();
    sandbox
        .wgrad("train long.toml --device cpu --steps 20 --out whole")
        .succeeds();
    let resumed = sandbox.wgrad("train --resume run --steps 20").succeeds();
    assert!(
        resumed.err.contains("the run begins again"),
        "{}",
        resumed.err
    );
    assert_eq!(weights(&sandbox, "run"), weights(&sandbox, "whole"));
    std::fs::remove_dir_all(sandbox.path("run")).unwrap();
    killed();
    sandbox.wgrad(&format!("{LONG} --steps 20")).succeeds();
    assert_eq!(weights(&sandbox, "run"), weights(&sandbox, "whole"));
}

#[cfg(unix)]
#[test]
fn every_signal_that_asks_a_run_to_end_stops_it_with_a_checkpoint() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let sandbox = sandbox();
        let child = begin(&sandbox, LONG);
        std::thread::sleep(Duration::from_millis(200));
        let mut kill = Command::new("kill");
        let sent = kill.args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal}: {message}");
        assert!(
            message.contains("resume with: wgrad train --resume run"),
            "{message}"
        );
        assert_eq!(names(&sandbox.path("run/checkpoints")).len(), 1);
        let (_, rest) = message.split_once("stopped after step ").unwrap();
        let step: u64 = rest.split(' ').next().unwrap().parse().unwrap();
        let more = format!("train --resume run --steps {}", step + 2);
        sandbox.wgrad(&more).succeeds();
        sandbox.wgrad("eval run --device cpu").succeeds();
    }
}

#[test]
fn output_files_that_exist_are_replaced_only_on_request() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    for (command, file) in [
        ("data show good --sheet sheet.png", "sheet.png"),
        ("eval run --outputs lines.jsonl", "lines.jsonl"),
        ("models init tiny.toml --out w.safetensors", "w.safetensors"),
        (
            "bench add --runs 1 --adapter nosuch --roofline r.svg",
            "r.svg",
        ),
    ] {
        sandbox.write(file, "mine");
        sandbox
            .wgrad(command)
            .fails(2, &[file, "already exists", "--overwrite"]);
        assert_eq!(text(&sandbox, file), "mine");
        if !command.starts_with("bench") {
            sandbox.wgrad(&format!("{command} --overwrite")).succeeds();
            assert_ne!(std::fs::read(sandbox.path(file)).unwrap(), b"mine");
        }
    }
}

#[test]
fn folds_of_a_network_in_a_file_are_resumed() {
    let sandbox = Sandbox::new();
    sandbox
        .trained()
        .wgrad("export run --out net.onnx")
        .succeeds();
    let args = "train --model net.onnx --data good --batch 8 --device cpu --epochs 1 --folds 2";
    let message = sandbox.wgrad(&format!("{args} --out folds")).succeeds();
    std::fs::remove_dir_all(sandbox.path("folds/fold-2")).unwrap();
    let resumed = sandbox.wgrad("train --resume folds").succeeds();
    let last = |text: &str| text.lines().last().map(String::from);
    assert_eq!(last(&resumed.out), last(&message.out));
    // A folder of several runs is none that can be evaluated.
    sandbox.wgrad("eval folds").fails(
        2,
        &[
            "folds holds several runs",
            "resume all with: wgrad train --resume folds",
        ],
    );
}

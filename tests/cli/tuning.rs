//! `wgrad tune`, and the use of tunings by runs.

use super::sandbox::{Sandbox, TINY};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

const TRAIN: &str = "train tiny.toml --data good --batch 8 --device gpu";

/// A sandbox whose tiny model has a convolution with variants: one that is not fused with its pooling into one operation.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("tiny.toml", TINY.replace("filters = 4", "filters = 5"));
    sandbox
}

/// Tunes the tiny model. Returns the tuning file, and the key, default and variants of every operation.
fn tuned(sandbox: &Sandbox) -> (PathBuf, Vec<Value>) {
    let mut lines = sandbox
        .wgrad("tune tiny.toml --batch 8 --json")
        .succeeds()
        .json();
    let done = lines.pop().unwrap();
    assert_eq!(done["operations"], lines.len());
    (PathBuf::from(done["file"].as_str().unwrap()), lines)
}

/// Rewrites the tuning so that every operation uses the last of its variants, which is never the default.
fn take_the_last_of_all(path: &PathBuf, operations: &[Value]) {
    let text = fs::read_to_string(path).unwrap();
    let mut file: toml::Table = toml::from_str(&text).unwrap();
    let variants = operations.iter().map(|line| {
        let last = line["variants"].as_array().unwrap().last().unwrap();
        assert_ne!(last["variant"], line["default"]);
        let variant = last["variant"].as_str().unwrap().to_string();
        (line["key"].as_str().unwrap().to_string(), variant.into())
    });
    file.insert(
        "variants".to_string(),
        toml::Table::from_iter(variants).into(),
    );
    fs::write(path, toml::to_string(&file).unwrap()).unwrap();
}

fn weights(sandbox: &Sandbox, run: &str) -> Vec<u8> {
    fs::read(sandbox.path(run).join("model.safetensors")).unwrap()
}

#[test]
fn tuning_reports_every_variant_and_keeps_its_choice() {
    let sandbox = sandbox();
    if !sandbox.has_adapter() {
        return;
    }
    let (path, operations) = tuned(&sandbox);
    assert!(
        path.starts_with(sandbox.path("cache")),
        "{}",
        path.display()
    );
    let kinds: Vec<_> = operations.iter().map(|line| line["op"].clone()).collect();
    for kind in [
        "Conv2d",
        "Conv2dWeightGrad",
        "Matmul",
        "SoftmaxCrossEntropy",
    ] {
        assert!(kinds.contains(&kind.into()), "no {kind} in {kinds:?}");
    }
    for line in &operations {
        let variants = line["variants"].as_array().unwrap();
        assert!(
            variants.len() > 1 && variants[0]["variant"] == line["default"],
            "{line}"
        );
        assert!(
            variants.iter().any(|v| v["variant"] == line["chosen"]),
            "{line}"
        );
        assert!(
            variants
                .iter()
                .all(|v| v["rejected"].is_null() && v["ms"].as_f64() > Some(0.0)),
            "{line}"
        );
    }
    let shown = sandbox.wgrad("tune --show --json").succeeds().json();
    let departs = operations
        .iter()
        .filter(|l| l["chosen"] != l["default"])
        .count();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["current"], true);
    assert_eq!(shown[0]["variants"].as_object().unwrap().len(), departs);
    sandbox.wgrad("tune --show").succeeds();
    let message = sandbox.wgrad("tune --clear --json").succeeds().json();
    assert_eq!(message[0]["removed"], 1);
    assert!(
        sandbox
            .wgrad("tune --show")
            .succeeds()
            .out
            .starts_with("nothing tuned yet")
    );
}

#[test]
fn a_run_goes_on_with_the_kernels_it_was_made_with_whatever_was_tuned_since() {
    let sandbox = sandbox();
    if !sandbox.has_adapter() {
        return;
    }
    let train = |run: &str, epochs: u32| {
        sandbox
            .wgrad(&format!("{TRAIN} --out {run} --epochs {epochs}"))
            .succeeds();
        weights(&sandbox, run)
    };
    let resume = |run: &str| {
        sandbox
            .wgrad(&format!("train --resume {run} --epochs 4"))
            .succeeds();
        weights(&sandbox, run)
    };
    let evaluate = |run: &str| sandbox.wgrad(&format!("eval {run} --json")).succeeds().out;
    let by_default = train("default", 4);
    train("default-cut", 2);
    let evaluated = evaluate("default");
    let (path, operations) = tuned(&sandbox);
    take_the_last_of_all(&path, &operations);
    let by_choice = train("chosen", 4);
    train("chosen-cut", 2);
    assert!(
        by_choice != by_default,
        "other kernels, the same bits: this proves nothing"
    );
    assert!(
        resume("default-cut") == by_default,
        "the run took kernels that were tuned later"
    );
    assert_eq!(evaluate("default"), evaluated);
    sandbox.wgrad("tune --clear").succeeds();
    assert!(
        resume("chosen-cut") == by_choice,
        "the run forgot its kernels"
    );
}

#[test]
fn a_stale_tuning_is_not_used_and_a_damaged_one_is_reported() {
    let sandbox = sandbox();
    if !sandbox.has_adapter() {
        return;
    }
    let train = |run: &str| sandbox.wgrad(&format!("{TRAIN} --out {run} --epochs 1"));
    train("default").succeeds();
    let (path, operations) = tuned(&sandbox);
    take_the_last_of_all(&path, &operations);
    let fresh = fs::read_to_string(&path).unwrap();
    let line = fresh
        .lines()
        .find(|line| line.starts_with("kernels = "))
        .unwrap();
    fs::write(&path, fresh.replace(line, "kernels = \"0123\"")).unwrap();
    let message = train("stale").succeeds();
    assert_eq!(message.err, "");
    assert!(weights(&sandbox, "stale") == weights(&sandbox, "default"));
    assert!(
        sandbox
            .wgrad("tune --show")
            .succeeds()
            .out
            .contains("ignored")
    );
    // The tuning names variants that don't exist.
    fs::write(&path, fresh.replace("tiled", "woven")).unwrap();
    train("strange").succeeds();
    // In the middle of a key.
    let cut = fresh.find("Conv2d").unwrap() + 3;
    for damaged in ["", "made_for = 3", &fresh[..cut]] {
        fs::write(&path, damaged).unwrap();
        let run = format!("damaged{}", damaged.len());
        let message = train(&run).succeeds();
        let lines: Vec<_> = message.err.lines().collect();
        assert!(
            lines.len() == 1
                && lines[0].starts_with("note: tuned kernels are not used")
                && lines[0].contains("wgrad tune"),
            "{damaged}: {}",
            message.err
        );
        assert!(weights(&sandbox, &run) == weights(&sandbox, "default"));
    }
    let message = sandbox.wgrad("tune --show").succeeds();
    assert!(
        message.err.starts_with("note: ") && message.err.contains("it is ignored"),
        "{}",
        message.err
    );
    tuned(&sandbox);
    assert_eq!(train("mended").succeeds().err, "");
}

#[test]
fn a_damaged_record_of_a_run_is_reported() {
    let sandbox = sandbox();
    sandbox.trained().write("run/variants.toml", "variants = {");
    for command in ["train --resume run --epochs 3", "eval run"] {
        sandbox
            .wgrad(command)
            .fails(2, &["run/variants.toml, line 1"]);
    }
}

#[test]
fn invalid_tunings_are_reported() {
    let sandbox = sandbox();
    sandbox
        .wgrad("tune --device cpu")
        .fails(2, &["nothing to tune"]);
    sandbox.wgrad("tune nosuch").fails(2, &["nosuch"]);
    sandbox
        .wgrad("tune tiny.toml --batch 0")
        .fails(2, &["batch must be at least 1"]);
    sandbox.wgrad("tune --adapter nosuch").fails(2, &["nosuch"]);
    let mut command = sandbox.command("tune --show");
    command.env_remove("XDG_CACHE_HOME").env_remove("HOME");
    // If the system knows the user's home folder without HOME, it is a folder without tunings.
    let message = super::sandbox::CommandOutput::from(command.output().unwrap());
    assert!(
        message.code == Some(0) || message.err.contains("set HOME"),
        "{}",
        message.err
    );
}

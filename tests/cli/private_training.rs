//! `wgrad train` with `[privacy]`.

use super::sandbox::{Sandbox, names};

const PRIVATE: &str = r#"
batch = 8
device = "cpu"
epochs = 3
data = "good"

[privacy]
clip = 0.5
noise = 1.5
delta = 0.001

[model]
name = "small"
input = [8, 8, 1]
layer = [
    { type = "conv2d", filters = 4, kernel = 3, activation = "relu" },
    { type = "max_pool2d", size = 2 },
    { type = "group_norm", groups = 2 },
    { type = "flatten" },
    { type = "dense", units = "classes" },
]
"#;

fn private() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("private.toml", PRIVATE);
    sandbox
}

#[test]
fn every_epoch_says_what_is_spent_and_a_resumed_run_has_the_same_bits() {
    let sandbox = private();
    let lines = sandbox
        .wgrad("train private.toml --out run --json")
        .succeeds()
        .json();
    let epochs: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "epoch")
        .collect();
    let spent: Vec<f64> = epochs
        .iter()
        .map(|line| line["epsilon"].as_f64().unwrap())
        .collect();
    assert_eq!(spent.len(), 3);
    assert!(spent.windows(2).all(|pair| pair[0] < pair[1]), "{spent:?}");
    let clipped = epochs[0]["clipped"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&clipped));
    let done = lines.iter().find(|line| line["event"] == "done").unwrap();
    assert_eq!(done["epsilon"], spent[2]);
    assert_eq!(done["delta"], 0.001);
    // 24 samples, 8 in a step on average.
    let alone = "privacy --samples 24 --batch 8 --steps 9 --noise 1.5 --delta 0.001 --json";
    let alone = sandbox.wgrad(alone).succeeds().json();
    assert_eq!(alone[0]["epsilon"], spent[2]);
    let short = "train private.toml --epochs 1 --out again";
    sandbox.wgrad(short).succeeds();
    sandbox.wgrad("train --resume again --epochs 3").succeeds();
    let weights =
        |run: &str| std::fs::read(sandbox.path(&format!("{run}/model.safetensors"))).unwrap();
    assert_eq!(weights("run"), weights("again"));
    let text = sandbox.wgrad("train private.toml --out text").succeeds();
    assert!(
        text.err.contains("private training: noise 1.5"),
        "{}",
        text.err
    );
}

#[test]
fn an_adapter_takes_the_same_steps_as_the_reference() {
    let sandbox = private();
    if !sandbox.has_adapter() {
        return;
    }
    let loss = |device: &str| {
        let command = format!("train private.toml --device {device} --out {device} --json");
        let lines = sandbox.wgrad(&command).succeeds().json();
        let done = lines
            .into_iter()
            .find(|line| line["event"] == "done")
            .unwrap();
        done["test_loss"].as_f64().unwrap()
    };
    let (cpu, gpu) = (loss("cpu"), loss("gpu"));
    assert!((cpu - gpu).abs() < 1e-3, "{cpu} {gpu}");
}

#[test]
fn a_budget_finds_the_noise_and_ends_a_run_that_is_made_longer() {
    let sandbox = private();
    let text = PRIVATE.replace("noise = 1.5", "epsilon = 4");
    sandbox.write("budget.toml", text);
    let lines = sandbox
        .wgrad("train budget.toml --out run --json")
        .succeeds()
        .json();
    let epsilon = |lines: &[serde_json::Value]| {
        let done = lines.iter().find(|line| line["event"] == "done").unwrap();
        done["epsilon"].as_f64().unwrap()
    };
    let found = epsilon(&lines);
    assert!((3.9..=4.0).contains(&found), "{found}");
    let longer = sandbox
        .wgrad("train --resume run --epochs 9 --json")
        .succeeds()
        .json();
    assert!(epsilon(&longer) <= 4.0);
    let said = sandbox.wgrad("train --resume run --epochs 12").succeeds();
    assert!(said.err.contains("budget is spent"), "{}", said.err);
    let noise = |run: &str| {
        let settings = std::fs::read_to_string(sandbox.path(&format!("{run}/run.toml"))).unwrap();
        let line = settings.lines().find(|line| line.starts_with("noise = "));
        line.unwrap().to_string()
    };
    let line = noise("run");
    let own = PRIVATE.replace("noise = 1.5", &format!("{line}\nepsilon = 4"));
    sandbox.write("own.toml", own.replace("epochs = 3", "epochs = 9"));
    let stopped = sandbox.wgrad("train own.toml --out own").succeeds();
    assert!(stopped.err.contains("the budget allows"), "{}", stopped.err);
}

#[test]
fn what_private_training_does_not_allow_is_refused_in_one_sentence() {
    let sandbox = private();
    let refused = |change: [&str; 2], words: &[&str]| {
        let text = PRIVATE.replace(change[0], change[1]);
        assert_ne!(text, PRIVATE);
        sandbox.write("refused.toml", text);
        sandbox
            .wgrad("train refused.toml --out refused")
            .fails(2, words);
        assert_eq!(
            names(&sandbox.path(""))
                .iter()
                .filter(|n| *n == "refused")
                .count(),
            0
        );
    };
    refused(
        ["type = \"group_norm\", groups = 2", "type = \"batch_norm\""],
        &["keeps the samples", "group_norm"],
    );
    refused(["noise = 1.5\n", ""], &["[privacy] needs noise"]);
    refused(
        ["noise = 1.5", "epsilon = 0"],
        &["privacy.epsilon must be above 0"],
    );
    refused(
        ["noise = 1.5", "noise = inf"],
        &["privacy.noise must be above 0"],
    );
    refused(
        ["clip = 0.5", "clip = 0"],
        &["privacy.clip must be above 0"],
    );
    refused(["delta = 0.001", "delta = 0.1"], &["privacy.delta", "24"]);
    refused(
        ["noise = 1.5", "noise = 0.3\nepsilon = 0.01"],
        &["single step"],
    );
    refused(
        ["batch = 8\n", "batch = 8\nprecision = \"mixed\"\n"],
        &["mixed precision"],
    );
    refused(
        ["batch = 8\n", "batch = 8\nshuffle = false\n"],
        &["at random"],
    );
    refused(
        ["batch = 8\n", "batch = 8\naccumulate = 4\n"],
        &["larger than the training set"],
    );
}

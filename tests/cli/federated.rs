//! `wgrad train` with `[federated]`.

use super::sandbox::Sandbox;

const FEDERATED: &str = r#"
batch = 4
device = "cpu"
epochs = 4
data = "good"

[federated]
clients = 3
share = 0.67

[optimizer]
name = "sgd"
lr = 0.1
momentum = 0.5

[model]
name = "small"
input = [8, 8, 1]
layer = [
    { type = "flatten" },
    { type = "dense", units = 8, activation = "relu" },
    { type = "dense", units = "classes" },
]
"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("federated.toml", FEDERATED);
    sandbox
}

fn weights(sandbox: &Sandbox, run: &str) -> Vec<u8> {
    std::fs::read(sandbox.path(&format!("{run}/model.safetensors"))).unwrap()
}

#[test]
fn rounds_lower_the_loss_and_a_resumed_run_has_the_same_bits() {
    let sandbox = sandbox();
    let train = "train federated.toml --epochs 30 --out run --json";
    let lines = sandbox.wgrad(train).succeeds().json();
    let losses: Vec<f64> = lines
        .iter()
        .filter(|line| line["event"] == "epoch")
        .map(|line| line["test_loss"].as_f64().unwrap())
        .collect();
    assert_eq!(losses.len(), 30);
    assert!(losses[29] < 0.7 * losses[0], "{losses:?}");
    sandbox
        .wgrad("train federated.toml --epochs 13 --out again")
        .succeeds();
    sandbox.wgrad("train --resume again --epochs 30").succeeds();
    assert_eq!(weights(&sandbox, "run"), weights(&sandbox, "again"));
}

#[test]
fn the_masks_of_a_single_client_change_nothing() {
    let sandbox = sandbox();
    let alone = "--set federated.clients=1 --set federated.share=1";
    let lines = sandbox
        .wgrad(&format!("train federated.toml {alone} --out one --json"))
        .succeeds()
        .json();
    let done = lines.iter().find(|line| line["event"] == "done").unwrap();
    assert!(done["test_loss"].as_f64().unwrap().is_finite());
    let masked =
        format!("train federated.toml {alone} --set federated.masked=true --out two --json");
    let lines = sandbox.wgrad(&masked).succeeds().json();
    let other = lines.iter().find(|line| line["event"] == "done").unwrap();
    let loss = |line: &serde_json::Value| line["test_loss"].as_f64().unwrap();
    assert!((loss(done) - loss(other)).abs() < 1e-5);
}

#[test]
fn masked_updates_and_pieces_by_class_and_private_rounds() {
    let sandbox = sandbox();
    let loss = |args: &str| {
        let lines = sandbox
            .wgrad(&format!("train federated.toml {args} --json"))
            .succeeds()
            .json();
        lines
            .into_iter()
            .find(|line| line["event"] == "done")
            .unwrap()
    };
    let plain = loss("--out plain");
    let masked = loss("--set federated.masked=true --out masked");
    let difference = plain["test_loss"].as_f64().unwrap() - masked["test_loss"].as_f64().unwrap();
    assert!(difference.abs() < 1e-5, "{difference}");
    let pieces = loss("--set federated.split=by_label --set federated.shards=1 --out pieces");
    assert_ne!(pieces["test_loss"], plain["test_loss"]);
    let private =
        loss("--set privacy.noise=2 --set privacy.clip=0.5 --set privacy.delta=0.01 --out private");
    assert!(private["epsilon"].as_f64().unwrap() > 0.0);
    let expected = "privacy --samples 3 --batch 2 --steps 4 --noise 2 --delta 0.01 --json";
    let expected = sandbox.wgrad(expected).succeeds().json();
    assert_eq!(expected[0]["epsilon"], private["epsilon"]);
}

#[test]
fn what_does_not_fit_is_refused_in_one_sentence() {
    let sandbox = sandbox();
    for (args, words) in [
        (
            "--set federated.clients=0",
            "federated.clients must be from 1",
        ),
        (
            "--set federated.clients=25",
            "24 training samples can't be divided",
        ),
        ("--set federated.share=0", "federated.share must be above 0"),
        ("--set federated.local_epochs=0", "federated.local_epochs"),
        ("--set federated.shards=0", "federated.shards"),
        ("--set accumulate=2", "accumulate"),
        ("--steps 10", "steps, as every epoch is a round"),
        ("--checkpoint-every 1s", "checkpoint_every"),
    ] {
        sandbox
            .wgrad(&format!("train federated.toml {args} --out refused"))
            .fails(2, &[words]);
    }
}

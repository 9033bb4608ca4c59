//! Low-rank adapters: a run is fine-tuned on another text, what was trained is saved apart, added to the run, and merged.

use super::sandbox::Sandbox;
use std::fs;

const BASE: &str = r#"
batch = 8
steps = 40
steps_per_epoch = 40

[data]
context = 4

[optimizer]
name = "adamw"
lr = 0.05

[model]
name = "letters"
input = { tokens = 4, vocabulary = 2, auto = true }
layer = [
    { type = "embedding", width = 16 },
    { type = "self_attention", heads = 2, causal = true, name = "attention" },
    { type = "dense", units = "vocabulary", name = "head" },
]
"#;

/// A run on a text in `base`, and one in `tuned` that was fine-tuned on another order of the same letters.
fn tuned() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("base.toml", BASE);
    sandbox.write("a.txt", "abcdefgh\n".repeat(60));
    sandbox.write("b.txt", "hgfedcba\n".repeat(60));
    sandbox
        .wgrad("train base.toml --data a.txt --device cpu --out base")
        .succeeds();
    let settings = format!("{BASE}\n[lora]\nrank = 4\n");
    sandbox.write("tune.toml", settings);
    sandbox
        .wgrad(
            "train tune.toml --data b.txt --init base/model.safetensors --device cpu --out tuned",
        )
        .succeeds();
    sandbox
}

#[test]
fn adapters_are_trained_saved_apart_added_to_their_run_and_merged() {
    let sandbox = tuned();
    let text = |args: &str| {
        let args = format!("generate {args} --prompt h --tokens 3 --temperature 0 --device cpu");
        sandbox.wgrad(&args).succeeds().out
    };
    assert_eq!(text("tuned"), "hgfe\n");
    assert_ne!(text("base"), "hgfe\n");
    assert_eq!(text("base --lora tuned/lora.safetensors"), "hgfe\n");
    // The file has what was trained alone.
    let size = |path: &str| fs::metadata(sandbox.path(path)).unwrap().len();
    assert!(size("tuned/lora.safetensors") < size("tuned/model.safetensors"));
    let file = fs::read(sandbox.path("tuned/lora.safetensors")).unwrap();
    let names = safetensors::SafeTensors::deserialize(&file).unwrap();
    let mut names = names.names();
    names.sort_unstable();
    let wanted = ["attention.in_proj", "attention.out_proj", "head"]
        .map(|layer| ["A", "B"].map(|part| format!("{layer}.lora_{part}.weight")));
    assert_eq!(names, wanted.concat());

    // Merged weights are those of the model without adapters.
    let merged = "export base --lora tuned/lora.safetensors --merge --format safetensors --out m.safetensors";
    sandbox.wgrad(merged).succeeds();
    sandbox
        .wgrad("export tuned --merge --format safetensors --out n.safetensors")
        .succeeds();
    // Each carries the root of its own run beside the tensors.
    let tensors = |path: &str| {
        let file = fs::read(sandbox.path(path)).unwrap();
        let read = safetensors::SafeTensors::deserialize(&file).unwrap();
        let tensors = read.tensors().into_iter();
        let mut all: Vec<_> = tensors.map(|(name, t)| (name, t.data().to_vec())).collect();
        all.sort();
        all
    };
    assert!(tensors("m.safetensors") == tensors("n.safetensors"));
    fs::copy(
        sandbox.path("m.safetensors"),
        sandbox.path("base/model.safetensors"),
    )
    .unwrap();
    assert_eq!(text("base --last"), "hgfe\n");
}

#[test]
fn adapters_of_another_model_and_misplaced_settings_are_refused() {
    let sandbox = tuned();
    let refused = |args: &str, parts: &[&str]| {
        let message = sandbox.wgrad(&format!("{args} --device cpu"));
        message.fails(2, parts);
    };
    let lora = "tuned/lora.safetensors";
    // Other weights of the same model.
    sandbox
        .wgrad("train base.toml --data a.txt --device cpu --seed 9 --out other")
        .succeeds();
    let another = [
        "lora.safetensors holds adapters of another model",
        "other values",
    ];
    refused(&format!("generate other --lora {lora}"), &another);
    // Another model.
    sandbox.write("wide.toml", BASE.replace("width = 16", "width = 8"));
    sandbox
        .wgrad("train wide.toml --data a.txt --device cpu --out wide")
        .succeeds();
    let another = ["lora.safetensors holds adapters of another model"];
    refused(&format!("generate wide --lora {lora}"), &another);
    let none = [
        "no file of low-rank adapters",
        "is not a file of low-rank adapters",
    ];
    refused("generate base --lora base/model.safetensors", &none[1..]);
    refused(
        "generate base --lora missing.safetensors",
        &["missing.safetensors"],
    );
    refused(
        &format!("generate tuned --lora {lora}"),
        &["adapters of its own"],
    );
    let export = sandbox.wgrad("export base --merge --format safetensors --out x.safetensors");
    export.fails(2, &["no low-rank adapters to merge"]);

    let train = |changes: &str, parts: &[&str]| {
        let args = "train tune.toml --data b.txt --device cpu --out x";
        sandbox.wgrad(&format!("{args} {changes}")).fails(2, parts);
    };
    train(
        "",
        &["[lora] adapts weights that are trained already", "init"],
    );
    let init = "--init base/model.safetensors";
    train(
        &format!("{init} --set lora.rank=0"),
        &["lora.rank must be from 1"],
    );
    train(
        &format!("{init} --set lora.alpha=0"),
        &["lora.alpha must be above 0"],
    );
    train(
        &format!("{init} --set lora.layers=heads"),
        &["lora.layers", "\"heads\"", "the nearest is \"head\""],
    );
    train(
        &format!("{init} --set freeze=head.*"),
        &["leave out freeze"],
    );
}

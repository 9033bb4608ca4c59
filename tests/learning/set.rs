//! `--set key=value` on the command line: any setting of a run file, for commands that start a run.

use std::path::Path;
use std::process::Command;

struct Output {
    code: Option<i32>,
    out: String,
    err: String,
}

fn wgrad(dir: &Path, args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_wgrad"))
        .args(args)
        .current_dir(dir)
        .env("XDG_RUNTIME_DIR", dir)
        .env("XDG_CACHE_HOME", dir)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Output {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Trains a run of a few steps with these `sets`.
fn trained(dir: &Path, sets: &[&str]) -> Output {
    let mut args = vec![
        "train",
        "--device",
        "cpu",
        "--steps",
        "1",
        "--set",
        "data={ train = 40, test = 20 }",
    ];
    args.extend(["--set", "model=mlp", "--set", "batch=10"]);
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    wgrad(dir, &args)
}

#[test]
fn nested_keys_words_models_lists_and_folders_can_be_set_together() {
    let dir = tempfile::tempdir().unwrap();
    let message = trained(
        dir.path(),
        &[
            "out=here",
            "optimizer=sgd",
            "optimizer.momentum=0.5",
            "schedule=cosine",
            "data.mean=[0.25]",
            "augment.flip=true",
        ],
    );
    assert_eq!(message.code, Some(0), "{}", message.err);
    let written = std::fs::read_to_string(dir.path().join("here/run.toml")).unwrap();
    let written: toml::Table = toml::from_str(&written).unwrap();
    assert_eq!(written["optimizer"]["name"].as_str(), Some("sgd"));
    assert_eq!(written["optimizer"]["momentum"].as_float(), Some(0.5));
    assert_eq!(written["schedule"]["name"].as_str(), Some("cosine"));
    assert_eq!(written["data"]["mean"][0].as_float(), Some(0.25));
    assert_eq!(written["data"]["train"].as_integer(), Some(40));
    assert_eq!(written["augment"]["flip"].as_bool(), Some(true));
    assert_eq!(written["model"]["name"].as_str(), Some("mlp"));
}

#[test]
fn a_wrong_key_or_value_is_answered_with_the_assignment_and_the_nearest_key() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = [
        ("bach=3", "did you mean `batch`?"),
        ("optimizer.momentun=1", "momentun"),
        ("batch", "KEY=VALUE"),
        ("batch=many", "batch=many"),
        ("batch.size=3", "batch is not a table"),
        ("=3", "the key is empty"),
        ("model=no-such-model", "no-such-model"),
    ];
    for (set, complaint) in wrong {
        let message = trained(dir.path(), &[set]);
        assert_eq!(message.code, Some(2), "{set}: {}", message.err);
        let assignment = format!("--set {set}");
        assert!(
            message.err.contains(&assignment) && message.err.contains(complaint),
            "{}",
            message.err
        );
    }
    assert!(!dir.path().join("runs").exists());
}

#[test]
fn settings_come_on_top_of_a_file_and_of_a_plan() {
    let dir = tempfile::tempdir().unwrap();
    let file = "epochs = 1\nbatch = 10\nmodel = \"mlp\"\n[data]\ntrain = 40\ntest = 20\n";
    std::fs::write(dir.path().join("own.toml"), file).unwrap();
    let args = [
        "train", "own.toml", "--device", "cpu", "--set", "batch=20", "--set", "out=run",
    ];
    let message = wgrad(dir.path(), &args);
    assert_eq!(message.code, Some(0), "{}", message.err);
    let written = std::fs::read_to_string(dir.path().join("run/run.toml")).unwrap();
    assert!(written.contains("batch = 20\n"), "{written}");
    let plan = |set: &str| {
        let message = wgrad(dir.path(), &["plan", "own.toml", "--json", "--set", set]);
        assert_eq!(message.code, Some(0), "{}", message.err);
        serde_json::from_str::<serde_json::Value>(&message.out).unwrap()
    };
    assert_eq!(plan("batch=7")["batch"], 7);
    let (sgd, adam) = (plan("optimizer=sgd"), plan("optimizer=adam"));
    assert!(sgd["variable_bytes"].as_u64() < adam["variable_bytes"].as_u64());
}

//! `wgrad verify`, `wgrad ledger` and `wgrad keys`: whatever is changed of a run is found, and what is wrong is said in a sentence.

use super::sandbox::{CommandOutput, Sandbox, TINY};
use serde_json::Value;
use std::fs;

/// The links that `wgrad verify --json` found to be broken, with the first problem of each.
fn broken(output: &CommandOutput) -> Vec<(Option<u64>, String)> {
    let lines = output.json();
    let verified = |line: &&Value| line["event"] == "verify" && line["ok"] == false;
    let found = lines.iter().filter(verified);
    found
        .map(|line| {
            let problem = line["problems"][0].as_str().unwrap();
            (line["link"].as_u64(), problem.to_string())
        })
        .collect()
}

fn links(sandbox: &Sandbox, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(sandbox.path(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn kinds(sandbox: &Sandbox, file: &str) -> Vec<String> {
    let links = links(sandbox, file);
    let kinds = links.iter().map(|link| link["kind"].as_str().unwrap());
    kinds.map(str::to_string).collect()
}

/// The root at the last end of the run.
fn root(sandbox: &Sandbox, run: &str) -> String {
    let links = links(sandbox, &format!("{run}/provenance.jsonl"));
    let end = links.iter().rfind(|link| link["kind"] == "end").unwrap();
    end["body"]["root"].as_str().unwrap().to_string()
}

const BEGINNING: [&str; 5] = ["code", "settings", "data", "device", "start"];
const EPOCH: [&str; 4] = ["evaluation", "weights", "weights", "checkpoint"];

#[test]
fn a_run_has_a_ledger_and_each_file_that_it_names_is_verified() {
    let sandbox = Sandbox::new();
    sandbox.train("--epochs 1").succeeds();
    let expected = [&BEGINNING[..], &EPOCH, &["end"]].concat();
    assert_eq!(kinds(&sandbox, "run/provenance.jsonl"), expected);
    let output = sandbox.wgrad("verify run").succeeds();
    let said = format!("run: all of {} links are whole, not signed", expected.len());
    assert!(output.out.contains(&said), "{}", output.out);
    let lines = sandbox.wgrad("verify run --json").succeeds().json();
    let (last, lines) = lines.split_last().unwrap();
    assert_eq!(
        (&last["event"], &last["broken"]),
        (&"verified".into(), &0.into())
    );
    for (number, line) in (1..).zip(lines) {
        assert_eq!(line["event"], "verify");
        assert_eq!((&line["link"], &line["ok"]), (&number.into(), &true.into()));
    }
    for (file, link, what) in [
        ("run/run.toml", 2, "run.toml is not the file"),
        ("run/settings.lock.toml", 2, "settings.lock.toml"),
        ("run/data-files.json", 3, "data-files.json"),
        (
            "good/train-images-idx3-ubyte",
            3,
            "train-images-idx3-ubyte changed",
        ),
        ("run/metrics.jsonl", 6, "other figures for epoch 1"),
        ("run/model.safetensors", 7, "model.safetensors"),
        ("run/best.safetensors", 8, "best.safetensors"),
        (
            "run/checkpoints/step-000000003.safetensors",
            9,
            "was changed",
        ),
    ] {
        let path = sandbox.path(file);
        let bytes = fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        let at = match file.ends_with("metrics.jsonl") {
            // A digit of the loss.
            true => String::from_utf8_lossy(&bytes).find("test_loss").unwrap() + 13,
            false => bytes.len() / 2,
        };
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        let output = sandbox.wgrad("verify run --json").exits(1);
        let found = broken(&output);
        assert_eq!(found.len(), 1, "{file}: {found:?}");
        assert_eq!(found[0].0, Some(link), "{file}: {found:?}");
        assert!(found[0].1.contains(what), "{file}: {found:?}");
        let text = sandbox.wgrad("verify run").exits(1).out;
        assert!(text.starts_with(&format!("BROKEN link {link} (")), "{text}");
        fs::write(&path, bytes).unwrap();
    }
    sandbox.wgrad("verify run").succeeds();
}

#[test]
fn the_same_run_has_the_same_ledger_and_a_second_training_the_same_bits() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    let first = fs::read(sandbox.path("run/provenance.jsonl")).unwrap();
    fs::rename(sandbox.path("run"), sandbox.path("first")).unwrap();
    sandbox.trained();
    assert!(fs::read(sandbox.path("run/provenance.jsonl")).unwrap() == first);
    let output = sandbox.wgrad("verify run --replay").succeeds();
    assert!(
        output.out.contains("gives the same bits after step 6"),
        "{}",
        output.out
    );
    // Weights that no training gives, with a ledger that was written anew to fit them.
    let path = sandbox.path("run/provenance.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let line = text
        .lines()
        .rfind(|line| line.contains("\"kind\":\"checkpoint\""))
        .unwrap();
    let values = line
        .split("\"values\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let forged = text.replace(values, &"0".repeat(64));
    fs::write(&path, rehashed(&forged)).unwrap();
    let output = sandbox.wgrad("verify run --replay --json").exits(1);
    let found = broken(&output);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].1.contains("differs is the one after step 6"),
        "{found:?}"
    );
}

/// The ledger with hashes that fit its content, as somebody could write it; the root stays as it is, of links before the checkpoint.
fn rehashed(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    let mut parent = "0".repeat(64);
    let mut tree: Vec<(u32, [u8; 32])> = Vec::new();
    let mut written = String::new();
    for line in text.lines() {
        let (head, _) = line.split_once(",\"hash\":").unwrap();
        let old = head.split("\"parent\":\"").nth(1).unwrap()[..64].to_string();
        let mut head = head.replace(&old, &parent);
        if let Some((before, after)) = head.clone().split_once("\"root\":\"") {
            let mut roots = tree.iter().rev().map(|(_, hash)| *hash);
            let last = roots.next().unwrap();
            let root = roots.fold(last, |right, left| node(&left, &right));
            head = format!("{before}\"root\":\"{}{}", hex(&root), &after[64..]);
        }
        let hash: [u8; 32] = Sha256::digest(format!("{head}}}")).into();
        parent = hex(&hash);
        written += &format!("{head},\"hash\":\"{parent}\"}}\n");
        let mut added = (0, Sha256::digest([&[0], &hash[..]].concat()).into());
        while let Some((height, left)) = tree.pop_if(|(height, _)| *height == added.0) {
            added = (height + 1, node(&left, &added.1));
        }
        tree.push(added);
    }
    written
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    Sha256::digest([&[1], &left[..], &right[..]].concat()).into()
}

#[test]
fn a_resumed_run_goes_on_with_its_chain() {
    let sandbox = Sandbox::new();
    sandbox.train("--epochs 1").succeeds();
    sandbox.wgrad("train --resume run --epochs 2").succeeds();
    let kinds = kinds(&sandbox, "run/provenance.jsonl");
    let all = [&BEGINNING[..], &EPOCH, &["end"], &BEGINNING].concat();
    assert_eq!(kinds[..all.len()], all);
    assert_eq!(kinds.last().unwrap(), "end");
    let again = &links(&sandbox, "run/provenance.jsonl")[10..];
    assert_eq!(again[1]["body"]["changed"][0], "epochs: 1 -> 2");
    assert_eq!(again[4]["body"]["step"], 3);
    sandbox.wgrad("verify run --replay").succeeds();
    let before = kinds.len();
    sandbox.wgrad("train --resume run").succeeds();
    assert_eq!(links(&sandbox, "run/provenance.jsonl").len(), before);
    // As a process leaves it that was killed while it wrote.
    let path = sandbox.path("run/provenance.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 20]).unwrap();
    let found = broken(&sandbox.wgrad("verify run --json").exits(1));
    assert_eq!(found[0].1, "the line is cut off in the middle");
    let output = sandbox.wgrad("train --resume run --epochs 3").succeeds();
    assert!(output.err.contains("bytes were cut off"), "{}", output.err);
    sandbox.wgrad("verify run").succeeds();
}

#[test]
fn an_export_carries_the_root_of_its_run() {
    let sandbox = Sandbox::new();
    sandbox.train("--epochs 1").succeeds();
    let root = root(&sandbox, "run");
    for (format, file) in [
        ("onnx", "run/model.onnx"),
        ("safetensors", "out.safetensors"),
        ("npz", "out.npz"),
        ("keras", "out.keras"),
    ] {
        let export = format!("export run --format {format} --out {file} --json");
        sandbox.wgrad(&export).succeeds();
        let verify = format!("verify {file} --run run --json");
        let lines = sandbox.wgrad(&verify).succeeds().json();
        assert_eq!(lines[lines.len() - 2]["kind"], "export", "{file}");
        let bytes = fs::read(sandbox.path(file)).unwrap();
        let carries = bytes.windows(64).any(|part| part == root.as_bytes());
        assert_eq!(carries, ["onnx", "safetensors"].contains(&format), "{file}");
        for at in [bytes.len() / 3, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            sandbox.write(file, changed);
            let output = sandbox.wgrad(&verify).exits(1);
            assert!(!broken(&output).is_empty(), "byte {at} of {file}");
        }
        sandbox.write(file, bytes);
    }
    sandbox.wgrad("export run --web --out run/web").succeeds();
    sandbox.wgrad("eval run").succeeds();
    assert_eq!(
        kinds(&sandbox, "run/provenance.jsonl").last().unwrap(),
        "evaluation"
    );
    sandbox.wgrad("verify run").succeeds();
    sandbox.wgrad("verify run/model.onnx").succeeds();
    sandbox
        .wgrad("verify run/checkpoints/step-000000003.safetensors")
        .succeeds();
    // A file of another run.
    fs::rename(sandbox.path("run"), sandbox.path("other")).unwrap();
    sandbox.train("--seed 2").succeeds();
    let output = sandbox.wgrad("verify out.safetensors --run run").exits(1);
    assert!(
        output.out.contains("carries the root of another run"),
        "{}",
        output.out
    );
    sandbox
        .wgrad("verify out.npz")
        .fails(2, &["does not lie in a run folder", "--run"]);
}

#[test]
fn links_are_signed_and_several_share_a_ledger() {
    let sandbox = Sandbox::new();
    for name in ["ann", "bob"] {
        let output = sandbox.wgrad(&format!("keys new {name} --json")).succeeds();
        assert_eq!(output.json()[0]["public_key_file"], format!("{name}.pub"));
        let private = fs::read_to_string(sandbox.path(name)).unwrap();
        let secret = private.lines().nth(1).unwrap();
        assert!(!output.out.contains(secret), "{}", output.out);
    }
    sandbox.train("--epochs 1 --sign ann").succeeds();
    sandbox.wgrad("eval run --sign ann").succeeds();
    sandbox.wgrad("export run --sign ann").succeeds();
    sandbox.wgrad("verify run --key ann.pub").succeeds();
    let found = broken(&sandbox.wgrad("verify run --key bob.pub --json").exits(1));
    assert_eq!(found.len(), 12);
    fs::rename(sandbox.path("run"), sandbox.path("one")).unwrap();
    sandbox.train("--seed 2 --sign bob").succeeds();
    sandbox
        .wgrad("ledger append shared.jsonl one --sign ann")
        .succeeds();
    fs::copy(sandbox.path("shared.jsonl"), sandbox.path("copy.jsonl")).unwrap();
    let line = sandbox
        .wgrad("ledger append shared.jsonl run --sign bob --json")
        .succeeds();
    assert_eq!(line.json()[0]["link"], 2);
    sandbox
        .wgrad("verify shared.jsonl --key ann.pub --key bob.pub")
        .succeeds();
    sandbox.wgrad("verify run --ledger shared.jsonl").succeeds();
    let output = sandbox.wgrad("verify run --ledger copy.jsonl").exits(1);
    assert!(
        output.out.contains("copy.jsonl names no run with the root"),
        "{}",
        output.out
    );
    // Ann goes on with a copy, and both histories are put into one file.
    sandbox
        .wgrad("ledger append copy.jsonl one --sign ann")
        .succeeds();
    let text = |name: &str| fs::read_to_string(sandbox.path(name)).unwrap();
    let (shared, copy) = (text("shared.jsonl"), text("copy.jsonl"));
    sandbox.write(
        "shared.jsonl",
        format!("{shared}{}\n", copy.lines().nth(1).unwrap()),
    );
    let found = broken(&sandbox.wgrad("verify shared.jsonl --json").exits(1));
    assert_eq!(found[0].0, Some(3));
    assert!(found[0].1.contains("forks after line 1"), "{found:?}");
}

#[test]
fn what_can_not_be_used_is_refused_in_a_sentence() {
    let sandbox = Sandbox::new();
    sandbox.wgrad("keys new key").succeeds();
    sandbox
        .wgrad("keys new key")
        .fails(2, &["key already exists"]);
    for (key, said) in [
        ("key.pub", "holds a public key"),
        ("tiny.toml", "no private key"),
        ("none", "does not exist"),
        ("good", "is not a file"),
    ] {
        sandbox
            .train(&format!("--sign {key}"))
            .fails(2, &[key, said]);
        sandbox.holds_no_run();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = fs::Permissions::from_mode(0o644);
        fs::set_permissions(sandbox.path("key"), open).unwrap();
        sandbox
            .train("--sign key")
            .fails(2, &["key is a private key that others can read"]);
    }
    sandbox.train("--epochs 1").succeeds();
    sandbox
        .wgrad("verify run --key key")
        .fails(2, &["key holds a private key"]);
    sandbox.wgrad("verify run --data none").exits(1);
    sandbox
        .wgrad("verify none")
        .fails(2, &["none does not exist"]);
    sandbox
        .wgrad("verify run/provenance.jsonl --replay")
        .fails(2, &["--replay is for runs"]);
    sandbox.write("empty.jsonl", "");
    sandbox.wgrad("verify empty.jsonl").fails(2, &["is empty"]);
    sandbox.write("other.jsonl", "{\"a\": 1}\n");
    sandbox.wgrad("verify other.jsonl").exits(1);
    sandbox
        .wgrad("ledger append other.jsonl run")
        .fails(2, &["last line of other.jsonl is damaged"]);
    // As a version without ledgers left it.
    fs::remove_file(sandbox.path("run/provenance.jsonl")).unwrap();
    for command in [
        "verify run",
        "verify run/model.safetensors",
        "ledger append all.jsonl run",
    ] {
        sandbox
            .wgrad(command)
            .fails(2, &["run has no provenance.jsonl"]);
    }
    sandbox.wgrad("eval run").succeeds();
    sandbox.wgrad("export run").succeeds();
    sandbox.wgrad("train --resume run --epochs 2").succeeds();
    let output = sandbox.wgrad("verify run").succeeds();
    assert!(
        output
            .err
            .contains("the first 3 steps were taken by a version without"),
        "{}",
        output.err
    );
}

#[test]
fn the_data_are_compared_where_they_are_now() {
    let sandbox = Sandbox::new();
    sandbox.train("--epochs 1").succeeds();
    fs::rename(sandbox.path("good"), sandbox.path("moved")).unwrap();
    let output = sandbox.wgrad("verify run").succeeds();
    assert!(
        output
            .err
            .contains("were not compared; name them with --data"),
        "{}",
        output.err
    );
    let verify = "verify run --data moved";
    sandbox.wgrad(verify).succeeds();
    sandbox.wgrad(&format!("{verify} --replay")).succeeds();
    sandbox.write("moved/train-labels-idx1-ubyte", "other");
    let output = sandbox.wgrad(verify).exits(1);
    assert!(
        output.out.contains("train-labels-idx1-ubyte changed"),
        "{}",
        output.out
    );
    // Built-in data are in no files.
    let model = TINY.replace("[8, 8, 1]", "[28, 28, 1]");
    sandbox.write("drawn.toml", model.replace("units = 3", "units = 10"));
    let train = "train drawn.toml --data digits --device cpu --steps 2 --out drawn";
    sandbox.wgrad(train).succeeds();
    sandbox.wgrad("verify drawn").succeeds();
}

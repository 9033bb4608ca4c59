//! Tests of the verification: whatever is changed of a small run is found.

use super::*;
use crate::provenance::{
    CheckpointRecord, DeviceRecord, EndRecord, Ledger, LedgerScan, LedgerSigner, RunRecord,
    WeightsRecord, verify_file,
};
use std::sync::Arc;
use tempfile::TempDir;

/// A run folder as a training leaves it, with little in its files.
struct Small {
    dir: TempDir,
}

fn digests(folder: &Path, names: &[&str]) -> BTreeMap<String, String> {
    let digest = |name: &&str| {
        let digest = digest_of_file(&folder.join(name)).unwrap();
        (name.to_string(), digest)
    };
    names.iter().map(digest).collect()
}

impl Small {
    fn new(signer: Option<Arc<LedgerSigner>>) -> Small {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        std::fs::create_dir(folder.join("checkpoints")).unwrap();
        std::fs::create_dir(folder.join("data")).unwrap();
        write("data/a.csv", "1,2");
        write("run.toml", "epochs = 1\n");
        write("settings.lock.toml", "epochs = 1\n");
        let source = folder.join("data").display().to_string();
        let listing = Listing::of(&source).unwrap();
        write("data-files.json", &listing.to_text().unwrap());
        write("model.safetensors", "weights");
        write("checkpoints/step-3.safetensors", "checkpoint");
        write("model.onnx", "network");
        let metrics = serde_json::json!({"epoch": 1, "seconds": 2.5, "test_loss": 0.1});
        write("metrics.jsonl", &format!("{metrics}\n"));
        let small = Small { dir };
        let settings = ["run.toml", "settings.lock.toml"];
        let data = digests(small.folder(), &["data-files.json"]);
        small.add(
            &signer,
            &[
                LedgerRecord::Code(CodeRecord::own()),
                LedgerRecord::Settings(SettingsRecord {
                    files: digests(small.folder(), &settings),
                    changed: Vec::new(),
                }),
                LedgerRecord::Data(DataRecord {
                    source,
                    files: 1,
                    listing: data.into_values().next(),
                    parts: BTreeMap::new(),
                }),
                LedgerRecord::Device(DeviceRecord {
                    name: "reference".to_string(),
                    backend: "reference".to_string(),
                    driver: String::new(),
                    variants: None,
                    step: digest_of(b"graph"),
                }),
                LedgerRecord::Start(StartRecord {
                    step: 0,
                    values: None,
                    inputs: BTreeMap::new(),
                    cut: 0,
                }),
                LedgerRecord::Evaluation(EvaluationRecord {
                    epoch: Some(1),
                    weights: None,
                    data: None,
                    figures: figures_of_line(metrics.as_object().unwrap()),
                }),
                LedgerRecord::Weights(WeightsRecord {
                    file: "model.safetensors".to_string(),
                    sha256: digest_of(b"weights"),
                    step: 3,
                }),
                LedgerRecord::Checkpoint(CheckpointRecord {
                    file: "checkpoints/step-3.safetensors".to_string(),
                    sha256: digest_of(b"checkpoint"),
                    epoch: 1,
                    step: 3,
                    values: digest_of(b"values"),
                }),
            ],
        );
        let scan = LedgerScan::of(&small.ledger()).unwrap();
        let end = EndRecord {
            step: 3,
            links: scan.links,
            root: scan.root.clone(),
        };
        small.add(&signer, &[LedgerRecord::End(end)]);
        let carried = LedgerScan::of(&small.ledger()).unwrap().carried();
        assert_eq!((carried.links, &carried.root), (8, &scan.root));
        let export = ExportRecord {
            file: "model.onnx".to_string(),
            inside: true,
            format: "onnx".to_string(),
            sha256: digest_of(b"network"),
            weights: digest_of(b"weights"),
            links: carried.links,
            root: carried.root,
        };
        small.add(&signer, &[LedgerRecord::Export(export)]);
        small
    }

    fn folder(&self) -> &Path {
        self.dir.path()
    }

    fn ledger(&self) -> PathBuf {
        self.folder().join(LEDGER_FILE)
    }

    fn add(&self, signer: &Option<Arc<LedgerSigner>>, records: &[LedgerRecord]) {
        let ledger = Ledger::new(&self.ledger(), signer.clone());
        ledger.append(records).unwrap();
    }

    /// What is broken: the numbers of links, with what is wrong.
    fn broken(&self, keys: &[LedgerKey]) -> Result<Vec<(Option<u64>, String)>> {
        let with = Verification {
            folder: Some(self.folder()),
            keys,
            ..Verification::default()
        };
        let mut found = Vec::new();
        let verified = verify_ledger(&self.ledger(), &with, &mut |check| {
            let problems = check.problems.iter();
            found.extend(problems.map(|problem| (check.link, problem.clone())));
            Ok(())
        })?;
        assert_eq!(verified.broken == 0, found.is_empty());
        Ok(found)
    }

    /// Whether something is broken, or the ledger is refused.
    fn is_found(&self) -> bool {
        self.broken(&[]).map_or(true, |found| !found.is_empty())
    }
}

#[test]
fn a_whole_run_has_no_problem() {
    let small = Small::new(None);
    assert_eq!(small.broken(&[]).unwrap(), []);
    let with = Verification::default();
    let verified = verify_ledger(&small.ledger(), &with, &mut |_| Ok(())).unwrap();
    assert_eq!((verified.links, verified.is_ended), (10, true));
    assert!(verified.authors.is_empty());
}

#[test]
fn every_byte_of_the_ledger_that_changes_is_found() {
    let signer = LedgerSigner::create(&tempfile::tempdir().unwrap().path().join("key"));
    let small = Small::new(Some(Arc::new(signer.unwrap().0)));
    let bytes = std::fs::read(small.ledger()).unwrap();
    // The ledger alone tells, without the files.
    let with = Verification::default();
    let verify = |bytes: &[u8]| {
        std::fs::write(small.ledger(), bytes).unwrap();
        verify_ledger(&small.ledger(), &with, &mut |_| Ok(()))
    };
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= [1, 0x20, 0x80][at % 3];
        let verified = verify(&changed);
        assert!(verified.map_or(true, |found| found.broken > 0), "byte {at}");
    }
    assert_eq!(verify(&bytes).unwrap().broken, 0);
}

#[test]
fn every_byte_of_a_file_that_changes_is_found() {
    let small = Small::new(None);
    let files = [
        "run.toml",
        "settings.lock.toml",
        "data-files.json",
        "data/a.csv",
        "model.safetensors",
        "checkpoints/step-3.safetensors",
        "model.onnx",
    ];
    for file in files {
        let path = small.folder().join(file);
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert!(small.is_found(), "byte {at} of {file}");
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(!small.is_found());
    let metrics = small.folder().join("metrics.jsonl");
    let text = std::fs::read_to_string(&metrics).unwrap();
    std::fs::write(&metrics, text.replace("0.1", "0.2")).unwrap();
    let found = small.broken(&[]).unwrap();
    assert!(
        found[0].1.contains("other figures for epoch 1"),
        "{found:?}"
    );
}

#[test]
fn lines_that_are_missing_moved_or_added_are_found_and_named() {
    let small = Small::new(None);
    let text = std::fs::read_to_string(small.ledger()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let write = |lines: &[&str]| {
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        std::fs::write(small.ledger(), text).unwrap();
    };
    for at in 0..lines.len() - 1 {
        let mut fewer = lines.clone();
        fewer.remove(at);
        write(&fewer);
        let found = small.broken(&[]).unwrap();
        let missing = |(link, problem): &(Option<u64>, String)| {
            *link == Some(at as u64 + 1) && problem.contains("missing, or was changed")
        };
        assert!(found.iter().any(missing), "{at}: {found:?}");
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        write(&swapped);
        assert!(small.is_found(), "swapped {at}");
    }
    // The last lines can go without a trace in the ledger, but not the weights that they name.
    for kept in 1..7 {
        write(&lines[..kept]);
        assert!(small.is_found(), "{kept} lines");
    }
}

#[test]
fn a_ledger_that_is_cut_in_the_middle_of_a_line_is_found_at_any_byte() {
    let small = Small::new(None);
    let text = std::fs::read_to_string(small.ledger()).unwrap();
    for cut in 1..text.len() {
        std::fs::write(small.ledger(), &text[..cut]).unwrap();
        if !text[..cut].ends_with('\n') {
            let found = small.broken(&[]).unwrap();
            let line = text[..cut].lines().count() as u64;
            let said = (Some(line), "the line is cut off in the middle".to_string());
            assert!(found.contains(&said), "{cut}: {found:?}");
        }
    }
    std::fs::write(small.ledger(), "").unwrap();
    let message = small.broken(&[]).unwrap_err().to_string();
    assert!(message.contains("is empty"), "{message}");
}

fn run(name: &str) -> LedgerRecord {
    LedgerRecord::Run(RunRecord {
        name: name.to_string(),
        links: 1,
        root: digest_of(name.as_bytes()),
        weights: digest_of(b"weights"),
    })
}

#[test]
fn forks_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one.jsonl", "two.jsonl"].map(|name| dir.path().join(name));
    Ledger::new(&one, None)
        .append(&[run("a"), run("b")])
        .unwrap();
    std::fs::copy(&one, &two).unwrap();
    // Two parties each add to a copy of their own, and the copies are put together.
    Ledger::new(&one, None)
        .append(&[run("c"), run("d")])
        .unwrap();
    Ledger::new(&two, None)
        .append(&[run("e"), run("f")])
        .unwrap();
    let mut text = std::fs::read_to_string(&one).unwrap();
    let other = std::fs::read_to_string(&two).unwrap();
    text.extend(other.lines().skip(2).flat_map(|line| [line, "\n"]));
    std::fs::write(&one, text).unwrap();
    let mut found = Vec::new();
    let verified = verify_ledger(&one, &Verification::default(), &mut |check| {
        found.extend(check.problems.iter().map(|p| (check.link, p.clone())));
        Ok(())
    });
    assert_eq!(verified.unwrap().broken, 1);
    let said = "it follows line 2 and not the line before it: the ledger forks after line 2";
    assert_eq!(found, [(Some(5), said.to_string())]);
}

#[test]
fn links_must_be_signed_by_the_keys_that_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let new = |name: &str| LedgerSigner::create(&dir.path().join(name)).unwrap().0;
    let (own, other) = (Arc::new(new("own")), Arc::new(new("other")));
    let (own_key, other_key) = (own.key(), other.key());
    let small = Small::new(Some(own));
    assert_eq!(small.broken(&[own_key]).unwrap(), []);
    assert_eq!(small.broken(&[]).unwrap(), []);
    let found = small.broken(&[other_key]).unwrap();
    assert_eq!(found.len(), 10);
    assert!(found[0].1.contains("signed by another key"), "{found:?}");
    small.add(&Some(other), &[run("a")]);
    assert_eq!(small.broken(&[own_key]).unwrap().len(), 1);
    assert_eq!(small.broken(&[own_key, other_key]).unwrap(), []);
    small.add(&None, &[run("b")]);
    let found = small.broken(&[own_key, other_key]).unwrap();
    assert_eq!(found, [(Some(12), "it is not signed".to_string())]);
}

#[test]
fn a_run_that_was_killed_while_it_wrote_is_not_broken() {
    let small = Small::new(None);
    let weights = |text: &[u8]| {
        LedgerRecord::Weights(WeightsRecord {
            file: "model.safetensors".to_string(),
            sha256: digest_of(text),
            step: 6,
        })
    };
    let start = |step, values: &[u8]| {
        LedgerRecord::Start(StartRecord {
            step,
            values: Some(digest_of(values)),
            inputs: BTreeMap::new(),
            cut: 7,
        })
    };
    small.add(&None, &[start(3, b"values"), weights(b"next")]);
    assert_eq!(small.broken(&[]).unwrap(), []);
    std::fs::write(small.folder().join("model.safetensors"), "other").unwrap();
    assert_eq!(small.broken(&[]).unwrap().len(), 1);
    std::fs::write(small.folder().join("model.safetensors"), "next").unwrap();
    assert_eq!(small.broken(&[]).unwrap(), []);
    small.add(&None, &[start(3, b"other values")]);
    let found = small.broken(&[]).unwrap();
    assert!(
        found[0].1.contains("that no link before it made"),
        "{found:?}"
    );
}

#[test]
fn files_outside_of_the_folder_are_not_read_and_unnamed_ones_are_found() {
    let small = Small::new(None);
    for file in ["../model.safetensors", "/etc/passwd", ""] {
        let record = WeightsRecord {
            file: file.to_string(),
            sha256: digest_of(b""),
            step: 3,
        };
        small.add(&None, &[LedgerRecord::Weights(record)]);
    }
    let found = small.broken(&[]).unwrap();
    assert_eq!(found.len(), 3);
    assert!(
        found[0].1.contains("outside of the run folder"),
        "{found:?}"
    );
    let small = Small::new(None);
    for file in ["best.safetensors", "checkpoints/step-9.safetensors"] {
        std::fs::write(small.folder().join(file), "x").unwrap();
    }
    let found = small.broken(&[]).unwrap();
    assert_eq!(found.len(), 2);
    assert!(
        found[1].1.contains("no link names checkpoints/step-9"),
        "{found:?}"
    );
}

#[test]
fn a_file_is_found_by_its_content_or_refused() {
    let small = Small::new(None);
    for (file, link, kind) in [
        ("model.onnx", 10, "export"),
        ("model.safetensors", 7, "weights"),
        ("checkpoints/step-3.safetensors", 8, "checkpoint"),
    ] {
        let check = verify_file(&small.folder().join(file), &small.ledger()).unwrap();
        assert!(check.is_ok(), "{check:?}");
        assert_eq!((check.link, check.kind.as_str()), (Some(link), kind));
    }
    let check = verify_file(&small.folder().join("run.toml"), &small.ledger()).unwrap();
    assert!(
        check.problems[0].contains("is no file that the run"),
        "{check:?}"
    );
}

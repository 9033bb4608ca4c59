//! `wgrad sweep`: grids, random trials and successive halving, their results, and how sweeps are resumed.

use super::sandbox::{CommandOutput, Sandbox, names};
use serde_json::Value;
use std::process::{Command, Stdio};

/// Settings of a run of the tiny model.
const RUN: &str =
    "batch = 8\nepochs = 2\ndevice = \"cpu\"\nmodel = \"tiny.toml\"\ndata = \"good\"\n";

fn sandbox(sweep: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("run.toml", RUN);
    sandbox.write("sweep.toml", sweep);
    sandbox
}

fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn read(sandbox: &Sandbox, name: &str) -> String {
    std::fs::read_to_string(sandbox.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The lines without what a clock measured.
fn without_times(message: &CommandOutput) -> Vec<Value> {
    let mut lines = message.json();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("seconds");
    }
    lines
}

const GRID: &str = "run = \"run.toml\"\nmetric = \"loss\"\n[values]\noptimizer.lr = [0.001, 0.03, 1e30]\nbatch = [4, 8]\n";

#[test]
fn a_grid_finds_the_best_settings_and_trains_them_again_to_the_same_loss() {
    let sandbox = sandbox(&GRID.replace("metric", "# trials by the loss\nmetric"));
    let found = sandbox
        .wgrad("sweep sweep.toml --out sweep --json")
        .succeeds();
    let notes = found.err.lines().all(|line| line.starts_with("note: "));
    assert!(notes, "{}", found.err);
    let lines = found.json();
    let trials = events(&lines, "trial");
    assert_eq!((trials.len(), lines.len()), (6, 7));
    // The rate 1e30 diverges, with either batch.
    let failed: Vec<_> = trials
        .iter()
        .filter(|line| line.get("error").is_some())
        .collect();
    assert!(
        failed
            .iter()
            .all(|line| line["settings"]["optimizer.lr"] == 1e30)
    );
    assert_eq!(failed.len(), 2, "{}", found.out);
    assert!(failed[0]["error"].as_str().unwrap().contains("not finite"));
    let best = events(&lines, "best")[0];
    let losses = trials.iter().filter_map(|line| line["value"].as_f64());
    let least = losses.fold(f64::INFINITY, f64::min);
    assert_eq!(best["value"].as_f64(), Some(least));
    assert_eq!(
        (&best["metric"], &best["failed"], &best["trials"]),
        (&"loss".into(), &2.into(), &6.into())
    );
    let number = best["trial"].as_u64().unwrap();
    assert_eq!(best["run"], format!("sweep/trial-{number}"));
    assert_eq!(best["epochs"], 2);
    assert!(
        sandbox
            .path(&format!("sweep/trial-{number}/model.safetensors"))
            .is_file()
    );
    // The best settings are a run file: the same bits again.
    sandbox
        .wgrad("train sweep/best.toml --out again --json")
        .succeeds();
    for file in ["model.safetensors", "best.safetensors"] {
        let bytes =
            |folder: &str| std::fs::read(sandbox.path(&format!("{folder}/{file}"))).unwrap();
        assert_eq!(
            bytes("again"),
            bytes(best["run"].as_str().unwrap()),
            "{file}"
        );
    }
    let page = read(&sandbox, "sweep/sweep.html");
    assert_eq!(page.matches("<polyline").count(), 4);
    assert_eq!(page.matches("failed: ").count(), 2);
    let (picture, _) = page.split_once("<table").unwrap();
    for absent in ["<script", "http", "NaN"] {
        assert!(!picture.contains(absent), "{absent} is in {page}");
    }
    // The same command finds everything done; a comparison takes the trials that have runs.
    let again = sandbox
        .wgrad("sweep sweep.toml --out sweep --json")
        .succeeds();
    assert!(
        again.err.contains("6 of its 6 runs have results"),
        "{}",
        again.err
    );
    assert_eq!(again.json(), lines);
    let compared = sandbox.wgrad("compare sweep --json").succeeds().json();
    assert_eq!(compared[0]["runs"].as_array().unwrap().len(), 4);
}

#[test]
fn text_has_a_table_from_the_best_to_the_worst() {
    let sandbox = sandbox(GRID);
    let message = sandbox.wgrad("sweep sweep.toml").succeeds();
    let lines: Vec<&str> = message.out.lines().collect();
    assert!(
        lines[0].starts_with("6 trials in runs/tiny-good-sweep-1, compared by loss"),
        "{}",
        message.out
    );
    assert_eq!(
        lines[1],
        "training trial 1 of 6: batch = 4, optimizer.lr = 0.001"
    );
    assert!(lines[2].starts_with("trial 1: loss "), "{}", message.out);
    let head = lines
        .iter()
        .position(|line| line.starts_with("trial  batch  optimizer.lr"));
    let rows = &lines[head.unwrap() + 1..][..6];
    let losses: Vec<&str> = rows
        .iter()
        .map(|row| row.split_whitespace().nth(3).unwrap())
        .collect();
    let numbers: Vec<f64> = losses.iter().filter_map(|text| text.parse().ok()).collect();
    assert!(numbers.is_sorted() && numbers.len() == 4, "{losses:?}");
    assert_eq!(losses[4..], ["failed", "failed"]);
    assert!(
        message.out.contains("best: trial ") && message.out.contains("compared on the test part")
    );
}

#[test]
fn several_seeds_are_trained_and_their_mean_is_compared() {
    let sandbox =
        sandbox("run = \"run.toml\"\nseeds = 2\n[values]\noptimizer.lr = [0.001, 0.03]\n");
    let lines = sandbox
        .wgrad("sweep sweep.toml --out sweep --json")
        .succeeds()
        .json();
    let folders = [
        "trial-1-seed-1",
        "trial-1-seed-2",
        "trial-2-seed-1",
        "trial-2-seed-2",
    ];
    let entries = names(&sandbox.path("sweep"));
    assert!(
        folders
            .iter()
            .all(|name| entries.contains(&(*name).to_string())),
        "{entries:?}"
    );
    for line in events(&lines, "trial") {
        let values: Vec<f64> = line["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["value"].as_f64().unwrap())
            .collect();
        let mean = (values[0] + values[1]) / 2.0;
        assert_eq!(line["value"].as_f64(), Some(mean));
        assert_eq!(line["metric"], "accuracy");
        assert!((line["std"].as_f64().unwrap() - (values[0] - mean).abs()).abs() < 1e-12);
    }
}

const HALVING: &str = "run = \"run.toml\"\nmethod = \"halving\"\ntrials = 6\nmetric = \"loss\"\n[halving]\neta = 2\nmin_epochs = 1\n\
                       [values]\noptimizer.lr = { from = 1e-4, to = 0.1, log = true }\n";

#[test]
fn halving_trains_the_best_trials_on_and_they_are_as_if_they_had_never_paused() {
    let sandbox = sandbox(HALVING);
    // A schedule spans all epochs of the run, however early a trial ends.
    sandbox.write(
        "run.toml",
        format!(
            "schedule = \"cosine\"\n{}",
            RUN.replace("epochs = 2", "epochs = 4")
        ),
    );
    let lines = sandbox
        .wgrad("sweep sweep.toml --out sweep --json")
        .succeeds()
        .json();
    let trials = events(&lines, "trial");
    let mut epochs: Vec<u64> = trials
        .iter()
        .map(|line| line["epochs"].as_u64().unwrap())
        .collect();
    epochs.sort_unstable();
    // Six after one epoch, three after two, one to the end.
    assert_eq!(epochs, [1, 1, 1, 2, 2, 4]);
    let losses = |of: u64| {
        let of = trials.iter().filter(move |line| line["epochs"] == of);
        of.map(|line| line["value"].as_f64().unwrap())
    };
    let best = events(&lines, "best")[0];
    assert_eq!(best["epochs"], 4);
    assert!(losses(4).next() <= losses(2).reduce(f64::min));
    sandbox
        .wgrad("train sweep/best.toml --out again")
        .succeeds();
    let bytes =
        |folder: &str| std::fs::read(sandbox.path(&format!("{folder}/model.safetensors"))).unwrap();
    assert!(bytes("again") == bytes(best["run"].as_str().unwrap()));
}

#[test]
fn a_sweep_that_was_stopped_goes_on_to_the_same_result() {
    let sandbox = sandbox(HALVING);
    let whole = sandbox
        .wgrad("sweep sweep.toml --out whole --json")
        .succeeds();
    // As a sweep that was killed: one trial has a checkpoint and no result, and another has neither.
    sandbox
        .wgrad("sweep sweep.toml --out broken --json")
        .succeeds();
    for file in ["best.toml", "sweep.html", "trial-2/result.toml"] {
        std::fs::remove_file(sandbox.path(&format!("broken/{file}"))).unwrap();
    }
    std::fs::remove_dir_all(sandbox.path("broken/trial-3")).unwrap();
    let resumed = sandbox.wgrad("sweep --resume broken --json").succeeds();
    assert!(
        resumed.err.contains("4 of its 6 runs have results"),
        "{}",
        resumed.err
    );
    let renamed = |lines: Vec<Value>| -> Vec<String> {
        lines
            .iter()
            .map(|line| {
                line.to_string()
                    .replace("broken/", "whole/")
                    .replace("\"broken\"", "\"whole\"")
            })
            .collect()
    };
    assert_eq!(
        renamed(without_times(&resumed)),
        renamed(without_times(&whole))
    );
    // Other settings are another sweep.
    sandbox.write("sweep.toml", HALVING.replace("trials = 6", "trials = 7"));
    sandbox
        .wgrad("sweep sweep.toml --out broken")
        .fails(2, &["trials was 6 when training began and is 7 now"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_sweep_that_the_same_command_resumes() {
    let sandbox = sandbox("run = \"run.toml\"\n[values]\noptimizer.lr = [0.001, 0.01]\n");
    sandbox.write("run.toml", RUN.replace("epochs = 2", "epochs = 100000"));
    let mut child = sandbox
        .command("sweep sweep.toml")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let metrics = sandbox.path("runs/tiny-good-sweep-1/trial-1/metrics.jsonl");
    while !metrics.is_file() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let stopped = CommandOutput::from(child.wait_with_output().unwrap());
    assert_eq!(stopped.code, Some(130), "{}", stopped.err);
    assert!(
        stopped
            .err
            .contains("resume with: wgrad sweep --resume runs/tiny-good-sweep-1"),
        "{}",
        stopped.err
    );
    // A second sweep of the same settings is the first one, which goes on.
    let mut child = sandbox
        .command("sweep sweep.toml")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let before = std::fs::metadata(&metrics).unwrap().len();
    while std::fs::metadata(&metrics).unwrap().len() <= before {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    let resumed = CommandOutput::from(child.wait_with_output().unwrap());
    assert!(
        resumed
            .err
            .contains("the sweep in runs/tiny-good-sweep-1 goes on"),
        "{}",
        resumed.err
    );
}

#[test]
fn a_wrong_sweep_is_refused_in_a_sentence_before_anything_is_trained() {
    let sandbox = sandbox("");
    let values = "[values]\noptimizer.lr = [0.1]\n";
    let refused = |text: &str, parts: &[&str]| {
        sandbox.write("sweep.toml", text);
        sandbox
            .wgrad("sweep sweep.toml --out sweep")
            .fails(2, parts);
        assert!(!sandbox.path("sweep").exists(), "{text}");
    };
    let run = "run = \"run.toml\"\n";
    refused(
        &format!("{run}[values]\noptimizer.rate = [0.1]\n"),
        &["values.optimizer.rate: 0.1 can't be set"],
    );
    refused(
        &format!("{run}[values]\nbach = [8]\n"),
        &["values.bach", "did you mean `batch`?"],
    );
    refused(
        &format!("{run}metric = \"acuracy\"\n{values}"),
        &["metric is \"acuracy\"", "did you mean `accuracy`?"],
    );
    refused(
        &format!("{run}method = \"random\"\n{values}"),
        &["needs trials"],
    );
    refused(
        &format!("{run}trial = 3\n{values}"),
        &["sweep.toml, line 2", "did you mean `trials`?"],
    );
    refused(
        &format!("run = \"rum.toml\"\n{values}"),
        &["rum.toml does not exist", "did you mean `run.toml`?"],
    );
    // No trial fits the data.
    refused(
        &format!("{run}[values]\nbatch = [100, 200]\n"),
        &["a batch of 100 is larger than the training set"],
    );
    sandbox
        .wgrad("sweep missing.toml")
        .fails(2, &["missing.toml does not exist"]);
    sandbox
        .wgrad("sweep --resume good")
        .fails(2, &["good is not the folder of a sweep"]);
    sandbox.trained();
    sandbox.write("sweep.toml", format!("{run}{values}"));
    sandbox
        .wgrad("sweep sweep.toml --out run")
        .fails(2, &["run already holds a run"]);
    // One trial that does not fit its data is a failed trial, and all that fail are the failure of the sweep.
    sandbox.write("sweep.toml", format!("{run}[values]\nbatch = [100, 8]\n"));
    let lines = sandbox
        .wgrad("sweep sweep.toml --out sweep --json")
        .succeeds()
        .json();
    assert!(
        lines[0]["error"]
            .as_str()
            .unwrap()
            .contains("larger than the training set")
    );
    assert_eq!(lines[2]["trial"], 2);
    sandbox.write(
        "sweep.toml",
        format!("{run}[values]\noptimizer.lr = [1e30]\n"),
    );
    sandbox
        .wgrad("sweep sweep.toml --out other")
        .fails(1, &["all 1 trials in other failed", "not finite"]);
}

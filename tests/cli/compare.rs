//! `wgrad compare`: what it prints, its page, and what it refuses.

use super::sandbox::Sandbox;

/// Two runs, `run` of two epochs and `other` of one with another learning rate.
fn two_runs() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.trained();
    let args = "train tiny.toml --data good --batch 8 --device cpu --out other --lr 0.03";
    sandbox.wgrad(&format!("{args} --epochs 1")).succeeds();
    sandbox
}

#[test]
fn runs_are_compared_as_text_json_and_a_page() {
    let sandbox = two_runs();
    let message = sandbox.wgrad("compare run other").succeeds();
    let lines: Vec<&str> = message.out.lines().collect();
    assert!(lines[0].starts_with("1: run: tiny on good, 2 epochs, best epoch "));
    assert!(lines[1].starts_with("2: other: tiny on good, 1 epoch, best epoch 1 by accuracy"));
    let row = |name: &str| {
        let found = lines.iter().find(|line| line.starts_with(name));
        let row = found.unwrap_or_else(|| panic!("no {name} in {}", message.out));
        row.split_whitespace().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(row("epochs")[1..], ["2", "1"]);
    assert_eq!(row("optimizer.lr")[2], "0.03");
    let loss = row("loss, last epoch");
    assert_eq!(
        loss.iter().filter(|cell| cell.starts_with('*')).count(),
        1,
        "{loss:?}"
    );
    assert_eq!(message.err, "");

    let found = sandbox.wgrad("compare run other --json").succeeds().json();
    let [line] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(line["runs"][1]["run"], "other");
    assert_eq!(line["runs"][0]["epochs"], 2);
    let rows = line["settings"].as_array().unwrap();
    let keys: Vec<&str> = rows
        .iter()
        .map(|row| row["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["epochs", "optimizer.lr"]);
    let metrics = line["metrics"].as_array().unwrap();
    let last = metrics
        .iter()
        .find(|row| row["metric"] == "loss" && row["epoch"] == "last");
    let last = last.unwrap();
    let epochs = std::fs::read_to_string(sandbox.path("other/metrics.jsonl")).unwrap();
    let epoch: serde_json::Value = serde_json::from_str(&epochs).unwrap();
    assert_eq!(last["values"][1], epoch["test_loss"]);
    let values = [0, 1].map(|run| last["values"][run].as_f64().unwrap());
    assert_eq!(
        last["best"],
        serde_json::json!([usize::from(values[1] < values[0])])
    );

    sandbox
        .wgrad("compare run other --html page.html")
        .succeeds();
    let page = std::fs::read_to_string(sandbox.path("page.html")).unwrap();
    for part in [
        "optimizer.lr",
        "evaluated accuracy",
        "polyline class=\"c1\"",
        "<b>",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    for absent in ["<script", "http", "NaN"] {
        assert!(!page.contains(absent), "{absent} is in {page}");
    }
    sandbox
        .wgrad("compare run other --html page.html")
        .fails(2, &["page.html already exists", "--overwrite"]);
}

#[test]
fn folds_stand_for_their_runs() {
    let sandbox = Sandbox::new();
    let args =
        "train tiny.toml --data good --batch 8 --device cpu --out folds --epochs 1 --folds 2";
    sandbox.wgrad(args).succeeds();
    let message = sandbox.wgrad("compare folds").succeeds();
    assert!(
        message.err.contains("folds stands for its 2 runs"),
        "{}",
        message.err
    );
    assert!(message.out.contains("1: folds/fold-1: ") && message.out.contains("data.fold"));
}

#[test]
fn what_is_no_run_or_no_pair_is_refused_in_a_sentence() {
    let sandbox = two_runs();
    let fails = |args: &str, parts: &[&str]| {
        sandbox.wgrad(&format!("compare {args}")).fails(2, parts);
    };
    fails(
        "run",
        &["at least two runs", "run gives one", "name another run"],
    );
    fails("run ./run", &["run and ./run are the same run"]);
    fails("run good", &["good is not a run folder"]);
    fails("run missing", &["missing is not a run folder"]);
    std::fs::remove_file(sandbox.path("other/metrics.jsonl")).unwrap();
    fails("run other", &["other has no finished epoch yet"]);
}

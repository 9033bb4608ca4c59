//! Probabilities of classifiers: calibration, temperatures that runs keep, accuracy over coverage, and probably wrong labels.

use super::sandbox::Sandbox;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// A table of rows from number `first` on, whose class is the larger of two scores; of every twentieth it is the other one, whose numbers
/// are returned, from 1. `noise` blurs the scores.
fn rows(sandbox: &Sandbox, file: &str, [first, count]: [usize; 2], noise: f64) -> BTreeSet<u64> {
    let mut text = "left,right,winner\n".to_string();
    let mut wrong = BTreeSet::new();
    for n in first..first + count {
        let score = |factor: usize| (n * factor % 211) as f64 / 211.0;
        let [left, right] = [score(97), score(41)];
        let blur = noise * (score(163) - 0.5);
        let is_wrong = n % 20 == 7;
        let wins = (left + blur > right) != is_wrong;
        if is_wrong {
            wrong.insert((n - first + 1) as u64);
        }
        let winner = if wins { "left" } else { "right" };
        text += &format!("{left:.4},{right:.4},{winner}\n");
    }
    sandbox.write(file, text);
    wrong
}

/// Settings of a small network for such tables in `source`; `extra` is added to `[data]`, and `loss` before it.
fn settings(sandbox: &Sandbox, file: &str, source: &str, extra: &str, [loss, units]: [&str; 2]) {
    sandbox.write(
        file,
        format!(
            r#"
batch = 32
epochs = 12
device = "cpu"
optimizer = {{ name = "adam", lr = 0.02 }}
{loss}
[data]
source = "{source}"
target = "winner"
{extra}
[model]
name = "small"
input = "auto"
layer = [{{ type = "dense", units = 8, activation = "relu" }}, {{ type = "dense", units = {units} }}]
"#
        ),
    );
}

fn of_event<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn number(line: &Value, key: &str) -> f64 {
    line[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key}: {line}"))
}

#[test]
fn calibration_is_measured_and_a_temperature_kept_that_predictions_use() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("games")).unwrap();
    rows(&sandbox, "games/train.csv", [0, 600], 0.6);
    rows(&sandbox, "games/test.csv", [600, 300], 0.6);
    for (loss, units) in [("", "2"), ("loss = \"bce\"", "1")] {
        let run = format!("run{units}");
        settings(
            &sandbox,
            "games.toml",
            "games",
            "validation_share = 0.3",
            [loss, units],
        );
        sandbox
            .wgrad(&format!("train games.toml --out {run}"))
            .succeeds();
        let command = format!("eval {run} --calibration --json --device cpu");
        let lines = sandbox
            .wgrad(&format!("{command} --html {run}.html"))
            .succeeds()
            .json();
        let [found] = of_event(&lines, "calibration")[..] else {
            panic!("{lines:?}");
        };
        assert_eq!(
            (&found["part"], &found["fitted_to"]),
            (&"test".into(), &"validation".into())
        );
        assert_eq!(
            (number(found, "samples"), number(found, "fitted_samples")),
            (300.0, 180.0)
        );
        assert!((number(found, "accuracy") - number(&lines[0], "test_accuracy")).abs() < 1e-6);
        for key in ["ece", "mce", "brier", "nll", "aurc", "confidence"] {
            assert!(number(found, key) >= 0.0 && number(&found["scaled"], key) >= 0.0);
        }
        // The loss of the evaluation is that of the model.
        assert!((number(found, "nll") - number(&lines[0], "test_loss")).abs() < 1e-4);
        let bins = of_event(&lines, "bin");
        assert_eq!(bins.len(), 30);
        let own = bins.iter().filter(|bin| bin["scaled"] == false);
        assert_eq!(own.map(|bin| number(bin, "samples")).sum::<f64>(), 300.0);
        let coverage = of_event(&lines, "coverage");
        assert_eq!(coverage.len(), 16);
        let last = coverage[7];
        assert_eq!(
            (number(last, "coverage"), last["scaled"].clone()),
            (1.0, false.into())
        );
        assert!((number(last, "accuracy") - number(found, "accuracy")).abs() < 1e-9);
        let page = fs::read_to_string(sandbox.path(&format!("{run}.html"))).unwrap();
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(page.contains("Selective prediction") && page.contains("Confident mistakes"));

        // Logits of predictions are divided by a temperature that is kept.
        let odds = || {
            let lines = sandbox
                .wgrad(&format!("predict {run} games/test.csv --json --device cpu"))
                .succeeds()
                .json();
            let top = lines[3]["top"].clone();
            (number(&top[0], "probability") / number(&top[1], "probability")).ln()
        };
        let before = odds();
        sandbox.wgrad(&format!("{command} --save")).succeeds();
        let kept = fs::read_to_string(sandbox.path(&format!("{run}/temperature.toml"))).unwrap();
        assert!(
            kept.contains("fitted_to = \"the validation part\""),
            "{kept}"
        );
        let temperature = number(found, "temperature");
        assert!(
            (odds() * temperature - before).abs() < 1e-3,
            "{before} {temperature}"
        );
        // The same is found of the model again, and predicted for the samples of an evaluation.
        let again = sandbox
            .wgrad(&format!("{command} --outputs {run}.jsonl"))
            .succeeds()
            .json();
        assert_eq!(of_event(&again, "calibration")[0], found);
        let outputs = fs::read_to_string(sandbox.path(&format!("{run}.jsonl"))).unwrap();
        let fourth: Value = serde_json::from_str(outputs.lines().nth(3).unwrap()).unwrap();
        let top = &fourth["top"];
        let ratio = (number(&top[0], "probability") / number(&top[1], "probability")).ln();
        assert!((ratio * temperature - before).abs() < 1e-3);
        sandbox.wgrad(&format!("card {run}")).succeeds();
        let card = fs::read_to_string(sandbox.path(&format!("{run}/model-card.md"))).unwrap();
        assert!(
            card.contains("logits are divided by the temperature"),
            "{card}"
        );
    }
    // As text; and the temperature is gone when the run goes on.
    let said = sandbox
        .wgrad("eval run2 --calibration --device cpu")
        .succeeds();
    for part in ["fitted to the validation part", "Brier score", "coverage"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let said = sandbox.wgrad("train --resume run2 --epochs 13").succeeds();
    assert!(
        said.err.contains("the temperature was fitted"),
        "{}",
        said.err
    );
    assert!(!sandbox.path("run2/temperature.toml").exists());
}

#[test]
fn an_onnx_file_divides_by_the_temperature_of_its_run() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    let top = |run: &str, file: &str| {
        sandbox
            .wgrad(&format!("eval {run} --device cpu --outputs {file}"))
            .succeeds();
        let text = fs::read_to_string(sandbox.path(file)).unwrap();
        let lines = text.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            number(&line["top"][0], "probability")
        });
        lines.collect::<Vec<f64>>()
    };
    let before = top("run", "before.jsonl");
    sandbox.write(
        "run/temperature.toml",
        "temperature = 4.0\nfitted_to = \"the validation part\"\nsamples = 8\n",
    );
    let after = top("run", "after.jsonl");
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| after < before)
    );
    sandbox.wgrad("export run --out model.onnx").succeeds();
    let exported = top("model.onnx --data good", "exported.jsonl");
    assert!(
        after
            .iter()
            .zip(&exported)
            .all(|(a, b)| (a - b).abs() < 1e-4),
        "{after:?} {exported:?}"
    );
    let said = sandbox
        .wgrad("export run --format safetensors --out w.safetensors")
        .succeeds();
    assert!(said.err.contains("without the temperature"), "{}", said.err);
    // Half of a part without another one, chosen by the seed.
    let lines = sandbox
        .wgrad("eval run --calibration --label-issues --json --device cpu --html page.html")
        .succeeds()
        .json();
    let found = of_event(&lines, "calibration")[0];
    assert_eq!(found["fitted_to"], "half");
    assert_eq!(
        (number(found, "samples"), number(found, "fitted_samples")),
        (5.0, 4.0)
    );
    let page = fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.contains("Probably wrong labels"));
    // It is that of the best weights, and of one run.
    sandbox
        .wgrad("eval run --calibration --save --with run --device cpu")
        .fails(2, &["leave out --data, --with"]);
    sandbox.write(
        "run/temperature.toml",
        "temperature = 0.0\nfitted_to = \"x\"\nsamples = 1\n",
    );
    sandbox
        .wgrad("predict run --part test --device cpu")
        .fails(2, &["temperature.toml", "not above 0"]);
}

#[test]
fn wrong_labels_are_found_in_a_test_part_and_by_folds() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("games")).unwrap();
    rows(&sandbox, "games/train.csv", [0, 600], 0.0);
    let wrong = rows(&sandbox, "games/test.csv", [600, 400], 0.0);
    let found_rows = |lines: &[Value]| {
        let issues = of_event(lines, "label_issue");
        assert_eq!(
            number(of_event(lines, "label_issues")[0], "issues"),
            issues.len() as f64
        );
        let margins = issues.iter().map(|issue| number(issue, "margin"));
        assert!(margins.is_sorted());
        issues
            .iter()
            .map(|issue| issue["row"].as_u64().unwrap())
            .collect::<BTreeSet<u64>>()
    };
    let is_good = |found: &BTreeSet<u64>, wrong: &BTreeSet<u64>| {
        let right = found.intersection(wrong).count() as f64;
        let [precision, recall] = [found.len(), wrong.len()].map(|count| right / count as f64);
        assert!(precision > 0.8 && recall > 0.6, "{precision} {recall}");
    };
    settings(&sandbox, "games.toml", "games", "", ["", "2"]);
    sandbox.wgrad("train games.toml --out run").succeeds();
    let lines = sandbox
        .wgrad("eval run --label-issues=issues.csv --json --html page.html --device cpu")
        .succeeds()
        .json();
    let found = found_rows(&lines);
    is_good(&found, &wrong);
    let table = fs::read_to_string(sandbox.path("issues.csv")).unwrap();
    assert!(
        table.starts_with(
            "index,row,given,suggested,given_probability,suggested_probability,margin\n"
        ),
        "{table}"
    );
    assert_eq!(table.lines().count(), 1 + found.len());
    assert!(!of_event(&lines, "label_noise").is_empty());
    let page = fs::read_to_string(sandbox.path("page.html")).unwrap();
    let [mistakes, labels] =
        ["Confident mistakes", "Probably wrong labels"].map(|title| page.find(title).unwrap());
    assert!(mistakes < labels);
    let said = sandbox
        .wgrad("eval run --label-issues --part train --device cpu")
        .succeeds();
    assert!(
        said.out.contains("are probably labelled wrong"),
        "{}",
        said.out
    );
    assert!(
        said.err.contains("trained on these samples"),
        "{}",
        said.err
    );
    sandbox
        .wgrad("eval run --label-issues=issues.csv --device cpu")
        .fails(2, &["issues.csv already exists"]);

    let wrong = rows(&sandbox, "all.csv", [0, 600], 0.0);
    settings(&sandbox, "all.toml", "all.csv", "", ["", "2"]);
    sandbox
        .wgrad("train all.toml --folds 3 --out folds")
        .succeeds();
    let lines = sandbox
        .wgrad("eval folds --label-issues --json --device cpu")
        .succeeds()
        .json();
    assert_eq!(number(&lines[0], "samples"), 600.0);
    assert!(
        of_event(&lines, "label_issue")
            .iter()
            .all(|issue| issue["fold"].is_u64())
    );
    is_good(&found_rows(&lines), &wrong);
    let said = sandbox
        .wgrad("eval folds --label-issues --device cpu")
        .succeeds();
    assert!(said.out.contains("fold 2: row"), "{}", said.out);
    sandbox
        .wgrad("eval folds --label-issues --calibration")
        .fails(2, &["holds several runs"]);
    sandbox
        .wgrad("eval folds --label-issues --part train")
        .fails(2, &["is a folder of folds"]);
    fs::remove_dir_all(sandbox.path("folds/fold-2")).unwrap();
    sandbox
        .wgrad("eval folds --label-issues --device cpu")
        .fails(2, &["has runs of 2 of 3 folds", "--resume"]);
}

#[test]
fn what_has_no_probabilities_of_classes_is_refused_in_a_sentence() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("games")).unwrap();
    rows(&sandbox, "games/train.csv", [0, 200], 0.3);
    rows(&sandbox, "games/test.csv", [600, 60], 0.3);
    settings(&sandbox, "games.toml", "games", "", ["", "2"]);
    sandbox
        .wgrad("train games.toml --epochs 1 --out run")
        .succeeds();
    let one = "left,right,winner\n0.5,0.25,left\n";
    sandbox.write("one.csv", one);
    sandbox
        .wgrad("eval run --data one.csv --calibration --device cpu")
        .fails(1, &["the test part has 1 sample, and calibration"]);
    sandbox.write("other.csv", one.replace(",left", ",nobody"));
    sandbox
        .wgrad("eval run --data other.csv --calibration --device cpu")
        .fails(1, &["nobody"]);
    for flag in ["--save", "--html page.html"] {
        assert_eq!(sandbox.wgrad(&format!("eval run {flag}")).code, Some(2));
    }
    sandbox
        .wgrad("eval run --calibration --save --data games/test.csv")
        .fails(2, &["--save keeps a temperature in a run"]);

    let numbers = "left,right,winner\n0.5,0.25,1.5\n0.25,0.75,2.5\n0.125,0.5,3.25\n".to_string();
    sandbox.write("numbers.csv", numbers.clone() + &numbers[18..].repeat(30));
    settings(
        &sandbox,
        "numbers.toml",
        "numbers.csv",
        "predict = \"number\"",
        ["task = \"regression\"", "1"],
    );
    sandbox
        .wgrad("train numbers.toml --epochs 1 --out numbers")
        .succeeds();
    sandbox.write(
        "letters.toml",
        r#"
batch = 8
steps = 10
steps_per_epoch = 10
data = { context = 4 }
model = { name = "letters", input = { tokens = 4, vocabulary = 2, auto = true }, layer = [
    { type = "embedding", width = 4 },
    { type = "dense", units = "vocabulary" },
] }
"#,
    );
    sandbox.write("story.txt", "abcdefgh ijkl\n".repeat(40));
    sandbox
        .wgrad("train letters.toml --data story.txt --device cpu --out story")
        .succeeds();
    for (run, task) in [("numbers", "regression"), ("story", "language_model")] {
        for (flag, what) in [
            ("--calibration", "calibration is judged by"),
            ("--label-issues", "wrong labels are found by"),
        ] {
            sandbox
                .wgrad(&format!("eval {run} {flag} --device cpu"))
                .fails(2, &[what, &format!("a run of the task {task}")]);
        }
    }
}

//! Groups of samples: how a run treats them, thresholds of groups, tasks that treat groups alike, and model cards.

use super::sandbox::Sandbox;
use std::fs;

/// A table of rows whose class depends on a score and, for the training, on the group, which the model does not see.
fn people(sandbox: &Sandbox, file: &str, rows: usize, first: usize) {
    let mut text = "id,score,sex,town,age,hired\n".to_string();
    for n in first..first + rows {
        let sex = ["f", "m", "m"][n % 3];
        let town = ["Oslo", "Rome"][n / 3 % 2];
        let noise = (n * 7919 % 101) as f64 / 101.0 - 0.5;
        let is_hired = n * 31 % 7 < if sex == "m" { 4 } else { 2 };
        let score = if is_hired { 0.4 } else { -0.4 } + noise + if sex == "m" { 0.3 } else { 0.0 };
        let hired = if is_hired { "yes" } else { "no" };
        text += &format!("p{n},{score:.3},{sex},{town},{},{hired}\n", 18 + n % 70);
    }
    sandbox.write(file, text);
}

/// The data, and settings of a small network that begin with `text`.
fn prepared(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("people")).unwrap();
    people(&sandbox, "people/train.csv", 600, 0);
    people(&sandbox, "people/test.csv", 300, 600);
    settings(&sandbox, "people.toml", text);
    sandbox
}

fn settings(sandbox: &Sandbox, file: &str, text: &str) {
    let rest = r#"
batch = 32
epochs = 3
device = "cpu"
optimizer = { name = "adam", lr = 0.01 }
[data]
source = "people"
target = "hired"
drop = ["id", "sex", "town", "age"]
validation_share = 0.3
GROUPS
[model]
name = "small"
input = "auto"
layer = [{ type = "dense", units = 8, activation = "relu" }, { type = "dense", units = 2 }]
"#;
    let groups = match text.is_empty() {
        true => "",
        false => "groups = [\"sex\"]",
    };
    sandbox.write(file, text.to_string() + &rest.replace("GROUPS", groups));
}

#[test]
fn groups_are_compared_by_columns_that_the_model_never_sees() {
    let sandbox = prepared("");
    sandbox.wgrad("train people.toml --out run").succeeds();
    let lines = sandbox
        .wgrad("eval run --groups sex,town --json --html groups.html --device cpu")
        .succeeds()
        .json();
    // The evaluation, two groups by each column and four by both, and the gaps of these three.
    assert_eq!(lines.len(), 1 + (2 + 1) + (2 + 1) + (4 + 1));
    let women = &lines[1];
    assert_eq!(
        (&women["event"], &women["group"]),
        (&"group".into(), &"f".into())
    );
    assert_eq!(women["count"], 100);
    for key in [
        "accuracy",
        "selection_rate",
        "true_positive_rate",
        "false_positive_rate",
    ] {
        let [low, high] = [0, 1].map(|at| women[format!("{key}_interval")][at].as_f64().unwrap());
        let value = women[key].as_f64().unwrap();
        assert!(
            (0.0..=1.0).contains(&value) && low <= value && value <= high,
            "{women}"
        );
    }
    let gaps = &lines[3];
    assert_eq!(gaps["event"], "fairness");
    for key in ["demographic_parity_difference", "equalized_odds_difference"] {
        assert!(gaps[key].as_f64().unwrap() > 0.0 && gaps[format!("{key}_interval")].is_array());
    }
    // The groups make up the whole.
    let whole = lines[0]["test_accuracy"].as_f64().unwrap();
    let each = |line: &serde_json::Value| {
        line["accuracy"].as_f64().unwrap() * line["count"].as_f64().unwrap()
    };
    assert!((each(&lines[1]) + each(&lines[2]) - 300.0 * whole).abs() < 1e-6);
    let page = fs::read_to_string(sandbox.path("groups.html")).unwrap();
    assert!(page.contains("Groups by sex, town") && page.matches("<svg").count() == 3);
    // The same again, as text.
    let said = sandbox
        .wgrad("eval run --groups sex --device cpu")
        .succeeds();
    assert!(
        said.out.contains("equalized odds difference by sex: 0."),
        "{}",
        said.out
    );
    let small = sandbox
        .wgrad("eval run --groups sex,town --device cpu")
        .succeeds();
    assert!(small.err.contains("fewer than 100"), "{}", small.err);

    // What the run knows is in its card, which is not replaced.
    sandbox.wgrad("card run").succeeds();
    let card = fs::read_to_string(sandbox.path("run/model-card.md")).unwrap();
    for part in [
        "# Model card: small on people",
        "| f, Oslo | 50 |",
        "_to be filled in_",
        "hired",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    sandbox.wgrad("card run").fails(2, &["already exists"]);
    sandbox.wgrad("card run --out card.md --json").succeeds();
}

#[test]
fn columns_that_are_no_groups_are_refused_in_a_sentence() {
    let sandbox = prepared("");
    sandbox
        .wgrad("train people.toml --out run --epochs 1")
        .succeeds();
    let eval = |args: &str| sandbox.wgrad(&format!("eval run --device cpu {args}"));
    eval("--groups sexx").fails(1, &["has no column sexx", "did you mean `sex`?"]);
    eval("--groups age").fails(1, &["more than 64 different values in column age"]);
    eval("--groups sex --positive yess").fails(2, &["no class yess", "did you mean `yes`?"]);
    assert_eq!(eval("--positive yes").code, Some(2));
    let text = fs::read_to_string(sandbox.path("people/test.csv")).unwrap();
    sandbox.write("men.csv", text.replace(",f,", ",m,"));
    eval("--data men.csv --groups sex").fails(1, &["the same value in all 300 rows, m"]);
    // Images have no columns, and numbers no classes.
    sandbox
        .wgrad("train tiny.toml --data good --batch 8 --device cpu --epochs 1 --out pictures")
        .succeeds();
    sandbox
        .wgrad("eval pictures --groups sex --device cpu")
        .fails(2, &["column sex", "has no such columns"]);
    sandbox.write(
        "numbers.csv",
        text.replace(",no\n", ",1.5\n").replace(",yes\n", ",2.25\n"),
    );
    settings(&sandbox, "numbers.toml", "task = \"regression\"\n");
    let regression = fs::read_to_string(sandbox.path("numbers.toml")).unwrap();
    let regression = regression
        .replace("\"people\"", "\"numbers.csv\"")
        .replace("units = 2", "units = 1")
        .replace("groups = [\"sex\"]", "predict = \"number\"");
    sandbox.write("numbers.toml", regression);
    sandbox
        .wgrad("train numbers.toml --epochs 1 --out numbers")
        .succeeds();
    for command in ["eval", "thresholds"] {
        sandbox
            .wgrad(&format!("{command} numbers --groups sex"))
            .fails(2, &["is a run of the task regression"]);
    }
}

#[test]
fn thresholds_of_groups_are_fitted_and_decide_in_evaluations_and_predictions() {
    let sandbox = prepared("");
    sandbox.wgrad("train people.toml --out run").succeeds();
    let gap = || {
        let lines = sandbox
            .wgrad("eval run --groups sex --json --device cpu --part validation")
            .succeeds()
            .json();
        lines[3]["demographic_parity_difference"].as_f64().unwrap()
    };
    let before = gap();
    let line = sandbox
        .wgrad(
            "thresholds run --groups sex --criterion demographic-parity --cost 0.5 --json --html trade.html --device cpu",
        )
        .succeeds()
        .json();
    let fitted = &line[0];
    assert!(
        (fitted["gap_before"].as_f64().unwrap() - before).abs() < 1e-9,
        "{fitted}"
    );
    let after = fitted["gap"].as_f64().unwrap();
    assert!(after < before / 2.0, "{fitted}");
    // The evaluation decides by them: the same gap, on the part that they were fitted to.
    assert!((gap() - after).abs() < 1e-9);
    let page = fs::read_to_string(sandbox.path("trade.html")).unwrap();
    assert!(page.contains("trade-off") && page.contains("<svg"));
    // So does a prediction, which needs the group of each row.
    let predicted = sandbox
        .wgrad("predict run people/test.csv --csv out.csv --device cpu")
        .succeeds();
    assert!(!predicted.out.is_empty());
    let table = fs::read_to_string(sandbox.path("out.csv")).unwrap();
    let selected = |sex: &str| {
        let rows: Vec<Vec<&str>> = table
            .lines()
            .skip(1)
            .map(|l| l.split(',').collect())
            .collect();
        let own: Vec<_> = rows.iter().filter(|row| row[2] == sex).collect();
        let yes = own.iter().filter(|row| row[6] == "yes").count();
        yes as f64 / own.len() as f64
    };
    assert!((selected("f") - selected("m")).abs() < before, "{table}");
    let blind = fs::read_to_string(sandbox.path("people/test.csv")).unwrap();
    sandbox.write("blind.csv", blind.replace(",sex,", ",other,"));
    sandbox
        .wgrad("predict run blind.csv --device cpu")
        .fails(1, &["has no column sex"]);
    sandbox
        .wgrad("thresholds run --groups sex --cost 2")
        .fails(2, &["--cost"]);
    assert_eq!(sandbox.wgrad("thresholds run").code, Some(2));
    // They are gone when the run goes on, or when they are removed.
    let said = sandbox.wgrad("train --resume run --epochs 4").succeeds();
    assert!(said.err.contains("thresholds of groups"), "{}", said.err);
    assert!(!sandbox.path("run/thresholds.toml").exists());
    sandbox
        .wgrad("thresholds run --groups sex --device cpu")
        .succeeds();
    let said = sandbox.wgrad("thresholds run --remove").succeeds();
    assert!(said.out.contains("are removed"), "{}", said.out);
    let said = sandbox.wgrad("thresholds run --remove").succeeds();
    assert!(said.out.contains("has no thresholds"), "{}", said.out);
}

#[test]
fn tasks_that_treat_groups_alike_learn_from_the_groups_of_the_training_part() {
    let sandbox = prepared("");
    for (task, key) in [
        ("reweighing", "weights"),
        ("gap_penalty", "groups = 2"),
        ("adversarial_debiasing", "groups = 2"),
    ] {
        let file = format!("{task}.toml");
        settings(&sandbox, &file, &format!("task = \"{task}\"\n"));
        sandbox
            .wgrad(&format!("train {file} --out {task}"))
            .succeeds();
        let written = fs::read_to_string(sandbox.path(&format!("{task}/run.toml"))).unwrap();
        assert!(written.contains(key), "{written}");
        let eval = format!("eval {task} --groups sex --json --device cpu");
        assert_eq!(sandbox.wgrad(&eval).succeeds().json().len(), 4);
        // Rows that are predicted need no groups.
        sandbox
            .wgrad(&format!("predict {task} people/test.csv --device cpu"))
            .succeeds();
        sandbox
            .wgrad(&format!("train --resume {task} --epochs 4"))
            .succeeds();
        let blind = fs::read_to_string(sandbox.path(&file)).unwrap();
        sandbox.write("blind.toml", blind.replace("groups = [\"sex\"]", ""));
        sandbox
            .wgrad("train blind.toml --out blind")
            .fails(2, &["needs the field group", "data.groups"]);
    }
}

//! Learning with few labels: features without classes and a probe of them, samples without classes, teachers, ensembles.

use super::sandbox::Sandbox;

/// A network of the 8 x 8 images of the sandbox.
const MODEL: &str = r#"
[model]
name = "small"
input = [8, 8, 1]
layer = [
    { type = "flatten" },
    { type = "dense", name = "hidden", units = 16, activation = "relu" },
    { type = "dense", name = "head", units = "classes" },
]
"#;

/// Settings that begin with `text`.
fn settings(sandbox: &Sandbox, file: &str, text: &str) {
    let common = "batch = 6\ndevice = \"cpu\"\nepochs = 2\n";
    let optimizer = "\n[optimizer]\nname = \"adam\"\nlr = 0.01\n";
    sandbox.write(file, format!("{common}{text}{optimizer}{MODEL}"));
}

#[test]
fn features_that_were_learned_without_classes_are_written_and_probed() {
    let sandbox = Sandbox::new();
    let augment = "\n[augment]\nflip = true\nzoom = 1.5\n";
    settings(
        &sandbox,
        "contrastive.toml",
        &format!("task = {{ name = \"contrastive\", code = 4 }}{augment}"),
    );
    let run = "train contrastive.toml --data good --out features --json";
    let lines = sandbox.wgrad(run).succeeds().json();
    let epoch = lines.iter().find(|line| line["event"] == "epoch").unwrap();
    assert!(epoch["test_alignment"].as_f64().unwrap() >= 0.0);
    assert!((0.0..=1.0).contains(&epoch["test_neighbour_accuracy"].as_f64().unwrap()));
    let report = std::fs::read_to_string(sandbox.path("features/report.html")).unwrap();
    assert!(report.contains("Main components of the features"));
    // A feature in each column, and in a list.
    sandbox
        .wgrad("predict features --part test --csv features.csv --device cpu")
        .succeeds();
    let table = std::fs::read_to_string(sandbox.path("features.csv")).unwrap();
    let header = table.lines().next().unwrap();
    let columns = header
        .split(',')
        .filter(|name| name.starts_with("embedding_"));
    assert_eq!(columns.count(), 16, "{header}");
    assert_eq!(table.lines().count(), 10);
    // The weights fit the classifier, whose head begins anew and is all that is trained.
    settings(
        &sandbox,
        "probe.toml",
        "freeze = [\"*\", \"!head.*\"]\n[data]\nlabelled = 9\n",
    );
    let probe = "train probe.toml --data good --init features/best.safetensors --out probe";
    let said = sandbox.wgrad(probe).succeeds();
    assert!(
        said.err.contains("trains on 9 of 24 images"),
        "{}",
        said.err
    );
    let hidden = |run: &str| {
        let file = std::fs::read(sandbox.path(&format!("{run}/best.safetensors"))).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
        tensors.tensor("hidden.weight").unwrap().data().to_vec()
    };
    assert_eq!(hidden("features"), hidden("probe"));

    settings(&sandbox, "bare.toml", "task = \"contrastive\"");
    sandbox
        .wgrad("train bare.toml --data good")
        .fails(2, &["needs [augment]"]);
    settings(&sandbox, "many.toml", "[data]\nlabelled = 25\n");
    sandbox
        .wgrad("train many.toml --data good")
        .fails(2, &["data.labelled is 25", "has 24 training images"]);
}

#[test]
fn samples_without_classes_are_learned_from() {
    let sandbox = Sandbox::new();
    for task in [
        "{ name = \"fixmatch\", ratio = 1, strong = { flip = true, brightness = 0.2 } }",
        "{ name = \"pseudo_labels\", ratio = 1, from_step = 1, to_step = 4 }",
    ] {
        settings(
            &sandbox,
            "few.toml",
            &format!("task = {task}\n[data]\nlabelled = 6\n"),
        );
        let said = sandbox
            .wgrad("train few.toml --data good --out few")
            .succeeds();
        assert!(
            said.err
                .contains("6 of 24 training images keep their classes")
        );
        sandbox.wgrad("eval few --device cpu").succeeds();
        std::fs::remove_dir_all(sandbox.path("few")).unwrap();
        settings(&sandbox, "none.toml", &format!("task = {task}"));
        sandbox
            .wgrad("train none.toml --data good")
            .fails(2, &["set data.labelled"]);
        sandbox
            .wgrad("train few.toml --data good --no-shuffle")
            .fails(2, &["leave shuffle (--no-shuffle) out"]);
    }
}

#[test]
fn a_teacher_teaches_and_one_of_another_task_is_refused() {
    let sandbox = Sandbox::new();
    settings(&sandbox, "teacher.toml", "");
    for (out, seed) in [("one", 1), ("two", 2)] {
        let train = format!("train teacher.toml --data good --out {out} --seed {seed}");
        sandbox.wgrad(&train).succeeds();
    }
    let student = |file: &str, teacher: &str| {
        let task = format!("task = {{ name = \"distillation\", teacher = {teacher} }}");
        settings(&sandbox, file, &task);
        sandbox.wgrad(&format!("train {file} --data good --out {file}-run"))
    };
    student("pair.toml", "[\"one\", \"two\"]").succeeds();
    // The run goes on, and is evaluated without its teachers.
    sandbox
        .wgrad("train --resume pair.toml-run --epochs 3")
        .succeeds();
    std::fs::remove_dir_all(sandbox.path("two")).unwrap();
    sandbox.wgrad("eval pair.toml-run --device cpu").succeeds();
    student("gone.toml", "\"two\"").fails(2, &["task.teacher", "two"]);
    student("none.toml", "[]").fails(2, &["needs a teacher"]);
    let augment = "task = \"contrastive\"\n[augment]\nflip = true\n";
    settings(&sandbox, "other.toml", augment);
    sandbox
        .wgrad("train other.toml --data good --out other")
        .succeeds();
    student("wrong.toml", "\"other\"").fails(2, &["only classifiers teach"]);
}

#[test]
fn the_predictions_of_several_runs_are_averaged() {
    let sandbox = Sandbox::new();
    settings(&sandbox, "run.toml", "");
    for (out, seed) in [("one", 1), ("two", 2)] {
        let train = format!("train run.toml --data good --out {out} --seed {seed}");
        sandbox.wgrad(&train).succeeds();
    }
    let probabilities = |args: &str| {
        let predict = format!("predict {args} --part test --top 3 --json --device cpu");
        let lines = sandbox.wgrad(&predict).succeeds().json();
        let of = |line: &serde_json::Value| -> Vec<(String, f64)> {
            let top = line["top"].as_array().unwrap().iter();
            let mut each: Vec<_> = top
                .map(|class| {
                    let name = class["class"].as_str().unwrap().to_string();
                    (name, class["probability"].as_f64().unwrap())
                })
                .collect();
            each.sort_by(|a, b| a.0.cmp(&b.0));
            each
        };
        lines.iter().map(of).collect::<Vec<_>>()
    };
    let (one, two) = (probabilities("one"), probabilities("two"));
    let both = probabilities("one --with two");
    for ((a, b), c) in one
        .iter()
        .flatten()
        .zip(two.iter().flatten())
        .zip(both.iter().flatten())
    {
        assert!(((a.1 + b.1) / 2.0 - c.1).abs() < 1e-5, "{a:?} {b:?} {c:?}");
    }
    // The same run twice is that run.
    let alone = sandbox
        .wgrad("eval one --json --device cpu")
        .succeeds()
        .json();
    let twice = sandbox
        .wgrad("eval one --with one --json --device cpu")
        .succeeds()
        .json();
    let accuracy = |lines: &[serde_json::Value]| lines[0]["test_accuracy"].as_f64().unwrap();
    assert_eq!(accuracy(&alone), accuracy(&twice));

    // Runs of an ensemble differ in their seeds, and are evaluated together.
    let several = "train run.toml --data good --ensemble 2 --out both --seed 1";
    let lines = sandbox
        .wgrad(&format!("{several} --json"))
        .succeeds()
        .json();
    let last = lines.last().unwrap();
    assert_eq!(
        (last["event"].as_str(), last["members"].as_u64()),
        (Some("ensemble"), Some(2))
    );
    let rows = |args: &str| probabilities(args).concat();
    let (group, pair) = (rows("both"), rows("one --with two"));
    assert!(
        group
            .iter()
            .zip(&pair)
            .all(|(a, b)| (a.1 - b.1).abs() < 1e-6)
    );
    let resumed = sandbox.wgrad("train --resume both").succeeds();
    assert!(resumed.err.contains("2 of 2 members"), "{}", resumed.err);

    sandbox.data_set("four", [8, 8], 4);
    sandbox
        .wgrad("train run.toml --data four --out others")
        .succeeds();
    sandbox
        .wgrad("eval one --with others --device cpu")
        .fails(2, &["other classes"]);
    settings(
        &sandbox,
        "features.toml",
        "task = \"contrastive\"\n[augment]\nflip = true\n",
    );
    sandbox
        .wgrad("train features.toml --data good --out features")
        .succeeds();
    sandbox
        .wgrad("eval features --with one --device cpu")
        .fails(2, &["can't be averaged"]);
}

//! `wgrad runs`, `wgrad init`, `wgrad doctor`, `wgrad config check`, `wgrad schema`, `wgrad completions` and `wgrad man`.

use super::sandbox::{Sandbox, names};

#[test]
fn runs_are_listed_with_their_best_figures() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("runs")).unwrap();
    let empty = sandbox.wgrad("runs").succeeds();
    assert!(empty.out.contains("no runs in runs"), "{}", empty.out);
    let train = "train tiny.toml --data good --batch 8 --device cpu";
    sandbox
        .wgrad(&format!("{train} --epochs 2 --out runs/a"))
        .succeeds();
    sandbox
        .wgrad(&format!(
            "{train} --steps 4 --set monitor=loss --out runs/b"
        ))
        .succeeds();
    std::fs::create_dir(sandbox.path("runs/notes")).unwrap();
    let listed = sandbox.wgrad("runs").succeeds();
    let lines: Vec<&str> = listed.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", listed.out);
    assert!(
        lines[0].starts_with("runs/a  tiny on good  2 of 2 epochs  best accuracy "),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains("4 steps, epoch 2  best loss "),
        "{}",
        lines[1]
    );
    let json = sandbox.wgrad("runs --json").succeeds().json();
    assert_eq!(json[0]["run"], "runs/a");
    assert_eq!(json[0]["best"]["metric"], "accuracy");
    assert_eq!(json[1]["writing"], false);
    sandbox.wgrad("runs nowhere").fails(1, &["nowhere"]);
}

/// The file is trained as it is; a table's path is found from a file in another folder.
#[test]
fn a_first_run_file_trains_as_it_was_written() {
    let sandbox = Sandbox::new();
    let rows: String = (0..40)
        .map(|n| format!("{n},{},{}\n", n % 7, ["low", "high"][n / 20]))
        .collect();
    sandbox.write("rows.csv", format!("a,b,level\n{rows}"));
    let series: String = (0..60).map(|n| format!("{}\n", n % 12)).collect();
    sandbox.write("series.csv", format!("load\n{series}"));
    std::fs::create_dir(sandbox.path("settings")).unwrap();
    for (init, file, about) in [
        ("--data good", "run.toml", "classification of good: "),
        (
            "--data rows.csv --target level settings/rows.toml",
            "settings/rows.toml",
            "classification of rows: 32 training and 8 test rows, 2 classes",
        ),
        (
            "--data series.csv --format series series.toml",
            "series.toml",
            "forecasting of series: ",
        ),
    ] {
        let message = sandbox.wgrad(&format!("init {init}")).succeeds();
        assert!(message.out.starts_with(about), "{}", message.out);
        let advice = format!("wrote {file}; train it with: wgrad train {file}");
        assert!(message.out.contains(&advice), "{}", message.out);
        sandbox.wgrad(&format!("config check {file}")).succeeds();
        let name = file.replace('/', "-");
        sandbox
            .wgrad(&format!(
                "train {file} --steps 2 --device cpu --out out-{name}"
            ))
            .succeeds();
    }
    sandbox
        .wgrad("init --data good")
        .fails(2, &["run.toml already exists", "--overwrite"]);
    sandbox.wgrad("init --data good --overwrite").succeeds();
    sandbox.wgrad("init good other.toml --overwrite").succeeds();
    sandbox
        .wgrad("init other.toml")
        .fails(2, &["no data", "wgrad init DATA"]);
    sandbox
        .wgrad("init good a.toml b.toml")
        .fails(2, &["one name that ends in .toml"]);
    sandbox
        .wgrad("init --data good --task gan gan.toml")
        .fails(2, &["no starting point for the task gan"]);
}

#[test]
fn a_schema_is_printed_or_written() {
    let sandbox = Sandbox::new();
    let printed = sandbox.wgrad("schema").succeeds();
    let schema: serde_json::Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(schema["properties"]["batch"]["type"], "integer");
    let written = sandbox.wgrad("schema model --out m.json").succeeds();
    let advice = "#:schema ./m.json";
    assert!(written.out.contains(advice), "{}", written.out);
    let text = std::fs::read_to_string(sandbox.path("m.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(schema["properties"]["layer"]["type"], "array");
    sandbox
        .wgrad("schema --out m.json")
        .fails(2, &["m.json already exists", "--overwrite"]);
    sandbox.wgrad("schema --out m.json --overwrite").succeeds();
    assert_eq!(sandbox.wgrad("schema weights").code, Some(2));
}

#[test]
fn the_doctor_tests_kernels_and_repeats() {
    let sandbox = Sandbox::new();
    if !sandbox.has_adapter() {
        return;
    }
    let found = sandbox.wgrad("doctor --json").succeeds().json();
    let report = &found[0];
    assert_eq!(
        (&report["ok"], &report["repeats"]),
        (&true.into(), &true.into()),
        "{report}"
    );
    assert_eq!(report["failures"].as_array().map(Vec::len), Some(0));
    assert!(report["graphs"].as_u64() > Some(50) && report["gflops"].as_f64() > Some(0.0));
    sandbox
        .wgrad("doctor --device cpu")
        .fails(2, &["wgrad doctor tests adapters"]);
}

#[test]
fn settings_are_checked_without_data() {
    let sandbox = Sandbox::new();
    sandbox.write("good.toml", "epochs = 2\nmodel = \"lenet5\"\n");
    // Its shape is that of the data.
    sandbox.write(
        "auto.toml",
        "name = \"m\"\ninput = \"auto\"\n[[layer]]\ntype = \"flatten\"\n[[layer]]\ntype = \"dense\"\nunits = 2\n",
    );
    let message = sandbox
        .wgrad("config check good.toml tiny.toml auto.toml")
        .succeeds();
    assert_eq!(message.out, "good.toml: OK\ntiny.toml: OK\nauto.toml: OK\n");
    sandbox.write("key.toml", "epochs = 2\nbach = 8\n");
    sandbox.write(
        "layer.toml",
        "name = \"m\"\ninput = [8, 8, 1]\n[[layer]]\ntype = \"conv2d\"\nfilters = 4\nkernel = 9\n",
    );
    sandbox.write("value.toml", "batch = 0\n");
    let message = sandbox.wgrad("config check good.toml key.toml layer.toml value.toml");
    assert_eq!(message.code, Some(2));
    for part in [
        "good.toml: OK",
        "key.toml, line 2",
        "did you mean `batch`?",
        "layer.toml: ",
        "error: value.toml: batch must be at least 1",
    ] {
        assert!(message.out.contains(part), "no {part:?} in {}", message.out);
    }
    let json = sandbox
        .wgrad("config check good.toml value.toml --json")
        .json();
    assert!(json[0]["error"].is_null() && json[1]["error"].is_string());
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = sandbox.wgrad(&format!("completions {shell}")).succeeds();
        assert!(script.out.contains("checkpoint-every"), "{shell}");
    }
    sandbox.wgrad("man pages").succeeds();
    let pages = names(&sandbox.path("pages"));
    for page in ["wgrad.1", "wgrad-train.1", "wgrad-config-check.1"] {
        assert!(pages.iter().any(|name| name == page), "{pages:?}");
    }
}

#[test]
fn the_parts_of_a_check_are_together_the_whole() {
    let sandbox = Sandbox::new();
    let ops = |part: &str| -> Vec<String> {
        let output = sandbox.wgrad(&format!("check relu --device cpu --json {part}"));
        let rows = output.succeeds().json();
        let names = rows
            .iter()
            .map(|row| row["op"].as_str().unwrap().to_string());
        names.collect()
    };
    let [whole, first, second] = ["", "--part 1/2", "--part 2/2"].map(ops);
    assert!(!first.is_empty() && !second.is_empty());
    let mut both = [first, second].concat();
    both.sort();
    assert_eq!(both, whole);
    assert_eq!(ops("--part 9/9"), [""; 0]);
    for part in ["0/2", "3/2", "1", "a/b", "1/0"] {
        let output = sandbox.command(&format!("check --part {part}")).output();
        let output = output.unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains("a part is I/N with I from 1 to N"), "{err}");
    }
}

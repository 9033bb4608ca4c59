//! Explanations of predictions: of images, of texts and of tables.

use super::robustness::trained;
use super::sandbox::{CommandOutput, Sandbox, names};
use super::tables::DENSE;

/// Runs a command with the option `--text` and a text of several words.
fn with_text(sandbox: &Sandbox, args: &str, text: &str) -> CommandOutput {
    let mut command = sandbox.command(args);
    CommandOutput::from(command.args(["--text", text]).output().unwrap())
}

#[test]
fn predictions_are_explained_by_pictures_and_lines() {
    let sandbox = trained("task = \"classification\"");
    let explain =
        "explain run --part test --samples 2 --steps 8 --html page.html --out maps --json";
    let lines = sandbox.wgrad(explain).succeeds().json();
    assert_eq!(lines.len(), 12);
    for line in &lines {
        assert_eq!(line["event"], "explanation");
        assert!(
            sandbox.path(line["file"].as_str().unwrap()).is_file(),
            "{line}"
        );
        let complete = line["completeness"].as_f64();
        assert_eq!(complete.is_some(), line["method"] == "integrated_gradients");
        assert!(complete.is_none_or(|share| share > 0.9), "{line}");
    }
    assert_eq!(names(&sandbox.path("maps")).len(), 12);
    let page = std::fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.contains("guided grad cam"));
    // Five for each of two images.
    assert_eq!(page.matches("cosine").count(), 10);
    let said = sandbox
        .wgrad("explain run --part test --samples 1 --method grad_cam --layer seen --class 2")
        .succeeds();
    assert!(said.out.contains("wrote the pictures"), "{}", said.out);
    for (options, why) in [
        (
            "--method grad_cam --layer head",
            "its convolutions are seen",
        ),
        ("--class zebra", "no class of the run"),
        ("--method partial_dependence", "does not explain images"),
        ("--repeats 3", "is for runs of tables"),
        ("--maximise head", "its convolutions are seen"),
        ("--activations head", "its convolutions are seen"),
        ("--maximise seen:4", "it has 4, from 0 on"),
        (
            "--maximise seen:x",
            "does not end in the number of a channel",
        ),
    ] {
        sandbox
            .wgrad(&format!("explain run --part test {options}"))
            .fails(2, &[why]);
    }
    sandbox
        .wgrad("explain run")
        .fails(2, &["nothing to explain"]);
    sandbox
        .wgrad("explain run --text hello")
        .fails(2, &["--text is for runs of texts"]);
}

#[test]
fn a_network_itself_is_drawn_and_maps_are_checked() {
    let sandbox = trained("task = \"classification\"");
    let draw = "explain run --filters filters.png --maximise seen --steps 20 --out drawn --json";
    let lines = sandbox.wgrad(draw).succeeds().json();
    assert_eq!(lines[0]["event"], "filters");
    assert_eq!(
        (&lines[0]["layer"], &lines[0]["filters"]),
        (&"seen".into(), &4.into())
    );
    let channels = &lines[1..];
    assert_eq!(channels.len(), 4);
    for line in channels {
        assert_eq!(line["event"], "maximised");
        assert!(line["after"].as_f64() > line["before"].as_f64(), "{line}");
    }
    assert!(sandbox.path("filters.png").is_file());
    assert_eq!(names(&sandbox.path("drawn")), ["maximised-seen.png"]);
    sandbox
        .wgrad(draw)
        .fails(2, &["filters.png already exists"]);

    let active = "explain run --part test --samples 2 --method saliency --activations seen --out active --json";
    let lines = sandbox.wgrad(active).succeeds().json();
    let of_layer = lines.iter().filter(|line| line["event"] == "activations");
    let of_layer: Vec<_> = of_layer.collect();
    assert_eq!(of_layer.len(), 2);
    assert_eq!(of_layer[0]["shape"], serde_json::json!([6, 6, 4]));
    assert!(sandbox.path("active/0-activations-seen.png").is_file());

    let check = "explain run --part test --samples 3 --steps 4 --sanity";
    let lines = sandbox.wgrad(&format!("{check} --json")).succeeds().json();
    let checks: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "sanity")
        .collect();
    assert_eq!(checks.len(), 6);
    for line in &checks {
        assert_eq!(line["layers"], serde_json::json!(["head", "seen"]));
        let last = |key: &str| line[key][1].as_f64().unwrap().abs();
        let fails = last("correlations").max(last("magnitudes")) > 0.5;
        assert_eq!(line["fails"], fails, "{line}");
    }
    let said = sandbox.wgrad(check).succeeds();
    assert!(said.out.contains("saliency"), "{}", said.out);
}

#[test]
fn tokens_of_texts_are_explained() {
    let sandbox = Sandbox::new();
    let rows = "good,\"what a fine film\"\nbad,\"so dull and so long\"\n".repeat(10);
    sandbox.write("films.csv", format!("label,text\n{rows}"));
    sandbox
        .wgrad("train films.csv --epochs 60 --lr 0.05 --out run --device cpu")
        .succeeds();
    let explain = "explain run --device cpu --steps 10 --html page.html --json";
    let lines = with_text(&sandbox, explain, "a fine dull")
        .succeeds()
        .json();
    // A bag of words has no attention, so that there is one method.
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(line["method"], "integrated_gradients");
    assert_eq!(line["tokens"], serde_json::json!(["a", "fine", "dull"]));
    assert!(
        (line["completeness"].as_f64().unwrap() - 1.0).abs() < 0.01,
        "{line}"
    );
    let values: Vec<f64> = line["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect();
    let sign = if line["class"] == "good" { 1.0 } else { -1.0 };
    assert!(sign * values[1] > 0.0 && sign * values[2] < 0.0, "{line}");
    let page = std::fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.contains(">fine</span>") && page.contains("integrated gradients"));
    let said = sandbox
        .wgrad("explain run --device cpu --part test --samples 1 --class good")
        .succeeds();
    assert!(said.out.contains("of good, sum"), "{}", said.out);
    for (options, text, why) in [
        ("--method attention_rollout", "fine", "no attention layer"),
        ("--method saliency", "fine", "does not explain texts"),
        ("--sanity", "fine", "is for runs of images"),
        ("--class so-so", "fine", "no class of the run"),
    ] {
        let explain = format!("explain run --device cpu {options}");
        with_text(&sandbox, &explain, text).fails(2, &[why]);
    }
    with_text(&sandbox, "explain run --device cpu", "").fails(1, &["empty text"]);
}

#[test]
fn columns_and_rows_of_tables_are_explained() {
    let sandbox = Sandbox::new();
    let row = |i: usize| {
        let (age, city) = (20 + i * 7 % 40, ["Rome", "Oslo"][i / 2 % 2]);
        format!("{age},{city},{}\n", if age > 40 { "yes" } else { "no" })
    };
    let rows: String = (0..80).map(row).collect();
    sandbox.write("people.csv", format!("age,city,paid\n{rows}"));
    sandbox.write("dense.toml", DENSE.replace("UNITS", "2"));
    sandbox
        .wgrad("train dense.toml --data people.csv --device cpu --out run")
        .succeeds();
    let explain = "explain run --device cpu --repeats 3 --html page.html --json";
    let lines = sandbox.wgrad(explain).succeeds().json();
    let methods: Vec<&str> = lines
        .iter()
        .map(|line| line["method"].as_str().unwrap())
        .collect();
    let (importance, dependence) = ("permutation_importance", "partial_dependence");
    assert_eq!(methods, [importance, importance, dependence, dependence]);
    assert_eq!(
        (&lines[0]["input"], &lines[0]["score"]),
        (&"age".into(), &"accuracy".into())
    );
    assert!(lines[0]["mean"].as_f64() > lines[1]["mean"].as_f64());
    assert_eq!(lines[2]["input"], "age");
    let curve = lines[2]["values"]["yes"].as_array().unwrap();
    assert_eq!(curve.len(), lines[2]["numbers"].as_array().unwrap().len());
    assert!(
        curve[0].as_f64() < curve[curve.len() - 1].as_f64(),
        "{:?}",
        curve
    );
    assert_eq!(lines[3]["cells"], serde_json::json!(["Oslo", "Rome"]));
    let page = std::fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.contains("Permutation importance") && page.contains("<polyline"));
    // The same numbers every time.
    let again = sandbox.wgrad(&format!("{explain} --overwrite")).succeeds();
    assert_eq!(again.json(), lines);
    let said = sandbox.wgrad("explain run --device cpu").succeeds();
    assert!(said.out.contains("mean probability of yes"), "{}", said.out);

    sandbox.write("new.csv", "city,age\nRome,59\nOslo,21\n");
    let explain = "explain run new.csv --device cpu --class yes --json";
    let lines = sandbox.wgrad(explain).succeeds().json();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["columns"], serde_json::json!(["age", "city"]));
    assert_eq!(lines[0]["cells"], serde_json::json!(["59", "Rome"]));
    let age = |at: usize| lines[at]["values"][0].as_f64().unwrap();
    assert!(age(0) > 0.0 && age(1) < 0.0, "{lines:?}");
    for (options, why) in [
        ("new.csv --method partial_dependence", "leave the file out"),
        ("--method integrated_gradients", "name a CSV file"),
        ("--method saliency", "does not explain tables"),
        ("--invert", "is for runs of images"),
        ("--text hello", "is for runs of texts"),
    ] {
        sandbox
            .wgrad(&format!("explain run --device cpu {options}"))
            .fails(2, &[why]);
    }
    std::fs::remove_file(sandbox.path("people.csv")).unwrap();
    sandbox
        .wgrad("explain run --device cpu")
        .fails(1, &["people.csv"]);
}

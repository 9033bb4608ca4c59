//! `report.html`: its sections for kinds of runs, hostile names, and norms by layer.

use super::sandbox::Sandbox;
use serde_json::Value;

fn report(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path("run/report.html")).unwrap()
}

fn norms(sandbox: &Sandbox) -> Vec<Value> {
    let text = std::fs::read_to_string(sandbox.path("run/norms.jsonl")).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[track_caller]
fn holds(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

/// The images of a page.
fn images(page: &str) -> Vec<&str> {
    let parts = page.split("src=\"data:image/png;base64,").skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

#[test]
fn a_classifier_of_images_has_curves_calibration_and_its_worst_images() {
    let sandbox = Sandbox::new();
    let page = report(sandbox.trained());
    holds(
        &page,
        &[
            "Confusion matrix",
            "ROC and precision-recall curves",
            "macro average",
            "Expected calibration error",
            "Samples with the largest losses",
            "<h2>Norms by layer</h2>",
        ],
    );
    // All nine test images, of which each has a bright column.
    assert_eq!(images(&page).len(), 9);
    for absent in ["<script", "http", "horizon =", "vocabulary =", "[fitted]"] {
        assert!(!page.contains(absent), "{absent} is in\n{page}");
    }
    // The images are the same where they stay on the host.
    sandbox
        .wgrad(
            "train tiny.toml --data good --batch 8 --epochs 2 --device cpu --out streamed --set data.stream=true",
        )
        .succeeds();
    let streamed = std::fs::read_to_string(sandbox.path("streamed/report.html")).unwrap();
    assert_eq!(images(&page), images(&streamed));
}

#[test]
fn norms_are_kept_over_a_resume() {
    let sandbox = Sandbox::new();
    sandbox.train("--epochs 2 --optimizer adam").succeeds();
    sandbox
        .wgrad("train --resume run --epochs 3 --device cpu")
        .succeeds();
    let lines = norms(&sandbox);
    assert_eq!(lines.len(), 3);
    for (number, line) in (1..).zip(&lines) {
        assert_eq!(line["epoch"], number);
        let layers = line["layers"].as_array().unwrap();
        let names: Vec<&Value> = layers.iter().map(|layer| &layer["layer"]).collect();
        assert_eq!(names, ["conv1", "dense1"]);
        for layer in layers {
            for norm in ["parameters", "update", "gradient"] {
                assert!(layer[norm].as_f64().unwrap() > 0.0, "{norm} of {layer}");
            }
        }
    }
    // The last lines are those of a run that was not interrupted.
    let other = Sandbox::new();
    other.train("--epochs 3 --optimizer adam").succeeds();
    assert_eq!(norms(&other), lines);
    let other = Sandbox::new();
    other.train("--epochs 1 --optimizer sgd").succeeds();
    assert_eq!(norms(&other)[0]["layers"][0]["gradient"], Value::Null);
    holds(&report(&other), &["their norms are not known"]);
}

#[test]
fn names_and_cells_of_a_table_are_escaped() {
    let sandbox = Sandbox::new();
    let mut table = "<b>age,city & co,target\n".to_string();
    for i in 0..60 {
        let class = ["<i>yes</i>", "\"no\""][i % 2];
        let line = format!("{},<script>{},{class}\n", 20 + i % 7, i % 3);
        table.push_str(&line.replace("\"no\"", "no'"));
    }
    sandbox.write("t.csv", table);
    let model = "name = \"m\"\ninput = \"auto\"\n[[layer]]\ntype = \"dense\"\nunits = 2\n";
    sandbox.write("m.toml", model);
    sandbox
        .wgrad("train m.toml --data t.csv --epochs 1 --batch 8 --device cpu --out run")
        .succeeds();
    let page = report(&sandbox);
    holds(
        &page,
        &[
            "&lt;b&gt;age",
            "city &amp; co",
            "&lt;script&gt;",
            "&lt;i&gt;yes&lt;/i&gt;",
            "no&#39;",
            "average precision <b>",
        ],
    );
    for raw in ["<b>age", "<script", "<i>yes", "no'"] {
        assert!(!page.contains(raw), "{raw} is in\n{page}");
    }
}

#[test]
fn numbers_have_residuals_and_series_forecasts() {
    let sandbox = Sandbox::new();
    let rows: String = (0..80)
        .map(|i| format!("{},{}\n", i % 9, 3 * (i % 9) + 100))
        .collect();
    sandbox.write("t.csv", format!("x,price\n{rows}"));
    let model = |units: usize, first: &str| {
        format!(
            "name = \"m\"\ninput = \"auto\"\n{first}[[layer]]\ntype = \"dense\"\nunits = {units}\n"
        )
    };
    sandbox.write("m.toml", model(1, ""));
    sandbox
        .wgrad(
            "train m.toml --data t.csv --epochs 1 --batch 8 --device cpu --out run --set data.predict=number",
        )
        .succeeds();
    holds(
        &report(&sandbox),
        &["price, prediction", ">residual<", "<td class=\"name\">10"],
    );
    std::fs::remove_dir_all(sandbox.path("run")).unwrap();
    sandbox.write("f.toml", model(12, "[[layer]]\ntype = \"flatten\"\n"));
    sandbox
        .wgrad(
            "train f.toml --data t.csv --epochs 1 --batch 8 --device cpu --out run --set data.format=series --set data.context=12 \
             --set data.horizon=6 --set data.season=9",
        )
        .succeeds();
    holds(
        &report(&sandbox),
        &[
            "<h3>price</h3>",
            "seasonal naive",
            "rows ahead",
            "horizon = 6",
        ],
    );
}

#[test]
fn an_adapter_gives_the_images_of_the_samples() {
    let sandbox = Sandbox::new();
    if !sandbox.has_adapter() {
        return;
    }
    let page = report(sandbox.trained());
    sandbox
        .wgrad("train tiny.toml --data good --batch 8 --epochs 2 --device gpu --out gpu")
        .succeeds();
    let other = std::fs::read_to_string(sandbox.path("gpu/report.html")).unwrap();
    let sorted = |page| {
        let mut images = images(page);
        images.sort_unstable();
        images.into_iter().map(str::to_string).collect::<Vec<_>>()
    };
    assert_eq!(sorted(&page), sorted(&other));
}

//! `wgrad train`, `eval` and `predict` where a sample has several targets: a tag for every word, labels, and numbers.

use super::sandbox::{CommandOutput, Sandbox};
use image::{GrayImage, Luma};
use serde_json::Value;

/// Sentences of two people, of whom one is in a place. `Paris` is a person, but a place after `in`.
fn sentences(count: usize, first: usize) -> String {
    let person = ["Anna/B-PER Berg/I-PER", "Bert/B-PER", "Paris/B-PER"];
    let place = ["Rome/B-LOC", "Paris/B-LOC", "New/B-LOC York/I-LOC"];
    let sentence = |n: usize| {
        let words = match n % 2 {
            0 => format!("{} met/O {} ./O", person[n % 3], person[n / 3 % 3]),
            _ => format!("{} is/O in/O {} ./O", person[n % 3], place[n / 3 % 3]),
        };
        let lines = words.split(' ').map(|word| word.replace('/', " X "));
        lines.map(|line| line + "\n").collect::<String>() + "\n"
    };
    (first..first + count).map(sentence).collect()
}

const TAGGER: &str = r#"name = "tagger"
input = { tokens = 8, vocabulary = 8, padded = true, auto = true }
targets = 2
layer = [
    { type = "embedding", width = 8 },
    { type = "lstm", units = 8, bidirectional = true },
    { type = "dense", units = "targets" },
]
"#;

fn tagged() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("tagger.toml", TAGGER);
    std::fs::create_dir(sandbox.path("tagged")).unwrap();
    sandbox.write("tagged/train.txt", sentences(36, 0));
    sandbox.write("tagged/test.txt", sentences(18, 7));
    sandbox
}

/// Tags of `text` by the run.
fn predict_text(sandbox: &Sandbox, text: &str, args: &str) -> CommandOutput {
    let mut command = sandbox.command(&format!("predict run --device cpu {args}"));
    CommandOutput::from(command.args(["--text", text]).output().unwrap()).succeeds()
}

#[test]
fn words_are_tagged_by_their_neighbours_and_entities_are_scored_and_listed() {
    let sandbox = tagged();
    let train = "train tagger.toml --data tagged --device cpu --batch 6 --epochs 15 --optimizer adam --lr 0.03 --set data.context=8 \
                 --out run --json";
    let lines = sandbox.wgrad(train).succeeds().json();
    let done = lines.last().unwrap();
    assert_eq!(done["task"], "tagging");
    assert_eq!(done["monitor"], "f1");
    for key in ["test_f1", "test_precision", "test_recall", "test_accuracy"] {
        assert_eq!(done[key], 1.0, "{key} of {done}");
    }
    assert!(
        lines
            .iter()
            .any(|line| line["event"] == "epoch" && line["test_f1"].is_f64())
    );
    let found = sandbox
        .wgrad("eval run --device cpu --json")
        .succeeds()
        .json()
        .pop()
        .unwrap();
    let types = found["types"].as_array().unwrap();
    let names: Vec<&Value> = types.iter().map(|each| &each["type"]).collect();
    assert_eq!(names, ["LOC", "PER"]);
    assert_eq!(types[0]["f1"], 1.0);
    let text = sandbox.wgrad("eval run --device cpu").succeeds().out;
    assert!(
        text.contains("LOC: f1 100.00%, precision 100.00%, recall 100.00% of 9"),
        "{text}"
    );
    let predicted = predict_text(&sandbox, "Paris is in Paris.", "");
    assert!(
        predicted
            .out
            .ends_with(": Paris/B-PER is in Paris/B-LOC .\n"),
        "{}",
        predicted.out
    );
    let line = predict_text(&sandbox, "Bert is in New York.", "--json")
        .json()
        .pop()
        .unwrap();
    assert_eq!(
        line["words"],
        serde_json::json!(["Bert", "is", "in", "New", "York", "."])
    );
    assert_eq!(line["tags"][4], "I-LOC");
    let place = &line["entities"][1];
    assert_eq!(
        (&place["type"], &place["text"], &place["first"]),
        (&"LOC".into(), &"New York".into(), &3.into())
    );
    let part = sandbox
        .wgrad("predict run --part test --device cpu")
        .succeeds()
        .out;
    assert!(part.starts_with("Bert is in New York .: Bert/B-PER is in New/B-LOC York/I-LOC .; target Bert/B-PER is in"), "{part}");
    let report = std::fs::read_to_string(sandbox.path("run/report.html")).unwrap();
    assert!(report.contains("<h2>Entities</h2>"));
}

#[test]
fn data_alone_are_tagged_by_the_built_in_model() {
    let sandbox = tagged();
    let lines = sandbox
        .wgrad("train tagged --device cpu --steps 2 --set data.context=6 --out run --json")
        .succeeds()
        .json();
    assert_eq!(lines.last().unwrap()["task"], "tagging");
    sandbox.write("bad.conll", "Anna B-PER\nis\n");
    sandbox
        .wgrad("train bad.conll --device cpu")
        .fails(1, &["has 1 columns at line 2, but 2 at line 1"]);
}

const PICTURES: &str = r#"name = "pictures"
input = [8, 8, 1]
targets = 2
layer = [
    { type = "conv2d", filters = 4, kernel = 3, padding = "same", activation = "relu" },
    { type = "flatten" },
    { type = "dense", units = "targets" },
]
"#;

/// A table of pictures with a bright square in the row and column that `square` gives, and its other columns.
fn pictures(
    header: &str,
    count: u32,
    square: fn(u32) -> Option<[u32; 2]>,
    cells: fn(u32) -> String,
) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("pictures.toml", PICTURES);
    std::fs::create_dir(sandbox.path("p")).unwrap();
    let mut table = format!("image,{header}\n");
    for n in 0..count {
        let inside = |x: u32, y: u32| {
            square(n).is_some_and(|[cx, cy]| x.abs_diff(cx) < 2 && y.abs_diff(cy) < 2)
        };
        let picture = GrayImage::from_fn(8, 8, |x, y| Luma([if inside(x, y) { 220 } else { 30 }]));
        picture.save(sandbox.path(&format!("p/{n}.png"))).unwrap();
        table += &format!("p/{n}.png,{}\n", cells(n));
    }
    sandbox.write("table.csv", table);
    sandbox
}

#[test]
fn a_picture_has_several_labels() {
    // The square is to the left or the right, above or below, or not there.
    let square = |n: u32| (!n.is_multiple_of(5)).then(|| [1 + 5 * (n % 2), 1 + 5 * (n / 2 % 2)]);
    let cells = |n: u32| {
        let horizontal = ["left", "right"][n as usize % 2];
        let vertical = ["above", "below"][n as usize / 2 % 2];
        match n % 5 {
            0 => String::new(),
            _ => format!("{horizontal}|{vertical}"),
        }
    };
    let sandbox = pictures("places", 40, square, cells);
    let train = "train pictures.toml --data table.csv --target places --device cpu --batch 8 --epochs 40 --optimizer adam --lr 0.01 --out run \
                 --json";
    let done = sandbox.wgrad(train).succeeds().json().pop().unwrap();
    assert_eq!(
        (&done["task"], &done["monitor"]),
        (&"multilabel".into(), &"auc".into())
    );
    for key in [
        "test_auc",
        "test_macro_f1",
        "test_micro_f1",
        "test_exact_match",
    ] {
        assert_eq!(done[key], 1.0, "{key} of {done}");
    }
    let found = sandbox
        .wgrad("eval run --device cpu --json")
        .succeeds()
        .json()
        .pop()
        .unwrap();
    let names: Vec<&Value> = found["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|label| &label["name"])
        .collect();
    assert_eq!(names, ["above", "below", "left", "right"]);
    assert_eq!(found["labels"][2]["auc"], 1.0);
    let line = sandbox
        .wgrad("predict run p/3.png --device cpu --json")
        .succeeds()
        .json()
        .pop()
        .unwrap();
    let mut labels: Vec<&str> = line["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|label| label.as_str().unwrap())
        .collect();
    labels.sort_unstable();
    assert_eq!(labels, ["below", "right"]);
    assert!(line["probabilities"]["left"].as_f64().unwrap() < 0.5);
    sandbox
        .wgrad("predict run p/0.png table.csv --device cpu")
        .fails(2, &["name one CSV file"]);
    let text = sandbox
        .wgrad("predict run p/0.png --device cpu")
        .succeeds()
        .out;
    assert!(text.ends_with(": no label\n"), "{text}");
    sandbox
        .wgrad("predict run table.csv --device cpu --csv out.csv")
        .succeeds();
    let csv = std::fs::read_to_string(sandbox.path("out.csv")).unwrap();
    assert!(
        csv.starts_with(
            "file,labels,predicted_above,predicted_below,predicted_left,predicted_right\n"
        ),
        "{csv}"
    );
    let report = std::fs::read_to_string(sandbox.path("run/report.html")).unwrap();
    assert!(report.contains("<h2>Labels</h2>") && report.contains("Mean over the labels"));
}

#[test]
fn key_points_are_numbers_in_units_of_the_table() {
    let square = |n: u32| Some([1 + n % 6, 1 + n / 6 % 6]);
    let cells = |n: u32| format!("{},{}", 10 * (1 + n % 6), 1 + n / 6 % 6);
    let sandbox = pictures("x,y", 72, square, cells);
    let train = "train pictures.toml --data table.csv --set data.targets=['x','y'] --set data.predict='number' --device cpu --batch 8 --epochs 30 \
                 --optimizer adam --lr 0.01 --out run --json";
    let done = sandbox.wgrad(train).succeeds().json().pop().unwrap();
    assert_eq!(done["task"], "regression");
    let targets = done["targets"].as_array().unwrap();
    assert_eq!(
        (&targets[0]["name"], &targets[1]["name"]),
        (&"x".into(), &"y".into())
    );
    for target in targets {
        assert!(target["r2"].as_f64().unwrap() > 0.9, "{target}");
    }
    let line = sandbox
        .wgrad("predict run p/9.png --device cpu --json")
        .succeeds()
        .json()
        .pop()
        .unwrap();
    let [x, y] = ["x", "y"].map(|name| line["values"][name].as_f64().unwrap());
    assert!((x - 40.0).abs() < 10.0 && (y - 2.0).abs() < 1.0, "{line}");
    let part = sandbox
        .wgrad("predict run --part test --device cpu --json")
        .succeeds()
        .json();
    assert!(
        part.iter().all(|line| line["targets"]["x"].is_number()),
        "{part:?}"
    );
    let text = sandbox
        .wgrad("predict run p/9.png --device cpu")
        .succeeds()
        .out;
    assert!(
        text.contains("p/9.png: x ") && text.contains(", y "),
        "{text}"
    );
    let report = std::fs::read_to_string(sandbox.path("run/report.html")).unwrap();
    assert!(report.contains("x, truth</text>") && report.contains("y, prediction</text>"));
}

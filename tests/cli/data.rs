//! Data sets on the command line, and those that can't be used.

use super::sandbox::{Sandbox, idx};
use super::tables::{DENSE, PEOPLE};

const IMAGES: &str = "good/train-images-idx3-ubyte";
const LABELS: &str = "good/train-labels-idx1-ubyte";

#[test]
fn a_data_folder_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    let args = "train tiny.toml --data nowhere --batch 8 --device cpu --out run";
    sandbox.wgrad(args).fails(1, &["no data at nowhere", "IDX"]);
    sandbox.holds_no_run();
}

#[test]
fn damaged_and_mislabelled_files_are_named_with_what_is_wrong() {
    let whole = |sandbox: &Sandbox| std::fs::read(sandbox.path(IMAGES)).unwrap();
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [(Damage, &str); 6] = [
        (|b| b[..500].to_vec(), "cut short"),
        (|b| [b, vec![0]].concat(), "holds more than"),
        (|_| b"<!DOCTYPE html>".to_vec(), "not an IDX file"),
        (|_| vec![], "cut short"),
        (|_| idx(&[24], &[0; 24]), "swapped"),
        (|_| idx(&[u32::MAX; 3], &[]), "over the limit"),
    ];
    for (damage, complaint) in damages {
        let sandbox = Sandbox::new();
        sandbox.write(IMAGES, damage(whole(&sandbox)));
        sandbox.train("").fails(1, &[IMAGES, complaint]);
        sandbox.holds_no_run();
    }
    let sandbox = Sandbox::new();
    std::fs::remove_file(sandbox.path(LABELS)).unwrap();
    sandbox.train("").fails(1, &["no training labels in good"]);
}

#[test]
fn counts_that_differ_are_both_reported() {
    let sandbox = Sandbox::new();
    sandbox.write(LABELS, idx(&[23], &[0; 23]));
    sandbox.train("").fails(1, &["24 images", "23 labels"]);
    sandbox.holds_no_run();
}

#[test]
fn images_and_classes_that_do_not_fit_the_model_are_refused_before_anything_is_printed() {
    let sandbox = Sandbox::new();
    sandbox.data_set("wide", [8, 9], 3);
    sandbox.data_set("five", [8, 8], 5);
    let train = |data: &str| {
        sandbox.wgrad(&format!(
            "train tiny.toml --data {data} --batch 8 --device cpu --out run"
        ))
    };
    let message = train("wide").fails(2, &["takes [8, 8, 1]", "are [8, 9, 1]"]);
    assert_eq!(message.out, "");
    train("five").fails(2, &["5 classes", "3 units", "give its last layer 5"]);
    sandbox.holds_no_run();
}

#[test]
fn labels_that_the_model_has_no_output_for_are_reported_by_eval() {
    let sandbox = Sandbox::new();
    sandbox.data_set("five", [8, 8], 5);
    sandbox
        .trained()
        .wgrad("eval run --data five")
        .fails(1, &["test image 3 is labelled 3", "3 outputs"]);
}

#[test]
fn a_batch_larger_than_the_data_is_answered_with_one_that_is_not() {
    let sandbox = Sandbox::new();
    let args = "train tiny.toml --data good --batch 25 --device cpu --out run";
    sandbox.wgrad(args).fails(2, &["--batch 24"]);
    sandbox.holds_no_run();
}

/// A folder of images, with three classes in a training and a test part; the position of a bright column gives the class.
fn image_folder(sandbox: &Sandbox, name: &str) {
    for (part, count) in [("train", 8), ("test", 3)] {
        for class in ["ant", "bee", "cow"] {
            let folder = sandbox.path(&format!("{name}/{part}/{class}"));
            std::fs::create_dir_all(&folder).unwrap();
            for i in 0..count {
                let bright = ["ant", "bee", "cow"]
                    .iter()
                    .position(|c| *c == class)
                    .unwrap();
                let pixel = |x, y| {
                    image::Luma([if x as usize / 2 == bright {
                        220
                    } else {
                        (x * 7 + y + i) as u8
                    }])
                };
                let picture = image::GrayImage::from_fn(16, 12 + i, pixel);
                picture.save(folder.join(format!("{i}.png"))).unwrap();
            }
        }
    }
}

#[test]
fn one_class_alone_is_not_trained_on() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("whole/pictures");
    std::fs::create_dir_all(&folder).unwrap();
    for i in 0..20 {
        let picture = image::GrayImage::from_pixel(8, 8, image::Luma([i * 10]));
        picture.save(folder.join(format!("{i}.png"))).unwrap();
    }
    sandbox
        .wgrad("train tiny.toml --data whole --batch 4 --device cpu --out run")
        .fails(
            1,
            &[
                "whole has one class only, pictures",
                "folders are the classes",
            ],
        );
    sandbox.holds_no_run();
}

#[test]
fn a_folder_of_images_is_shown_trained_and_measured() {
    let sandbox = Sandbox::new();
    image_folder(&sandbox, "pictures");
    let message = sandbox
        .wgrad("data show pictures --json --size 8 --sheet sheet.png")
        .succeeds();
    let shown = &message.json()[0];
    assert_eq!(shown["format"], "folder");
    assert_eq!(shown["classes"], serde_json::json!(["ant", "bee", "cow"]));
    assert_eq!(
        shown["parts"]["train"]["counts"],
        serde_json::json!([8, 8, 8])
    );
    assert_eq!(
        shown["parts"]["test"]["shape"],
        serde_json::json!([8, 8, 3])
    );
    assert!(image::open(sandbox.path("sheet.png")).unwrap().height() > 3 * 56);
    // Images get the size and channels of the model's input.
    sandbox
        .wgrad("train tiny.toml --data pictures --batch 8 --device cpu --out run")
        .succeeds();
    let message = sandbox.wgrad("eval run --part train --json").succeeds();
    assert_eq!(message.json()[0]["count"], 24);
    // The samples of a part have the names of their files.
    let lines = sandbox
        .wgrad("predict run --part train --json")
        .succeeds()
        .json();
    assert_eq!(lines.len(), 24);
    for line in &lines {
        let (class, _) = line["file"].as_str().unwrap().split_once('/').unwrap();
        assert_eq!(line["label"], class);
    }
    // A folder stands for its images, and an image that can't be read does not keep the others from being classified.
    sandbox.write("pictures/test/bee/broken.png", "no picture");
    let message = sandbox.wgrad("predict run pictures/test --json");
    let lines = message.fails(1, &[]).json();
    let broken: Vec<_> = lines
        .iter()
        .filter(|line| line["error"].is_string())
        .collect();
    assert_eq!(broken.len(), 1, "{lines:?}");
    assert_eq!(broken[0]["file"], "pictures/test/bee/broken.png");
    assert!(
        lines.len() > 2
            && lines.iter().filter(|line| line["top"].is_array()).count() == lines.len() - 1
    );
    std::fs::create_dir(sandbox.path("nothing")).unwrap();
    sandbox
        .wgrad("predict run nothing")
        .fails(1, &["nothing holds no image files"]);
}

#[test]
fn a_model_can_take_its_input_from_the_data() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "auto.toml",
        super::sandbox::TINY.replace("[8, 8, 1]", "\"auto\""),
    );
    sandbox
        .wgrad("train auto.toml --data good --batch 8 --device cpu --out run")
        .succeeds();
    let run = std::fs::read_to_string(sandbox.path("run/run.toml")).unwrap();
    assert!(run.contains("input = [8, 8, 1]"), "{run}");
    sandbox
        .wgrad("plan auto.toml")
        .fails(2, &["takes its input shape from the data", "--data"]);
    let message = sandbox
        .wgrad("plan auto.toml --data good --batch 8 --json")
        .succeeds();
    assert!(message.json()[0]["launches"].as_u64() > Some(0));
    sandbox
        .wgrad("models init auto.toml --data good --out w.safetensors")
        .succeeds();
    sandbox
        .wgrad("plan auto.toml --data good")
        .fails(2, &["a batch of 128 is larger"]);
}

#[test]
fn unusual_settings_are_noted() {
    let sandbox = Sandbox::new();
    sandbox.data_set("two", [8, 8], 2);
    sandbox.write(
        "slow.toml",
        "model = \"tiny.toml\"\nbatch = 8\nepochs = 2\n[schedule]\nname = \"cosine\"\nwarmup_steps = 6\n",
    );
    let message = |args: &str| {
        let message = sandbox.wgrad(&format!("train slow.toml --device cpu {args}"));
        message.succeeds().err
    };
    let two = message("--data two --out a");
    assert!(
        two.contains("distinguishes 3 classes but the data have only 2"),
        "{two}"
    );
    assert!(two.contains("takes 6 steps and the run has 6"), "{two}");
    assert_eq!(message("--data good --epochs 3 --out b"), "");
}

#[test]
fn a_fold_of_no_folds_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("fold.toml", "[data]\nfold = 2\n");
    sandbox
        .wgrad("train fold.toml")
        .fails(2, &["data.fold is 2", "data.folds"]);
}

#[test]
fn a_series_is_planned_as_it_is_trained() {
    let sandbox = Sandbox::new();
    let rows: Vec<String> = (0..60).map(|i| format!("{},{}", i % 7, i)).collect();
    sandbox.write("series.csv", format!("a,b\n{}\n", rows.join("\n")));
    let data = "batch = 4\n[data]\nsource = \"series.csv\"\nformat = \"series\"\ncontext = 4\n";
    let model = "[model]\nname = \"line\"\ninput = \"auto\"\n[[model.layer]]\ntype = \"flatten\"\n";
    let dense = "[[model.layer]]\ntype = \"dense\"\nunits = 2\n";
    sandbox.write("series.toml", format!("{data}{model}{dense}"));
    let message = sandbox.wgrad("plan series.toml").succeeds();
    // The rows are fed as numbers, and the loss is one for numbers.
    assert!(message.out.contains("data.train.target"), "{}", message.out);
    assert!(!message.out.contains("data.train.label"), "{}", message.out);
}

#[test]
fn unknown_data_are_refused_with_what_is_accepted() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox
        .wgrad("data show empty")
        .fails(1, &["no known data format in empty", ".npz"]);
    sandbox.write("broken.npz", "PK\u{3}\u{4} no archive");
    sandbox
        .wgrad("data show broken.npz")
        .fails(1, &["broken.npz is not a NumPy archive"]);
    sandbox
        .wgrad("data show good --format cifar")
        .fails(1, &["no training records in good"]);
    sandbox
        .wgrad("eval run --part validation")
        .fails(2, &["run is not a run folder"]);
    sandbox
        .trained()
        .wgrad("eval run --part validation")
        .fails(1, &["no validation part"]);
}

#[test]
fn eval_reports_the_confusion_matrix() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    let message = sandbox.wgrad("eval run --json").succeeds();
    let line = &message.json()[0];
    let matrix: Vec<Vec<u64>> = serde_json::from_value(line["confusion"].clone()).unwrap();
    // Nine test images, three of each class.
    assert!(matrix.iter().all(|row| row.iter().sum::<u64>() == 3));
    let right: u64 = (0..3).map(|class| matrix[class][class]).sum();
    assert!((line["test_accuracy"].as_f64().unwrap() - right as f64 / 9.0).abs() < 1e-6);
    assert!((0.0..=1.0).contains(&line["auc"].as_f64().unwrap()));
    let message = sandbox.wgrad("eval run").succeeds();
    assert!(
        message.out.contains("AUC") && message.out.contains("precision"),
        "{}",
        message.out
    );
    let report = std::fs::read_to_string(sandbox.path("run/report.html")).unwrap();
    assert!(report.contains("Confusion matrix"));
}

#[test]
fn augmented_pictures_are_drawn_and_trained_on_and_a_run_repeats() {
    let sandbox = Sandbox::new();
    let tiny = super::sandbox::TINY
        .replace("name =", "[model]\nname =")
        .replace("[[layer]]", "[[model.layer]]");
    let augment = "batch = 8\ndata = \"good\"\n[augment]\nflip = true\ncrop = 1\nrotate = 10\nbrightness = 0.2\ncutout = 2\n";
    sandbox.write("run.toml", format!("{augment}{tiny}"));
    sandbox
        .wgrad("data show run.toml --augmented --sheet sheet.png --columns 5")
        .succeeds();
    assert!(image::open(sandbox.path("sheet.png")).unwrap().width() > 5 * 56);
    sandbox
        .wgrad("data show good --augmented --sheet other.png")
        .fails(2, &["[augment]"]);
    let weights = |out: &str, epochs: &str| {
        sandbox
            .wgrad(&format!("train run.toml --device cpu --out {out} {epochs}"))
            .succeeds();
        std::fs::read(sandbox.path(&format!("{out}/model.safetensors"))).unwrap()
    };
    let whole = weights("whole", "--epochs 2");
    weights("part", "--epochs 1");
    sandbox.wgrad("train --resume part --epochs 2").succeeds();
    assert!(
        std::fs::read(sandbox.path("part/model.safetensors")).unwrap() == whole,
        "a resumed run sees other pictures"
    );
}

#[test]
fn a_series_is_trained_and_what_follows_is_predicted() {
    let sandbox = Sandbox::new();
    let row = |i: usize| format!("day {i},{}\n", if i.is_multiple_of(2) { 10 } else { 20 });
    sandbox.write(
        "series.csv",
        format!("date,load\n{}", (0..80).map(row).collect::<String>()),
    );
    let series = "batch = 8\n[data]\nsource = \"series.csv\"\nformat = \"series\"\ncontext = 4\nhorizon = 2\nseason = 2\n";
    let dense = "optimizer = { name = \"adam\", lr = 0.05 }\n";
    let model = "[model]\nname = \"linear\"\ninput = \"auto\"\n[[model.layer]]\ntype = \"flatten\"\n[[model.layer]]\ntype = \"dense\"\nunits = 2\n";
    sandbox.write("run.toml", format!("epochs = 20\n{dense}{series}{model}"));
    let message = sandbox
        .wgrad("train run.toml --device cpu --out run --json")
        .succeeds();
    assert!(
        message.json().last().unwrap()["test_mae"].as_f64().unwrap() < 0.1,
        "{}",
        message.out
    );
    // Days repeat with a period of two, so the seasonal naive forecast is exact.
    let message = sandbox.wgrad("eval run --json").succeeds();
    let naive = &message.json()[0]["naive"];
    assert!(naive[0]["mse"].as_f64().unwrap() > 1.0, "{naive}");
    assert_eq!(
        (&naive[1]["repeats"], &naive[1]["mse"]),
        (&2.into(), &0.0.into())
    );
    let message = sandbox.wgrad("eval run").succeeds();
    assert!(
        message
            .out
            .contains("repeating the last 2 rows: mse 0.0000"),
        "{}",
        message.out
    );
    let message = sandbox.wgrad("predict run series.csv --json").succeeds();
    let values: Vec<f64> = message
        .json()
        .iter()
        .map(|line| line["values"]["load"].as_f64().unwrap())
        .collect();
    // The last day is odd.
    assert!(
        (values[0] - 10.0).abs() < 1.0 && (values[1] - 20.0).abs() < 1.0,
        "{values:?}"
    );
    // A backtest: every window of the test part, with the rows that it forecasts.
    let backtest = "predict run --part test --csv test.csv --json";
    let lines = sandbox.wgrad(backtest).succeeds().json();
    let of = |line: &serde_json::Value, key: &str| line[key].as_u64().unwrap();
    let begin = |line| (of(line, "window"), of(line, "after"), of(line, "row"));
    let row = begin(&lines[0]).2;
    assert_eq!(begin(&lines[0]), (1, 1, row));
    assert_eq!(begin(&lines[1]), (1, 2, row + 1));
    assert_eq!(begin(&lines[2]), (2, 1, row + 1));
    assert_eq!(of(lines.last().unwrap(), "row"), 80);
    let table = std::fs::read_to_string(sandbox.path("test.csv")).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows[0], "window,row,after,column,prediction,target");
    assert_eq!(rows.len(), lines.len() + 1);
    for row in &rows[1..] {
        let cells: Vec<&str> = row.split(',').collect();
        let number = |at: usize| cells[at].parse::<f64>().unwrap();
        // Rows are counted from 1, and the first day is even.
        let target = if number(1) % 2.0 == 1.0 { 10.0 } else { 20.0 };
        // As it is written in the file.
        assert_eq!(number(5), target, "{row}");
        assert!((number(4) - target).abs() < 1.0, "{row}");
    }
    sandbox.write("short.csv", "date,load\nday 1,10\n");
    sandbox
        .wgrad("predict run short.csv")
        .fails(1, &["has 1 rows", "needs 4 to predict from"]);
}

#[test]
fn a_series_that_drifts_is_forecast_relative_to_its_window() {
    let sandbox = Sandbox::new();
    // The levels of the test part did not occur in training.
    let row = |i: usize| format!("day {i},{},{}\n", i % 7, 3 * i);
    sandbox.write(
        "drift.csv",
        format!("date,week,load\n{}", (0..200).map(row).collect::<String>()),
    );
    for norm in ["last", "instance"] {
        let series = format!(
            "batch = 8\nepochs = 12\n[data]\nsource = \"drift.csv\"\nformat = \"series\"\ncontext = 7\nhorizon = 3\ntargets = [\"load\"]\nwindow_norm = \"{norm}\"\n"
        );
        let model = "[optimizer]\nname = \"adam\"\nlr = 0.02\n[model]\nname = \"linear\"\ninput = \"auto\"\n[[model.layer]]\ntype = \"flatten\"\n[[model.layer]]\ntype = \"dense\"\nunits = 3\n";
        sandbox.write("run.toml", series + model);
        let train = format!("train run.toml --device cpu --out {norm} --json");
        let message = sandbox.wgrad(&train).succeeds();
        let done = message.json().pop().unwrap();
        assert!(
            done["mse"].as_f64().unwrap() < done["naive"][0]["mse"].as_f64().unwrap() / 4.0,
            "{done}"
        );
        let message = sandbox
            .wgrad(&format!("predict {norm} drift.csv --json"))
            .succeeds();
        let next = message.json()[0]["values"]["load"].as_f64().unwrap();
        assert!((next - 600.0).abs() < 4.0, "{norm}: {next}");
    }
    sandbox.write(
        "dense.toml",
        DENSE.replace("UNITS", "2") + "[data]\nsource = \"people.csv\"\nwindow_norm = \"last\"\n",
    );
    sandbox.write("people.csv", PEOPLE);
    sandbox
        .wgrad("train dense.toml --device cpu --out no")
        .fails(2, &["window_norm", "series"]);
}

#[test]
fn texts_are_shown_and_one_that_is_too_short_is_reported() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "poem.txt",
        "so much depends upon a red wheel barrow. ".repeat(40),
    );
    let message = sandbox.wgrad("data show poem.txt --json").succeeds();
    assert_eq!(message.json()[0]["format"], "text");
    assert_eq!(
        message.json()[0]["parts"]["train"]["shape"],
        serde_json::json!([128])
    );
    sandbox.write("short.txt", "so much");
    sandbox
        .wgrad("data show short.txt")
        .fails(1, &["short.txt gives 6 tokens", "data.context"]);
    sandbox.write("bytes.txt", [0xff, 0xfe, 0x00]);
    sandbox.wgrad("data show bytes.txt").fails(
        1,
        &["bytes.txt is UTF-16 text that ends within a character"],
    );
    sandbox.write("bytes.txt", b"one\ntwo \xe4");
    sandbox
        .wgrad("data show bytes.txt")
        .fails(1, &["not UTF-8 text at line 2", "iconv"]);
}

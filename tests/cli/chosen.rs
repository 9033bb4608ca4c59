//! `wgrad train DATA` and `wgrad init`: model and settings chosen by the data.

use super::sandbox::Sandbox;
use super::tables::PEOPLE;
use std::fs;

/// A week of hours with a daily cycle.
fn hours() -> String {
    let row = |i: usize| {
        let (day, hour) = (i / 24 + 1, i % 24);
        let load = 10.0 + (hour as f64 / 24.0 * std::f64::consts::TAU).sin() + day as f64 * 0.01;
        format!("2020-01-{day:02} {hour:02}:00,{load:.4},{}\n", 2.0 * load)
    };
    "date,load,heat\n".to_string() + &(0..24 * 14).map(row).collect::<String>()
}

#[test]
fn a_table_alone_is_trained_and_the_choice_is_explained_and_kept() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "people.csv",
        PEOPLE.to_string() + &PEOPLE[PEOPLE.find('\n').unwrap() + 1..],
    );
    let done = sandbox
        .wgrad("train people.csv --epochs 2 --device cpu --out run")
        .succeeds();
    for part in ["tabular", "for 2 epochs", "data.pieces", "wgrad init"] {
        assert!(done.out.contains(part), "{part}: {}", done.out);
    }
    let kept = fs::read_to_string(sandbox.path("run/run.toml")).unwrap();
    assert!(kept.contains("chosen = \"classification with"), "{kept}");
    // Pictures of every cell, and a prediction beside the columns of the input.
    sandbox
        .wgrad("predict run people.csv --csv out.csv")
        .succeeds();
    let table = fs::read_to_string(sandbox.path("out.csv")).unwrap();
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some("age,city,paid,prediction,probability_no,probability_yes")
    );
    assert!(lines.next().unwrap().starts_with("20,Rome,no,"), "{table}");
    assert_eq!(table.lines().count(), 17);
    sandbox
        .wgrad("predict run people.csv --csv out.csv")
        .fails(2, &["out.csv", "--overwrite"]);
    // Files are named where there are none to write, and a name that is almost right is suggested.
    sandbox
        .wgrad("predict run people.csv --out predictions.csv")
        .fails(2, &["--out names a folder", "--csv FILE.csv"]);
    sandbox.wgrad("train peple.csv").fails(
        2,
        &["peple.csv does not exist", "did you mean `people.csv`?"],
    );
    sandbox
        .wgrad("train good --target paid")
        .fails(2, &["--target", "paid", "has no such column"]);
    // Some of these rows are those of the training part.
    let told = sandbox.wgrad("eval run --data people.csv").succeeds();
    assert!(told.err.contains("was trained on"), "{}", told.err);
}

#[test]
fn a_series_with_its_dates_is_forecast_in_its_units() {
    let sandbox = Sandbox::new();
    sandbox.write("load.csv", hours());
    let train = "train load.csv --date date --epochs 3 --device cpu --out run";
    let done = sandbox.wgrad(train).succeeds();
    for part in [
        "24 rows are forecast from the 72 before",
        "season of 24 rows",
        "load: mae",
        "heat: mae",
        "naive",
    ] {
        assert!(done.out.contains(part), "{part}: {}", done.out);
    }
    let line = sandbox.wgrad("eval run --json").succeeds().json().remove(0);
    // Forecasts have the dates that follow.
    let said = sandbox
        .wgrad("predict run load.csv --json")
        .succeeds()
        .json();
    assert_eq!(
        (&said[0]["date"], said.len()),
        (&"2020-01-15 00:00:00".into(), 24)
    );
    let said = sandbox.wgrad("predict run load.csv").succeeds();
    assert!(
        said.out.contains("load.csv + 24, 2020-01-15 23:00:00: "),
        "{}",
        said.out
    );
    let targets = line["targets"].as_array().unwrap();
    assert_eq!((targets.len(), &targets[1]["name"]), (2, &"heat".into()));
    assert!(targets[0]["naive"][1]["mae"].is_number() && targets[0]["r2"].is_number());
    sandbox
        .wgrad("train load.csv --date date --target heat --epochs 1 --device cpu --out one")
        .succeeds();
    let kept = fs::read_to_string(sandbox.path("one/run.toml")).unwrap();
    assert!(kept.contains("targets = [\"heat\"]"), "{kept}");
    sandbox
        .wgrad("train load.csv --date day")
        .fails(1, &["load.csv has no column day", "date, load, heat"]);
}

#[test]
fn pictures_and_texts_alone_are_trained() {
    let sandbox = Sandbox::new();
    let text = "to be or not to be, that is the question. ".repeat(20);
    sandbox.write("book.txt", &text);
    let texts = (0..30).map(|i| format!("{},film {i} was {}\n", i % 2, ["bad", "good"][i % 2]));
    sandbox.write(
        "films.csv",
        "label,text\n".to_string() + &texts.collect::<String>(),
    );
    for (data, model, more) in [
        ("good", "small-cnn", "--epochs 1"),
        ("book.txt", "gpt-nano", "--steps 2 --set data.context=16"),
        ("films.csv", "bag-of-words", "--epochs 1"),
    ] {
        let train = format!("train {data} --device cpu --out out-{model} {more}");
        let done = sandbox.wgrad(&train).succeeds();
        assert!(done.out.contains(model), "{data}: {}", done.out);
    }
    sandbox
        .wgrad("train out-small-cnn")
        .fails(2, &["out-small-cnn is a run", "--resume out-small-cnn"]);
    sandbox
        .wgrad("train --data good --task gan")
        .fails(2, &["no starting point for the task gan"]);
}

#[test]
fn the_written_file_trains_as_the_data_alone_do() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "people.csv",
        PEOPLE.to_string() + &PEOPLE[PEOPLE.find('\n').unwrap() + 1..],
    );
    let weights = |run: &str| fs::read(sandbox.path(run).join("model.safetensors")).unwrap();
    sandbox
        .wgrad("init --data people.csv --set epochs=2 --out people.toml")
        .succeeds();
    let file = fs::read_to_string(sandbox.path("people.toml")).unwrap();
    for part in [
        "epochs = 2",
        "pieces = 8",
        "[[model.layer]]",
        "units = \"targets\"",
        "# ",
    ] {
        assert!(file.contains(part), "{part}: {file}");
    }
    sandbox
        .wgrad("init --data people.csv --set optimizer.lr=0.5 other.toml")
        .fails(2, &["optimizer can't be set here", "change it there"]);
    sandbox
        .wgrad("train people.toml --device cpu --out a")
        .succeeds();
    sandbox
        .wgrad("train people.csv --epochs 2 --device cpu --out b")
        .succeeds();
    assert_eq!(weights("a"), weights("b"));
}

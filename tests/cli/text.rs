//! Texts from the command line: a model of language that is trained, measured and writes, and one that tells texts apart.

use super::sandbox::{Sandbox, Told};
use std::io::Write as _;
use std::process::Stdio;

const LETTERS: &str = r#"
batch = 8
steps = 60
steps_per_epoch = 30

[data]
context = 4

[optimizer]
name = "adamw"
lr = 0.05

[model]
name = "letters"
input = { tokens = 4, vocabulary = 2, auto = true }
layer = [
    { type = "embedding", width = 16 },
    { type = "dense", units = "vocabulary" },
]
"#;

/// With a run of a model of language in `run`.
fn language() -> (Sandbox, Told) {
    let sandbox = Sandbox::new();
    sandbox.write("letters.toml", LETTERS);
    sandbox.write("letters.txt", "abcdefgh ijkl\n".repeat(40));
    let args = "train letters.toml --data letters.txt --device cpu --out run --json";
    let told = sandbox.wgrad(args).succeeds();
    (sandbox, told)
}

#[test]
fn a_model_of_language_is_trained_by_steps_and_told_by_its_perplexity() {
    let (sandbox, told) = language();
    let lines = told.json();
    let events: Vec<_> = lines.iter().map(|line| line["event"].clone()).collect();
    assert_eq!(
        events,
        ["epoch", "epoch", "done"],
        "60 steps, told after every 30"
    );
    let value = |name: &str| lines[2][name].as_f64().unwrap();
    assert!(value("test_loss") < 0.3, "{}", told.out);
    assert!((value("test_perplexity") - value("test_loss").exp()).abs() < 1e-9);
    let told = sandbox
        .wgrad("eval run --json --device cpu")
        .succeeds()
        .json();
    assert!((told[0]["test_loss"].as_f64().unwrap() - value("test_loss")).abs() < 1e-6);
    assert!((told[0]["perplexity"].as_f64().unwrap() - value("test_perplexity")).abs() < 1e-5);
    let report = std::fs::read_to_string(sandbox.path("run/report.html")).unwrap();
    assert!(report.contains("perplexity <b>"));
    let told = sandbox
        .wgrad("train --resume run --steps 70 --device cpu")
        .succeeds();
    assert!(
        told.out.contains("epoch 3/3") && told.out.contains("perplexity"),
        "{}",
        told.out
    );
}

#[test]
fn a_text_is_gone_on_with_and_the_same_seed_gives_the_same() {
    let (sandbox, _) = language();
    let generate = |args: &str| sandbox.wgrad(&format!("generate run --device cpu {args}"));
    let told = generate("--prompt ab --tokens 5 --temperature 0").succeeds();
    assert_eq!((&*told.out, &*told.err), ("abcdefg\n", ""));
    // A prompt longer than the context: the model sees its end.
    let told = generate("--prompt efghefghabcd --tokens 3 --temperature 0 --json").succeeds();
    let line = &told.json()[0];
    assert_eq!((&line["text"], &line["tokens"]), (&"efg".into(), &3.into()));
    // Without a prompt it begins a line.
    let told = generate("--tokens 3 --temperature 0").succeeds();
    assert_eq!(told.out, "abc\n");
    let hot = |seed: u32| {
        generate(&format!("--temperature 5 --seed {seed}"))
            .succeeds()
            .out
    };
    assert_eq!(hot(1), hot(1));
    assert_ne!(hot(1), hot(2));
    assert_eq!(
        hot(1).chars().count(),
        501,
        "500 tokens, and the end of the line"
    );
}

#[test]
fn what_can_not_be_written_is_told_in_a_sentence() {
    let (sandbox, _) = language();
    let generate = |args: &str| sandbox.wgrad(&format!("generate run --device cpu {args}"));
    generate("--prompt abé").fails(2, &["the prompt contains \"é\"", "leave it out"]);
    generate("--temperature -1").fails(2, &["temperature", "not -1"]);
    generate("--temperature nan").fails(2, &["temperature"]);
    generate("--top-k 0").fails(2, &["top-k must be at least 1"]);
    sandbox
        .wgrad("generate good")
        .fails(2, &["not a run folder"]);
    sandbox
        .wgrad("predict run letters.txt")
        .fails(2, &["trained to write text", "wgrad generate"]);
    let pictures = Sandbox::new();
    pictures.trained();
    pictures
        .wgrad("generate run")
        .fails(2, &["can't generate text", "not trained on text"]);
    pictures
        .wgrad("predict run --text hello")
        .fails(2, &["not trained on text"]);
    sandbox.write("short.txt", "abc");
    let args = "train letters.toml --data short.txt --device cpu --out other";
    sandbox
        .wgrad(args)
        .fails(1, &["short.txt", "make data.context smaller"]);
}

const OPINIONS: &str = r#"
batch = 8
epochs = 20

[data]
context = 4
tokens = "words"
test_share = 0.5

[optimizer]
name = "adam"
lr = 0.05

[model]
name = "opinions"
input = "auto"
layer = [
    { type = "embedding", width = 8 },
    { type = "time_pool", by = "mean" },
    { type = "dense", units = 2 },
]
"#;

#[test]
fn texts_are_told_apart_from_the_command_line_files_and_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.write("opinions.toml", OPINIONS);
    let rows = "pos,a good film\nneg,a bad film\npos,\"good, very good\"\nneg,so bad\n";
    sandbox.write("films.csv", format!("label,text\n{}", rows.repeat(8)));
    let train = "train opinions.toml --data films.csv --device cpu --out run --json";
    let told = sandbox.wgrad(train).succeeds();
    assert_eq!(told.json().last().unwrap()["test_accuracy"], 1.0);
    let told = sandbox.wgrad("eval run --device cpu --json").succeeds();
    assert_eq!(told.json()[0]["f1"], 1.0);
    let predict = |args: &str| sandbox.wgrad(&format!("predict run --device cpu --json {args}"));
    let told = predict("--text good --text bad").succeeds();
    let lines = told.json();
    assert_eq!(
        (&lines[0]["text"], &lines[0]["top"][0]["class"]),
        (&"good".into(), &"pos".into())
    );
    assert_eq!(lines[1]["top"][0]["class"], "neg");
    sandbox.write("review.txt", "bad bad bad bad good good good good");
    let told = predict("review.txt").succeeds();
    assert_eq!(
        told.json()[0]["top"][0]["class"],
        "neg",
        "only the first four words are seen"
    );
    assert_eq!(told.json()[0]["file"], "review.txt");
    assert!(
        told.err
            .contains("review.txt has 8 tokens, but the model takes 4"),
        "{}",
        told.err
    );
    let told = predict("--text blorp").succeeds();
    assert!(
        told.err
            .contains("text 1 has no token that occurred in training"),
        "{}",
        told.err
    );
    sandbox
        .wgrad("predict run --device cpu --text=")
        .fails(1, &["text 1 is an empty text"]);
    let piped = |input: &str| {
        let mut child = sandbox
            .command("predict run - --device cpu")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        Told::from(child.wait_with_output().unwrap())
    };
    let told = piped("good\nbad\n").succeeds();
    assert!(
        told.out.starts_with("good: pos ") && told.out.contains("\nbad: neg "),
        "{}",
        told.out
    );
    let told = piped("good\n\nbad\n").fails(1, &["line 2 of standard input is an empty text"]);
    assert!(
        told.out.starts_with("good: pos ") && told.out.contains("\nbad: neg "),
        "{}",
        told.out
    );
    // Of a table the column that the run learned from, whatever else is there.
    sandbox.write("new.csv", "id,text\n1,\"bad, so bad\"\n2,\n3,good\n");
    let lines = predict("new.csv").fails(1, &[]).json();
    assert_eq!(lines[0]["file"], "new.csv row 1");
    assert_eq!(lines[0]["top"][0]["class"], "neg");
    assert!(lines[1]["error"].is_string());
    assert_eq!(lines[2]["top"][0]["class"], "pos");
    sandbox.write("other.csv", "id,words\n1,good\n");
    sandbox.write("short.txt", "good");
    let told = predict("other.csv short.txt").fails(1, &["has no column text", "id, words"]);
    assert_eq!(told.json().len(), 2);
    assert_eq!(told.json()[1]["file"], "short.txt");
    piped("").fails(2, &["standard input has no line"]);
}

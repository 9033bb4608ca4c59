//! Texts on the command line: a language model that is trained, evaluated and generates text, and a text classifier.

use super::sandbox::{CommandOutput, Sandbox};
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

/// A sandbox with a run of a language model in `run`.
fn language() -> (Sandbox, CommandOutput) {
    let sandbox = Sandbox::new();
    sandbox.write("letters.toml", LETTERS);
    sandbox.write("letters.txt", "abcdefgh ijkl\n".repeat(40));
    let args = "train letters.toml --data letters.txt --device cpu --out run --json";
    let message = sandbox.wgrad(args).succeeds();
    (sandbox, message)
}

#[test]
fn a_language_model_is_trained_by_steps_and_reports_its_perplexity() {
    let (sandbox, message) = language();
    let lines = message.json();
    let events: Vec<_> = lines.iter().map(|line| line["event"].clone()).collect();
    assert_eq!(
        events,
        ["epoch", "epoch", "done"],
        "60 steps, message after every 30"
    );
    let value = |name: &str| lines[2][name].as_f64().unwrap();
    assert!(value("test_loss") < 0.3, "{}", message.out);
    assert!((value("test_perplexity") - value("test_loss").exp()).abs() < 1e-9);
    let message = sandbox
        .wgrad("eval run --json --device cpu")
        .succeeds()
        .json();
    assert!((message[0]["test_loss"].as_f64().unwrap() - value("test_loss")).abs() < 1e-6);
    assert!((message[0]["perplexity"].as_f64().unwrap() - value("test_perplexity")).abs() < 1e-5);
    let report = std::fs::read_to_string(sandbox.path("run/report.html")).unwrap();
    assert!(report.contains("perplexity <b>"));
    let message = sandbox
        .wgrad("train --resume run --steps 70 --device cpu")
        .succeeds();
    assert!(
        message.out.contains("epoch 3/3") && message.out.contains("perplexity"),
        "{}",
        message.out
    );
}

#[test]
fn a_prompt_is_continued_and_the_same_seed_gives_the_same_text() {
    let (sandbox, _) = language();
    let generate = |args: &str| sandbox.wgrad(&format!("generate run --device cpu {args}"));
    let message = generate("--prompt ab --tokens 5 --temperature 0").succeeds();
    assert_eq!((&*message.out, &*message.err), ("abcdefg\n", ""));
    // The prompt is longer than the context, so the model sees only its end.
    let message = generate("--prompt efghefghabcd --tokens 3 --temperature 0 --json").succeeds();
    let line = &message.json()[0];
    assert_eq!((&line["text"], &line["tokens"]), (&"efg".into(), &3.into()));
    // Without a prompt, generation begins at the start of a line.
    let message = generate("--tokens 3 --temperature 0").succeeds();
    assert_eq!(message.out, "abc\n");
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
fn several_prompts_are_continued_together() {
    let (sandbox, _) = language();
    let generate = |args: &str| sandbox.wgrad(&format!("generate run --device cpu {args}"));
    let both = generate("--prompt ab --prompt efg --tokens 3 --temperature 0").succeeds();
    assert_eq!(both.out, "--- 1 of 2\nabcde\n--- 2 of 2\nefgh i\n");
    sandbox.write("prompts.txt", "ab\n\nefg\nijk\n");
    let lines = generate("--prompts prompts.txt --tokens 2 --temperature 0 --json").succeeds();
    let lines = lines.json();
    let texts: Vec<_> = lines
        .iter()
        .map(|line| [line["prompt"].clone(), line["text"].clone()])
        .collect();
    let wanted = [["ab", "cd"], ["efg", "h "], ["ijk", "l\n"]];
    assert_eq!(texts, wanted.map(|pair| pair.map(serde_json::Value::from)));
    // The first has the random numbers that it has alone.
    let hot = |args: &str| generate(&format!("{args} --temperature 5 --tokens 9 --json"));
    let (alone, two) = (hot("--prompt ab"), hot("--prompt ab --prompt ab"));
    let (alone, two) = (alone.succeeds().json(), two.succeeds().json());
    assert_eq!(alone[0]["text"], two[0]["text"]);
    assert_ne!(two[0]["text"], two[1]["text"]);
    sandbox.write("none.txt", "\n\n");
    generate("--prompts none.txt").fails(2, &["none.txt has no line with a prompt"]);
    generate("--prompts away.txt").fails(2, &["away.txt"]);
}

#[test]
fn invalid_prompts_are_refused_in_a_sentence() {
    let (sandbox, _) = language();
    let generate = |args: &str| sandbox.wgrad(&format!("generate run --device cpu {args}"));
    generate("--prompt abé").fails(2, &["the prompt contains \"é\"", "leave it out"]);
    generate("--count 3").fails(2, &["--count", "draw images"]);
    generate("--temperature -1").fails(2, &["temperature", "not -1"]);
    generate("--temperature nan").fails(2, &["temperature"]);
    generate("--top-k 0").fails(2, &["top-k must be at least 1"]);
    generate("--top-p 1.5").fails(2, &["top-p must be a probability", "1.5"]);
    generate("--repetition-penalty 0").fails(2, &["repetition penalty must be above 0"]);
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
fn texts_are_distinguished_from_the_command_line_files_and_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.write("opinions.toml", OPINIONS);
    let rows = "pos,a good film\nneg,a bad film\npos,\"good, very good\"\nneg,so bad\n";
    sandbox.write("films.csv", format!("label,text\n{}", rows.repeat(8)));
    let train = "train opinions.toml --data films.csv --device cpu --out run --json";
    let message = sandbox.wgrad(train).succeeds();
    assert_eq!(message.json().last().unwrap()["test_accuracy"], 1.0);
    let message = sandbox.wgrad("eval run --device cpu --json").succeeds();
    assert_eq!(message.json()[0]["f1"], 1.0);
    let predict = |args: &str| sandbox.wgrad(&format!("predict run --device cpu --json {args}"));
    let message = predict("--text good --text bad").succeeds();
    let lines = message.json();
    assert_eq!(
        (&lines[0]["text"], &lines[0]["top"][0]["class"]),
        (&"good".into(), &"pos".into())
    );
    assert_eq!(lines[1]["top"][0]["class"], "neg");
    sandbox.write("review.txt", "bad bad bad bad good good good good");
    let message = predict("review.txt").succeeds();
    assert_eq!(
        message.json()[0]["top"][0]["class"],
        "neg",
        "only the first four words are seen"
    );
    assert_eq!(message.json()[0]["file"], "review.txt");
    assert!(
        message
            .err
            .contains("review.txt has 8 tokens, but the model takes 4"),
        "{}",
        message.err
    );
    let message = predict("--text blorp").succeeds();
    assert!(
        message
            .err
            .contains("text 1 has no token that occurred in training"),
        "{}",
        message.err
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
        CommandOutput::from(child.wait_with_output().unwrap())
    };
    let message = piped("good\nbad\n").succeeds();
    assert!(
        message.out.starts_with("good: pos ") && message.out.contains("\nbad: neg "),
        "{}",
        message.out
    );
    let message = piped("good\n\nbad\n").fails(1, &["line 2 of standard input is an empty text"]);
    assert!(
        message.out.starts_with("good: pos ") && message.out.contains("\nbad: neg "),
        "{}",
        message.out
    );
    // From a table, the column that the run was trained on is read, whatever other columns there are.
    sandbox.write("new.csv", "id,text\n1,\"bad, so bad\"\n2,\n3,good\n");
    let lines = predict("new.csv").fails(1, &[]).json();
    assert_eq!(lines[0]["file"], "new.csv row 1");
    assert_eq!(lines[0]["top"][0]["class"], "neg");
    assert!(lines[1]["error"].is_string());
    assert_eq!(lines[2]["top"][0]["class"], "pos");
    sandbox.write("other.csv", "id,words\n1,good\n");
    sandbox.write("short.txt", "good");
    let message = predict("other.csv short.txt").fails(1, &["has no column text", "id, words"]);
    assert_eq!(message.json().len(), 2);
    assert_eq!(message.json()[1]["file"], "short.txt");
    piped("").fails(2, &["standard input has no line"]);
}

#[test]
fn a_published_tokenizer_is_used_where_it_suits_the_data() {
    let record = include_str!("../fixtures/tokenizers.json");
    let cases: Vec<serde_json::Value> = serde_json::from_str(record).unwrap();
    let sandbox = Sandbox::new();
    for case in &cases {
        let file = format!("{}.json", case["name"].as_str().unwrap());
        sandbox.write(&file, case["file"].to_string());
    }
    let settings = LETTERS.replace("steps = 60", "steps = 30");
    sandbox.write("letters.toml", settings);
    sandbox.write("text.txt", "the cat, the dog: the end.\n".repeat(60));
    let train = |data: &str, more: &str, out: &str| {
        let args = format!("train letters.toml --data {data} --device cpu --out {out}");
        sandbox.wgrad(&format!("{args} --set data.tokenizer={more}"))
    };
    train("text.txt", "byte_level.json", "run").succeeds();
    let args = "generate run --device cpu --prompt the --tokens 3 --temperature 0";
    let text = sandbox.wgrad(args).succeeds().out;
    assert!(text.starts_with("the "), "{text}");
    train("text.txt", "none.json", "other").fails(1, &["has no tokenizer.json"]);
    sandbox.write("bad.json", "{\"model\": {}}");
    train("text.txt", "bad.json", "other").fails(1, &["bad.json is not a valid tokenizer"]);
    let more = "byte_level.json --set data.tokens=words";
    train("text.txt", more, "other").fails(2, &["a published one", "leave data.tokens out"]);
    sandbox.write("tags.conll", "the O\ncat B-X\n\na O\n".repeat(9));
    let more = "word_pieces.json --set data.format=conll";
    train("tags.conll", more, "other").fails(2, &["does not suit this data"]);
}

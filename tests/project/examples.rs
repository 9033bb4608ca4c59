//! The examples run in seconds, and do what they document.

use std::process::Command;

/// The output of the example `name`, which is built together with the tests.
fn printed(name: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--example", name]);
    // The same features: others would build the library once more.
    if cfg!(feature = "parquet") {
        cargo.arg("--all-features");
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// The first number after `words` in `text`.
fn number_after(text: &str, words: &str) -> f64 {
    let (_, rest) = text
        .split_once(words)
        .unwrap_or_else(|| panic!("no {words:?} in: {text}"));
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let rest = rest.trim_start();
    let number: String = rest.chars().take_while(|&c| digits(c)).collect();
    number
        .parse()
        .unwrap_or_else(|_| panic!("no number after {words:?} in: {text}"))
}

#[test]
fn gradient_descent_prints_a_plan() {
    assert!(printed("gradient_descent").contains("matmul"));
}

#[test]
fn train_learns_digits() {
    assert!(number_after(&printed("train"), "accuracy") > 60.0);
}

#[test]
fn a_custom_loop_learns_a_quantile() {
    let message = printed("custom_loop");
    assert!(number_after(&message, "step 400: loss") < number_after(&message, "step 100: loss"));
    let below = number_after(message.lines().last().unwrap(), "");
    assert!((48.0..=63.0).contains(&below), "{message}");
}

#[test]
fn what_is_transferred_helps_with_a_new_task() {
    let message = printed("transfer_learning");
    let gained =
        number_after(&message, "after: accuracy") - number_after(&message, "before: accuracy");
    assert!(gained > 10.0, "{message}");
}

#[test]
fn embeddings_of_equal_digits_are_alike() {
    let message = printed("embedding_inference");
    assert!(message.starts_with("output: f32[40,64]"), "{message}");
    assert!(
        number_after(message.lines().last().unwrap(), "") > 8.0,
        "{message}"
    );
}

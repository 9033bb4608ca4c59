//! Reading TOML text, with errors that name the file, the line and the nearest existing key.

use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use serde::de::DeserializeOwned;

/// Parses TOML. For an unknown key, the message names the nearest existing one.
///
/// # Errors
/// Names the file, the line and the problem.
pub fn parse<T: DeserializeOwned>(text: &str, file: &str) -> Result<T> {
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let message = e.message().trim().replace('\n', " ");
        let Some(span) = e.span() else {
            return Error::Config(format!("{file}: {}", explained(&message)));
        };
        let number = line_of(text, span.start, &message);
        let line = text.lines().nth(number - 1).unwrap_or_default();
        let (problem, advice) = (explained(&message), advice(line, &message));
        Error::Config(format!("{file}, line {number}: {problem}{advice}"))
    })
}

/// Serde's message about a value in terms of TOML, with the nearest known key.
pub(crate) fn explained(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
    let suggestion = suggestion(&message);
    format!("{}{suggestion}", in_words(message))
}

/// What to do about a mistake in the `line`: a path with backslashes, as on Windows, needs other quotes.
fn advice(line: &str, message: &str) -> &'static str {
    let is_escape = message.contains("escape") || message.contains("unicode");
    match is_escape && line.contains('"') && line.contains('\\') {
        true => {
            "; in double quotes a backslash begins an escape, so write a path with / or in single quotes, as in 'C:\\data'"
        }
        false => "",
    }
}

/// Line of the error with this `message` that was met at byte `start`. For a key within a table that is read as a whole,
/// `start` is that of the table, and the key is looked for from there on.
fn line_of(text: &str, start: usize, message: &str) -> usize {
    let bytes = &text.as_bytes()[..start.min(text.len())];
    let line = bytes.iter().filter(|&&b| b == b'\n').count();
    let key = message
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split('`').next());
    let within = key.and_then(|key| {
        text.lines().skip(line).position(|line| {
            let rest = line.trim_start().strip_prefix(key);
            rest.is_some_and(|rest| rest.trim_start().starts_with('='))
        })
    });
    line + within.unwrap_or(0) + 1
}

/// Rust's type names in terms of TOML.
fn in_words(mut message: String) -> String {
    for rust in ["usize", "u64", "u32"] {
        message = message.replace(
            &format!("expected {rust}"),
            "expected a whole number, 0 or more",
        );
    }
    message = message.replace("expected a sequence", "expected a list");
    message = message.replace("expected a map", "expected a table");
    for rust in ["f64", "f32"] {
        message = message.replace(&format!("expected {rust}"), "expected a number");
    }
    message
}

/// For serde's "unknown field `x`, expected one of `a`, `b`": the one most similar to `x`.
fn suggestion(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let [unknown, known @ ..] = &quoted[..] else {
        return String::new();
    };
    if !message.starts_with("unknown") {
        return String::new();
    }
    did_you_mean(unknown, known.iter().copied())
}

//! The settings in a report: those of `run.toml` that matter to the kind of run.

use crate::data::{Samples, field};
use std::fmt::Write as _;
use toml::{Table, Value};

/// Most characters that are shown.
const MOST_TEXT: usize = 32 << 10;

/// Settings that are off at these values, wherever they stand.
const OFF: [(&str, Value); 10] = [
    ("centered", Value::Boolean(false)),
    ("dilation", Value::Integer(1)),
    ("dropout", Value::Float(0.0)),
    ("groups", Value::Integer(1)),
    ("label_smoothing", Value::Float(0.0)),
    ("min_delta", Value::Float(0.0)),
    ("momentum", Value::Float(0.0)),
    ("nesterov", Value::Boolean(false)),
    ("skip_bad", Value::Boolean(false)),
    ("weight_decay", Value::Float(0.0)),
];

/// Keys that stand before the others of their table.
const FIRST: [&str; 3] = ["type", "name", "source"];

/// Whether a setting is off.
fn is_off(key: &str, value: &Value) -> bool {
    match (key, value) {
        ("activation", Value::String(name)) => name == "none",
        _ => OFF.iter().any(|(known, off)| *known == key && value == off),
    }
}

/// The settings of `run.toml` without the values fitted to the data, without keys of `[data]` for other kinds of data than
/// `samples`, and without those that are off. Text that can't be read as settings is shown as it is.
pub(super) fn shown(text: &str, samples: &Samples) -> String {
    let Ok(mut settings) = text.parse::<Table>() else {
        return cut(text);
    };
    settings.remove("fitted");
    if let Some(Value::Table(data)) = settings.get_mut("data") {
        let kept: Vec<String> = data
            .iter()
            .filter(|(key, _)| matters(key, data, samples))
            .map(|(key, _)| key.clone())
            .collect();
        data.retain(|key, _| kept.iter().any(|kept| kept == key));
    }
    let mut out = String::new();
    write_table(&mut out, "", &settings);
    cut(out.trim_start())
}

/// Whether a key of `[data]` has an effect on data of the kind of `samples`.
fn matters(key: &str, data: &Table, samples: &Samples) -> bool {
    let has = |name| samples.field(name).is_some();
    let is = |key: &str, value: &str| data.get(key).and_then(Value::as_str) == Some(value);
    match key {
        "train" | "test" => is("source", "digits"),
        "fold" => data.contains_key("folds"),
        "fit" => has(field::IMAGE) && !is("source", "digits"),
        "tokens" => has(field::TOKENS),
        "vocabulary" => has(field::TOKENS) && !is("tokens", "characters"),
        "horizon" => has(field::TARGET),
        _ => true,
    }
}

/// The settings of a table that are not off: names first, lists of tables last, the others in alphabetical order.
fn ordered(table: &Table) -> Vec<(&String, &Value)> {
    let mut settings: Vec<(&String, &Value)> = table
        .iter()
        .filter(|(key, value)| !is_off(key, value))
        .collect();
    settings.sort_by_key(|(key, value)| {
        let first = FIRST.iter().position(|first| first == key);
        (first.unwrap_or(FIRST.len()), is_list_of_tables(value))
    });
    settings
}

fn is_list_of_tables(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().any(Value::is_table))
}

/// Writes the values of a table, then its tables under their headings, in TOML. Layers take a line each.
fn write_table(out: &mut String, path: &str, table: &Table) {
    let (tables, values): (Vec<_>, Vec<_>) = ordered(table)
        .into_iter()
        .partition(|(_, value)| value.is_table());
    if !path.is_empty() && !values.is_empty() {
        let _ = write!(out, "\n[{path}]\n");
    }
    for (key, value) in values {
        match value {
            Value::Array(items) if is_list_of_tables(value) => {
                let _ = writeln!(out, "{} = [", quoted(key));
                for item in items {
                    let _ = writeln!(out, "    {},", inline(item));
                }
                out.push_str("]\n");
            }
            value => {
                let _ = writeln!(out, "{} = {}", quoted(key), inline(value));
            }
        }
    }
    for (key, value) in tables {
        if let Value::Table(table) = value {
            let dot = if path.is_empty() { "" } else { "." };
            write_table(out, &format!("{path}{dot}{}", quoted(key)), table);
        }
    }
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let each: Vec<String> = ordered(table)
                .into_iter()
                .map(|(key, value)| format!("{} = {}", quoted(key), inline(value)))
                .collect();
            format!("{{ {} }}", each.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        value => value.to_string(),
    }
}

/// A key, in quotes if it needs them.
fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !key.is_empty() && key.chars().all(bare) {
        true => key.to_string(),
        false => Value::String(key.to_string()).to_string(),
    }
}

/// The first part of a long text.
fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MOST_TEXT);
    match end < text.len() {
        true => format!("{}\n…", &text[..end]),
        false => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSet;

    fn images() -> Samples {
        Samples::from(ImageSet {
            images: vec![0],
            labels: vec![0],
            height: 1,
            width: 1,
            channels: 1,
        })
    }

    const TEXT: &str = r#"
seed = 1
label_smoothing = 0.0

[data]
source = "pictures"
train = 12000
test = 2000
evaluate = "test"
fold = 1
fit = "crop"
skip_bad = false
tokens = "characters"
vocabulary = 8192
horizon = 1

[optimizer]
name = "sgd"
lr = 0.1
weight_decay = 0.0

[model]
name = "net"

[[model.layer]]
name = "dense1"
type = "dense"
units = 10
activation = "none"
groups = 1
bias = false

[fitted]
classes = ["<a>"]
"#;

    #[test]
    fn settings_that_have_no_effect_are_left_out() {
        let found = shown(TEXT, &images());
        let wanted = r#"seed = 1

[data]
source = "pictures"
evaluate = "test"
fit = "crop"

[model]
name = "net"
layer = [
    { type = "dense", name = "dense1", bias = false, units = 10 },
]

[optimizer]
name = "sgd"
lr = 0.1
"#;
        assert_eq!(found, wanted);
        // It is TOML with the same values.
        let (found, text): (Table, Table) = (found.parse().unwrap(), TEXT.parse().unwrap());
        assert_eq!(found["seed"], text["seed"]);
        assert_eq!(
            found["model"]["layer"][0]["units"],
            text["model"]["layer"][0]["units"]
        );
    }

    #[test]
    fn built_in_digits_have_their_counts_and_folds_their_number() {
        let found = shown(&TEXT.replace("pictures", "digits"), &images());
        assert!(
            found.contains("train = 12000") && !found.contains("fit ="),
            "{found}"
        );
        let found = shown(&TEXT.replace("fold = 1", "fold = 1\nfolds = 5"), &images());
        assert!(found.contains("fold = 1\nfolds = 5"), "{found}");
    }

    #[test]
    fn long_and_damaged_settings_are_bounded() {
        assert_eq!(shown("no [ toml", &images()), "no [ toml");
        let long = format!("name = \"{}\"", "ä".repeat(MOST_TEXT));
        assert!(shown(&long, &images()).len() <= MOST_TEXT + 4);
        assert_eq!(shown("\"a b\" = 1", &images()), "\"a b\" = 1\n");
    }
}

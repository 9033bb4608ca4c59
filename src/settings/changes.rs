//! Comparison of settings: of a resumed run with those that it was last accepted with, and of several runs.

use super::Settings;
use crate::error::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use toml::{Table, Value};

/// Settings that a resumed run may change: its length, how epochs are judged, its checkpoints and event files, the
/// device, and the memory for data.
pub(super) const OF_A_RUN: &[&str] = &[
    "epochs",
    "steps",
    "patience",
    "monitor",
    "min_delta",
    "checkpoint_every",
    "keep_checkpoints",
    "tensorboard",
    "device",
    "adapter",
    "data.evaluate",
    "data.memory_limit",
];

/// Settings that the resumed run of an agent may change: its length, its checkpoints and the device.
pub(super) const OF_AN_AGENT: &[&str] = &["epochs", "keep_checkpoints", "device", "adapter"];

/// Settings that resumed folds may change: only their checkpoints, event files, the device and the memory for data, since a mean over folds of different lengths is meaningless.
pub(super) const OF_FOLDS: &[&str] = &[
    "device",
    "adapter",
    "checkpoint_every",
    "keep_checkpoints",
    "tensorboard",
    "data.memory_limit",
];

/// Settings that a resumed sweep may change, which are those of folds: its trials are compared as they were begun.
pub(super) const OF_A_SWEEP: &[&str] = &[
    "run.device",
    "run.adapter",
    "run.checkpoint_every",
    "run.keep_checkpoints",
    "run.tensorboard",
    "run.data.memory_limit",
];

impl Settings {
    /// Takes over what a resumed run may change from `others`.
    pub(super) fn take_changes(&mut self, others: &Settings) {
        self.epochs = others.epochs;
        self.steps = others.steps;
        self.patience = others.patience;
        self.monitor.clone_from(&others.monitor);
        self.min_delta = others.min_delta;
        self.checkpoint_every = others.checkpoint_every;
        self.keep_checkpoints = others.keep_checkpoints;
        self.tensorboard = others.tensorboard;
        self.device = others.device;
        self.adapter.clone_from(&others.adapter);
        self.sign.clone_from(&others.sign);
        self.data.evaluate = others.data.evaluate;
        self.data.memory_limit = others.data.memory_limit;
    }
}

/// A setting that differs.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    /// Dotted key; items of lists of tables count from 1: `model.layer[1].units`.
    pub key: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { key, before, after } = self;
        write!(f, "{key}: {} -> {}", shown(before), shown(after))
    }
}

/// A value as text; `none` if it is absent.
pub(super) fn shown(value: &Option<Value>) -> String {
    value
        .as_ref()
        .map_or_else(|| "none".to_string(), Value::to_string)
}

/// The settings that differ, sorted by key.
///
/// # Errors
/// If settings can't be written as TOML.
fn changes<T: Serialize>(before: &T, after: &T) -> Result<Vec<Change>> {
    let (mut old, mut new) = (flat(before)?, flat(after)?);
    let mut keys: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    let change = |key: String| Change {
        before: old.remove(&key),
        after: new.remove(&key),
        key,
    };
    let all = keys.into_iter().map(change);
    // Compared as text, so that NaN equals itself.
    Ok(all
        .filter(|change| shown(&change.before) != shown(&change.after))
        .collect())
}

/// Checks that only `permitted` settings changed, and returns the changes. `file` holds the new settings.
///
/// # Errors
/// Names the first setting that must not change, with both values.
pub(super) fn permit<T: Serialize>(
    before: &T,
    after: &T,
    permitted: &[&str],
    file: &Path,
) -> Result<Vec<Change>> {
    let changes = changes(before, after)?;
    let mut refused: Vec<&Change> = changes
        .iter()
        .filter(|change| !permitted.contains(&change.key.as_str()))
        .collect();
    // A changed name is more informative than the keys that change with it.
    refused.sort_by_key(|change| {
        let one_sided = change.before.is_none() || change.after.is_none();
        (one_sided, !change.key.ends_with("name"))
    });
    let Some(change) = refused.first() else {
        return Ok(changes);
    };
    Err(Error::Config(format!(
        "{}: {} was {} when training began and is {} now; change it back or train anew, since only {} may change when a run is \
         resumed",
        file.display(),
        change.key,
        shown(&change.before),
        shown(&change.after),
        permitted.join(", ")
    )))
}

/// The settings by their dotted keys; items of lists of tables count from 1.
///
/// # Errors
/// If they can't be written as TOML.
pub(super) fn flat<T: Serialize>(settings: &T) -> Result<BTreeMap<String, Value>> {
    let table = Table::try_from(settings)
        .map_err(|e| Error::Config(format!("the settings can't be compared: {e}")))?;
    let mut flat = BTreeMap::new();
    flatten("", &table, &mut flat);
    Ok(flat)
}

fn flatten(prefix: &str, table: &Table, flat: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let key = match prefix {
            "" => key.clone(),
            _ => format!("{prefix}.{key}"),
        };
        match value {
            Value::Table(inner) => flatten(&key, inner, flat),
            Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_table) => {
                for (number, item) in (1..).zip(items) {
                    if let Value::Table(item) = item {
                        flatten(&format!("{key}[{number}]"), item, flat);
                    }
                }
            }
            value => {
                flat.insert(key, value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change_is_returned_and_the_rest_is_refused_by_name() {
        let before = Settings::preset().unwrap();
        let mut after = before.clone();
        let file = Path::new("run.toml");
        after
            .assign(&["epochs=5".into(), "patience=2".into()])
            .unwrap();
        let found = permit(&before, &after, OF_A_RUN, file).unwrap();
        let message: Vec<String> = found.iter().map(Change::to_string).collect();
        assert_eq!(message, ["epochs: 3 -> 5", "patience: none -> 2"]);
        let message = permit(&before, &after, OF_FOLDS, file).unwrap_err();
        assert!(message.to_string().contains("epochs was 3"), "{message}");
        after.model.layers.pop();
        let message = permit(&before, &after, OF_A_RUN, file).unwrap_err();
        assert!(message.to_string().contains("model.layer["), "{message}");
    }

    #[test]
    fn another_optimizer_is_refused_by_its_name() {
        let before = Settings::preset().unwrap();
        let mut after = before.clone();
        after.assign(&["optimizer=sgd".into()]).unwrap();
        let message = permit(&before, &after, OF_A_RUN, Path::new("run.toml")).unwrap_err();
        let message = message.to_string();
        let said = "optimizer.name was \"adam\" when training began and is \"sgd\" now";
        assert!(message.contains(said), "{message}");
    }
}

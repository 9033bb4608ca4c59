//! Assignments to single settings by their dotted keys, as on the command line: `optimizer.lr=0.01`.

use super::{Settings, named_model};
use crate::data::Fitted;
use crate::error::{Error, Result};
use std::path::Path;
use toml::{Table, Value};

impl Settings {
    /// Applies `assignments`, each `key=value` with the dotted key of a run file. A value that is not valid TOML is taken as a
    /// string.
    ///
    /// # Errors
    /// Names the assignment without `=`, or the unknown key or invalid value.
    pub fn assign(&mut self, assignments: &[String]) -> Result<()> {
        for assignment in assignments {
            let changed = self.assigned(assignment);
            *self = changed.map_err(|why| match why {
                Error::Config(why) => Error::Config(format!("--set {assignment}: {why}")),
                other => other,
            })?;
        }
        Ok(())
    }

    /// The settings with one change.
    fn assigned(&self, assignment: &str) -> Result<Settings> {
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(Error::Config(
                "it takes KEY=VALUE, such as optimizer.lr=0.01".to_string(),
            ));
        };
        self.with(key.trim(), parsed(value.trim()))
    }

    /// The settings with `value` for the dotted `key`; `model.layer[2].units` is a key of the second item of a list.
    ///
    /// # Errors
    /// If there is no such key, or the value does not fit it.
    pub(super) fn with(&self, key: &str, value: Value) -> Result<Settings> {
        let mut table = Table::try_from(self)
            .map_err(|e| Error::Config(format!("the settings can't be changed: {e}")))?;
        let value = match (value, key.split_once('.')) {
            // A model given by name or file.
            (Value::String(name), None) if key == "model" => model(&name)?,
            (Value::String(name), Some(("models", role))) if !role.contains('.') => model(&name)?,
            (value, _) => value,
        };
        put(&mut table, key, value).map_err(Error::Config)?;
        let changed: Settings = table.try_into().map_err(|e: toml::de::Error| {
            Error::Config(crate::toml_text::explained(e.message()))
        })?;
        // Settings that are not serialised are kept; values fitted to other data are not.
        let mut fitted = changed.fitted;
        match changed.data.source == self.data.source {
            true => fitted.tokenizer.clone_from(&self.fitted.tokenizer),
            false => fitted = Fitted::default(),
        }
        Ok(Settings {
            out: changed.out.or_else(|| self.out.clone()),
            fitted,
            ..changed
        })
    }
}

fn model(name: &str) -> Result<Value> {
    let model = named_model(name, Path::new(""))?;
    let table = Table::try_from(model)
        .map_err(|e| Error::Config(format!("the model can't be written: {e}")))?;
    Ok(Value::Table(table))
}

/// `text` as a TOML value, or as a string.
fn parsed(text: &str) -> Value {
    let table: Result<Table, _> = toml::from_str(&format!("value = {text}"));
    let value = table.ok().and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_string()))
}

/// Sets a dotted key to `value`.
fn put(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let (head, rest) = match key.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (key, None),
    };
    if head.is_empty() {
        return Err("the key is empty".to_string());
    }
    let place = match numbered(head) {
        Some((name, number)) => item(table, name, number)?,
        // A name stands for a table with its defaults, as in a run file.
        None => table
            .entry(head)
            .or_insert_with(|| Value::Table(Table::new())),
    };
    match (rest, place) {
        (None, place) => *place = value,
        (Some(rest), Value::Table(inner)) => put(inner, rest, value)?,
        (Some(rest), _) => return Err(format!("{head} is not a table, so it has no {rest}")),
    }
    Ok(())
}

/// The name and the number of an item of a list, such as `layer[2]`.
fn numbered(head: &str) -> Option<(&str, usize)> {
    let (name, number) = head.strip_suffix(']')?.split_once('[')?;
    Some((name, number.parse().ok()?))
}

/// An item of the list `name`, by its number from 1.
fn item<'a>(table: &'a mut Table, name: &str, number: usize) -> Result<&'a mut Value, String> {
    let Some(Value::Array(items)) = table.get_mut(name) else {
        return Err(format!("{name} is not a list, so it has no item {number}"));
    };
    let count = items.len();
    let found = number.checked_sub(1).and_then(|index| items.get_mut(index));
    found.ok_or_else(|| {
        format!("{name} has {count} items, which count from 1, so there is no {name}[{number}]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_can_be_set_and_a_wrong_one_is_named() {
        let mut settings = Settings::preset().unwrap();
        let set = |settings: &mut Settings, text: &str| settings.assign(&[text.to_string()]);
        set(&mut settings, "optimizer.lr=0.25").unwrap();
        set(&mut settings, "schedule=cosine").unwrap();
        set(&mut settings, "schedule.warmup_steps=7").unwrap();
        set(&mut settings, "data.source=some/folder").unwrap();
        set(&mut settings, "batch=17").unwrap();
        assert_eq!((settings.optimizer.lr(), settings.batch), (0.25, 17));
        assert_eq!(settings.schedule.warmup_steps(), Some(7));
        assert_eq!(settings.data.source, "some/folder");
        let layers = settings.model.layers.len();
        set(&mut settings, &format!("model.layer[{layers}].bias=false")).unwrap();
        let text = toml::to_string(&settings.model.layers[layers - 1]).unwrap();
        assert!(text.contains("bias = false"), "{text}");
        let message = |text: &str| {
            let mut settings = Settings::preset().unwrap();
            set(&mut settings, text).unwrap_err().to_string()
        };
        assert!(message("optimizer.rl=1").contains("rl"));
        assert!(message("batch").contains("KEY=VALUE"));
        assert!(message("bach=3").contains("batch"));
        assert!(message("model.layer[99].units=3").contains("no layer[99]"));
        assert!(message("model.layer[0].units=3").contains("count from 1"));
        assert!(message("batch[1]=3").contains("batch is not a list"));
    }
}

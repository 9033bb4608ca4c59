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

    /// The settings with `value` for the dotted `key`.
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
    match key.split_once('.') {
        None if key.is_empty() => Err("the key is empty".to_string()),
        None => {
            // A name stands for a table with its defaults, as in a run file.
            table.insert(key.to_string(), value);
            Ok(())
        }
        Some((head, rest)) => {
            let inner = table
                .entry(head)
                .or_insert_with(|| Value::Table(Table::new()));
            match inner {
                Value::Table(inner) => put(inner, rest, value),
                _ => Err(format!("{head} is not a table, so it has no {rest}")),
            }
        }
    }
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
        let message = |text: &str| {
            let mut settings = Settings::preset().unwrap();
            set(&mut settings, text).unwrap_err().to_string()
        };
        assert!(message("optimizer.rl=1").contains("rl"));
        assert!(message("batch").contains("KEY=VALUE"));
        assert!(message("bach=3").contains("batch"));
    }
}

//! What a program must know to use an exported network.

use super::Settings;
use serde_json::{Value, json};

impl Settings {
    /// Notes for a file that is exported, as pairs of a name and JSON: classes, mean and standard deviation of the channels (of
    /// pixels from 0 to 1), how images are fitted to the size of the input, task, tokenizer; as far as the run has them.
    pub fn notes(&self) -> Vec<(String, String)> {
        let mut notes: Vec<(&str, Value)> = Vec::new();
        let fitted = &self.fitted;
        if !fitted.classes.is_empty() {
            notes.push(("classes", json!(fitted.classes)));
        }
        if !fitted.mean.is_empty() {
            notes.push(("mean", json!(fitted.mean)));
            notes.push(("std", json!(fitted.std)));
            notes.push(("fit", json!(self.data.fit)));
        }
        if let Some(task) = &self.task.name {
            notes.push(("task", json!(task)));
        }
        if let Some(tokenizer) = &fitted.tokenizer {
            notes.push(("tokenizer", json!(tokenizer)));
        }
        let named = notes.into_iter();
        named
            .map(|(name, value)| (format!("wgrad.{name}"), value.to_string()))
            .collect()
    }
}

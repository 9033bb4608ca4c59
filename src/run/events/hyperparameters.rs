//! Hyper-parameters for TensorBoard's plugin HParams: the settings of a run that are numbers, texts, or true or false.

use super::messages::{HParam, HParamValue};
use crate::error::Result;
use crate::toml_text::parse;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The values in the text of a `run.toml` by their dotted keys, such as `optimizer.lr`, without lists and what was fitted to
/// the data.
///
/// # Errors
/// If it is not TOML.
pub(super) fn hyperparameters(settings: &str) -> Result<BTreeMap<String, HParam>> {
    let mut table: Table = parse(settings, "run.toml")?;
    table.remove("fitted");
    let mut found = BTreeMap::new();
    collect("", &table, &mut found);
    Ok(found)
}

fn collect(prefix: &str, table: &Table, found: &mut BTreeMap<String, HParam>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        let value = match value {
            Value::Table(inner) => {
                collect(&format!("{key}."), inner, found);
                continue;
            }
            Value::Array(_) => continue,
            Value::Integer(number) => HParamValue::Number(*number as f64),
            Value::Float(number) => HParamValue::Number(*number),
            Value::Boolean(flag) => HParamValue::Flag(*flag),
            Value::String(text) => HParamValue::Text(text.clone()),
            Value::Datetime(time) => HParamValue::Text(time.to_string()),
        };
        found.insert(key, HParam { kind: Some(value) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_by_dotted_keys_without_lists_and_fitted_values() {
        let text = "seed = 3\nshuffle = true\nfreeze = [\"a\"]\n[optimizer]\nname = \"adam\"\nlr = 0.01\n[fitted]\nscale = 2\n";
        let found = hyperparameters(text).unwrap();
        let value = |key: &str| found[key].kind.clone().unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!(value("seed"), HParamValue::Number(3.0));
        assert_eq!(value("shuffle"), HParamValue::Flag(true));
        assert_eq!(value("optimizer.name"), HParamValue::Text("adam".into()));
        assert_eq!(value("optimizer.lr"), HParamValue::Number(0.01));
    }
}

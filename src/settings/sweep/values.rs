//! The values of a sweep: lists and ranges for any keys of a run file.

use crate::data::is_built_in;
use crate::error::{Error, Result};
use crate::random::Stream;
use crate::toml_text::explained;
use serde::Deserialize;
use std::path::Path;
use toml::{Table, Value};

/// Most values of a range with steps.
const MOST_STEPS: f64 = 1e6;

/// A setting of a trial: its dotted key and its value.
pub type TrialValue = (String, Value);

/// The values that a setting may take.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Candidates {
    /// These.
    List(Vec<Value>),
    /// Those of a range.
    Range(Range),
}

/// A range of numbers, both ends included.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    from: f64,
    to: f64,
    /// Whether equal ratios are equally likely.
    log: bool,
    /// Distance between values; any number between the ends if absent.
    step: Option<f64>,
    /// Whether the values are whole numbers.
    whole: bool,
}

/// A range as it is written. Whole numbers give whole numbers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRange {
    from: Value,
    to: Value,
    #[serde(default)]
    log: bool,
    step: Option<Value>,
}

/// The `values` of a sweep by their dotted keys: `"optimizer.lr" = [...]` is the same as `optimizer.lr = [...]`, a list in a table.
pub(super) fn flattened(values: Table) -> Table {
    let mut flat = Table::new();
    collect("", values, &mut flat);
    flat
}

fn collect(prefix: &str, values: Table, flat: &mut Table) {
    for (key, value) in values {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(inner) if !is_range(&inner) => collect(&format!("{key}."), inner, flat),
            value => {
                flat.insert(key, value);
            }
        }
    }
}

fn is_range(table: &Table) -> bool {
    table.contains_key("from") || table.contains_key("to")
}

/// Makes paths among the values of `key` that exist in `folder` absolute, so that they are valid in any folder.
pub(super) fn locate(key: &str, values: &mut Value, folder: &Path) {
    let is_path = ["data", "data.source", "data.tokenizer", "init", "model"].contains(&key)
        || key.starts_with("models.");
    let (true, Value::Array(values)) = (is_path, values) else {
        return;
    };
    for value in values {
        let Value::String(text) = value else {
            continue;
        };
        let path = folder.join(&*text);
        let is_file = match key.starts_with("data") {
            true => !is_built_in(text) && path.exists(),
            false => path.is_file(),
        };
        if let (true, Ok(path)) = (is_file, path.canonicalize()) {
            *text = path.display().to_string();
        }
    }
}

/// The candidates of every key of flattened `values`, in alphabetical order of the keys.
///
/// # Errors
/// Names the key whose values are neither a list nor a range.
pub(super) fn candidates(values: &Table) -> Result<Vec<(String, Candidates)>> {
    let of = |(key, value): (&String, &Value)| {
        let candidates = Candidates::of(value).map_err(|why| named(key, &why))?;
        Ok((key.clone(), candidates))
    };
    values.iter().map(of).collect()
}

/// The error about the values of `key`.
pub(super) fn named(key: &str, why: &str) -> Error {
    Error::Config(format!("values.{key}: {why}"))
}

impl Candidates {
    fn of(value: &Value) -> Result<Candidates, String> {
        match value {
            Value::Array(values) if values.is_empty() => Err("the list is empty".to_string()),
            Value::Array(values) => Ok(Candidates::List(values.clone())),
            Value::Table(table) => Range::of(table).map(Candidates::Range),
            value => Err(format!(
                "{value} is neither a list, such as [{value}], nor a range, such as {{ from = 1, to = 8 }}"
            )),
        }
    }

    /// All values, if they are a list or a range with steps.
    pub(super) fn all(&self) -> Option<Vec<Value>> {
        match self {
            Candidates::List(values) => Some(values.clone()),
            Candidates::Range(range) => {
                let steps = range.steps().filter(|_| range.step.is_some())?;
                Some((0..steps).map(|index| range.at_step(index)).collect())
            }
        }
    }

    /// Values to check: all of a list, and the ends of a range.
    pub(super) fn samples(&self) -> Vec<Value> {
        match self {
            Candidates::List(values) => values.clone(),
            Candidates::Range(range) => [range.from, range.to].map(|end| range.value(end)).into(),
        }
    }

    /// Number of values; `None` if there are values between any two.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Candidates::List(values) => Some(values.len() as u64),
            Candidates::Range(range) => range.steps().map(u64::from),
        }
    }

    /// A random value.
    pub(super) fn draw(&self, stream: &mut Stream) -> Value {
        match self {
            Candidates::List(values) => {
                let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
                values[stream.below(count) as usize].clone()
            }
            Candidates::Range(range) => range.draw(stream),
        }
    }
}

impl Range {
    fn of(table: &Table) -> Result<Range, String> {
        let written: WrittenRange = table
            .clone()
            .try_into()
            .map_err(|e: toml::de::Error| explained(e.message()))?;
        let step = written.step.as_ref();
        let whole = [Some(&written.from), Some(&written.to), step]
            .into_iter()
            .flatten()
            .all(Value::is_integer);
        let range = Range {
            from: number("from", &written.from)?,
            to: number("to", &written.to)?,
            log: written.log,
            step: step.map(|step| number("step", step)).transpose()?,
            whole,
        };
        let Range { from, to, .. } = range;
        if from >= to {
            return Err(format!("from is {from}, which is not below to, {to}"));
        }
        if range.log && from <= 0.0 {
            return Err(format!(
                "from is {from}, and a logarithmic range begins above 0"
            ));
        }
        if let Some(step) = range.step {
            if range.log {
                return Err("a logarithmic range has no step; leave out one of both".to_string());
            }
            if step <= 0.0 || step > to - from || (to - from) / step > MOST_STEPS {
                return Err(format!(
                    "step is {step}, which gives too few or too many values from {from} to {to}"
                ));
            }
        }
        Ok(range)
    }

    /// Number of values, if they have a distance.
    fn steps(&self) -> Option<u32> {
        let step = self.step.or(self.whole.then_some(1.0))?;
        // A sum of steps may fall short of the end by a rounding error.
        let steps = ((self.to - self.from) / step + 1e-9).floor() + 1.0;
        (steps <= f64::from(u32::MAX)).then_some(steps as u32)
    }

    /// The value after `index` steps.
    fn at_step(&self, index: u32) -> Value {
        // Without the rounding error of the sum.
        self.value(rounded(
            self.from + self.step.unwrap_or(1.0) * f64::from(index),
            12,
        ))
    }

    /// A number of the range.
    fn value(&self, number: f64) -> Value {
        let number = number.clamp(self.from, self.to);
        match self.whole {
            true => Value::Integer(number.round() as i64),
            false => Value::Float(number),
        }
    }

    fn draw(&self, stream: &mut Stream) -> Value {
        if let (Some(steps), false) = (self.steps(), self.log) {
            return self.at_step(stream.below(steps));
        }
        // A whole number is drawn from the interval that is rounded to it.
        let margin = if self.whole { 0.5 } else { 0.0 };
        let (low, high) = (self.from - margin, self.to + margin);
        let at = unit(stream);
        let value = match self.log {
            true => (low.ln() + (high.ln() - low.ln()) * at).exp(),
            false => low + (high - low) * at,
        };
        self.value(if self.whole { value } else { rounded(value, 4) })
    }
}

/// A finite number.
fn number(key: &str, value: &Value) -> Result<f64, String> {
    let number = value
        .as_float()
        .or(value.as_integer().map(|whole| whole as f64));
    number
        .filter(|number| number.abs() <= 1e11)
        .ok_or_else(|| format!("{key} is {value}, which is not a number from -1e11 to 1e11"))
}

/// Uniform in [0, 1), with 53 bits.
fn unit(stream: &mut Stream) -> f64 {
    let [high, low] = [stream.next_u32(), stream.next_u32()].map(f64::from);
    ((high * 2_097_152.0).floor() + (low / 2048.0).floor()) / 9_007_199_254_740_992.0
}

/// A number with this many significant digits.
fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits.saturating_sub(1))
        .parse()
        .unwrap_or(value)
}

/// A value as text, without the quotes of a text, and with a power of ten for very large and small numbers.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) => format!("{number:?}"),
        value => value.to_string(),
    }
}

/// The settings of a trial as text: `batch = 16, optimizer.lr = 0.01`.
pub fn values_text(values: &[TrialValue]) -> String {
    let each = values
        .iter()
        .map(|(key, value)| format!("{key} = {}", value_text(value)));
    each.collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn one(text: &str) -> Result<Candidates> {
        let values = flattened(toml::from_str(text).unwrap());
        Ok(candidates(&values)?.remove(0).1)
    }

    fn draws(text: &str) -> Vec<f64> {
        let candidates = one(text).unwrap();
        let mut stream = Stream::new(1, Purpose::Sweep.stream(0));
        let drawn = (0..2000).map(|_| match candidates.draw(&mut stream) {
            Value::Integer(whole) => whole as f64,
            Value::Float(number) => number,
            other => panic!("{other}"),
        });
        drawn.collect()
    }

    #[test]
    fn keys_are_dotted_however_they_are_written() {
        let quoted = "\"optimizer.lr\" = [1]\n\"model.layer[2].units\" = { from = 1, to = 3 }";
        let nested = "optimizer.lr = [1]\n[model]\n\"layer[2].units\" = { from = 1, to = 3 }";
        let [quoted, nested] =
            [quoted, nested].map(|text| flattened(toml::from_str(text).unwrap()));
        assert_eq!(quoted, nested);
        let keys: Vec<&String> = quoted.keys().collect();
        assert_eq!(keys, ["model.layer[2].units", "optimizer.lr"]);
    }

    #[test]
    fn draws_fill_a_range_and_stay_within() {
        let share = |drawn: &[f64], within: &dyn Fn(f64) -> bool| {
            drawn.iter().filter(|&&x| within(x)).count() as f64 / drawn.len() as f64
        };
        let drawn = draws("x = { from = 0.5, to = 1.5 }");
        assert!(drawn.iter().all(|x| (0.5..=1.5).contains(x)));
        assert!((share(&drawn, &|x| x < 1.0) - 0.5).abs() < 0.05);
        // Half of a logarithmic range lies below the geometric mean of its ends.
        let drawn = draws("x = { from = 1e-4, to = 1.0, log = true }");
        assert!(drawn.iter().all(|x| (1e-4..=1.0).contains(x)));
        assert!((share(&drawn, &|x| x < 1e-2) - 0.5).abs() < 0.05);
        let drawn = draws("x = { from = 1, to = 4 }");
        for whole in [1.0, 2.0, 3.0, 4.0] {
            assert!((share(&drawn, &|x| x == whole) - 0.25).abs() < 0.05);
        }
        let drawn = draws("x = { from = 1, to = 64, log = true }");
        assert!(
            drawn
                .iter()
                .all(|x| x.fract() == 0.0 && (1.0..=64.0).contains(x))
        );
        // ln(8.5 / 0.5) / ln(64.5 / 0.5)
        assert!((share(&drawn, &|x| x <= 8.0) - 0.583).abs() < 0.05);
        let drawn = draws("x = { from = 0.1, to = 0.4, step = 0.1 }");
        assert!(
            drawn.iter().all(|x| [0.1, 0.2, 0.3, 0.4].contains(x)),
            "{drawn:?}"
        );
    }

    #[test]
    fn only_lists_and_steps_can_be_enumerated() {
        let all = |text: &str| one(text).unwrap().all();
        let floats = |values: &[f64]| Some(values.iter().map(|&x| Value::Float(x)).collect());
        assert_eq!(
            all("x = { from = 0.1, to = 0.35, step = 0.1 }"),
            floats(&[0.1, 0.2, 0.3])
        );
        assert_eq!(all("x = [2.0, 1.0]"), floats(&[2.0, 1.0]));
        assert_eq!(all("x = { from = 1, to = 4 }"), None);
        let count = |text: &str| one(text).unwrap().count();
        assert_eq!(count("x = { from = 1, to = 4 }"), Some(4));
        assert_eq!(count("x = { from = 1, to = 9, step = 4 }"), Some(3));
        assert_eq!(count("x = { from = 1.0, to = 4 }"), None);
    }

    #[test]
    fn values_are_short_texts() {
        let texts = [
            1e-5.into(),
            0.01.into(),
            1e30.into(),
            "adam".into(),
            Value::from(3),
        ];
        let texts = texts.map(|value: Value| value_text(&value));
        assert_eq!(texts, ["1e-5", "0.01", "1e30", "adam", "3"]);
    }

    #[test]
    fn a_wrong_range_is_refused_by_its_key() {
        for (text, part) in [
            ("x = []", "values.x: the list is empty"),
            ("x = 3", "neither a list, such as [3]"),
            ("x = { from = 1 }", "missing field `to`"),
            (
                "x = { from = 1, to = 8, logs = true }",
                "did you mean `log`?",
            ),
            ("x = { from = 8, to = 1 }", "not below"),
            ("x = { from = 0, to = 1, log = true }", "above 0"),
            (
                "x = { from = 1, to = 9, log = true, step = 2 }",
                "has no step",
            ),
            ("x = { from = 1, to = 9, step = 0 }", "step is 0"),
            ("x = { from = \"a\", to = 9 }", "not a number"),
            ("x = { from = nan, to = 9 }", "not a number"),
        ] {
            let message = one(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}

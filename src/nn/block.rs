//! Blocks: layers that a model defines once, with parameters, and uses several times.

use super::layer::{Layer, LayerType};
use super::site::Site;
use crate::error::Result;
use crate::graph::Var;
use crate::toml_text::explained;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use toml::{Table, Value};

/// A block of the model's, once or several times one after another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Name of its definition.
    pub block: String,
    /// How many times. Each is named by its number from 0 (`stage.0`); without it, the block's layers come straight under
    /// the layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<usize>,
    /// Values of its parameters.
    #[serde(default, rename = "with", skip_serializing_if = "Table::is_empty")]
    pub with: Table,
    /// Values for the first repetition alone, where they differ.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub first: Table,
}

impl Block {
    /// Block `block` once, with its parameters at their defaults.
    pub fn new(block: impl Into<String>) -> Block {
        Block {
            block: block.into(),
            repeat: None,
            with: Table::new(),
            first: Table::new(),
        }
    }
}

impl LayerType for Block {
    fn stem(&self) -> &'static str {
        "block"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, _inputs: &[Var<'g>]) -> Result<Var<'g>> {
        Err(Site::misfit("it is a block, not a single layer"))
    }
}

/// The definition of a block: layers in which strings such as `"$filters"` stand for parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockSpec {
    /// Values of parameters that a use need not give.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub defaults: Table,
    /// Layers in order, as tables. The first takes what the block takes, the last gives what it gives.
    #[serde(rename = "layer")]
    pub layers: Vec<Table>,
}

/// A layer of a block with its parameters filled in.
pub(super) enum Filled {
    /// It is there.
    Layer(Layer),
    /// Its `when` is false: its name stands for what it would have taken.
    Absent(Layer),
}

impl BlockSpec {
    /// Names of its parameters.
    fn parameters(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.defaults.keys().cloned().collect();
        for layer in &self.layers {
            layer
                .values()
                .for_each(|value| mentioned(value, &mut names));
        }
        names
    }

    /// The layers with the parameters that `given` overrides the defaults by, in the repetition `index`.
    ///
    /// # Errors
    /// A sentence: a parameter that is unknown or missing, or a layer that can't be.
    pub(super) fn fill(&self, given: &Block, index: usize) -> Result<Vec<Filled>, String> {
        let known = self.parameters();
        let mut values = self.defaults.clone();
        for name in given.with.keys().chain(given.first.keys()) {
            if !known.contains(name) {
                let all: Vec<_> = known.iter().map(String::as_str).collect();
                return Err(match all[..] {
                    [] => format!("has no parameters, but {name} is given"),
                    _ => format!("has no parameter {name}; it has {}", all.join(", ")),
                });
            }
        }
        values.extend(given.with.clone());
        if index == 0 {
            values.extend(given.first.clone());
        }
        if let Some(missing) = known.iter().find(|name| !values.contains_key(*name)) {
            return Err(format!(
                "needs a value for its parameter {missing}; set it in with = {{ {missing} = ... }} or in its defaults"
            ));
        }
        let layers = self.layers.iter().enumerate();
        layers
            .map(|(n, template)| {
                let called = match template.get("name").and_then(Value::as_str) {
                    Some(name) => format!("layer {name}"),
                    None => format!("layer number {}", n + 1),
                };
                fill(template, &values).map_err(|e| format!("is wrong in {called}: {e}"))
            })
            .collect()
    }
}

/// Adds the parameters that `value` mentions.
fn mentioned(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => names.extend(text.strip_prefix('$').map(str::to_string)),
        Value::Array(values) => values.iter().for_each(|v| mentioned(v, names)),
        Value::Table(table) => table.values().for_each(|v| mentioned(v, names)),
        _ => {}
    }
}

fn fill(template: &Table, values: &Table) -> Result<Filled, String> {
    let mut table = template.clone();
    table.iter_mut().for_each(|(_, value)| put(value, values));
    let there = match table.remove("when") {
        None | Some(Value::Boolean(true)) => true,
        Some(Value::Boolean(false)) => false,
        Some(other) => return Err(format!("when must be true or false, not {other}")),
    };
    let layer = Layer::deserialize(Value::Table(table)).map_err(|e| explained(e.message()))?;
    Ok(if there {
        Filled::Layer(layer)
    } else {
        Filled::Absent(layer)
    })
}

/// Puts the parameters' values where `value` mentions them.
fn put(value: &mut Value, values: &Table) {
    match value {
        Value::String(text) => {
            let found = text.strip_prefix('$').and_then(|name| values.get(name));
            if let Some(found) = found {
                *value = found.clone();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|v| put(v, values)),
        Value::Table(table) => table.iter_mut().for_each(|(_, v)| put(v, values)),
        _ => {}
    }
}

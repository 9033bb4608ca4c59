//! Blocks: parameterised layers that a model defines once and uses repeatedly.

use super::layer::{Layer, LayerType};
use super::site::Site;
use crate::error::Result;
use crate::graph::Var;
use crate::schema;
use crate::toml_text::explained;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeSet;
use toml::{Table, Value};

/// A use of a block, once or repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Name of its definition.
    pub block: String,
    /// Number of repetitions, each named by its number from 0 (`stage.0`). Without it, the name of this layer is the only prefix
    /// of the block's layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<usize>,
    /// Values of its parameters.
    #[serde(default, rename = "with", skip_serializing_if = "Table::is_empty")]
    #[schemars(schema_with = "schema::any_table")]
    pub with: Table,
    /// Values for the first repetition, if they differ.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    #[schemars(schema_with = "schema::any_table")]
    pub first: Table,
}

impl Block {
    /// Block `block` once, with default parameters.
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockSpec {
    /// Default values of parameters.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    #[schemars(schema_with = "schema::any_table")]
    pub defaults: Table,
    /// Layers in order, as tables. The first takes the input of the block, the last gives its output.
    #[serde(rename = "layer")]
    #[schemars(with = "Vec<LayerTemplate>")]
    pub layers: Vec<Table>,
}

/// The schema of a layer of a block: any value may be a parameter, and `when` says whether the layer is there.
struct LayerTemplate;

impl JsonSchema for LayerTemplate {
    fn schema_name() -> Cow<'static, str> {
        "block_layer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let parameter = json!({ "type": "string", "pattern": "^\\$" });
        let when = json!({
            "description": "Whether the layer is there; its name refers to its input if not.",
            "anyOf": [parameter, { "type": "boolean" }],
        });
        let mut layer = Layer::json_schema(generator);
        let kinds = layer
            .get_mut("oneOf")
            .and_then(serde_json::Value::as_array_mut);
        for kind in kinds.into_iter().flatten() {
            let Some(properties) = kind["properties"].as_object_mut() else {
                continue;
            };
            for (_, value) in properties.iter_mut().filter(|(key, _)| *key != "type") {
                let description = value
                    .as_object_mut()
                    .and_then(|value| value.remove("description"));
                *value = json!({ "anyOf": [parameter, value] });
                if let Some(description) = description {
                    value["description"] = description;
                }
            }
            properties.insert("when".to_string(), when.clone());
        }
        layer
    }
}

/// A layer of a block with its parameters filled in.
pub(super) enum Filled {
    /// A layer.
    Layer(Layer),
    /// A layer whose `when` is false: its name refers to the input that it would have taken.
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

    /// The layers of repetition `index`, with the parameters of `given` and the defaults of the others.
    ///
    /// # Errors
    /// A message about an unknown or missing parameter, or an invalid layer.
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

/// Collects the parameters that occur in `value`.
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

/// Substitutes the parameters in `value`.
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

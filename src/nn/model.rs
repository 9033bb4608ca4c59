//! The model format: an input, layers with names and references, and blocks of layers.

use super::block::BlockSpec;
use super::init::WeightInit;
use super::input::InputSpec;
use super::layer::Layer;
use super::preprocess::Preprocess;
use super::presets::PRESETS;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A model as its file says it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Name for reports and run folders.
    pub name: String,
    /// What it takes for each sample.
    pub input: InputSpec,
    /// How the weights of convolutions and dense layers start, where they do not say so themselves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: WeightInit,
    /// How it takes pictures, where that belongs to its weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<Preprocess>,
    /// Definitions of blocks, by name.
    #[serde(default, rename = "block", skip_serializing_if = "BTreeMap::is_empty")]
    pub blocks: BTreeMap<String, BlockSpec>,
    /// Layers from input to logits.
    #[serde(rename = "layer")]
    pub layers: Vec<Layer>,
}

fn is_default(init: &WeightInit) -> bool {
    *init == WeightInit::default()
}

impl ModelSpec {
    /// A model without layers yet, for samples that are `input`: a shape, or a [`TokenInput`](super::TokenInput).
    pub fn new(name: impl Into<String>, input: impl Into<InputSpec>) -> ModelSpec {
        ModelSpec {
            name: name.into(),
            input: input.into(),
            ..ModelSpec::default()
        }
    }

    /// The same model with one more layer at its end.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> ModelSpec {
        self.layers.push(layer);
        self
    }

    /// The built-in model `name`.
    ///
    /// # Errors
    /// If there is none; the message lists them.
    pub fn preset(name: &str) -> Result<ModelSpec> {
        let found = PRESETS.iter().find(|preset| preset.name == name);
        let preset = found.ok_or_else(|| {
            let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
            Error::Config(format!(
                "there is no model \"{name}\": name a TOML file or one of {}",
                names.join(", ")
            ))
        })?;
        crate::settings::parse(preset.text, &format!("built-in model {name}"))
    }
}

//! The model format: inputs, layers with names and references, blocks of layers, and outputs.

use super::block::BlockSpec;
use super::init::WeightInit;
use super::input::InputSpec;
use super::layer::{Layer, LayerKind};
use super::layers::OnnxLayer;
use super::preprocess::Preprocess;
use super::presets::PRESETS;
use super::sizes::{self, DataSizes};
use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// A model, as in a model file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "ModelFile", into = "ModelFile")]
pub struct ModelSpec {
    /// Name for reports and run folders.
    pub name: String,
    /// The input for one sample; `Auto` if there are several `inputs`.
    pub input: InputSpec,
    /// Several inputs by name; empty if there is a single `input`.
    pub inputs: BTreeMap<String, InputSpec>,
    /// Names of the layers whose results are the outputs; empty if the result of the last one is the `output`.
    pub outputs: Vec<String>,
    /// Default initialisation of convolutions and dense layers.
    pub weight_init: WeightInit,
    /// Normalisation of images, if it belongs to the weights.
    pub preprocess: Option<Preprocess>,
    /// Sizes of the data for units that name one, such as `units = "classes"`; a run takes them from its data.
    pub sizes: DataSizes,
    /// Definitions of blocks, by name.
    pub blocks: BTreeMap<String, BlockSpec>,
    /// Layers from the inputs to the outputs.
    pub layers: Vec<Layer>,
}

/// The content of a model file, with `input` or `inputs`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    /// Name for reports and run folders.
    name: String,
    /// The input for one sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<InputSpec>,
    /// Several inputs by name, instead of `input`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    inputs: BTreeMap<String, InputSpec>,
    /// Names of the layers whose results are the outputs; the result of the last one if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<String>,
    /// Default initialisation of convolutions and dense layers.
    #[serde(default, skip_serializing_if = "is_default")]
    weight_init: WeightInit,
    /// Normalisation of images, if it belongs to the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preprocess: Option<Preprocess>,
    /// Number of classes for `units = "classes"`; in a run with classes, that of its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
    /// Numbers to predict for `units = "targets"`; in a run, those of its data: one per class, or every number of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    targets: Option<usize>,
    /// Columns for `units = "columns"`; in a run on tables or series, those of its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<usize>,
    /// Rows to predict for `units = "horizon"`; in a run on series, `data.horizon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    horizon: Option<usize>,
    /// Definitions of blocks, by name.
    #[serde(default, rename = "block", skip_serializing_if = "BTreeMap::is_empty")]
    blocks: BTreeMap<String, BlockSpec>,
    /// Layers from the inputs to the outputs.
    #[serde(rename = "layer")]
    layers: Vec<Layer>,
}

fn is_default(init: &WeightInit) -> bool {
    *init == WeightInit::default()
}

impl TryFrom<ModelFile> for ModelSpec {
    type Error = String;

    fn try_from(file: ModelFile) -> Result<ModelSpec, String> {
        let name = &file.name;
        let input = match (file.input, file.inputs.is_empty()) {
            (Some(input), true) => input,
            (None, false) => InputSpec::Auto,
            (Some(_), false) => {
                return Err(format!(
                    "model {name} has both input and inputs; list all inputs in [inputs], and leave out input"
                ));
            }
            (None, true) => {
                return Err(format!(
                    "model {name} has no input; give it input = [height, width, channels], input = \"auto\", or several under \
                     [inputs]"
                ));
            }
        };
        Ok(ModelSpec {
            name: file.name,
            input,
            inputs: file.inputs,
            outputs: file.outputs,
            weight_init: file.weight_init,
            preprocess: file.preprocess,
            sizes: DataSizes {
                classes: file.classes,
                targets: file.targets,
                columns: file.columns,
                horizon: file.horizon,
            },
            blocks: file.blocks,
            layers: file.layers,
        })
    }
}

impl From<ModelSpec> for ModelFile {
    fn from(spec: ModelSpec) -> ModelFile {
        ModelFile {
            name: spec.name,
            input: spec.inputs.is_empty().then_some(spec.input),
            inputs: spec.inputs,
            outputs: spec.outputs,
            weight_init: spec.weight_init,
            preprocess: spec.preprocess,
            classes: spec.sizes.classes,
            targets: spec.sizes.targets,
            columns: spec.sizes.columns,
            horizon: spec.sizes.horizon,
            blocks: spec.blocks,
            layers: spec.layers,
        }
    }
}

impl ModelSpec {
    /// The model without its last dense layer and what follows it, so that it gives the features that a classifier is made of; `None` if
    /// no layers come before a dense one.
    pub fn without_head(&self) -> Option<ModelSpec> {
        let is_dense = |layer: &Layer| matches!(layer.kind, LayerKind::Dense(_));
        let last = self.layers.iter().rposition(is_dense)?;
        let kept = self.layers.get(..last).filter(|kept| !kept.is_empty())?;
        Some(ModelSpec {
            layers: kept.to_vec(),
            outputs: Vec::new(),
            ..self.clone()
        })
    }

    /// A model without layers, with an `input`: a shape, or a [`TokenInput`](super::TokenInput).
    pub fn new(name: impl Into<String>, input: impl Into<InputSpec>) -> ModelSpec {
        ModelSpec {
            name: name.into(),
            input: input.into(),
            ..ModelSpec::default()
        }
    }

    /// Makes the paths of the files that layers name relative to `folder`.
    pub fn relative_to(&mut self, folder: &Path) {
        for layer in self.onnx_layers_mut() {
            layer.file = folder.join(&layer.file);
        }
    }

    /// The layers that are networks from files.
    pub fn onnx_layers_mut(&mut self) -> impl Iterator<Item = &mut OnnxLayer> {
        self.layers
            .iter_mut()
            .filter_map(|layer| match &mut layer.kind {
                LayerKind::Onnx(layer) => Some(layer),
                _ => None,
            })
    }

    /// All inputs, whether it has one or several.
    pub fn all_inputs(&self) -> impl Iterator<Item = &InputSpec> {
        let only = self.inputs.is_empty().then_some(&self.input);
        only.into_iter().chain(self.inputs.values())
    }

    /// Appends a layer.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> ModelSpec {
        self.layers.push(layer);
        self
    }

    /// Takes those sizes of the `data` that its layers name or that it has a value for.
    pub fn take_sizes(&mut self, data: DataSizes) {
        let own = self.sizes;
        let wanted = |name| own.get(name).is_some() || sizes::names(self, name);
        self.sizes = own.replaced(data, wanted);
    }

    /// The same model with some number for each size of the data that it names and has no value for, to check it without data.
    #[must_use]
    pub fn with_some_sizes(mut self) -> ModelSpec {
        let own = self.sizes;
        self.take_sizes(DataSizes {
            classes: own.classes.or(Some(2)),
            targets: own.targets.or(Some(2)),
            columns: own.columns.or(Some(2)),
            horizon: own.horizon.or(Some(2)),
        });
        self
    }

    /// Whether its single input takes its shape from the data.
    pub fn takes_its_input_from_data(&self) -> bool {
        self.inputs.is_empty() && self.input.is_auto()
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
                "there is no model \"{name}\": name a TOML file or one of {}{}",
                names.join(", "),
                did_you_mean(name, names.iter().copied())
            ))
        })?;
        crate::toml_text::parse(preset.text, &format!("built-in model {name}"))
    }
}

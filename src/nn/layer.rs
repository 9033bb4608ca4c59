//! A layer of a model: its name, inputs and kind. Each kind of layer is a type, in one file per family under `layers`; a new kind
//! is a type there and a line in the list below.

use super::block::Block;
use super::features::{FeatureOrder, Taken};
use super::layers::{
    ActivationLayer, AdaptiveAvgPool2d, Add, Attention, AvgPool1d, AvgPool2d, BatchNorm, Concat,
    Conv1d, Conv2d, ConvTranspose2d, CrossAttention, Dense, Dropout, Dropout2d, Embedding, Flatten,
    GlobalAvgPool1d, GlobalAvgPool2d, GlobalMaxPool1d, GroupNorm, Gru, LayerNorm,
    LocalResponseNorm, Lstm, MaxPool1d, MaxPool2d, Multiply, OnnxLayer, PadChannels, Positions,
    RmsNorm, Rows, SelfAttention, TimePool, Transpose, Unflatten, Upsample,
};
use super::site::Site;
use crate::error::Result;
use crate::graph::Var;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::Debug;

/// The implementation of a kind of layer.
pub trait LayerType: Debug {
    /// Stem of default names: `conv` in `conv1`.
    fn stem(&self) -> &'static str;

    /// Number of inputs.
    fn takes(&self) -> Takes {
        Takes::One
    }

    /// Whether it takes tokens instead of numbers.
    fn takes_tokens(&self) -> bool {
        false
    }

    /// Whether its output at a position of a sequence only depends on that position and earlier ones, and it can be built for one
    /// position after another ([`DecodeStep`](super::DecodeStep)).
    fn is_stepwise(&self) -> bool {
        false
    }

    /// The order of the features of its output, given its inputs: a flattened image has another order in the engine than in
    /// PyTorch, on which the layout of later weights depends. By default the order of files.
    ///
    /// # Errors
    /// If the result would differ from PyTorch's in any order: [`Site::misfit`] with a message.
    fn feature_order(&self, _taken: &[Taken]) -> Result<FeatureOrder> {
        Ok(FeatureOrder::default())
    }

    /// Builds its nodes. The weights that it declares at the site get the layer's name as a prefix.
    ///
    /// # Errors
    /// If it does not fit its inputs: [`Site::misfit`] with a message.
    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>>;
}

/// Number of inputs of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// One, by default the output of the previous layer.
    One,
    /// Two or more, each named.
    Several,
    /// Two, each named: a sequence, and another one that it reads, whose tokens may be others.
    Memory,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident($ty:ty),)*) => {
        /// The kind of a layer, with its attributes.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum LayerKind {
            $($(#[$doc])* $kind($ty),)*
        }

        $(impl From<$ty> for LayerKind {
            fn from(layer: $ty) -> Self {
                LayerKind::$kind(layer)
            }
        })*

        impl LayerKind {
            /// The implementation.
            pub fn layer_type(&self) -> &dyn LayerType {
                match self {
                    $(LayerKind::$kind(layer) => layer,)*
                }
            }
        }
    };
}

kinds! {
    /// A block of the model, once or repeated.
    Block(Block),
    /// Convolution of images.
    Conv2d(Conv2d),
    /// The transpose of a convolution.
    ConvTranspose2d(ConvTranspose2d),
    /// Maximum over windows.
    MaxPool2d(MaxPool2d),
    /// Mean over windows.
    AvgPool2d(AvgPool2d),
    /// Mean over height and width.
    GlobalAvgPool2d(GlobalAvgPool2d),
    /// Mean over windows that divide the image into a given number of parts.
    AdaptiveAvgPool2d(AdaptiveAvgPool2d),
    /// Convolution of sequences.
    Conv1d(Conv1d),
    /// Maximum over windows of a sequence.
    MaxPool1d(MaxPool1d),
    /// Mean over windows of a sequence.
    AvgPool1d(AvgPool1d),
    /// Mean over a sequence.
    GlobalAvgPool1d(GlobalAvgPool1d),
    /// Maximum over a sequence.
    GlobalMaxPool1d(GlobalMaxPool1d),
    /// Swaps length and channels of a sequence.
    Transpose(Transpose),
    /// All axes into one.
    Flatten(Flatten),
    /// A row of features to an image or a sequence.
    Reshape(Unflatten),
    /// A fully connected layer.
    Dense(Dense),
    /// A vector for each token.
    Embedding(Embedding),
    /// Adds a vector for each position.
    Positions(Positions),
    /// Attention among positions, from queries, keys and values.
    Attention(Attention),
    /// Attention among positions, with its dense layers.
    SelfAttention(SelfAttention),
    /// Attention to the positions of another sequence.
    CrossAttention(CrossAttention),
    /// An image as a sequence of its rows.
    Rows(Rows),
    /// A sequence to one row of features.
    TimePool(TimePool),
    /// Long short-term memory over the positions.
    Lstm(Lstm),
    /// Gated recurrent units over the positions.
    Gru(Gru),
    /// Zeroes random elements in training.
    Dropout(Dropout),
    /// Zeroes random channels in training.
    Dropout2d(Dropout2d),
    /// An element-wise function.
    Activation(ActivationLayer),
    /// Normalizes every channel over the batch.
    BatchNorm(BatchNorm),
    /// Normalizes every position over its channels.
    LayerNorm(LayerNorm),
    /// Normalizes every sample over groups of its channels.
    GroupNorm(GroupNorm),
    /// Divides every position by the root of its mean square.
    RmsNorm(RmsNorm),
    /// Divides by the squares of neighbouring channels.
    LocalResponseNorm(LocalResponseNorm),
    /// Upsamples images.
    Upsample(Upsample),
    /// Adds channels of zeros.
    PadChannels(PadChannels),
    /// Sum of several inputs.
    Add(Add),
    /// Product of several inputs.
    Multiply(Multiply),
    /// Concatenation along the channels.
    Concat(Concat),
    /// A network from an ONNX file.
    Onnx(OnnxLayer),
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = in_each_kind)]
pub struct Layer {
    /// Name, the prefix of its weights. The default is the stem of its type and a count: `conv1`, `dense2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The layer whose output it takes; the previous one if absent. `input` is the single input of the model or block; several
    /// inputs have their own names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The layers whose outputs it takes, if it takes several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Vec<String>>,
    /// Its kind.
    #[serde(flatten)]
    pub kind: LayerKind,
}

/// Moves the keys of all layers into the schema of each kind, which knows no others.
fn in_each_kind(schema: &mut Schema) {
    let object = schema.ensure_object();
    let shared = object.remove("properties");
    let kinds = object.get_mut("oneOf").and_then(Value::as_array_mut);
    for kind in kinds.into_iter().flatten() {
        let properties = kind["properties"].as_object_mut().zip(shared.as_ref());
        if let Some((properties, Value::Object(shared))) = properties {
            properties.extend(shared.clone());
        }
        kind["additionalProperties"] = false.into();
    }
}

impl Layer {
    /// An unnamed layer that takes the output of the previous one.
    pub fn new(kind: impl Into<LayerKind>) -> Layer {
        Layer {
            name: None,
            input: None,
            inputs: None,
            kind: kind.into(),
        }
    }

    /// Sets the name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Layer {
        self.name = Some(name.into());
        self
    }

    /// Sets the layer whose output it takes.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>) -> Layer {
        self.input = Some(name.into());
        self
    }

    /// Sets several layers whose outputs it takes.
    #[must_use]
    pub fn inputs<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Layer {
        self.inputs = Some(names.into_iter().map(Into::into).collect());
        self
    }
}

//! One layer of a model: its name, what it takes, and what it does. What it does is one type for each kind of layer, in a
//! file for each family under `layers`; a new kind is a type there and a line in the list below.

use super::block::Block;
use super::features::{FeatureOrder, Taken};
use super::layers::{
    ActivationLayer, AdaptiveAvgPool2d, Add, Attention, AvgPool1d, AvgPool2d, BatchNorm, Concat,
    Conv1d, Conv2d, ConvTranspose2d, Dense, Dropout, Dropout2d, Embedding, Flatten,
    GlobalAvgPool1d, GlobalAvgPool2d, GlobalMaxPool1d, GroupNorm, Gru, LayerNorm,
    LocalResponseNorm, Lstm, MaxPool1d, MaxPool2d, Multiply, PadChannels, Positions, RmsNorm, Rows,
    SelfAttention, TimePool, Transpose, Unflatten, Upsample,
};
use super::site::Site;
use crate::error::Result;
use crate::graph::Var;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// What a kind of layer says of itself.
pub trait LayerType: Debug {
    /// Stem of the names of unnamed layers: `conv` of `conv1`.
    fn stem(&self) -> &'static str;

    /// How many values it takes.
    fn takes(&self) -> Takes {
        Takes::One
    }

    /// Whether it takes tokens, in place of numbers.
    fn takes_tokens(&self) -> bool {
        false
    }

    /// The order of the features of its result, from what it takes: a flattened image has another order inside the engine
    /// than in PyTorch, which the weights after it must know. By default that of files.
    ///
    /// # Errors
    /// If the result would not be PyTorch's, whatever the order: [`Site::misfit`] with a sentence.
    fn feature_order(&self, _taken: &[Taken]) -> Result<FeatureOrder> {
        Ok(FeatureOrder::default())
    }

    /// Builds its nodes. The weights that it declares at the site get the layer's name as a prefix.
    ///
    /// # Errors
    /// If it does not fit its inputs: [`Site::misfit`] with a sentence.
    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>>;
}

/// How many values a layer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// One, by default what the layer before it gives.
    One,
    /// Two or more, each named.
    Several,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident($ty:ty),)*) => {
        /// What a layer does, with its attributes.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
            /// What it says of itself.
            pub fn layer_type(&self) -> &dyn LayerType {
                match self {
                    $(LayerKind::$kind(layer) => layer,)*
                }
            }
        }
    };
}

kinds! {
    /// A block of the model's, once or several times.
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
    /// Mean over windows that divide the image into so many.
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
    /// All axes as one.
    Flatten(Flatten),
    /// A row of features as an image or a sequence.
    Reshape(Unflatten),
    /// Every input to every unit.
    Dense(Dense),
    /// A row of numbers for each token.
    Embedding(Embedding),
    /// Adds a row of numbers for each position.
    Positions(Positions),
    /// Attention among the positions, of queries, keys and values.
    Attention(Attention),
    /// Attention among the positions, with its dense layers.
    SelfAttention(SelfAttention),
    /// An image as a sequence of its rows.
    Rows(Rows),
    /// A sequence as one row of features.
    TimePool(TimePool),
    /// Long short-term memory over the positions.
    Lstm(Lstm),
    /// Gated recurrent units over the positions.
    Gru(Gru),
    /// Zeroes elements at random while training.
    Dropout(Dropout),
    /// Zeroes channels at random while training.
    Dropout2d(Dropout2d),
    /// A function of every element.
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
    /// Enlarges images.
    Upsample(Upsample),
    /// Zeros beside the channels.
    PadChannels(PadChannels),
    /// Sum of several values.
    Add(Add),
    /// Product of several values.
    Multiply(Multiply),
    /// Several values side by side along the channels.
    Concat(Concat),
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Name: the prefix of its weights. Without one, the stem of its type and a count: `conv1`, `dense2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The layer whose result it takes; the one before it if absent. `input` is the model's only input, or the
    /// block's; of several inputs each has its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The layers whose results it takes, if it takes several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Vec<String>>,
    /// What it does.
    #[serde(flatten)]
    pub kind: LayerKind,
}

impl Layer {
    /// A layer without a name that takes what the one before it gives.
    pub fn new(kind: impl Into<LayerKind>) -> Layer {
        Layer {
            name: None,
            input: None,
            inputs: None,
            kind: kind.into(),
        }
    }

    /// The same layer called `name`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Layer {
        self.name = Some(name.into());
        self
    }

    /// The same layer on the result of the layer `name`.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>) -> Layer {
        self.input = Some(name.into());
        self
    }

    /// The same layer on the results of several.
    #[must_use]
    pub fn inputs<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Layer {
        self.inputs = Some(names.into_iter().map(Into::into).collect());
        self
    }
}

//! The kinds of layers, one file per family.

mod activation;
mod attention;
mod conv;
mod conv1d;
mod cross_attention;
mod dense;
mod dropout;
mod embedding;
mod merge;
mod norm;
mod onnx;
mod pad;
mod pool;
mod recurrent;
mod reshape;
mod sequence;
mod upsample;

pub use activation::ActivationLayer;
pub use attention::{Attention, SelfAttention};
pub use conv::{Conv2d, ConvTranspose2d};
pub use conv1d::{
    AvgPool1d, Conv1d, GlobalAvgPool1d, GlobalMaxPool1d, MaxPool1d, NamedPadding1d, Padding1d,
    Transpose,
};
pub use cross_attention::CrossAttention;
pub use dense::{Dense, Flatten};
pub use dropout::{Dropout, Dropout2d};
pub use embedding::{Embedding, PositionKind, Positions};
pub use merge::{Add, Concat, Multiply};
pub use norm::{BatchNorm, GroupNorm, LayerNorm, LocalResponseNorm, RmsNorm};
pub use onnx::OnnxLayer;
pub use pad::PadChannels;
pub use pool::{AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, MaxPool2d};
pub use recurrent::{Gru, Lstm};
pub use reshape::Unflatten;
pub use sequence::{Rows, TimePool, TimePoolKind};
pub use upsample::{Interpolation, Upsample};

use super::site::Site;
use crate::error::Result;
use crate::graph::Var;

/// `[height, width, channels]` of the images `x`.
///
/// # Errors
/// If `x` is not a batch of images.
fn image(x: Var<'_>) -> Result<[usize; 3]> {
    match x.shape().dims() {
        &[_, height, width, channels] => Ok([height, width, channels]),
        _ => Err(Site::misfit(
            "it takes [height, width, channels]; put it before any flatten or dense layer",
        )),
    }
}

/// Positions and features of the sequences `x`, `[N, time, features]`.
///
/// # Errors
/// If `x` is not a batch of sequences.
fn sequence(x: Var<'_>) -> Result<[usize; 2]> {
    match x.shape().dims() {
        &[_, time, features] => Ok([time, features]),
        _ => Err(Site::misfit(
            "it takes [time, features]: put it after an embedding, or after rows for an image",
        )),
    }
}

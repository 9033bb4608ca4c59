//! The precision of a graph's products.

use crate::cpu::{Real, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The precision in which a graph computes. Weights, activations, sums and everything but products are 32-bit floats in
/// either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    Float32,
    /// The operands of matrix products and convolutions are rounded to 16-bit floats (IEEE 754 binary16, nearest, ties
    /// to even) as they are read; their products are exact and summed in 32 bits. PyTorch rounds at the same places
    /// under `torch.autocast(dtype=torch.float16)`, and the results too.
    Mixed,
}

impl Precision {
    /// What an operation reads of `x`, one of its operands that this precision rounds.
    pub(crate) fn rounded<T: Real>(x: &Tensor<T>) -> Tensor<T> {
        let round = |x: &T| T::of(half::f16::from_f64(x.to_f64()).to_f64());
        Tensor::real(x.shape.clone(), x.reals().iter().map(round).collect())
    }
}

//! The precision of a graph's products.

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

//! The precision of a graph's products.

use crate::tensor::Half;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The precision in which a graph computes. Weights, sums, statistics, losses and optimizers are 32-bit floats in any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    Float32,
    /// The operands of matrix products and convolutions are rounded to 16-bit floats (IEEE 754 binary16, nearest, ties
    /// to even) as they are read; their products are exact and summed in 32 bits. Activations and their gradients are stored
    /// in 16 bits where kernels access four neighbours at a time. PyTorch does so under `torch.autocast(dtype=torch.float16)`.
    Mixed,
    /// The same in bfloat16, with the range of 32-bit floats and 8 significant bits. PyTorch's
    /// `torch.autocast(dtype=torch.bfloat16)`.
    MixedBfloat16,
}

impl Precision {
    /// The 16-bit format of operands and activations.
    pub fn half(self) -> Option<Half> {
        match self {
            Precision::Float32 => None,
            Precision::Mixed => Some(Half::F16),
            Precision::MixedBfloat16 => Some(Half::Bf16),
        }
    }
}

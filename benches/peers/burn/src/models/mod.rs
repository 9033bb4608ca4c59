//! The models that are trained, and their common code.

mod attention;
mod cnn;
mod gpt;
mod lstm;
mod resnet;

pub use attention::causal_attention;
pub use cnn::Cnn;
pub use gpt::Gpt;
pub use lstm::Lstm;
pub use resnet::ResNet18;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::prelude::*;

/// The mean cross-entropy of the rows of `logits` `[N, classes]` against `labels` `[N]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let loss = CrossEntropyLossConfig::new().init(&logits.device());
    loss.forward(logits, labels)
}

//! An LSTM that reads an image row by row.

use burn::nn::{self, Linear, LinearConfig, LstmConfig};
use burn::prelude::*;

/// An LSTM of 128 units, and a dense layer on its last state.
#[derive(Module, Debug)]
pub struct Lstm {
    recurrent: nn::Lstm,
    head: Linear,
}

impl Lstm {
    const SIDE: usize = 28;
    const HIDDEN: usize = 128;

    pub fn new(device: &Device) -> Self {
        Lstm {
            recurrent: LstmConfig::new(Self::SIDE, Self::HIDDEN, true).init(device),
            head: LinearConfig::new(Self::HIDDEN, 10).init(device),
        }
    }

    /// The logits of `images` `[N, 28, 28]`.
    pub fn logits(&self, images: Tensor<3>) -> Tensor<2> {
        let (_, last) = self.recurrent.forward(images, None);
        self.head.forward(last.hidden)
    }
}

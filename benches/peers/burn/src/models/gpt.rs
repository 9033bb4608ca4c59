//! A character-level GPT: 4 blocks of width 128 with 4 causal heads.

use super::causal_attention;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::gelu_approximate;

const WIDTH: usize = 128;
const BLOCKS: usize = 4;
const HEADS: usize = 4;

/// Attention, then two dense layers, each after a normalization and with a residual connection.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    proj: Linear,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Block {
    fn new(device: &Device) -> Self {
        let dense = |from, to| LinearConfig::new(from, to).init(device);
        let norm = || LayerNormConfig::new(WIDTH).init(device);
        Block {
            norm1: norm(),
            qkv: dense(WIDTH, 3 * WIDTH),
            proj: dense(WIDTH, WIDTH),
            norm2: norm(),
            up: dense(WIDTH, 4 * WIDTH),
            down: dense(4 * WIDTH, WIDTH),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let y = self.qkv.forward(self.norm1.forward(x.clone()));
        let x = x + self.proj.forward(causal_attention(y, HEADS));
        let y = self.up.forward(self.norm2.forward(x.clone()));
        x + self.down.forward(gelu_approximate(y))
    }
}

#[derive(Module, Debug)]
pub struct Gpt {
    tokens: Embedding,
    positions: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
}

impl Gpt {
    pub const CONTEXT: usize = 128;
    pub const LETTERS: usize = 65;

    pub fn new(device: &Device) -> Self {
        let head = LinearConfig::new(WIDTH, Self::LETTERS).with_bias(false);
        Gpt {
            tokens: EmbeddingConfig::new(Self::LETTERS, WIDTH).init(device),
            positions: EmbeddingConfig::new(Self::CONTEXT, WIDTH).init(device),
            blocks: (0..BLOCKS).map(|_| Block::new(device)).collect(),
            norm: LayerNormConfig::new(WIDTH).init(device),
            head: head.init(device),
        }
    }

    /// The logits of every next letter of `letters` `[N, CONTEXT]`: `[N * CONTEXT, LETTERS]`.
    pub fn logits(&self, letters: Tensor<2, Int>) -> Tensor<2> {
        // The whole table is added, because samples fill the context.
        let positions = self.positions.weight.val().unsqueeze::<3>();
        let mut x = self.tokens.forward(letters) + positions;
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.head.forward(self.norm.forward(x)).flatten(0, 1)
    }
}

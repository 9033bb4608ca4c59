//! ResNet-18 for images of 32 x 32: the first convolution is 3 x 3 with stride 1, and no max-pooling follows it.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::prelude::*;
use burn::tensor::activation::relu;

/// A convolution without bias, which keeps height and width at stride 1, and its normalization.
#[derive(Module, Debug)]
struct Normalized {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Normalized {
    fn new(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Self {
        let p = kernel / 2;
        let conv = Conv2dConfig::new(channels, [kernel; 2])
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(p, p, p, p))
            .with_bias(false);
        Normalized {
            conv: conv.init(device),
            norm: BatchNormConfig::new(channels[1]).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

/// Two convolutions with a shortcut, which is projected where the extents change.
#[derive(Module, Debug)]
struct Block {
    first: Normalized,
    second: Normalized,
    projection: Option<Normalized>,
}

impl Block {
    fn new(from: usize, to: usize, stride: usize, device: &Device) -> Self {
        let project = || Normalized::new([from, to], 1, stride, device);
        Block {
            first: Normalized::new([from, to], 3, stride, device),
            second: Normalized::new([to, to], 3, 1, device),
            projection: (stride != 1).then(project),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.first.forward(x.clone()));
        let y = self.second.forward(y);
        let shortcut = match &self.projection {
            Some(projection) => projection.forward(x),
            None => x,
        };
        relu(y + shortcut)
    }
}

#[derive(Module, Debug)]
pub struct ResNet18 {
    stem: Normalized,
    blocks: Vec<Block>,
    pool: AdaptiveAvgPool2d,
    head: Linear,
}

impl ResNet18 {
    pub fn new(device: &Device) -> Self {
        let layers = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)];
        let pair = |(from, to, stride)| {
            let first = Block::new(from, to, stride, device);
            [first, Block::new(to, to, 1, device)]
        };
        ResNet18 {
            stem: Normalized::new([3, 64], 3, 1, device),
            blocks: layers.into_iter().flat_map(pair).collect(),
            pool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            head: LinearConfig::new(512, 10).init(device),
        }
    }

    /// The logits of `images` `[N, 3, 32, 32]`.
    pub fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = relu(self.stem.forward(images));
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.head.forward(self.pool.forward(x).flatten(1, 3))
    }
}

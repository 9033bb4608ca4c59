//! Convolution and pooling of sequences `[length, channels]`, such as series, computed as images of height 1.

use super::conv::check_channels;
use super::sequence;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::{Activation, bounded, yes};
use crate::nn::init::WeightInit;
use crate::nn::layer::LayerType;
use crate::nn::parameter::Layout;
use crate::nn::site::Site;
use crate::ops::{avg_pool2d, conv2d, max_pool2d};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Positions added at both ends of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "padding is \"valid\", \"same\", \"causal\", a whole number, or two as [before, after]"
)]
pub enum Padding1d {
    /// By name.
    Named(NamedPadding1d),
    /// The same at both ends.
    Both(usize),
    /// `[before, after]`.
    Ends([usize; 2]),
}

/// Paddings that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedPadding1d {
    /// None.
    Valid,
    /// The padding that keeps the length at stride 1.
    Same,
    /// The same amount, all before the first position, so that no output depends on later positions.
    Causal,
}

impl Default for Padding1d {
    fn default() -> Self {
        Padding1d::Named(NamedPadding1d::Valid)
    }
}

impl Padding1d {
    /// `[before, after]` for a window.
    fn ends(self, window: usize, dilation: usize) -> [usize; 2] {
        match self {
            Padding1d::Named(NamedPadding1d::Valid) => [0, 0],
            Padding1d::Named(NamedPadding1d::Same) => {
                conv2d::Conv2d::same([1, window], [1, dilation])[1]
            }
            Padding1d::Named(NamedPadding1d::Causal) => [(window - 1) * dilation, 0],
            Padding1d::Both(n) => [n, n],
            Padding1d::Ends(ends) => ends,
        }
    }

    fn check(self) -> Result<(), String> {
        match self {
            Padding1d::Named(_) => Ok(()),
            Padding1d::Both(n) => bounded(0, "padding", &[n]),
            Padding1d::Ends(ends) => bounded(0, "padding", &ends),
        }
    }
}

/// Convolution of `[length, channels]` along the length. PyTorch `Conv1d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conv1d {
    /// Output channels.
    pub filters: usize,
    /// Positions that the kernel covers.
    pub kernel: usize,
    /// Steps between output positions.
    #[serde(default = "one")]
    pub stride: usize,
    /// Positions added at the ends.
    #[serde(default)]
    pub padding: Padding1d,
    /// Spacing of the kernel's taps.
    #[serde(default = "one")]
    pub dilation: usize,
    /// Number of independent groups of channels.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether a bias is added.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Activation of the output.
    #[serde(default)]
    pub activation: Activation,
    /// Initialisation of the weights, if not that of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_init: Option<WeightInit>,
    /// Initial value of the biases, if not that of the weights' initialisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_init: Option<f64>,
}

/// Maximum over windows of positions. PyTorch `MaxPool1d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxPool1d {
    /// Positions of a window.
    pub size: usize,
    /// Steps between windows; the size if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Positions added at the ends.
    #[serde(default)]
    pub padding: Padding1d,
}

/// Mean over windows of positions; padding is not counted. PyTorch `AvgPool1d(count_include_pad=False)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AvgPool1d {
    /// Positions of a window.
    pub size: usize,
    /// Steps between windows; the size if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Positions added at the ends.
    #[serde(default)]
    pub padding: Padding1d,
}

/// Mean over all positions: `[channels]`. PyTorch `AdaptiveAvgPool1d(1)` and a flatten.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalAvgPool1d {}

/// Maximum over all positions: `[channels]`. PyTorch `AdaptiveMaxPool1d(1)` and a flatten.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalMaxPool1d {}

/// `[length, channels]` to `[channels, length]`: swaps the roles of time and channels. PyTorch `transpose(1, 2)`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transpose {}

fn one() -> usize {
    1
}

/// The sequences `x` as images of height 1.
fn as_images(x: Var<'_>) -> Result<Var<'_>> {
    let [length, channels] = sequence(x)?;
    x.reshape([x.shape().dims()[0], 1, length, channels])
}

/// The images `y` of height 1 as sequences.
fn as_sequences(y: Var<'_>) -> Result<Var<'_>> {
    let shape = y.shape();
    let dims = shape.dims();
    y.reshape([dims[0], dims[2], dims[3]])
}

impl Conv1d {
    /// With stride 1, a bias, and neither padding nor activation.
    pub fn new(filters: usize, kernel: usize) -> Conv1d {
        Conv1d {
            filters,
            kernel,
            stride: 1,
            padding: Padding1d::default(),
            dilation: 1,
            groups: 1,
            bias: true,
            activation: Activation::None,
            weight_init: None,
            bias_init: None,
        }
    }

    fn check(&self, channels: usize) -> Result<(), String> {
        bounded(1, "kernel", &[self.kernel])?;
        bounded(1, "stride", &[self.stride])?;
        bounded(1, "dilation", &[self.dilation])?;
        self.padding.check()?;
        check_channels(channels, self.filters, self.groups)
    }
}

impl LayerType for Conv1d {
    fn stem(&self) -> &'static str {
        "conv"
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [_, channels] = sequence(inputs[0])?;
        self.check(channels).map_err(Site::misfit)?;
        let conv = conv2d::Conv2d {
            stride: [1, self.stride],
            padding: [[0, 0], self.padding.ends(self.kernel, self.dilation)],
            dilation: [1, self.dilation],
            groups: self.groups,
        };
        let own = channels / self.groups;
        let fan_in = self.kernel.saturating_mul(own);
        let fan_out = self.kernel.saturating_mul(self.filters);
        let init = site.weight_init(self.weight_init);
        let dims = [self.filters, 1, self.kernel, own];
        let weights = init.weights(fan_in, fan_out);
        let w = site.parameter("weight", &dims, weights, Layout::Conv1d)?;
        let y = as_sequences(as_images(inputs[0])?.conv2d(w, conv)?)?;
        let bias = site.bias_init(self.bias, self.bias_init, init, fan_in);
        site.finish(y, self.filters, bias, self.activation)
    }
}

/// Size, stride and padding of the windows of a pooling layer.
fn window(
    size: usize,
    stride: Option<usize>,
    padding: Padding1d,
) -> Result<(usize, usize, [usize; 2])> {
    let stride = stride.unwrap_or(size);
    bounded(1, "size", &[size])
        .and_then(|()| bounded(1, "stride", &[stride]))
        .and_then(|()| padding.check())
        .map_err(Site::misfit)?;
    Ok((size, stride, padding.ends(size, 1)))
}

impl LayerType for MaxPool1d {
    fn stem(&self) -> &'static str {
        "pool"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let (size, stride, ends) = window(self.size, self.stride, self.padding)?;
        as_sequences(as_images(inputs[0])?.max_pool2d(max_pool2d::MaxPool2d {
            kernel: [1, size],
            stride: [1, stride],
            padding: [[0, 0], ends],
        })?)
    }
}

impl LayerType for AvgPool1d {
    fn stem(&self) -> &'static str {
        "pool"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let (size, stride, ends) = window(self.size, self.stride, self.padding)?;
        as_sequences(as_images(inputs[0])?.avg_pool2d(avg_pool2d::AvgPool2d {
            kernel: [1, size],
            stride: [1, stride],
            padding: [[0, 0], ends],
            count_include_pad: false,
        })?)
    }
}

impl LayerType for GlobalAvgPool1d {
    fn stem(&self) -> &'static str {
        "pool"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        sequence(inputs[0])?;
        inputs[0].mean(&[1])
    }
}

impl LayerType for GlobalMaxPool1d {
    fn stem(&self) -> &'static str {
        "pool"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        sequence(inputs[0])?;
        inputs[0].max(&[1])
    }
}

impl LayerType for Transpose {
    fn stem(&self) -> &'static str {
        "transpose"
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        sequence(inputs[0])?;
        if site.is_padded() {
            return Err(Site::misfit(
                "it would turn positions, some of which are padding, into features; pool the padded tokens over time, or use \
                 tokens without padding",
            ));
        }
        inputs[0].transpose(1, 2)
    }
}

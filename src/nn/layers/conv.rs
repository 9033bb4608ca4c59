//! Convolutions.

use super::image;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::{Activation, PaddingSpec, Pair, Units, bounded, yes};
use crate::nn::init::WeightInit;
use crate::nn::layer::LayerType;
use crate::nn::parameter::Layout;
use crate::nn::site::Site;
use crate::ops::conv2d;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Convolution of `[height, width, channels]`. PyTorch `Conv2d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Output channels.
    pub filters: Units,
    /// Height and width of the kernel.
    pub kernel: Pair,
    /// Steps between output positions.
    #[serde(default = "Pair::one")]
    pub stride: Pair,
    /// Rows and columns added around the input.
    #[serde(default)]
    pub padding: PaddingSpec,
    /// Spacing of the kernel's taps.
    #[serde(default = "Pair::one")]
    pub dilation: Pair,
    /// Number of independent groups of channels.
    #[serde(default = "single")]
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

fn single() -> usize {
    1
}

impl Conv2d {
    /// With stride 1, a bias, and neither padding nor activation.
    pub fn new(filters: impl Into<Units>, kernel: impl Into<Pair>) -> Conv2d {
        Conv2d {
            filters: filters.into(),
            kernel: kernel.into(),
            stride: Pair::one(),
            padding: PaddingSpec::default(),
            dilation: Pair::one(),
            groups: 1,
            bias: true,
            activation: Activation::None,
            weight_init: None,
            bias_init: None,
        }
    }

    fn check(&self, channels: usize, filters: usize) -> Result<(), String> {
        bounded(1, "kernel", &self.kernel.each())?;
        bounded(1, "stride", &self.stride.each())?;
        bounded(1, "dilation", &self.dilation.each())?;
        self.padding.check()?;
        check_channels(channels, filters, self.groups)
    }
}

/// Checks that the groups of a convolution divide its `channels` and `filters`.
pub(super) fn check_channels(channels: usize, filters: usize, groups: usize) -> Result<(), String> {
    bounded(1, "filters", &[filters])?;
    bounded(1, "groups", &[groups])?;
    if !channels.is_multiple_of(groups) || !filters.is_multiple_of(groups) {
        return Err(format!(
            "its {groups} groups must divide the {channels} channels and its {filters} filters"
        ));
    }
    Ok(())
}

impl LayerType for Conv2d {
    fn stem(&self) -> &'static str {
        "conv"
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [height, width, channels] = image(inputs[0])?;
        let filters = self.filters.number_of("filters", site)?;
        self.check(channels, filters).map_err(Site::misfit)?;
        let ([kh, kw], stride, dilation) =
            (self.kernel.each(), self.stride.each(), self.dilation.each());
        let conv = conv2d::Conv2d {
            stride,
            padding: self
                .padding
                .sides([height, width], [kh, kw], stride, dilation),
            dilation,
            groups: self.groups,
        };
        let (taps, own) = (kh * kw, channels / self.groups);
        // As in PyTorch, the fans follow from the shape of the weight, so the fan out is not divided by the groups.
        let fan_in = taps.saturating_mul(own);
        let fan_out = taps.saturating_mul(filters);
        let init = site.weight_init(self.weight_init);
        let weights = init.weights(fan_in, fan_out);
        let w = site.parameter("weight", &[filters, kh, kw, own], weights, Layout::Conv)?;
        let y = inputs[0].conv2d(w, conv)?;
        let bias = site.bias_init(self.bias, self.bias_init, init, fan_in);
        site.finish(y, filters, bias, self.activation)
    }
}

/// The transpose of a convolution, which upsamples images with trained kernels. PyTorch `ConvTranspose2d`. It computes the
/// gradient of a convolution with respect to its input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose2d {
    /// Output channels.
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel: Pair,
    /// Distance between the outputs of neighbouring inputs.
    #[serde(default = "Pair::one")]
    pub stride: Pair,
    /// Rows and columns removed around the result: the padding of the convolution.
    #[serde(default)]
    pub padding: PaddingSpec,
    /// Rows and columns added at the end of the result.
    #[serde(default = "none")]
    pub output_padding: Pair,
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

fn none() -> Pair {
    Pair::Both(0)
}

impl LayerType for ConvTranspose2d {
    fn stem(&self) -> &'static str {
        "conv"
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [height, width, channels] = image(inputs[0])?;
        let ([kh, kw], stride) = (self.kernel.each(), self.stride.each());
        bounded(1, "kernel", &[kh, kw])
            .and_then(|()| bounded(1, "stride", &stride))
            .and_then(|()| bounded(1, "filters", &[self.filters]))
            .and_then(|()| bounded(0, "output_padding", &self.output_padding.each()))
            .and_then(|()| self.padding.check())
            .map_err(Site::misfit)?;
        // The result is the input of the convolution that is transposed; `same` sizes are this input times the stride.
        let larger = [0, 1].map(|i| [height, width][i].saturating_mul(stride[i]));
        let padding = self.padding.sides(larger, [kh, kw], stride, [1, 1]);
        let mut output = [0; 2];
        for (axis, (input, kernel)) in [(height, kh), (width, kw)].into_iter().enumerate() {
            let more = self.output_padding.each()[axis];
            if more >= stride[axis] {
                return Err(Site::misfit("its output_padding must be below its stride"));
            }
            let whole = (input - 1) * stride[axis] + kernel + more;
            let taken = padding[axis][0] + padding[axis][1];
            if whole <= taken {
                return Err(Site::misfit("its padding leaves an empty output"));
            }
            output[axis] = whole - taken;
        }
        let conv = conv2d::Conv2d {
            stride,
            padding,
            ..conv2d::Conv2d::default()
        };
        let taps = kh * kw;
        // As in PyTorch, the fans follow from the shape of the weight: [in, out, height, width].
        let (fan_in, fan_out) = (
            taps.saturating_mul(self.filters),
            taps.saturating_mul(channels),
        );
        let init = site.weight_init(self.weight_init);
        let dims = [channels, kh, kw, self.filters];
        let w = site.parameter("weight", &dims, init.weights(fan_in, fan_out), Layout::Conv)?;
        let op = conv2d::Conv2dInputGrad {
            conv,
            input: output,
        };
        let y = site.builder.op(op, &[inputs[0], w])?;
        let bias = site.bias_init(self.bias, self.bias_init, init, fan_in);
        site.finish(y, self.filters, bias, self.activation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::layers::Conv1d;
    use crate::nn::{Init, Layer, LayerKind, Model, ModelSpec, NamedInit, Network};

    /// The initialisation of the weights of `layer` for an `input`.
    fn start(layer: impl Into<LayerKind>, input: &[usize]) -> Init {
        let spec = ModelSpec::new("m", input.to_vec())
            .layer(Layer::new(layer))
            .layer(Layer::new(crate::nn::layers::Flatten {}))
            .layer(Layer::new(crate::nn::layers::Dense::new(1)));
        Network::new(spec).unwrap().parameters()[0].init
    }

    #[track_caller]
    fn close(init: Init, expected: f64) {
        let (Init::Uniform { limit: got } | Init::Normal { std: got }) = init else {
            panic!("{init:?} is not random")
        };
        assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
    }

    /// Expected values from `torch.nn.init._calculate_fan_in_and_fan_out`, whose fan out is not divided by the groups.
    #[test]
    fn grouped_convolutions_start_with_the_fans_that_pytorch_counts() {
        let grouped = |filters: usize, kernel: [usize; 2], groups, named: NamedInit| Conv2d {
            groups,
            weight_init: Some(named.into()),
            ..Conv2d::new(filters, kernel)
        };
        let image = [9, 9, 8];
        let four = |named| start(grouped(12, [3, 5], 4, named), &image);
        close(four(NamedInit::GlorotUniform), 0.1690308509457033);
        close(four(NamedInit::GlorotNormal), 0.09759000729485333);
        close(four(NamedInit::KaimingNormalFanOut), 0.10540925533894598);
        close(four(NamedInit::KaimingNormal), (2.0_f64 / 30.0).sqrt());
        let depthwise = grouped(6, [3, 3], 6, NamedInit::GlorotUniform);
        close(start(depthwise, &[9, 9, 6]), 0.3086066999241838);
        let one = grouped(12, [3, 3], 1, NamedInit::GlorotUniform);
        close(start(one, &image), 0.18257418583505536);

        let along = Conv1d {
            groups: 2,
            weight_init: Some(NamedInit::GlorotUniform.into()),
            ..Conv1d::new(4, 7)
        };
        close(start(along, &[9, 8]), 0.32732683535398854);
    }
}

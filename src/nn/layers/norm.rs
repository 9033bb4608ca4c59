//! Normalizations.

use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::{Activation, bounded, yes};
use crate::nn::batch_norm::{BatchNormParts, batch_norm};
use crate::nn::features::{FeatureOrder, Taken};
use crate::nn::layer::LayerType;
use crate::nn::parameter::Init;
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Normalizes every channel over the batch, of images or of rows of features (Ioffe and Szegedy 2015). PyTorch
/// `BatchNorm1d`, `BatchNorm2d`. In training it uses the statistics of the valid samples, and updates the running ones:
/// `running = (1 - momentum) running + momentum batch`; otherwise it uses these. The running variance is divided by n - 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance.
    #[serde(default = "small")]
    pub eps: f64,
    /// Weight of the batch in the running statistics.
    #[serde(default = "tenth")]
    pub momentum: f64,
    /// Whether it has a trained weight and bias per channel.
    #[serde(default = "yes")]
    pub affine: bool,
    /// Initial value of the weights: with 0, the last normalization of a residual block makes it start as the identity.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight_init: f64,
    /// Activation of the output.
    #[serde(default)]
    pub activation: Activation,
}

/// Normalizes every position over its channels, or a row over its features (Ba, Kiros and Hinton 2016). PyTorch
/// `LayerNorm(channels)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// Added to the variance.
    #[serde(default = "small")]
    pub eps: f64,
    /// Whether it has a trained weight and bias per channel.
    #[serde(default = "yes")]
    pub affine: bool,
    /// Whether it has a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Activation of the output.
    #[serde(default)]
    pub activation: Activation,
}

/// Normalizes every sample over groups of its channels (Wu and He 2018). PyTorch `GroupNorm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// Number of groups, a divisor of the channels. With 1 the whole sample is normalized at once; with as many as channels it is
    /// instance normalization.
    pub groups: usize,
    /// Added to the variance.
    #[serde(default = "small")]
    pub eps: f64,
    /// Whether it has a trained weight and bias per channel.
    #[serde(default = "yes")]
    pub affine: bool,
    /// Activation of the output.
    #[serde(default)]
    pub activation: Activation,
}

/// Divides every position by the root mean square of its channels (Zhang and Sennrich 2019). PyTorch `RMSNorm(channels)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RmsNorm {
    /// Added to the mean square.
    #[serde(default = "small")]
    pub eps: f64,
    /// Whether it has a trained weight per channel.
    #[serde(default = "yes")]
    pub affine: bool,
    /// Activation of the output.
    #[serde(default)]
    pub activation: Activation,
}

/// Divides every element by a power of the squares in a window of channels (Krizhevsky et al. 2012). PyTorch
/// `LocalResponseNorm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalResponseNorm {
    /// Number of channels in the window.
    pub size: usize,
    /// Factor for the mean square in the window.
    #[serde(default = "ten_thousandth")]
    pub alpha: f64,
    /// Power.
    #[serde(default = "three_quarters")]
    pub beta: f64,
    /// Added to the mean square; above 0.
    #[serde(default = "one")]
    pub k: f64,
}

fn ten_thousandth() -> f64 {
    1e-4
}

fn three_quarters() -> f64 {
    0.75
}

fn small() -> f64 {
    1e-5
}

fn tenth() -> f64 {
    0.1
}

fn one() -> f64 {
    1.0
}

fn is_yes(flag: &bool) -> bool {
    *flag
}

fn is_one(x: &f64) -> bool {
    *x == 1.0
}

impl Default for BatchNorm {
    fn default() -> Self {
        BatchNorm {
            eps: small(),
            momentum: tenth(),
            affine: true,
            weight_init: 1.0,
            activation: Activation::None,
        }
    }
}

impl Default for LayerNorm {
    fn default() -> Self {
        LayerNorm {
            eps: small(),
            affine: true,
            bias: true,
            activation: Activation::None,
        }
    }
}

impl GroupNorm {
    /// With a trained weight and bias.
    pub fn new(groups: usize) -> GroupNorm {
        GroupNorm {
            groups,
            eps: small(),
            affine: true,
            activation: Activation::None,
        }
    }
}

impl Default for RmsNorm {
    fn default() -> Self {
        RmsNorm {
            eps: small(),
            affine: true,
            activation: Activation::None,
        }
    }
}

/// Checks `eps` and returns the channels of `x`.
fn channels(x: Var<'_>, eps: f64) -> Result<usize> {
    if !(eps > 0.0 && eps.is_finite()) {
        return Err(Site::misfit(format!("its eps must be above 0, not {eps}")));
    }
    Ok(x.shape().last())
}

/// Weight and bias for each channel; the constants 1 and 0 if they are not trained.
fn affine<'g>(
    site: &mut Site<'g, '_>,
    trained: bool,
    weight: f64,
    channels: usize,
) -> Result<[Var<'g>; 2]> {
    let layout = site.layout();
    let mut part = |name: &str, start: f64| match trained {
        true => site.parameter(name, &[channels], Init::Constant(start), layout.clone()),
        false => site
            .builder
            .constant(start)
            .broadcast_to(&[channels].into()),
    };
    Ok([part("weight", weight)?, part("bias", 0.0)?])
}

impl LayerType for BatchNorm {
    fn stem(&self) -> &'static str {
        "norm"
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        Ok(taken[0].order.clone())
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let x = inputs[0];
        let channels = channels(x, self.eps)?;
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Site::misfit("its momentum must be from 0 to 1"));
        }
        let layout = site.layout();
        let [weight, bias] = affine(site, self.affine, self.weight_init, channels)?;
        let mut running = |part: &str, start: f64| {
            site.buffer(part, &[channels], Init::Constant(start), layout.clone())
        };
        let running_mean = running("running_mean", 0.0)?;
        let running_var = running("running_var", 1.0)?;
        site.counter("num_batches_tracked");
        let is_frozen = site.is_frozen("weight");
        let parts = BatchNormParts {
            weight,
            bias,
            mean: running_mean,
            variance: running_var,
        };
        let y = batch_norm(site.cx, x, parts, self.eps, self.momentum, is_frozen)?;
        self.activation.apply(y)
    }
}

impl LayerType for LayerNorm {
    fn stem(&self) -> &'static str {
        "norm"
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        Ok(taken[0].order.clone())
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let channels = channels(inputs[0], self.eps)?;
        let y = match (self.affine, self.bias) {
            (false, _) => inputs[0].layer_norm(self.eps)?,
            (true, true) => {
                let [weight, bias] = affine(site, true, 1.0, channels)?;
                inputs[0].layer_norm_affine(weight, bias, self.eps)?
            }
            (true, false) => {
                let layout = site.layout();
                let start = Init::Constant(1.0);
                let weight = site.parameter("weight", &[channels], start, layout)?;
                inputs[0].layer_norm(self.eps)?.mul(weight)?
            }
        };
        self.activation.apply(y)
    }
}

impl LayerType for GroupNorm {
    fn stem(&self) -> &'static str {
        "norm"
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        let alike = self.groups == 1 || self.groups == taken[0].features();
        match taken[0].order.is_same() || alike {
            true => Ok(taken[0].order.clone()),
            false => Err(Site::misfit(
                "its groups would contain other features of a flattened image than in PyTorch; put it before the flatten",
            )),
        }
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let channels = channels(inputs[0], self.eps)?;
        bounded(1, "groups", &[self.groups]).map_err(Site::misfit)?;
        if !channels.is_multiple_of(self.groups) {
            return Err(Site::misfit(format!(
                "its {} groups must divide the {channels} channels",
                self.groups
            )));
        }
        let [weight, bias] = affine(site, self.affine, 1.0, channels)?;
        let y = inputs[0].group_norm(self.groups, weight, bias, self.eps)?;
        self.activation.apply(y)
    }
}

impl LayerType for RmsNorm {
    fn stem(&self) -> &'static str {
        "norm"
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        Ok(taken[0].order.clone())
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let channels = channels(inputs[0], self.eps)?;
        let mut y = inputs[0].rms_norm(self.eps)?;
        if self.affine {
            let layout = site.layout();
            let start = Init::Constant(1.0);
            y = y.mul(site.parameter("weight", &[channels], start, layout)?)?;
        }
        self.activation.apply(y)
    }
}

impl LayerType for LocalResponseNorm {
    fn stem(&self) -> &'static str {
        "norm"
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        match taken[0].order.is_same() {
            true => Ok(FeatureOrder::default()),
            false => Err(Site::misfit(
                "neighbouring features of a flattened image are not neighbouring channels; put it before the flatten",
            )),
        }
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        bounded(1, "size", &[self.size]).map_err(Site::misfit)?;
        for (name, value, least) in [
            ("alpha", self.alpha, 0.0),
            ("beta", self.beta, 0.0),
            ("k", self.k, f64::MIN_POSITIVE),
        ] {
            if !(value >= least && value.is_finite()) {
                return Err(Site::misfit(format!("its {name} can't be {value}")));
            }
        }
        inputs[0].local_response_norm(self.size, self.alpha, self.beta, self.k)
    }
}

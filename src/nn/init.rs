//! Initialisation of weights, as in a model file.

use super::parameter::Init;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Initialisation of convolutions and dense layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "weight_init is \"glorot_uniform\", \"glorot_normal\", \"kaiming_uniform\", \"kaiming_normal\", \"kaiming_normal_fan_out\", \"pytorch\", { normal = STD } or { orthogonal = GAIN }"
)]
pub enum WeightInit {
    /// By name.
    Named(NamedInit),
    /// `{ normal = STD }` or `{ orthogonal = GAIN }`.
    Scaled(ScaledInit),
}

/// Named initialisations. Fans include the taps of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedInit {
    /// Uniform within `sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010), the Keras default.
    GlorotUniform,
    /// Normal of variance `2 / (fan_in + fan_out)`.
    GlorotNormal,
    /// Uniform within `sqrt(6 / fan_in)` (He et al. 2015). PyTorch `kaiming_uniform_(nonlinearity="relu")`.
    KaimingUniform,
    /// Normal of variance `2 / fan_in` (He et al. 2015). PyTorch `kaiming_normal_(nonlinearity="relu")`.
    KaimingNormal,
    /// Normal of variance `2 / fan_out`, as for torchvision's ResNets.
    KaimingNormalFanOut,
    /// Uniform within `1 / sqrt(fan_in)`, biases too: the default of PyTorch's `Conv2d` and `Linear`.
    Pytorch,
}

/// A distribution with its scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScaledInit {
    /// Normal of this standard deviation.
    Normal(f64),
    /// Rows or columns that are orthogonal to each other, times this gain (Saxe et al. 2013). PyTorch `orthogonal_`.
    Orthogonal(f64),
}

impl Default for WeightInit {
    fn default() -> Self {
        WeightInit::Named(NamedInit::GlorotUniform)
    }
}

impl From<NamedInit> for WeightInit {
    fn from(named: NamedInit) -> Self {
        WeightInit::Named(named)
    }
}

impl WeightInit {
    /// For a weight of these fans.
    pub fn weights(self, fan_in: usize, fan_out: usize) -> Init {
        let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
        match self {
            WeightInit::Scaled(ScaledInit::Normal(std)) => Init::Normal { std },
            WeightInit::Scaled(ScaledInit::Orthogonal(gain)) => Init::Orthogonal { gain },
            WeightInit::Named(named) => match named {
                NamedInit::GlorotUniform => Init::Uniform {
                    limit: (6.0 / (fan_in + fan_out)).sqrt(),
                },
                NamedInit::GlorotNormal => Init::Normal {
                    std: (2.0 / (fan_in + fan_out)).sqrt(),
                },
                NamedInit::KaimingUniform => Init::Uniform {
                    limit: (6.0 / fan_in).sqrt(),
                },
                NamedInit::KaimingNormal => Init::Normal {
                    std: (2.0 / fan_in).sqrt(),
                },
                NamedInit::KaimingNormalFanOut => Init::Normal {
                    std: (2.0 / fan_out).sqrt(),
                },
                NamedInit::Pytorch => Init::Uniform {
                    limit: 1.0 / fan_in.sqrt(),
                },
            },
        }
    }
}

/// Initialisation of the bias of a unit with `fan_in` inputs: `own` if given, else the one that belongs to the `weights`.
pub(super) fn bias(own: Option<f64>, weights: WeightInit, fan_in: usize) -> Init {
    match (own, weights) {
        (Some(value), _) => Init::Constant(value),
        (None, WeightInit::Named(NamedInit::Pytorch)) => weights.weights(fan_in, fan_in),
        (None, _) => Init::Constant(0.0),
    }
}

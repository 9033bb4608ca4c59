//! LAMB (You et al. 2020, "Large Batch Optimization for Deep Learning", algorithm 2): Adam's step with decoupled weight decay,
//! rescaled to the norm of the parameter. A layer is one tensor, the function phi of its norm is the identity, and the moments
//! have their bias corrected, as in the algorithm of the paper.

use super::adam::{Adam, RSQRT_CORRECTION};
use super::{LR, Optimizer, ParameterStep};
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `m` and `v` as [`Adam`]'s; at step t `r = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)`, `u = r + weight_decay p`, and
/// `p -= lr |p| / |u| u`, where the ratio of the norms is 1 if one of them is 0. With `exclude_bias_and_norm` parameters of one axis have
/// neither the weight decay nor the ratio, as in the authors' code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lamb {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Keeps the step finite if gradients vanish.
    pub eps: f64,
    /// Weight decay: the share of the parameters that is added to the step before it is rescaled.
    pub weight_decay: f64,
    /// Whether parameters of one axis, biases and the weights of normalizations, take Adam's step unchanged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exclude_bias_and_norm: bool,
}

impl Default for Lamb {
    fn default() -> Self {
        Lamb {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-6,
            weight_decay: 0.01,
            exclude_bias_and_norm: false,
        }
    }
}

const MEAN_CORRECTION: &str = "mean_correction";

impl Lamb {
    /// The Adam part.
    fn adam(&self) -> Adam {
        Adam {
            lr: self.lr,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            weight_decay: self.weight_decay,
        }
    }
}

impl Optimizer for Lamb {
    super::rates!();

    fn validate(&self) -> Result<()> {
        self.adam().validate()
    }

    fn state(&self, name: &str, ty: &TensorType) -> Vec<&'static str> {
        self.adam().state(name, ty)
    }

    fn squared_gradients(
        &self,
        name: &str,
        ty: &TensorType,
        step: u64,
    ) -> Option<(&'static str, f64)> {
        self.adam().squared_gradients(name, ty, step)
    }

    fn scalars(&self) -> &'static [&'static str] {
        &[LR, MEAN_CORRECTION, RSQRT_CORRECTION]
    }

    fn scalar_values(&self, step: u64, lr: f64, out: &mut Vec<f32>) {
        let correction = |beta: f64| 1.0 - beta.powf(step as f64);
        out.push(lr as f32);
        out.push(correction(self.beta1).recip() as f32);
        out.push(correction(self.beta2).sqrt().recip() as f32);
    }

    fn update<'g>(&self, parameter: &ParameterStep<'_, 'g>) -> Result<Var<'g>> {
        let (p, lr) = (parameter.value(), parameter.scalar(LR)?);
        let direction = self.adam().direction(parameter, parameter.grad())?;
        let direction = direction.mul(parameter.scalar(MEAN_CORRECTION)?)?;
        if self.exclude_bias_and_norm && p.shape().rank() < 2 {
            return p.sub(direction.mul(lr)?);
        }
        let step = match self.weight_decay == 0.0 {
            true => direction,
            false => direction.add(p.scale(self.weight_decay)?)?,
        };
        let one = parameter.builder().constant(1.0);
        let (length, of_step) = (norm(p)?, norm(step)?);
        let ratio = length.select(of_step.select(length.div(of_step)?, one)?, one)?;
        p.sub(step.mul(ratio.mul(lr)?)?)
    }
}

/// Euclidean norm of all elements.
fn norm(x: Var<'_>) -> Result<Var<'_>> {
    x.mul(x)?.sum_all()?.sqrt()
}

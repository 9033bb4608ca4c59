//! RMSprop (Tieleman and Hinton 2012; centered after Graves 2013). PyTorch `torch.optim.RMSprop`.

use super::{LR, Optimizer, ParameterStep, require};
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `g += weight_decay p; v = alpha v + (1 - alpha) g^2`; centered: `m += (1 - alpha) (g - m)` and `d = sqrt(v - m^2) + eps`, else
/// `d = sqrt(v) + eps`; with momentum `buf = momentum buf + g / d; p -= lr buf`, else `p -= lr g / d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of squared gradients.
    pub alpha: f64,
    /// Keeps the step finite if gradients vanish.
    pub eps: f64,
    /// Momentum: weight of the previous step.
    pub momentum: f64,
    /// Whether gradients are divided by their standard deviation instead of the root of their mean square.
    pub centered: bool,
    /// Weight decay as an L2 penalty, added to the gradient.
    pub weight_decay: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp {
            lr: 0.01,
            alpha: 0.99,
            eps: 1e-8,
            momentum: 0.0,
            centered: false,
            weight_decay: 0.0,
        }
    }
}

const V: &str = "v";
const M: &str = "m";
const MOMENTUM: &str = "momentum";

impl Optimizer for RmsProp {
    super::rates!();

    fn validate(&self) -> Result<()> {
        let share = "at least 0 and below 1";
        let is_share = |value: f64| (0.0..1.0).contains(&value);
        require(self.lr >= 0.0, "lr", "at least 0", self.lr)?;
        require(is_share(self.alpha), "alpha", share, self.alpha)?;
        require(self.eps as f32 > 0.0, "eps", "above 0", self.eps)?;
        require(is_share(self.momentum), "momentum", share, self.momentum)?;
        let decay = self.weight_decay;
        require(decay >= 0.0, "weight_decay", "at least 0", decay)
    }

    fn state(&self, _name: &str, _ty: &TensorType) -> Vec<&'static str> {
        let centered = self.centered.then_some(M);
        let momentum = (self.momentum != 0.0).then_some(MOMENTUM);
        [V].into_iter().chain(centered).chain(momentum).collect()
    }

    fn squared_gradients(
        &self,
        _name: &str,
        _ty: &TensorType,
        step: u64,
    ) -> Option<(&'static str, f64)> {
        Some((V, (1.0 - self.alpha.powf(step as f64)).recip()))
    }

    fn scalars(&self) -> &'static [&'static str] {
        &[LR]
    }

    fn scalar_values(&self, _step: u64, lr: f64, out: &mut Vec<f32>) {
        out.push(lr as f32);
    }

    fn update<'g>(&self, parameter: &ParameterStep<'_, 'g>) -> Result<Var<'g>> {
        let constant = |value| parameter.builder().constant(value);
        let p = parameter.value();
        let mut grad = parameter.grad();
        if self.weight_decay != 0.0 {
            grad = grad.add(p.scale(self.weight_decay)?)?;
        }
        let v = parameter.state(V)?;
        let square = v
            .scale(self.alpha)?
            .add(grad.mul(grad)?.scale(1.0 - self.alpha)?)?;
        parameter.set(v, square)?;
        let mut variance = square;
        if self.centered {
            let m = parameter.state(M)?;
            let mean = m.add(grad.sub(m)?.scale(1.0 - self.alpha)?)?;
            parameter.set(m, mean)?;
            // Rounding can make the variance negative.
            variance = square.sub(mean.mul(mean)?)?.maximum(constant(0.0))?;
        }
        let mut step = grad.div(variance.sqrt()?.add(constant(self.eps))?)?;
        if self.momentum != 0.0 {
            let buffer = parameter.state(MOMENTUM)?;
            step = buffer.scale(self.momentum)?.add(step)?;
            parameter.set(buffer, step)?;
        }
        p.sub(step.mul(parameter.scalar(LR)?)?)
    }
}

//! Adam (Kingma and Ba 2015). PyTorch `torch.optim.Adam`.

use super::{Optimizer, ParameterStep, require};
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `g += weight_decay p; m += (1 - beta1) (g - m); v = beta2 v + (1 - beta2) g^2`, and at step t
/// `p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Keeps the step finite if gradients vanish.
    pub eps: f64,
    /// Weight decay as an L2 penalty, added to the gradient.
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Adam {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
        }
    }
}

pub(super) const STEP_SIZE: &str = "step_size";
pub(super) const RSQRT_CORRECTION: &str = "rsqrt_correction";
const M: &str = "m";
const V: &str = "v";

impl Optimizer for Adam {
    super::rates!();

    fn validate(&self) -> Result<()> {
        let share = "at least 0 and below 1";
        require(self.lr >= 0.0, "lr", "at least 0", self.lr)?;
        require((0.0..1.0).contains(&self.beta1), "beta1", share, self.beta1)?;
        require((0.0..1.0).contains(&self.beta2), "beta2", share, self.beta2)?;
        // Checked as f32: with an `eps` that rounds to 0, a gradient of 0 would give 0 / 0.
        require(self.eps as f32 > 0.0, "eps", "above 0", self.eps)?;
        require(
            self.weight_decay >= 0.0,
            "weight_decay",
            "at least 0",
            self.weight_decay,
        )
    }

    fn state(&self, _name: &str, _ty: &TensorType) -> Vec<&'static str> {
        vec![M, V]
    }

    fn squared_gradients(
        &self,
        _name: &str,
        _ty: &TensorType,
        step: u64,
    ) -> Option<(&'static str, f64)> {
        Some((V, (1.0 - self.beta2.powf(step as f64)).recip()))
    }

    fn scalars(&self) -> &'static [&'static str] {
        &[STEP_SIZE, RSQRT_CORRECTION]
    }

    fn scalar_values(&self, step: u64, lr: f64, out: &mut Vec<f32>) {
        let correction = |beta: f64| 1.0 - beta.powf(step as f64);
        out.push((lr / correction(self.beta1)) as f32);
        out.push(correction(self.beta2).sqrt().recip() as f32);
    }

    fn update<'g>(&self, parameter: &ParameterStep<'_, 'g>) -> Result<Var<'g>> {
        let p = parameter.value();
        let mut grad = parameter.grad();
        if self.weight_decay != 0.0 {
            grad = grad.add(p.scale(self.weight_decay)?)?;
        }
        p.sub(self.step(parameter, grad)?)
    }
}

impl Adam {
    /// The step of Adam and AdamW, which is subtracted from the parameter: [`Adam::direction`] times the step size.
    pub(super) fn step<'g>(
        &self,
        parameter: &ParameterStep<'_, 'g>,
        grad: Var<'g>,
    ) -> Result<Var<'g>> {
        let direction = self.direction(parameter, grad)?;
        direction.mul(parameter.scalar(STEP_SIZE)?)
    }

    /// Updates the moments with `grad`, and returns `m / (sqrt(v) rsqrt_correction + eps)`.
    pub(super) fn direction<'g>(
        &self,
        parameter: &ParameterStep<'_, 'g>,
        grad: Var<'g>,
    ) -> Result<Var<'g>> {
        let m = parameter.state(M)?;
        let v = parameter.state(V)?;
        let mean = m.add(grad.sub(m)?.scale(1.0 - self.beta1)?)?;
        let square = v
            .scale(self.beta2)?
            .add(grad.mul(grad)?.scale(1.0 - self.beta2)?)?;
        parameter.set(m, mean)?;
        parameter.set(v, square)?;
        let root = square.sqrt()?.mul(parameter.scalar(RSQRT_CORRECTION)?)?;
        let denominator = root.add(parameter.builder().constant(self.eps))?;
        mean.div(denominator)
    }
}

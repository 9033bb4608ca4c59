//! Adagrad (Duchi et al. 2011). PyTorch `torch.optim.Adagrad`.

use super::{LR, Optimizer, ParameterStep, require};
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `g += weight_decay p; sum += g^2`, and at step t `p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(initial_accumulator_value + sum) + eps)`.
/// The state is the sum without its initial value, so that it starts at zero like all state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adagrad {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the learning rate.
    pub lr_decay: f64,
    /// Initial value of the sum of squared gradients.
    pub initial_accumulator_value: f64,
    /// Keeps the step finite if gradients vanish.
    pub eps: f64,
    /// Weight decay as an L2 penalty, added to the gradient.
    pub weight_decay: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Adagrad {
            lr: 0.01,
            lr_decay: 0.0,
            initial_accumulator_value: 0.0,
            eps: 1e-10,
            weight_decay: 0.0,
        }
    }
}

const SUM: &str = "sum";

impl Optimizer for Adagrad {
    super::rates!();

    fn validate(&self) -> Result<()> {
        for (name, value) in [
            ("lr", self.lr),
            ("lr_decay", self.lr_decay),
            ("initial_accumulator_value", self.initial_accumulator_value),
            ("weight_decay", self.weight_decay),
        ] {
            require(value >= 0.0, name, "at least 0", value)?;
        }
        require(self.eps as f32 > 0.0, "eps", "above 0", self.eps)
    }

    fn state(&self, _name: &str, _ty: &TensorType) -> Vec<&'static str> {
        vec![SUM]
    }

    fn scalars(&self) -> &'static [&'static str] {
        &[LR]
    }

    fn scalar_values(&self, step: u64, lr: f64, out: &mut Vec<f32>) {
        let done = step.saturating_sub(1) as f64;
        out.push((lr / (1.0 + done * self.lr_decay)) as f32);
    }

    fn update<'g>(&self, parameter: &ParameterStep<'_, 'g>) -> Result<Var<'g>> {
        let constant = |value| parameter.builder().constant(value);
        let p = parameter.value();
        let mut grad = parameter.grad();
        if self.weight_decay != 0.0 {
            grad = grad.add(p.scale(self.weight_decay)?)?;
        }
        let sum = parameter.state(SUM)?;
        let next = sum.add(grad.mul(grad)?)?;
        parameter.set(sum, next)?;
        let accumulator = match self.initial_accumulator_value == 0.0 {
            true => next,
            false => next.add(constant(self.initial_accumulator_value))?,
        };
        let denominator = accumulator.sqrt()?.add(constant(self.eps))?;
        p.sub(grad.div(denominator)?.mul(parameter.scalar(LR)?)?)
    }
}

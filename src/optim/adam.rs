//! Adam (Kingma and Ba 2015). PyTorch `torch.optim.Adam`.

use super::{Optimizer, Scalars, require, scalar, state, state_name};
use crate::error::Result;
use crate::graph::{Builder, Var};
use crate::tensor::TensorType;
use serde::{Deserialize, Serialize};

/// `g += weight_decay p; m += (1 - beta1) (g - m); v = beta2 v + (1 - beta2) g^2`, and at step t
/// `p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Share of the mean of gradients that is kept.
    pub beta1: f64,
    /// Share of the mean of squared gradients that is kept.
    pub beta2: f64,
    /// Keeps the step finite where gradients vanish.
    pub eps: f64,
    /// Factor of the squared norm of the parameters in the loss, times two.
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

const STEP_SIZE: &str = "optimizer.step_size";
const RSQRT_CORRECTION: &str = "optimizer.rsqrt_correction";
const M: &str = "m";
const V: &str = "v";

impl Optimizer for Adam {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        let share = "at least 0 and below 1";
        require(self.lr >= 0.0, "lr", "at least 0", self.lr)?;
        require((0.0..1.0).contains(&self.beta1), "beta1", share, self.beta1)?;
        require((0.0..1.0).contains(&self.beta2), "beta2", share, self.beta2)?;
        // As f32, or the division by a vanished gradient's root is 0 / 0.
        require(self.eps as f32 > 0.0, "eps", "above 0", self.eps)?;
        require(
            self.weight_decay >= 0.0,
            "weight_decay",
            "at least 0",
            self.weight_decay,
        )
    }

    fn state(&self, params: &[(String, TensorType)]) -> Vec<(String, TensorType)> {
        state(&[M, V], params)
    }

    fn apply<'g>(
        &self,
        builder: &'g Builder,
        params: &[(String, Var<'g>)],
        grads: &[Var<'g>],
    ) -> Result<()> {
        let direction = Direction::new(self, builder);
        for ((name, p), &grad) in params.iter().zip(grads) {
            let mut grad = grad;
            if self.weight_decay != 0.0 {
                grad = grad.add(p.scale(self.weight_decay)?)?;
            }
            builder.update(*p, p.sub(direction.of(name, grad)?)?)?;
        }
        Ok(())
    }

    fn scalars(&self, step: u64, lr: f64) -> Scalars {
        let correction = |beta: f64| 1.0 - beta.powf(step as f64);
        Scalars::from_iter([
            (STEP_SIZE, (lr / correction(self.beta1)) as f32),
            (
                RSQRT_CORRECTION,
                correction(self.beta2).sqrt().recip() as f32,
            ),
        ])
    }
}

/// What Adam and AdamW take off a parameter.
pub(super) struct Direction<'a, 'g> {
    settings: &'a Adam,
    builder: &'g Builder,
    step_size: Var<'g>,
    rsqrt_correction: Var<'g>,
}

impl<'a, 'g> Direction<'a, 'g> {
    pub(super) fn new(settings: &'a Adam, builder: &'g Builder) -> Self {
        Direction {
            settings,
            builder,
            step_size: scalar(builder, STEP_SIZE),
            rsqrt_correction: scalar(builder, RSQRT_CORRECTION),
        }
    }

    /// Updates the moments of the parameter `name` with `grad` and gives the step against them.
    pub(super) fn of(&self, name: &str, grad: Var<'g>) -> Result<Var<'g>> {
        let Adam {
            beta1, beta2, eps, ..
        } = *self.settings;
        let m = self.builder.variable(&state_name(M, name), grad.ty())?;
        let v = self.builder.variable(&state_name(V, name), grad.ty())?;
        let mean = m.add(grad.sub(m)?.scale(1.0 - beta1)?)?;
        let square = v.scale(beta2)?.add(grad.mul(grad)?.scale(1.0 - beta2)?)?;
        self.builder.update(m, mean)?;
        self.builder.update(v, square)?;
        let root = square.sqrt()?.mul(self.rsqrt_correction)?;
        let denominator = root.add(self.builder.constant(eps))?;
        mean.div(denominator)?.mul(self.step_size)
    }
}

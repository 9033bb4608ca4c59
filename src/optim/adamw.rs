//! Adam with decoupled weight decay (Loshchilov and Hutter 2019). PyTorch `torch.optim.AdamW`.

use super::adam::{Adam, Direction};
use super::{Optimizer, Scalars, scalar};
use crate::error::Result;
use crate::graph::{Builder, Var};
use crate::tensor::TensorType;
use serde::{Deserialize, Serialize};

/// `p *= 1 - lr weight_decay`, then [`Adam`]'s step without weight decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Share of the mean of gradients that is kept.
    pub beta1: f64,
    /// Share of the mean of squared gradients that is kept.
    pub beta2: f64,
    /// Keeps the step finite where gradients vanish.
    pub eps: f64,
    /// Share of the parameters that a step with learning rate 1 would take off.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        let Adam {
            lr,
            beta1,
            beta2,
            eps,
            ..
        } = Adam::default();
        AdamW {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay: 0.01,
        }
    }
}

const DECAY: &str = "optimizer.decay";

impl AdamW {
    /// The part that is Adam's. It keeps the weight decay, which only [`Adam::apply`] would put into the gradient.
    fn adam(&self) -> Adam {
        let AdamW {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
        } = *self;
        Adam {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
        }
    }
}

impl Optimizer for AdamW {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        self.adam().validate()
    }

    fn state(&self, params: &[(String, TensorType)]) -> Vec<(String, TensorType)> {
        self.adam().state(params)
    }

    fn apply<'g>(
        &self,
        builder: &'g Builder,
        params: &[(String, Var<'g>)],
        grads: &[Var<'g>],
    ) -> Result<()> {
        let adam = self.adam();
        let direction = Direction::new(&adam, builder);
        let decay = scalar(builder, DECAY);
        for ((name, p), &grad) in params.iter().zip(grads) {
            let decayed = p.mul(decay)?;
            builder.update(*p, decayed.sub(direction.of(name, grad)?)?)?;
        }
        Ok(())
    }

    fn scalars(&self, step: u64, lr: f64) -> Scalars {
        let mut scalars = self.adam().scalars(step, lr);
        scalars.push((DECAY, (1.0 - lr * self.weight_decay) as f32));
        scalars
    }
}

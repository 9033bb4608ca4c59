//! Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2).

use super::adamw::DECAY;
use super::{LR, Optimizer, ParameterStep, require};
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `c = beta1 m + (1 - beta1) g; p = (1 - lr weight_decay) p - lr sign(c); m = beta2 m + (1 - beta2) g`, where the sign of 0 is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// Learning rate; according to the paper, a third to a tenth of AdamW's.
    pub lr: f64,
    /// Weight of the mean of gradients in the step.
    pub beta1: f64,
    /// Decay of the mean of gradients.
    pub beta2: f64,
    /// Decoupled weight decay: the share of the parameters that a step with learning rate 1 would subtract.
    pub weight_decay: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Lion {
            lr: 1e-4,
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.0,
        }
    }
}

const M: &str = "m";

impl Optimizer for Lion {
    super::rates!();

    fn validate(&self) -> Result<()> {
        let share = "at least 0 and below 1";
        require(self.lr >= 0.0, "lr", "at least 0", self.lr)?;
        require((0.0..1.0).contains(&self.beta1), "beta1", share, self.beta1)?;
        require((0.0..1.0).contains(&self.beta2), "beta2", share, self.beta2)?;
        let decay = self.weight_decay;
        require(decay >= 0.0, "weight_decay", "at least 0", decay)
    }

    fn state(&self, _name: &str, _ty: &TensorType) -> Vec<&'static str> {
        vec![M]
    }

    fn scalars(&self) -> &'static [&'static str] {
        &[LR, DECAY]
    }

    fn scalar_values(&self, _step: u64, lr: f64, out: &mut Vec<f32>) {
        out.push(lr as f32);
        out.push((1.0 - lr * self.weight_decay) as f32);
    }

    fn update<'g>(&self, parameter: &ParameterStep<'_, 'g>) -> Result<Var<'g>> {
        let zero = parameter.builder().constant(0.0);
        let (p, grad) = (parameter.value(), parameter.grad());
        let m = parameter.state(M)?;
        let mean = |beta: f64| m.scale(beta)?.add(grad.scale(1.0 - beta)?);
        let direction = mean(self.beta1)?;
        parameter.set(m, mean(self.beta2)?)?;
        let sign = direction.gt(zero)?.sub(direction.lt(zero)?)?;
        let decayed = p.mul(parameter.scalar(DECAY)?)?;
        decayed.sub(sign.mul(parameter.scalar(LR)?)?)
    }
}

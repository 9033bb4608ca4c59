//! Stochastic gradient descent with momentum, optionally Nesterov's. PyTorch `torch.optim.SGD`; Sutskever et al. 2013.

use super::{LR, Optimizer, ParameterStep, require};
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `g += weight_decay p; buf = momentum buf + g; p -= lr (nesterov: g + momentum buf, else buf)`. Without momentum there
/// is no `buf`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Momentum: weight of the previous direction.
    pub momentum: f64,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// Weight decay as an L2 penalty, added to the gradient.
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd {
            lr: 0.01,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
        }
    }
}

const MOMENTUM: &str = "momentum";

impl Optimizer for Sgd {
    super::rates!();

    fn validate(&self) -> Result<()> {
        let least = if self.nesterov {
            f64::MIN_POSITIVE
        } else {
            0.0
        };
        let range = if self.nesterov {
            "above 0 with nesterov, and below 1"
        } else {
            "at least 0 and below 1"
        };
        let fits = (least..1.0).contains(&self.momentum);
        require(self.lr >= 0.0, "lr", "at least 0", self.lr)?;
        require(fits, "momentum", range, self.momentum)?;
        require(
            self.weight_decay >= 0.0,
            "weight_decay",
            "at least 0",
            self.weight_decay,
        )
    }

    fn state(&self, _name: &str, _ty: &TensorType) -> Vec<&'static str> {
        match self.momentum == 0.0 {
            true => Vec::new(),
            false => vec![MOMENTUM],
        }
    }

    fn scalars(&self) -> &'static [&'static str] {
        &[LR]
    }

    fn scalar_values(&self, _step: u64, lr: f64, out: &mut Vec<f32>) {
        out.push(lr as f32);
    }

    fn update<'g>(&self, parameter: &ParameterStep<'_, 'g>) -> Result<Var<'g>> {
        let p = parameter.value();
        let mut step = parameter.grad();
        if self.weight_decay != 0.0 {
            step = step.add(p.scale(self.weight_decay)?)?;
        }
        if self.momentum != 0.0 {
            let buffer = parameter.state(MOMENTUM)?;
            let next = buffer.scale(self.momentum)?.add(step)?;
            parameter.set(buffer, next)?;
            step = if self.nesterov {
                step.add(next.scale(self.momentum)?)?
            } else {
                next
            };
        }
        p.sub(step.mul(parameter.scalar(LR)?)?)
    }
}

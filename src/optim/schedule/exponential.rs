//! The learning rate decays smoothly by the factor `gamma` over every `every_steps` steps: at step t, from 1, it is
//! `base gamma^((t - 1) / every_steps)`. PyTorch `ExponentialLR`, called after every step. If `every_steps` is the steps of an
//! epoch, it agrees at the start of each epoch with an `ExponentialLR` that is called after every epoch.

use super::{Course, require, require_some};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExponentialLr {
    /// Factor of the learning rate over `every_steps` steps.
    pub gamma: f64,
    /// Steps over which it decays by that factor.
    #[serde(default = "one")]
    pub every_steps: u64,
}

fn one() -> u64 {
    1
}

impl Course for ExponentialLr {
    fn validate(&self) -> Result<()> {
        require(self.gamma > 0.0, "gamma", "above 0", self.gamma)?;
        require_some("every_steps", self.every_steps)
    }

    fn lr(&self, base: f64, step: u64, _total_steps: u64) -> f64 {
        let done = step.saturating_sub(1);
        base * self
            .gamma
            .powf(done as f64 / self.every_steps.max(1) as f64)
    }
}

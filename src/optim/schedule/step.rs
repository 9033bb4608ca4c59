//! The learning rate is multiplied by `factor` after every `every_steps` steps. PyTorch `StepLR`.

use super::{Course, require, require_some};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepLr {
    /// Steps between two drops.
    pub every_steps: u64,
    /// Factor of a drop.
    #[serde(default = "tenth")]
    pub factor: f64,
}

fn tenth() -> f64 {
    0.1
}

impl Course for StepLr {
    fn validate(&self) -> Result<()> {
        require_some("every_steps", self.every_steps)?;
        let fits = self.factor > 0.0 && self.factor <= 1.0;
        require(fits, "factor", "above 0 and at most 1", self.factor)
    }

    fn lr(&self, base: f64, step: u64, _total_steps: u64) -> f64 {
        let done = step.saturating_sub(1);
        base * self.factor.powf((done / self.every_steps.max(1)) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_drop_after_every_so_many() {
        let step = StepLr {
            every_steps: 3,
            factor: 0.5,
        };
        let lrs: Vec<f64> = (1..=7).map(|n| step.lr(1.0, n, 7)).collect();
        assert_eq!(lrs, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]);
    }
}

//! Linear from one factor of the learning rate to another, then constant. PyTorch `LinearLR`.

use super::{Course, require, require_some};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinearLr {
    /// Factor of the first step.
    pub start_factor: f64,
    /// Factor after the last of the steps.
    pub end_factor: f64,
    /// Steps from one to the other; those of the run if absent. PyTorch's `total_iters`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
}

impl Default for LinearLr {
    fn default() -> Self {
        LinearLr {
            start_factor: 1.0 / 3.0,
            end_factor: 1.0,
            steps: None,
        }
    }
}

impl Course for LinearLr {
    fn validate(&self) -> Result<()> {
        let (start, end) = (self.start_factor, self.end_factor);
        let fits = start > 0.0 && start <= 1.0;
        require(fits, "start_factor", "above 0 and at most 1", start)?;
        require((0.0..=1.0).contains(&end), "end_factor", "in 0..=1", end)?;
        self.steps
            .map_or(Ok(()), |steps| require_some("steps", steps))
    }

    fn lr(&self, base: f64, step: u64, total_steps: u64) -> f64 {
        let length = self.steps.unwrap_or(total_steps).max(1);
        let done = step.saturating_sub(1).min(length);
        let progress = done as f64 / length as f64;
        base * (self.start_factor + (self.end_factor - self.start_factor) * progress)
    }
}

//! Linear warm-up from 0, then a decay with the inverse square root of the step (Vaswani et al. 2017; fairseq's `inverse_sqrt`).

use super::{Course, require_some};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InverseSqrtLr {
    /// Steps of the warm-up; the last one has the full learning rate.
    pub warmup_steps: u64,
}

impl Default for InverseSqrtLr {
    fn default() -> Self {
        InverseSqrtLr { warmup_steps: 4000 }
    }
}

impl Course for InverseSqrtLr {
    fn validate(&self) -> Result<()> {
        require_some("warmup_steps", self.warmup_steps)
    }

    fn lr(&self, base: f64, step: u64, _total_steps: u64) -> f64 {
        let (step, warmup) = (step.max(1) as f64, self.warmup_steps.max(1) as f64);
        base * (step / warmup).min((warmup / step).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_own_and_falls_by_the_root_of_the_step() {
        let schedule = InverseSqrtLr { warmup_steps: 100 };
        let lr = |step| schedule.lr(2.0, step, 10);
        assert_eq!((lr(1), lr(50), lr(100)), (0.02, 1.0, 2.0));
        assert!((lr(400) - 1.0).abs() < 1e-12 && (lr(10_000) - 0.2).abs() < 1e-12);
        assert!(InverseSqrtLr { warmup_steps: 0 }.validate().is_err());
    }
}

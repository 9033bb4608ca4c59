//! Half a cosine down to the final share, repeated over periods that grow by a factor (Loshchilov and Hutter 2017).
//! PyTorch `CosineAnnealingWarmRestarts`.

use super::{Course, require, require_some};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CosineRestartsLr {
    /// Steps of the first cosine. PyTorch's `T_0`.
    pub period: u64,
    /// Ratio of the steps of consecutive cosines. PyTorch's `T_mult`.
    #[serde(default = "one")]
    pub multiplier: u64,
    /// Share of the learning rate at the end of each. PyTorch's `eta_min` over the learning rate.
    #[serde(default)]
    pub final_share: f64,
}

fn one() -> u64 {
    1
}

impl Course for CosineRestartsLr {
    fn validate(&self) -> Result<()> {
        require_some("period", self.period)?;
        require_some("multiplier", self.multiplier)?;
        let fits = (0.0..=1.0).contains(&self.final_share);
        require(fits, "final_share", "in 0..=1", self.final_share)
    }

    fn lr(&self, base: f64, step: u64, _total_steps: u64) -> f64 {
        let (mut done, mut period) = (step.saturating_sub(1), self.period.max(1));
        if self.multiplier <= 1 {
            done %= period;
        }
        while done >= period {
            done -= period;
            period = period.saturating_mul(self.multiplier);
        }
        let progress = done as f64 / period as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        base * (self.final_share + (1.0 - self.final_share) * cosine)
    }
}

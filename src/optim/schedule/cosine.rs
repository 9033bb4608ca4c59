//! Linear warm-up from 0, then half a cosine down to the final share (Loshchilov and Hutter 2017). Without warm-up it is PyTorch's
//! `CosineAnnealingLR` with the steps of the run as `T_max`.

use super::{Course, require};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CosineLr {
    /// Steps of the warm-up; the last one has the full learning rate.
    pub warmup_steps: u64,
    /// Share of the learning rate at the end of the run.
    pub final_share: f64,
}

impl Course for CosineLr {
    fn validate(&self) -> Result<()> {
        let fits = (0.0..=1.0).contains(&self.final_share);
        require(fits, "final_share", "in 0..=1", self.final_share)
    }

    fn lr(&self, base: f64, step: u64, total_steps: u64) -> f64 {
        let done = step.saturating_sub(1);
        if done < self.warmup_steps {
            return base * step as f64 / self.warmup_steps as f64;
        }
        let length = total_steps.saturating_sub(self.warmup_steps).max(1);
        let progress = ((done - self.warmup_steps) as f64 / length as f64).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        base * (self.final_share + (1.0 - self.final_share) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn a_cosine_rises_linearly_then_falls_to_its_final_share() {
        let cosine = CosineLr {
            warmup_steps: 10,
            final_share: 0.1,
        };
        let lr = |step| cosine.lr(2.0, step, 110);
        assert!(close(lr(1), 0.2) && close(lr(10), 2.0) && close(lr(11), 2.0));
        assert!(
            close(lr(61), 0.5 * (2.0 + 0.2)),
            "half way down: {}",
            lr(61)
        );
        assert!(close(lr(111), 0.2) && close(lr(500), 0.2), "past the end");
        assert!((11..110).all(|step| lr(step + 1) < lr(step)));
    }

    #[test]
    fn a_cosine_whose_warmup_is_longer_than_the_run_only_rises() {
        let cosine = CosineLr {
            warmup_steps: 10,
            final_share: 0.0,
        };
        assert!(close(cosine.lr(1.0, 5, 5), 0.5));
        assert!(cosine.lr(1.0, 11, 5).is_finite());
    }
}

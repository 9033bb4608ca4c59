//! Half a cosine up to the learning rate, then half a cosine down to almost 0 (Smith and Topin 2018). PyTorch `OneCycleLR`,
//! whose `max_lr` is the optimizer's, with `anneal_strategy="cos"` and `cycle_momentum=False`.

use super::{Course, require};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycleLr {
    /// Share of the run's steps with a rising rate.
    pub pct_start: f64,
    /// The first step has the learning rate divided by this.
    pub div_factor: f64,
    /// The last step has the first one's learning rate divided by this.
    pub final_div_factor: f64,
}

impl Default for OneCycleLr {
    fn default() -> Self {
        OneCycleLr {
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
        }
    }
}

impl Course for OneCycleLr {
    fn validate(&self) -> Result<()> {
        let share = self.pct_start;
        require((0.0..=1.0).contains(&share), "pct_start", "in 0..=1", share)?;
        for (name, factor) in [
            ("div_factor", self.div_factor),
            ("final_div_factor", self.final_div_factor),
        ] {
            require(factor >= 1.0, name, "at least 1", factor)?;
        }
        Ok(())
    }

    fn lr(&self, base: f64, step: u64, total_steps: u64) -> f64 {
        let done = step.saturating_sub(1) as f64;
        let first = base / self.div_factor;
        // The steps, counted from 0, with the highest and with the last learning rate.
        let top = self.pct_start * total_steps as f64 - 1.0;
        let end = total_steps as f64 - 1.0;
        if done <= top {
            return anneal(first, base, share(done, top));
        }
        let last = first / self.final_div_factor;
        anneal(base, last, share(done - top, end - top))
    }
}

/// The share `done / length`, at most 1; 1 if the length is 0.
fn share(done: f64, length: f64) -> f64 {
    match length > 0.0 {
        true => (done / length).min(1.0),
        false => 1.0,
    }
}

/// From `start` to `end` along half a cosine.
fn anneal(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) / 2.0 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_runs_and_steps_past_the_end_have_a_rate() {
        let cycle = OneCycleLr::default();
        for (step, total) in [(1, 1), (1, 3), (1, 0), (9, 3)] {
            let lr = cycle.lr(1.0, step, total);
            assert!((4e-6..=1.0).contains(&lr), "{step} of {total}: {lr}");
        }
    }
}

//! The learning rate is multiplied by `factor` whenever a metric has stopped improving. PyTorch `ReduceLROnPlateau` with
//! `threshold_mode="rel"`, without its `eps`.

use super::{Course, require};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module. The learning rate depends on the observations so far, a [`PlateauState`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlateauLr {
    /// Name of the monitored metric, as evaluations report it.
    pub metric: String,
    /// Factor of a drop.
    pub factor: f64,
    /// Number of evaluations in a row without improvement; the next one drops the learning rate.
    pub patience: u32,
    /// Share of the best value by which a value must be better to count as an improvement.
    pub threshold: f64,
    /// Number of evaluations after a drop that are not counted.
    pub cooldown: u32,
    /// Lower bound of the learning rate.
    pub min_lr: f64,
}

impl Default for PlateauLr {
    fn default() -> Self {
        PlateauLr {
            metric: "loss".to_string(),
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            min_lr: 0.0,
        }
    }
}

impl PlateauLr {
    /// Learning rate for an optimizer whose own is `base`, after the observations of `state`.
    pub fn lr_after(&self, base: f64, state: &PlateauState) -> f64 {
        (base * state.factor).max(self.min_lr.min(base))
    }
}

impl Course for PlateauLr {
    fn validate(&self) -> Result<()> {
        if self.metric.is_empty() {
            return Err(Error::Config(
                "[schedule] metric must be the name of a metric, not empty".to_string(),
            ));
        }
        let fits = self.factor > 0.0 && self.factor < 1.0;
        require(fits, "factor", "above 0 and below 1", self.factor)?;
        let share = (0.0..1.0).contains(&self.threshold);
        require(share, "threshold", "at least 0 and below 1", self.threshold)?;
        require(self.min_lr >= 0.0, "min_lr", "at least 0", self.min_lr)
    }

    fn lr(&self, base: f64, _step: u64, _total_steps: u64) -> f64 {
        base
    }
}

/// The observations of a [`PlateauLr`], saved in checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateauState {
    /// Best value so far.
    best: Option<f64>,
    /// Evaluations in a row without improvement.
    bad: u32,
    /// Remaining evaluations that are not counted.
    cooldown: u32,
    /// Product of all drops.
    factor: f64,
}

impl Default for PlateauState {
    fn default() -> Self {
        PlateauState {
            best: None,
            bad: 0,
            cooldown: 0,
            factor: 1.0,
        }
    }
}

impl PlateauState {
    /// Factor of the learning rate: the product of all drops. [`PlateauLr::lr_after`] also applies the lower bound.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Observes the metric's value of an evaluation. NaN is never an improvement.
    pub fn observe(&mut self, settings: &PlateauLr, value: f64, higher_is_better: bool) {
        let better = match (self.best, higher_is_better) {
            (None, _) => !value.is_nan(),
            (Some(best), true) => value > best * (1.0 + settings.threshold),
            (Some(best), false) => value < best * (1.0 - settings.threshold),
        };
        if better {
            self.best = Some(value);
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.bad = 0;
        }
        if self.bad > settings.patience {
            self.factor *= settings.factor;
            self.cooldown = settings.cooldown;
            self.bad = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_observed_survives_being_written_and_read() {
        let settings = PlateauLr {
            patience: 0,
            ..PlateauLr::default()
        };
        let mut state = PlateauState::default();
        for value in [2.0, 1.0, f64::NAN] {
            state.observe(&settings, value, false);
        }
        assert_eq!(state.factor(), 0.1);
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<PlateauState>(&text).unwrap(), state);
    }

    #[test]
    fn no_drop_goes_below_the_least_rate_and_none_raises_it() {
        let settings = PlateauLr {
            min_lr: 0.05,
            patience: 0,
            ..PlateauLr::default()
        };
        let mut state = PlateauState::default();
        for _ in 0..4 {
            state.observe(&settings, 1.0, true);
        }
        assert_eq!(settings.lr_after(1.0, &state), 0.05);
        assert_eq!(settings.lr_after(0.01, &state), 0.01);
    }
}

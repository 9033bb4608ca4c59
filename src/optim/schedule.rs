//! Learning-rate schedules: the factor of the optimizer's learning rate over the steps of a run.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The `[schedule]` table of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Schedule {
    /// The same learning rate for the whole run.
    Constant {},
    /// Linear from 0 over the warmup, then half a cosine down to the final share (Loshchilov and Hutter 2017).
    Cosine {
        /// Steps of the warmup; its last one has the full learning rate.
        #[serde(default)]
        warmup_steps: u64,
        /// Share of the learning rate that the run ends with.
        #[serde(default)]
        final_share: f64,
    },
    /// The learning rate is multiplied by `factor` after every `every_steps` steps. PyTorch `StepLR`.
    Step {
        /// Steps between two drops.
        every_steps: u64,
        /// What a drop multiplies by.
        #[serde(default = "tenth")]
        factor: f64,
    },
}

fn tenth() -> f64 {
    0.1
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule::Constant {}
    }
}

impl Schedule {
    /// The schedule called `name`, with the defaults of its settings.
    ///
    /// # Errors
    /// If there is none, or it has a setting without a default.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "constant" => Ok(Schedule::Constant {}),
            "cosine" => Ok(Schedule::Cosine {
                warmup_steps: 0,
                final_share: 0.0,
            }),
            "step" => Err(Error::Config(
                "the schedule \"step\" needs a table with its every_steps".to_string(),
            )),
            _ => Err(Error::Config(format!(
                "there is no schedule \"{name}\"; there are constant, cosine and step"
            ))),
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of its range.
    pub fn validate(&self) -> Result<()> {
        let message = match *self {
            Schedule::Cosine { final_share, .. } if !(0.0..=1.0).contains(&final_share) => {
                format!("[schedule] final_share must be in 0..=1, not {final_share}")
            }
            Schedule::Step { every_steps: 0, .. } => {
                "[schedule] every_steps must be at least 1, not 0".to_string()
            }
            Schedule::Step { factor, .. } if !(factor > 0.0 && factor <= 1.0) => {
                format!("[schedule] factor must be above 0 and at most 1, not {factor}")
            }
            _ => return Ok(()),
        };
        Err(Error::Config(message))
    }

    /// Steps in which the learning rate rises, if it does.
    pub fn warmup_steps(&self) -> Option<u64> {
        match *self {
            Schedule::Cosine { warmup_steps, .. } => Some(warmup_steps),
            _ => None,
        }
    }

    /// Learning rate of step number `step`, from 1, of `total_steps`, for an optimizer whose own is `base`.
    pub fn lr(&self, base: f64, step: u64, total_steps: u64) -> f64 {
        let done = step.saturating_sub(1);
        match *self {
            Schedule::Constant {} => base,
            Schedule::Cosine { warmup_steps, .. } if done < warmup_steps => {
                base * step as f64 / warmup_steps as f64
            }
            Schedule::Cosine {
                warmup_steps,
                final_share,
            } => {
                let length = total_steps.saturating_sub(warmup_steps).max(1);
                let progress = ((done - warmup_steps) as f64 / length as f64).min(1.0);
                let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
                base * (final_share + (1.0 - final_share) * cosine)
            }
            Schedule::Step {
                every_steps,
                factor,
            } => base * factor.powf((done / every_steps.max(1)) as f64),
        }
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
        let cosine = Schedule::Cosine {
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
        let cosine = Schedule::Cosine {
            warmup_steps: 10,
            final_share: 0.0,
        };
        assert!(close(cosine.lr(1.0, 5, 5), 0.5));
        assert!(cosine.lr(1.0, 11, 5).is_finite());
    }

    #[test]
    fn steps_drop_after_every_so_many() {
        let step = Schedule::Step {
            every_steps: 3,
            factor: 0.5,
        };
        let lrs: Vec<f64> = (1..=7).map(|n| step.lr(1.0, n, 7)).collect();
        assert_eq!(lrs, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]);
        assert_eq!(Schedule::default().lr(0.3, 7, 7), 0.3);
    }

    #[test]
    fn unknown_settings_and_impossible_ones_are_refused() {
        let read = |text: &str| toml::from_str::<Schedule>(text);
        assert_eq!(read("name = 'constant'").unwrap(), Schedule::Constant {});
        assert!(read("name = 'constant'\nfactor = 0.1").is_err());
        assert!(read("name = 'cosine'\nwarmup = 5").is_err());
        let never = read("name = 'step'\nevery_steps = 0").unwrap();
        assert!(
            never
                .validate()
                .unwrap_err()
                .to_string()
                .contains("every_steps")
        );
    }
}

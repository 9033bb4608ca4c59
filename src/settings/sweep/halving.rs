//! Successive halving (Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016): all
//! trials are trained for a few epochs, the best of them for more, and so on.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of successive halving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HalvingSettings {
    /// Of how many trials one goes on, and how many times more epochs it is trained for.
    pub eta: u32,
    /// Epochs after which trials are compared for the first time.
    pub min_epochs: u32,
}

impl Default for HalvingSettings {
    fn default() -> Self {
        HalvingSettings {
            eta: 3,
            min_epochs: 1,
        }
    }
}

impl HalvingSettings {
    /// Checks the settings for runs of this many `epochs`.
    ///
    /// # Errors
    /// Names the wrong one.
    pub(super) fn check(&self, epochs: u32) -> Result<()> {
        let wrong = |why: String| Err(Error::Config(why));
        match () {
            () if self.eta < 2 => {
                wrong("halving.eta must be at least 2: one of this many trials goes on".to_string())
            }
            () if self.min_epochs == 0 => {
                wrong("halving.min_epochs must be at least 1".to_string())
            }
            () if self.min_epochs >= epochs => wrong(format!(
                "halving.min_epochs is {}, and the run has {epochs} epochs; it must have more, or nothing is halved",
                self.min_epochs
            )),
            () => Ok(()),
        }
    }

    /// The epochs after which trials are compared; `None` is the end of the run, of this many `epochs`.
    pub(super) fn rungs(&self, epochs: u32) -> Vec<Option<u32>> {
        let next = |&at: &u32| at.checked_mul(self.eta);
        let rungs = std::iter::successors(Some(self.min_epochs), next);
        let before = rungs.take_while(|&at| at < epochs).map(Some);
        before.chain([None]).collect()
    }

    /// Number of `trials` that go on, at least one.
    pub(super) fn kept(&self, trials: usize) -> usize {
        (trials / self.eta as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_multiply_up_to_the_end_of_the_run() {
        let halving = HalvingSettings::default();
        assert_eq!(halving.rungs(9), [Some(1), Some(3), None]);
        assert_eq!(halving.rungs(10), [Some(1), Some(3), Some(9), None]);
        assert_eq!(
            [9, 3, 2, 1].map(|trials| halving.kept(trials)),
            [3, 1, 1, 1]
        );
        let halving = HalvingSettings {
            eta: 2,
            min_epochs: 2,
        };
        assert_eq!(halving.rungs(8), [Some(2), Some(4), None]);
        assert!(halving.check(2).is_err() && halving.check(3).is_ok());
    }
}

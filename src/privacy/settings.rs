//! The settings of private training.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Private training: the gradient of every sample is clipped, and normal noise is added to their sum (Abadi et al., "Deep Learning with
/// Differential Privacy", 2016). One of `noise` and `epsilon` is required.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivacySettings {
    /// Largest norm of the gradient of a sample; a larger one is scaled down to it.
    #[serde(default = "one")]
    pub clip: f64,
    /// Standard deviation of the noise, as a multiple of `clip`; as small as `epsilon` allows for the steps of the run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// The privacy that the run may spend: it stops before the step that would spend more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Probability with which the bound of `epsilon` may fail; well below one over the number of samples.
    #[serde(default = "hundred_thousandth")]
    pub delta: f64,
}

fn one() -> f64 {
    1.0
}

fn hundred_thousandth() -> f64 {
    1e-5
}

impl PrivacySettings {
    /// Checks the settings by themselves.
    ///
    /// # Errors
    /// Names the invalid one.
    pub fn check(&self) -> Result<()> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let wrong = |what: String| Err(Error::Config(what));
        if !positive(self.clip) {
            return wrong(format!(
                "privacy.clip must be above 0 and finite, the largest norm of a sample's gradient, not {}",
                self.clip
            ));
        }
        if let Some(noise) = self.noise.filter(|&noise| !positive(noise)) {
            return wrong(format!(
                "privacy.noise must be above 0 and finite, a multiple of privacy.clip, not {noise}"
            ));
        }
        if let Some(epsilon) = self.epsilon.filter(|&epsilon| !positive(epsilon)) {
            return wrong(format!(
                "privacy.epsilon must be above 0 and finite, not {epsilon}"
            ));
        }
        if !(self.delta > 0.0 && self.delta < 1.0) {
            return wrong(format!(
                "privacy.delta must be above 0 and below 1, not {}",
                self.delta
            ));
        }
        if self.noise.is_none() && self.epsilon.is_none() {
            return wrong(
                "[privacy] needs noise, a multiple of the clipping norm, or epsilon, for which the noise is found"
                    .to_string(),
            );
        }
        Ok(())
    }
}

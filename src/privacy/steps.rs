//! Private training steps: how many samples they take, the noise that they add, and what they spend.

use super::{PrivacyLoss, PrivacySettings, SampledGaussian};
use crate::error::{Error, Result};

/// Deviations of the number of samples of a step above its mean for which a batch has room.
const ROOM: f64 = 3.0;
/// Batches are a multiple of this, which kernels prefer.
const UNIT: usize = 8;

/// Steps that each take every sample with the same probability, clip the gradients of single samples and add noise to their sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrivateSteps {
    /// Largest norm of the gradient of a sample.
    pub clip: f64,
    /// Standard deviation of the noise, as a multiple of `clip`.
    pub noise: f64,
    /// Probability with which the bound may fail.
    pub delta: f64,
    /// Mean number of samples of a step.
    pub expected: usize,
    /// Number of training samples.
    pub samples: usize,
    /// Steps that the run was to take.
    pub planned_steps: u64,
    /// Those of them that the budget allows.
    pub most_steps: u64,
}

impl PrivateSteps {
    /// The steps of a run of `steps` steps with `settings`, each of which takes `expected` of `samples` samples on average.
    ///
    /// # Errors
    /// If a setting is invalid, `delta` promises nothing, or the budget does not allow a single step.
    pub fn new(
        settings: &PrivacySettings,
        samples: usize,
        expected: usize,
        steps: u64,
    ) -> Result<PrivateSteps> {
        settings.check()?;
        if settings.delta * samples as f64 >= 1.0 {
            return Err(Error::Config(format!(
                "privacy.delta is {}, but a bound that may fail with a probability of one over the {samples} training samples allows to publish one of \
                 them; make it smaller",
                settings.delta
            )));
        }
        let rate = expected as f64 / samples as f64;
        let noise = match (settings.noise, settings.epsilon) {
            (Some(noise), _) => noise,
            (None, Some(epsilon)) => {
                SampledGaussian::noise_for(rate, steps.max(1), epsilon, settings.delta)?
            }
            (None, None) => return Err(Error::Config("there is no noise".to_string())),
        };
        let mut private = PrivateSteps {
            clip: settings.clip,
            noise,
            delta: settings.delta,
            expected,
            samples,
            planned_steps: steps,
            most_steps: steps,
        };
        if let Some(epsilon) = settings.epsilon {
            private.most_steps = private.steps_within(epsilon, steps)?;
            if private.most_steps == 0 {
                return Err(Error::Config(format!(
                    "a single step with privacy.noise = {noise} spends more than privacy.epsilon = {epsilon}; raise the noise, or leave it out"
                )));
            }
        }
        Ok(private)
    }

    /// What `steps` steps spend.
    ///
    /// # Errors
    /// If a parameter is out of range.
    pub fn loss(&self, steps: u64) -> Result<PrivacyLoss> {
        self.mechanism().loss(steps, self.delta)
    }

    /// The most steps, up to `most`, that spend at most `epsilon`.
    fn steps_within(&self, epsilon: f64, most: u64) -> Result<u64> {
        if self.loss(most)?.epsilon <= epsilon {
            return Ok(most);
        }
        let (mut fine, mut over) = (0, most);
        while over - fine > 1 {
            let middle = fine + (over - fine) / 2;
            match self.loss(middle)?.epsilon <= epsilon {
                true => fine = middle,
                false => over = middle,
            }
        }
        Ok(fine)
    }

    fn mechanism(&self) -> SampledGaussian {
        SampledGaussian {
            rate: self.rate(),
            noise: self.noise,
        }
    }

    /// Probability with which a step takes a sample.
    pub fn rate(&self) -> f64 {
        self.expected as f64 / self.samples as f64
    }

    /// Size of the batches into which the samples of a step are divided, if there are to be `batches` of them: a step rarely needs more,
    /// and then takes another.
    pub fn batch(&self, batches: usize) -> usize {
        let mean = self.expected as f64;
        let most = (mean + ROOM * mean.sqrt()) / batches.max(1) as f64;
        let most = (most.ceil() as usize).next_multiple_of(UNIT);
        most.min(self.samples).max(1)
    }

    /// The most batches that a step can need.
    pub fn batches(&self, size: usize) -> usize {
        self.samples.div_ceil(size.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(noise: Option<f64>, epsilon: Option<f64>) -> PrivacySettings {
        PrivacySettings {
            clip: 1.0,
            noise,
            epsilon,
            delta: 1e-5,
        }
    }

    #[test]
    fn noise_is_found_for_all_steps_and_a_budget_ends_them() {
        let found = PrivateSteps::new(&settings(None, Some(1.2)), 60_000, 600, 1000).unwrap();
        let spent = found.loss(1000).unwrap().epsilon;
        assert!(spent <= 1.2 && spent > 1.199, "{spent}");
        assert_eq!(found.most_steps, 1000);
        let noise = Some(found.noise);
        let longer = PrivateSteps::new(&settings(noise, Some(1.2)), 60_000, 600, 5000).unwrap();
        assert!(
            (1000..1010).contains(&longer.most_steps),
            "{}",
            longer.most_steps
        );
        assert!(longer.loss(longer.most_steps).unwrap().epsilon <= 1.2);
        assert!(longer.loss(longer.most_steps + 1).unwrap().epsilon > 1.2);
        let free = PrivateSteps::new(&settings(noise, None), 60_000, 600, 5000).unwrap();
        assert_eq!(free.most_steps, 5000);
    }

    #[test]
    fn a_step_fits_into_its_batches() {
        let found = PrivateSteps::new(&settings(Some(1.0), None), 1000, 100, 10).unwrap();
        assert_eq!((found.batch(1), found.batches(136)), (136, 8));
        assert_eq!(found.batch(4), 40);
        let all = PrivateSteps::new(&settings(Some(1.0), None), 100, 100, 10).unwrap();
        assert_eq!((all.batch(1), all.batches(100), all.rate()), (100, 1, 1.0));
    }

    #[test]
    fn settings_that_promise_nothing_are_refused() {
        let message = |settings: PrivacySettings| {
            let found = PrivateSteps::new(&settings, 1000, 100, 10);
            found.unwrap_err().to_string()
        };
        assert!(message(settings(None, None)).contains("noise"));
        assert!(message(settings(None, Some(0.0))).contains("epsilon"));
        assert!(message(settings(None, Some(f64::INFINITY))).contains("epsilon"));
        assert!(message(settings(Some(-1.0), None)).contains("privacy.noise"));
        assert!(message(settings(Some(0.3), Some(0.01))).contains("single step"));
        let own = settings(Some(1.0), None);
        assert!(
            message(PrivacySettings {
                delta: 0.01,
                ..own.clone()
            })
            .contains("delta")
        );
        assert!(message(PrivacySettings { clip: 0.0, ..own }).contains("clip"));
    }
}

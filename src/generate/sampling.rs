//! Sampling of the next token from logits.

use crate::error::{Error, Result};
use crate::random::Stream;
use std::borrow::Cow;

/// Sampling settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divisor of the logits before the softmax: below 1 likely tokens become likelier; 0 always picks the most likely one.
    pub temperature: f64,
    /// Samples only from this many most likely tokens (Fan, Lewis and Dauphin 2018); all if absent.
    pub top_k: Option<usize>,
    /// Samples only from the fewest most likely tokens that have this probability together (Holtzman et al. 2020); all if absent.
    pub top_p: Option<f64>,
    /// Positive logits of tokens that are in the text are divided by this, and negative ones multiplied (Keskar et al. 2019); 1
    /// changes nothing.
    pub repetition_penalty: f64,
    /// Random seed.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            temperature: 1.0,
            top_k: None,
            top_p: None,
            repetition_penalty: 1.0,
            seed: 1,
        }
    }
}

impl Sampling {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the invalid one.
    pub fn check(&self) -> Result<()> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(Error::Config(format!(
                "the temperature must be at least 0 (0: always the most likely token), not {}",
                self.temperature
            )));
        }
        if self.top_k == Some(0) {
            return Err(Error::Config("top-k must be at least 1".to_string()));
        }
        if let Some(share) = self.top_p
            && !(share > 0.0 && share <= 1.0)
        {
            return Err(Error::Config(format!(
                "top-p must be a probability above 0, up to 1, not {share}"
            )));
        }
        let penalty = self.repetition_penalty;
        if !(penalty > 0.0 && penalty.is_finite()) {
            return Err(Error::Config(format!(
                "the repetition penalty must be above 0 (1: none), not {penalty}"
            )));
        }
        Ok(())
    }

    /// Samples a token from `logits`, one per token, among those from `first` on; `seen` are the tokens of the text. Of equal
    /// logits, the first counts as more likely.
    ///
    /// # Errors
    /// If a logit is not a number, or there is none to choose from.
    pub(super) fn choose(
        &self,
        logits: &[f32],
        seen: &[u32],
        first: usize,
        stream: &mut Stream,
    ) -> Result<u32> {
        let candidates = first..logits.len();
        if candidates.is_empty() || logits[first..].iter().any(|x| x.is_nan()) {
            return Err(Error::Training(
                "the model gives logits that are not numbers; its training diverged".to_string(),
            ));
        }
        let penalised = self.penalised(logits, seen);
        let logits = &penalised[..];
        let mut order: Vec<usize> = candidates.collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        if self.temperature == 0.0 {
            return Ok(order[0] as u32);
        }
        order.truncate(self.top_k.unwrap_or(order.len()));
        let largest = f64::from(logits[order[0]]);
        let weight =
            |&token: &usize| ((f64::from(logits[token]) - largest) / self.temperature).exp();
        let mut total: f64 = order.iter().map(weight).sum();
        if let Some(share) = self.top_p {
            let mut kept = 0.0;
            let until = order.iter().position(|token| {
                kept += weight(token);
                kept >= share * total
            });
            order.truncate(until.map_or(order.len(), |last| last + 1));
            total = order.iter().map(weight).sum();
        }
        let mut left = total * f64::from(stream.next_u32()) / 4_294_967_296.0;
        for token in &order {
            left -= weight(token);
            if left < 0.0 {
                return Ok(*token as u32);
            }
        }
        // Rounding may leave a little.
        Ok(order[order.len() - 1] as u32)
    }

    /// `logits`, lower for the tokens in `seen`.
    fn penalised<'l>(&self, logits: &'l [f32], seen: &[u32]) -> Cow<'l, [f32]> {
        if self.repetition_penalty == 1.0 {
            return Cow::Borrowed(logits);
        }
        let penalty = self.repetition_penalty as f32;
        let mut lower = logits.to_vec();
        for &token in seen {
            let token = token as usize;
            // Each token once, however often it occurs.
            if let (Some(&logit), Some(place)) = (logits.get(token), lower.get_mut(token)) {
                *place = if logit > 0.0 {
                    logit / penalty
                } else {
                    logit * penalty
                };
            }
        }
        Cow::Owned(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of three tokens is chosen in 3,000 draws.
    fn counts(sampling: Sampling, logits: [f32; 3], first: usize) -> [usize; 3] {
        let mut stream = Stream::new(7, 0);
        let mut counts = [0; 3];
        for _ in 0..3000 {
            counts[sampling.choose(&logits, &[], first, &mut stream).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn tokens_are_chosen_as_often_as_their_probability_says() {
        // Probabilities 1/7, 2/7, 4/7; at temperature 1/2 they are 1/21, 4/21, 16/21.
        let logits = [0.0, 2_f32.ln(), 4_f32.ln()];
        let near = |counts: [usize; 3], parts: [usize; 3]| {
            let total: usize = parts.iter().sum();
            // Four standard deviations of the least even count are about 110.
            (0..3).all(|i| counts[i].abs_diff(3000 * parts[i] / total) < 110)
        };
        let plain = Sampling::default();
        assert!(near(counts(plain, logits, 0), [1, 2, 4]));
        let colder = Sampling {
            temperature: 0.5,
            ..plain
        };
        assert!(near(counts(colder, logits, 0), [1, 4, 16]));
        let two = Sampling {
            top_k: Some(2),
            ..plain
        };
        assert!(near(counts(two, logits, 0), [0, 1, 2]));
        assert_eq!(counts(two, logits, 0)[0], 0);
        assert!(
            near(counts(plain, logits, 1), [0, 1, 2]),
            "token 0 can't be chosen"
        );
    }

    #[test]
    fn the_fewest_tokens_with_the_share_are_kept() {
        let logits = [0.0, 2_f32.ln(), 4_f32.ln()];
        let of = |share| {
            let sampling = Sampling {
                top_p: Some(share),
                ..Sampling::default()
            };
            counts(sampling, logits, 0).map(|count| count > 0)
        };
        // Probabilities 1/7, 2/7, 4/7.
        assert_eq!(of(0.5), [false, false, true]);
        assert_eq!(of(0.6), [false, true, true]);
        assert_eq!(of(0.85), [false, true, true]);
        assert_eq!(of(0.86), [true, true, true]);
        assert_eq!(of(1.0), [true, true, true]);
    }

    #[test]
    fn tokens_of_the_text_are_less_likely() {
        let sampling = Sampling {
            temperature: 0.0,
            repetition_penalty: 2.0,
            ..Sampling::default()
        };
        let chosen = |logits: &[f32], seen: &[u32]| {
            let mut stream = Stream::new(1, 0);
            sampling.choose(logits, seen, 0, &mut stream).unwrap()
        };
        assert_eq!(chosen(&[3.0, 2.0, -1.0], &[]), 0);
        // 1.5, 2, -1; a token that occurs twice counts once.
        assert_eq!(chosen(&[3.0, 2.0, -1.0], &[0, 0, 9]), 1);
        assert_eq!(chosen(&[3.0, 1.4, -1.0], &[0, 0]), 0);
        // -2, -1.5
        assert_eq!(chosen(&[-1.0, -1.5], &[0]), 1);
    }

    #[test]
    fn the_likeliest_is_chosen_at_temperature_0_and_the_first_of_equals() {
        let greedy = Sampling {
            temperature: 0.0,
            ..Sampling::default()
        };
        assert_eq!(counts(greedy, [1.0, 3.0, 3.0], 0), [0, 3000, 0]);
        assert_eq!(counts(greedy, [9.0, 3.0, 3.5], 1), [0, 0, 3000]);
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        let choose =
            |logits: &[f32]| Sampling::default().choose(logits, &[], 0, &mut Stream::new(1, 0));
        assert!(choose(&[f32::NAN, 1.0]).is_err() && choose(&[]).is_err());
        for temperature in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(
                Sampling {
                    temperature,
                    ..Sampling::default()
                }
                .check()
                .is_err()
            );
        }
        for share in [0.0, 1.5, f64::NAN] {
            let sampling = Sampling {
                top_p: Some(share),
                ..Sampling::default()
            };
            assert!(sampling.check().is_err());
        }
        for repetition_penalty in [0.0, -1.0, f64::INFINITY] {
            let sampling = Sampling {
                repetition_penalty,
                ..Sampling::default()
            };
            assert!(sampling.check().is_err());
        }
        assert!(
            Sampling {
                top_k: Some(0),
                ..Sampling::default()
            }
            .check()
            .is_err()
        );
    }
}

//! The privacy loss of training steps that each take every sample with the same probability and add normal noise: Renyi differential
//! privacy of the sampled Gaussian mechanism, composed over the steps, as an epsilon for a delta.
//!
//! Mironov, "Renyi Differential Privacy", 2017; Mironov, Talwar and Zhang, "Renyi Differential Privacy of the Sampled Gaussian
//! Mechanism", 2019; the conversion is that of Balle et al., "Hypothesis Testing Interpretations and Renyi Differential Privacy", 2020.
//! The figures are those of the Python package dp-accounting.

use crate::error::{Error, Result};
use std::f64::consts::{LN_2, PI, SQRT_2};

/// Terms of the series of fractional orders that are this much smaller than its sum, as logarithms, no longer count.
const NEGLIGIBLE: f64 = -30.0;
/// Most terms of that series; an order whose series is longer is not used.
const MOST_TERMS: usize = 1000;
/// The largest noise that is looked for.
const MOST_NOISE: f64 = 1e6;
/// How near the noise that is found is to the smallest one, as a share.
const NEAR: f64 = 1e-6;

/// Steps over the same samples, each of which takes every sample with probability `rate` and adds noise of `noise` times the bound of a
/// sample's contribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampledGaussian {
    /// Probability with which a step takes a sample.
    pub rate: f64,
    /// Standard deviation of the noise, as a multiple of the bound.
    pub noise: f64,
}

/// An epsilon, and the order of the Renyi divergence by which it was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrivacyLoss {
    /// The loss: e to its power bounds the ratio of probabilities with and without a sample, but for delta.
    pub epsilon: f64,
    /// The order.
    pub order: f64,
}

impl SampledGaussian {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn check(&self) -> Result<()> {
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            return Err(Error::Config(format!(
                "the share of samples in a step must be above 0 and at most 1, not {}",
                self.rate
            )));
        }
        if !(self.noise > 0.0 && self.noise.is_finite()) {
            return Err(Error::Config(format!(
                "the noise must be above 0 and finite, a multiple of the clipping norm, not {}",
                self.noise
            )));
        }
        Ok(())
    }

    /// The loss of `steps` steps for `delta`: the smallest over the orders of dp-accounting.
    ///
    /// # Errors
    /// If a parameter is out of range.
    pub fn loss(&self, steps: u64, delta: f64) -> Result<PrivacyLoss> {
        self.check()?;
        if !(delta > 0.0 && delta < 1.0) {
            return Err(Error::Config(format!(
                "delta must be above 0 and below 1, and well below one over the number of samples, not {delta}"
            )));
        }
        let losses = orders().map(|order| PrivacyLoss {
            epsilon: epsilon(self.divergence(order) * steps as f64, order, delta),
            order,
        });
        let smallest = losses.min_by(|a, b| a.epsilon.total_cmp(&b.epsilon));
        smallest.ok_or_else(|| Error::Config("there is no order".to_string()))
    }

    /// The smallest noise with which `steps` steps, of this rate, lose at most `target` for `delta`.
    ///
    /// # Errors
    /// If there is none up to a million, or a parameter is out of range.
    pub fn noise_for(rate: f64, steps: u64, target: f64, delta: f64) -> Result<f64> {
        if !(target > 0.0 && target.is_finite()) {
            return Err(Error::Config(format!(
                "epsilon must be above 0 and finite, not {target}"
            )));
        }
        let loss = |noise: f64| -> Result<f64> {
            Ok(SampledGaussian { rate, noise }.loss(steps, delta)?.epsilon)
        };
        let (mut low, mut high) = (0.0, 1.0);
        while loss(high)? > target {
            (low, high) = (high, 2.0 * high);
            if high > MOST_NOISE {
                return Err(Error::Config(format!(
                    "no noise makes {steps} steps lose less than epsilon {target}; take fewer steps, or a larger epsilon"
                )));
            }
        }
        while high - low > NEAR * high {
            let middle = 0.5 * (low + high);
            match loss(middle)? > target {
                true => low = middle,
                false => high = middle,
            }
        }
        Ok(high)
    }

    /// The Renyi divergence of the order `order` of one step.
    fn divergence(&self, order: f64) -> f64 {
        let (q, sigma) = (self.rate, self.noise);
        if q == 1.0 {
            return order / (2.0 * sigma * sigma);
        }
        let log_moment = match order.fract() == 0.0 {
            true => whole_order(q, sigma, order as u64),
            false => fractional_order(q, sigma, order),
        };
        log_moment / (order - 1.0)
    }
}

/// The orders that are tried: those of dp-accounting.
fn orders() -> impl Iterator<Item = f64> {
    let fractions = (1..100).map(|tenth| 1.0 + f64::from(tenth) / 10.0);
    let whole = (11..64).map(f64::from);
    fractions.chain(whole).chain([128.0, 256.0, 512.0, 1024.0])
}

/// The logarithm of the moment of a whole order: the binomial sum of Mironov et al. 2019, section 3.3.
fn whole_order(q: f64, sigma: f64, order: u64) -> f64 {
    let mut sum = f64::NEG_INFINITY;
    let mut log_binomial = 0.0;
    for k in 0..=order {
        let (kf, rest) = (k as f64, (order - k) as f64);
        let log_term = log_binomial + kf * q.ln() + rest * (-q).ln_1p();
        sum = log_add(sum, log_term + kf * (kf - 1.0) / (2.0 * sigma * sigma));
        log_binomial += (rest / (kf + 1.0)).ln();
    }
    sum
}

/// The same for a fractional order: two infinite series. As in dp-accounting, the terms count by their magnitude, also those with a
/// negative sign, so that rounding can't make the sum too small.
fn fractional_order(q: f64, sigma: f64, order: f64) -> f64 {
    let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    let mut last = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    let turn = sigma * sigma * (1.0 / q - 1.0).ln() + 0.5;
    let (log_q, log_rest, wide) = (q.ln(), (-q).ln_1p(), SQRT_2 * sigma);
    let power = |n: f64| (n * n - n) / (2.0 * sigma * sigma);
    let mut log_coefficient = 0.0;
    for i in 0..MOST_TERMS {
        let i = i as f64;
        let j = order - i;
        let below = log_coefficient - LN_2;
        let one = below + i * log_q + j * log_rest + power(i) + log_erfc((i - turn) / wide);
        let two = below + j * log_q + i * log_rest + power(j) + log_erfc((turn - j) / wide);
        (first, second) = (log_add(first, one), log_add(second, two));
        let total = log_add(first, second);
        if one < last.0 && two < last.1 && one.max(two) < total + NEGLIGIBLE {
            return total;
        }
        last = (one, two);
        log_coefficient += (j / (i + 1.0)).abs().ln();
    }
    f64::INFINITY
}

/// Epsilon for a divergence of an order (Balle et al. 2020, theorem 21; Canonne et al. 2020, proposition 12).
fn epsilon(divergence: f64, order: f64, delta: f64) -> f64 {
    if !(0.0..f64::INFINITY).contains(&divergence) {
        return f64::INFINITY;
    }
    // The total variation is at most delta: nothing is lost.
    if delta * delta + (-divergence).exp_m1() > 0.0 {
        return 0.0;
    }
    let found = match order > 1.01 {
        true => divergence + (-1.0 / order).ln_1p() - (delta * order).ln() / (order - 1.0),
        false => f64::INFINITY,
    };
    found.max(0.0)
}

/// The logarithm of the sum of two numbers, given by their logarithms.
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = (a.min(b), a.max(b));
    match low == f64::NEG_INFINITY {
        true => high,
        false => high + (low - high).exp().ln_1p(),
    }
}

/// The logarithm of the complementary error function, also where that is too small for a float.
fn log_erfc(x: f64) -> f64 {
    if x < 20.0 {
        return libm::erfc(x).ln();
    }
    let square = x * x;
    let series = 1.0 - 0.5 / square + 0.75 / (square * square) - 1.875 / square.powi(3);
    -square - (x * PI.sqrt()).ln() + series.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// Figures of dp-accounting (tests/fixtures/make_privacy.py).
    #[derive(Deserialize)]
    struct Recorded {
        rate: f64,
        noise: f64,
        steps: u64,
        delta: f64,
        epsilon: f64,
    }

    #[test]
    fn losses_are_those_of_dp_accounting() {
        let recorded: Vec<Recorded> =
            serde_json::from_str(include_str!("../../tests/fixtures/privacy.json")).unwrap();
        assert!(recorded.len() > 50);
        for case in recorded {
            let mechanism = SampledGaussian {
                rate: case.rate,
                noise: case.noise,
            };
            let found = mechanism.loss(case.steps, case.delta).unwrap().epsilon;
            assert!(
                (found - case.epsilon).abs() < 1e-3 * case.epsilon.max(1e-3),
                "{} {} {}: {found} and {}",
                case.rate,
                case.noise,
                case.steps,
                case.epsilon
            );
        }
    }

    #[test]
    fn the_noise_for_an_epsilon_loses_no_more() {
        for (rate, steps, target) in [(0.004, 14_000, 1.2), (0.01, 1_000, 3.0), (1.0, 10, 8.0)] {
            let noise = SampledGaussian::noise_for(rate, steps, target, 1e-5).unwrap();
            let loss = |noise: f64| SampledGaussian { rate, noise }.loss(steps, 1e-5).unwrap();
            assert!(loss(noise).epsilon <= target);
            assert!(loss(0.99 * noise).epsilon > target);
        }
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let of = |rate, noise| SampledGaussian { rate, noise };
        assert!(of(0.0, 1.0).loss(1, 1e-5).is_err());
        assert!(of(1.1, 1.0).loss(1, 1e-5).is_err());
        assert!(of(0.1, 0.0).loss(1, 1e-5).is_err());
        assert!(of(0.1, f64::INFINITY).loss(1, 1e-5).is_err());
        assert!(of(0.1, 1.0).loss(1, 0.0).is_err());
        assert!(of(0.1, 1.0).loss(1, 1.0).is_err());
        for target in [0.0, f64::INFINITY, f64::NAN] {
            assert!(SampledGaussian::noise_for(0.1, 10, target, 1e-5).is_err());
        }
        assert_eq!(of(0.1, 1.0).loss(0, 1e-5).unwrap().epsilon, 0.0);
    }
}

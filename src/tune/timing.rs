//! Timing variants against each other, and the decision whether one is significantly faster.

use crate::error::Result;
use crate::gpu::{Gpu, MAX_STEPS_PER_SUBMIT, Program};
use std::time::Instant;

/// Rounds in which every variant is timed once.
const ROUNDS: usize = 11;
/// Rounds that a variant must win against the default: by chance it would in one of 170 trials.
const LEAST_WINS: usize = 10;
/// Share of the default's time by which the median of a variant must be shorter.
const LEAST_GAIN: f64 = 0.03;
/// Length of a round's measurement, at which submission and waiting are negligible.
const ROUND_SECONDS: f64 = 0.02;
const WARM_UP_RUNS: usize = 3;
/// Variants that warm up this many times slower than the fastest are not timed further. The default always is, because replacing
/// it requires proof.
const HOPELESS: f64 = 3.0;

/// A correct variant, ready to be timed.
pub(super) struct Candidate {
    /// Index among the trials of its operation.
    pub trial: usize,
    /// The measurements.
    pub times: Times,
    program: Program,
    /// Steps that last about [`ROUND_SECONDS`].
    steps: usize,
}

/// Times of a variant in milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Times {
    /// The shortest warm-up run.
    warm: f64,
    /// One per round; none if it is hopeless.
    rounds: Vec<f64>,
}

impl Times {
    /// The median, or the warm-up time of a hopeless one.
    pub fn typical_ms(&self) -> f64 {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(self.warm)
    }

    /// Whether the difference to the `default` exceeds the spread of the measurements.
    fn beat(&self, default: &Times) -> bool {
        let wins = self.rounds.iter().zip(&default.rounds);
        let wins = wins.filter(|(own, other)| own < other).count();
        let gain = 1.0 - self.typical_ms() / default.typical_ms();
        gain >= LEAST_GAIN && wins >= LEAST_WINS
    }
}

impl Candidate {
    pub fn new(trial: usize, program: Program) -> Self {
        Candidate {
            trial,
            times: Times {
                warm: f64::INFINITY,
                rounds: Vec::with_capacity(ROUNDS),
            },
            program,
            steps: 1,
        }
    }

    /// Milliseconds per step, until all of them are finished.
    fn run(&mut self, gpu: &Gpu) -> Result<f64> {
        let start = Instant::now();
        let mut left = self.steps;
        while left > 0 {
            let now = left.min(MAX_STEPS_PER_SUBMIT);
            self.program.run(gpu, now, &[])?;
            left -= now;
        }
        gpu.wait()?;
        Ok(1e3 * start.elapsed().as_secs_f64() / self.steps as f64)
    }
}

/// Times the candidates, each once a round, so that they compare even on a machine whose speed drifts.
pub(super) fn measure(gpu: &Gpu, candidates: &mut [Candidate]) -> Result<()> {
    const MOST_STEPS: f64 = 4096.0;
    for candidate in candidates.iter_mut() {
        for _ in 0..WARM_UP_RUNS {
            candidate.times.warm = candidate.times.warm.min(candidate.run(gpu)?);
            let wanted = 1e3 * ROUND_SECONDS / candidate.times.warm;
            candidate.steps = wanted.clamp(1.0, MOST_STEPS) as usize;
        }
    }
    let warm = candidates.iter().map(|c| c.times.warm);
    let best = warm.fold(f64::INFINITY, f64::min);
    for _ in 0..ROUNDS {
        for candidate in candidates.iter_mut() {
            if candidate.trial == 0 || candidate.times.warm <= HOPELESS * best {
                let ms = candidate.run(gpu)?;
                candidate.times.rounds.push(ms);
            }
        }
    }
    Ok(())
}

/// Which of the candidates to use, each given with whether it is the default: the fastest if it is significantly faster than the
/// default, else the default. A wrong default is not a candidate.
pub(super) fn fastest(candidates: &[(bool, &Times)]) -> Option<usize> {
    let default = candidates.iter().position(|&(default, _)| default);
    let (fastest, (_, times)) = candidates
        .iter()
        .enumerate()
        .min_by(|(_, (_, a)), (_, (_, b))| a.typical_ms().total_cmp(&b.typical_ms()))?;
    match default {
        Some(default) if !times.beat(candidates[default].1) => Some(default),
        _ => Some(fastest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(rounds: [f64; ROUNDS]) -> Times {
        let warm = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        Times {
            warm,
            rounds: rounds.to_vec(),
        }
    }

    const STEADY: [f64; ROUNDS] = [1.0, 1.01, 0.99, 1.02, 1.0, 0.98, 1.0, 1.01, 1.0, 0.99, 1.0];

    #[test]
    fn a_variant_that_is_faster_every_time_wins() {
        let (default, other) = (times(STEADY), times(STEADY.map(|ms| 0.9 * ms)));
        assert_eq!(fastest(&[(true, &default), (false, &other)]), Some(1));
    }

    #[test]
    fn a_gain_within_the_scatter_does_not_win() {
        let default = times(STEADY);
        // A median 5% shorter, but slower in three rounds.
        let mut scattered = STEADY.map(|ms| 0.95 * ms);
        scattered[..3].fill(1.5);
        let scattered = times(scattered);
        assert!(scattered.typical_ms() < 0.97);
        assert_eq!(fastest(&[(true, &default), (false, &scattered)]), Some(0));
        // Faster in every round, by nothing that matters.
        let barely = times(STEADY.map(|ms| 0.99 * ms));
        assert_eq!(fastest(&[(true, &default), (false, &barely)]), Some(0));
    }

    #[test]
    fn a_variant_that_was_not_timed_does_not_win_and_a_wrong_default_defends_nothing() {
        let default = times(STEADY);
        let hopeless = Times {
            warm: 0.5,
            rounds: Vec::new(),
        };
        assert_eq!(fastest(&[(true, &default), (false, &hopeless)]), Some(0));
        assert_eq!(fastest(&[(false, &default)]), Some(0));
        assert_eq!(fastest(&[]), None);
    }
}

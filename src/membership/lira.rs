//! LiRA, the likelihood ratio attack (Carlini et al., "Membership Inference Attacks From First Principles", 2022): shadow runs show how
//! sure a model is of a sample that it was trained on, and of the same sample if it was not.

use super::{MembershipAttack, MembershipFinding, MembershipScores};
use crate::error::{Error, Result};

/// Fewest shadow runs: each sample is in the training data of half of them, and a variance needs two.
pub const FEWEST_SHADOWS: usize = 4;
/// With fewer shadow runs, all samples share a variance; the paper finds that a sample's own needs 64 of them.
const OWN_VARIANCE: usize = 64;
/// Smallest variance, so that shadow runs which agree exactly give finite numbers.
const SMALLEST_VARIANCE: f64 = 1e-9;

/// The confidences of a shadow run.
#[derive(Clone, Debug)]
pub struct ShadowScores {
    /// The confidence in the class of each sample.
    pub confidences: MembershipScores,
    /// Whether it was trained on each member of the run that is attacked, and on each other sample.
    pub trained_on: [Vec<bool>; 2],
}

/// Mean and spread of the confidences in one sample (Welford 1962).
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    count: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let distance = value - self.mean;
        self.mean += distance / self.count;
        self.squares += distance * (value - self.mean);
    }

    /// The log-density at `value` of the normal distribution with this mean, but for a constant.
    fn log_density(&self, value: f64, variance: f64) -> f64 {
        -(value - self.mean).powi(2) / (2.0 * variance) - variance.ln() / 2.0
    }
}

/// What shadow runs show of each sample.
#[derive(Clone, Debug)]
pub struct LikelihoodRatios {
    /// For each member and each other: the confidences of the runs without it and with it.
    spreads: [Vec<[Spread; 2]>; 2],
    shadows: usize,
}

impl LikelihoodRatios {
    /// Checks the number of shadow runs, which the option `--shadows` gives.
    ///
    /// # Errors
    /// If it is odd, or too small for a variance.
    pub fn check_shadows(shadows: usize) -> Result<()> {
        match shadows >= FEWEST_SHADOWS && shadows.is_multiple_of(2) {
            true => Ok(()),
            false => Err(Error::Config(format!(
                "--shadows must be an even number of at least {FEWEST_SHADOWS}, not {shadows}: every sample is in the training data of half \
                 of the shadow runs; leave it out for the loss threshold alone"
            ))),
        }
    }

    /// For so many members and others, before any shadow run.
    pub fn new(members: usize, others: usize) -> LikelihoodRatios {
        LikelihoodRatios {
            spreads: [members, others].map(|count| vec![[Spread::default(); 2]; count]),
            shadows: 0,
        }
    }

    /// Adds the confidences of a shadow run.
    pub fn add(&mut self, shadow: &ShadowScores) {
        let confidences = [&shadow.confidences.members, &shadow.confidences.others];
        let groups = self.spreads.iter_mut().zip(confidences);
        for ((spreads, values), trained_on) in groups.zip(&shadow.trained_on) {
            for ((spread, &value), &is_in) in spreads.iter_mut().zip(values).zip(trained_on) {
                spread[usize::from(is_in)].add(value);
            }
        }
        self.shadows += 1;
    }

    /// The log-likelihood ratio of each confidence of the run that is attacked: that of a model trained on the sample to that of a model
    /// which was not.
    pub fn scores(&self, confidences: &MembershipScores) -> MembershipScores {
        let common = [0, 1].map(|side| self.variance(side));
        let ratio = |spreads: &[Spread; 2], value: f64| {
            let [without, with] = [0, 1].map(|side| {
                let spread = spreads[side];
                let variance = match self.shadows < OWN_VARIANCE {
                    true => common[side],
                    false => spread.squares / (spread.count - 1.0).max(1.0),
                };
                spread.log_density(value, variance.max(SMALLEST_VARIANCE))
            });
            with - without
        };
        let of = |group: usize, values: &[f64]| {
            let pairs = self.spreads[group].iter().zip(values);
            pairs
                .map(|(spreads, &value)| ratio(spreads, value))
                .collect()
        };
        MembershipScores {
            members: of(0, &confidences.members),
            others: of(1, &confidences.others),
        }
    }

    /// The variance that all samples share: of the confidences of runs without a sample (`side` 0) or with it (1) around their mean.
    fn variance(&self, side: usize) -> f64 {
        let (mut squares, mut freedom) = (0.0, 0.0);
        for spreads in self.spreads.iter().flatten() {
            squares += spreads[side].squares;
            freedom += (spreads[side].count - 1.0).max(0.0);
        }
        squares / f64::max(freedom, 1.0)
    }

    /// What the ratios reveal about the run called `run`. `seed` is that of the interval.
    pub fn finding(
        &self,
        run: &str,
        confidences: &MembershipScores,
        seed: u64,
    ) -> MembershipFinding {
        let scores = self.scores(confidences);
        MembershipFinding::of(MembershipAttack::Lira, run, scores, self.shadows, seed)
    }
}

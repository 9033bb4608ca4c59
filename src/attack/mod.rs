//! Attacks on trained classifiers of images: small changes to images that mislead them, and how accurate they stay ([attacks and
//! defences](../../docs/robustness.md)).
//!
//! One file for each attack. All of them work on pixels from 0 to 1 and change only images that are classified correctly; the others
//! count as wrong.

mod corruption;
mod deepfool;
mod page;
mod pgd;
mod robustness;
mod square;
#[cfg(test)]
mod tests;

pub use corruption::{CorruptedAccuracy, Corruption, SEVERITIES};
pub use robustness::{Misled, Robustness, Strength};

use crate::error::{Error, Result};
use crate::tasks::ChangeNorm;
use crate::train::ImageClassifier;
use serde::{Deserialize, Serialize};

/// How images are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttackMethod {
    /// One step along the gradient (Goodfellow et al., "Explaining and Harnessing Adversarial Examples", 2015).
    Fgsm,
    /// Projected gradient ascent from random starts (Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2018).
    Pgd,
    /// The smallest change that crosses a linearised boundary (Moosavi-Dezfooli et al., "DeepFool", 2016).
    DeepFool,
    /// Random squares, without gradients (Andriushchenko et al., "Square Attack", 2020).
    Square,
}

impl AttackMethod {
    /// All of them.
    pub const ALL: [AttackMethod; 4] = [
        AttackMethod::Fgsm,
        AttackMethod::Pgd,
        AttackMethod::DeepFool,
        AttackMethod::Square,
    ];

    /// Its name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            AttackMethod::Fgsm => "fgsm",
            AttackMethod::Pgd => "pgd",
            AttackMethod::DeepFool => "deepfool",
            AttackMethod::Square => "square",
        }
    }

    /// Steps, or queries of `square`, unless others are asked for.
    pub fn default_steps(self) -> usize {
        match self {
            AttackMethod::Fgsm => 1,
            AttackMethod::Pgd => 40,
            AttackMethod::DeepFool => 50,
            AttackMethod::Square => 1000,
        }
    }
}

/// An attack with its settings.
#[derive(Clone, Debug)]
pub struct Attack {
    /// How images are changed.
    pub method: AttackMethod,
    /// How changes are measured.
    pub norm: ChangeNorm,
    /// Number of steps.
    pub steps: usize,
    /// Length of a step of `pgd`, as a share of the range of a pixel; by default 2.5 times the bound, divided by the steps.
    pub step_size: Option<f64>,
    /// Random starts of `pgd`.
    pub restarts: usize,
    /// The class that images shall be taken for, in place of any wrong one.
    pub target: Option<u32>,
    /// Seed of what is drawn.
    pub seed: u64,
}

/// Images under attack: at most a batch.
#[derive(Clone, Copy)]
pub(crate) struct Victims<'a> {
    /// Pixels from 0 to 1, `[images, height, width, channels]`.
    pub clean: &'a [f32],
    /// The class of each, as which it is classified.
    pub labels: &'a [u32],
    /// The index of each among the samples, from which its random numbers follow.
    pub indices: &'a [usize],
}

impl Attack {
    /// Checks the settings against each other, and the bounds `epsilons` of the strengths to try.
    ///
    /// # Errors
    /// Names what is out of range or does not go together.
    pub fn check(&self, epsilons: &[f64], classes: usize) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        let name = self.method.name();
        if let Some(bad) = epsilons.iter().find(|e| !(**e > 0.0 && e.is_finite())) {
            return wrong(format!(
                "--epsilon must be above 0 and finite, a share of the range of a pixel, not {bad}"
            ));
        }
        if let (ChangeNorm::Linf, Some(bad)) = (self.norm, epsilons.iter().find(|e| **e > 1.0)) {
            return wrong(format!(
                "--epsilon {bad} is more than the whole range of a pixel, which is 1; 8/255 changes it by 8 of 255 levels"
            ));
        }
        if self.steps == 0 || self.restarts == 0 {
            return wrong("an attack takes at least one step and one start".to_string());
        }
        if self
            .step_size
            .is_some_and(|size| !(size > 0.0 && size.is_finite()))
        {
            return wrong("--step-size must be above 0".to_string());
        }
        if self.target.is_some_and(|target| target as usize >= classes) {
            return wrong(format!(
                "--target must be one of the {classes} classes of the run"
            ));
        }
        match (self.method, self.norm) {
            (AttackMethod::DeepFool, ChangeNorm::Linf) => wrong(
                "deepfool looks for the smallest change as l2 measures it; add --norm l2"
                    .to_string(),
            ),
            (AttackMethod::Square, ChangeNorm::L2) => {
                wrong("square is for --norm linf".to_string())
            }
            (AttackMethod::DeepFool | AttackMethod::Square, _) if self.target.is_some() => wrong(
                format!("{name} has no target; use pgd or fgsm, or leave --target out"),
            ),
            _ => Ok(()),
        }
    }

    /// Changes images within the bound `epsilon`, `[images, height, width, channels]`.
    ///
    /// # Errors
    /// If the device failed.
    pub(crate) fn change(
        &self,
        classifier: &mut ImageClassifier<'_>,
        victims: Victims<'_>,
        epsilon: f64,
        prepared: &mut Option<pgd::Ascent>,
    ) -> Result<Vec<f32>> {
        match self.method {
            AttackMethod::Fgsm | AttackMethod::Pgd => {
                let ascent = match prepared {
                    Some(known) => known,
                    None => prepared.insert(pgd::Ascent::new(classifier, self.norm)?),
                };
                ascent.change(classifier, self, victims, epsilon)
            }
            AttackMethod::DeepFool => deepfool::change(classifier, victims, self.steps, epsilon),
            AttackMethod::Square => square::change(classifier, self, victims, epsilon),
        }
    }
}

/// The class with the largest logit of each row.
pub(crate) fn predictions(logits: &[f32], classes: usize) -> Vec<u32> {
    let largest = |row: &[f32]| {
        let better = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
        (0..row.len()).fold(0, better) as u32
    };
    logits.chunks_exact(classes).map(largest).collect()
}

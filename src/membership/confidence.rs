//! How sure a classifier is of the class of each sample.

use crate::data::Samples;
use crate::device::Engine;
use crate::error::{Error, Result};
use crate::run::{Measured, RunParts};
use crate::tasks::classification::LOGITS;

/// The confidence of the trained run `parts` in the own class of each sample, of probability p: log(p / (1 - p)), which does not round
/// to one number where p is near 1 (Carlini et al. 2022, section IV).
///
/// # Errors
/// If the samples do not fit the run, the run does not predict one of several classes, or the device failed.
pub fn confidences(engine: &Engine, parts: RunParts, samples: &Samples) -> Result<Vec<f64>> {
    let mut measured = Measured::evaluation(engine, parts, samples.clone())?;
    let (_, _, outputs) = measured.run()?;
    let found = outputs.iter().find(|(name, ..)| name == LOGITS);
    let (_, shape, logits) =
        found.ok_or_else(|| Error::Graph(format!("the evaluation has no output {LOGITS}")))?;
    let classes = shape.iter().product::<usize>();
    if classes < 2 {
        return Err(Error::Config(
            "the run knows a single class, of which it is always sure; members are looked for by the predictions of several classes"
                .to_string(),
        ));
    }
    let labels = samples.labels().unwrap_or_default();
    let rows = logits.chunks_exact(classes).zip(labels);
    let each = rows.map(|(row, &label)| confidence(row, label as usize));
    each.collect::<Option<Vec<f64>>>()
        .filter(|found| found.len() == samples.len())
        .ok_or_else(|| Error::Data("a sample has no class that the run knows".to_string()))
}

/// The logit of the class `label` less the log of the sum of the exponentials of the others, which is log(p / (1 - p)); `None` if there
/// is no such class.
pub(super) fn confidence(logits: &[f32], label: usize) -> Option<f64> {
    let own = f64::from(*logits.get(label)?);
    let others = (0..).zip(logits).filter(|(class, _)| *class != label);
    let others = others.map(|(_, &logit)| f64::from(logit));
    let largest = others.clone().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = others.map(|logit| (logit - largest).exp()).sum();
    Some(own - largest - sum.ln())
}

/// The cross-entropy of a sample with this confidence: log(1 + exp(-confidence)).
pub(super) fn loss(confidence: f64) -> f64 {
    (-confidence).max(0.0) + (-confidence.abs()).exp().ln_1p()
}

//! Losses over batches in which some samples have classes and the others do not: the shared part of the tasks that learn from both.

use super::{Objective, StepGraph};
use crate::data::field;
use crate::error::{Error, Result};
use crate::graph::Var;

/// How many samples of a batch of `batch` have classes, if there are `ratio` without for each of them.
pub(super) fn labelled_of(batch: usize, ratio: usize) -> usize {
    ((batch as f64 / (1.0 + ratio as f64)).round() as usize).max(1)
}

/// Checks the settings that the tasks share: the probability from which on a guessed class counts, the weight of the samples that have
/// none, and their number for each that has one.
///
/// # Errors
/// Names the setting that is out of range.
pub(super) fn check(threshold: f64, weight: f64, ratio: usize) -> Result<()> {
    let wrong = |what: String| Err(Error::Config(what));
    if !(0.0..=1.0).contains(&threshold) {
        return wrong(format!(
            "task.threshold must be a probability, from 0 to 1, not {threshold}"
        ));
    }
    if !(weight >= 0.0 && weight.is_finite()) {
        return wrong(format!("task.weight must be at least 0, not {weight}"));
    }
    match (1..=100).contains(&ratio) {
        true => Ok(()),
        false => wrong(format!(
            "task.ratio must be from 1 to 100 samples without a class for each with one, not {ratio}"
        )),
    }
}

/// The classes of the first `labelled` samples of the batch, `u32 [labelled]`.
pub(super) fn known_classes<'g>(step: &StepGraph<'g, '_>, labelled: usize) -> Result<Var<'g>> {
    // Slices are of floats, which hold the numbers of classes exactly.
    let classes = step.batch.field(field::LABEL)?.to_float()?;
    classes.slice_axis(0, 0..labelled)?.to_index()
}

/// Classes that a model gives to samples without one, and how far each counts.
pub(super) struct Guesses<'g> {
    /// The most probable class, `u32 [samples]`.
    pub classes: Var<'g>,
    /// 1 where its probability is at least the threshold, 0 elsewhere: `[samples]`.
    pub counted: Var<'g>,
}

/// The classes for samples with these `logits`, `[samples, classes]`, that have at least the probability `threshold`. Gradients do not
/// go through them.
pub(super) fn guesses<'g>(logits: Var<'g>, threshold: f64) -> Result<Guesses<'g>> {
    let builder = logits.builder();
    let largest = logits.softmax()?.max(&[1])?;
    let largest = largest.reshape([largest.shape().elements()])?;
    Ok(Guesses {
        classes: logits.argmax()?,
        counted: largest.ge(builder.constant(threshold))?,
    })
}

/// The mean of `own`, the losses of the samples with classes, which come first in the batch, plus the mean of `others`, those of the
/// other samples, which are already weighted.
pub(super) fn objective<'g>(
    step: &StepGraph<'g, '_>,
    own: Var<'g>,
    others: Var<'g>,
) -> Result<Objective<'g>> {
    let batch = step.batch.size() as f64;
    let scaled = |losses: Var<'g>| losses.scale(batch / losses.shape().elements() as f64);
    let all = Var::concat(&[scaled(own)?, scaled(others)?], 0)?;
    Objective::mean_of(all.mask_rows(step.batch.valid())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_both_kinds() {
        assert_eq!(labelled_of(512, 7), 64);
        assert_eq!(labelled_of(5, 1), 3);
        assert_eq!(labelled_of(4, 100), 1);
        assert!(check(0.5, 1.0, 7).is_ok());
        let wrong = [check(1.5, 1.0, 7), check(0.5, -1.0, 7), check(0.5, 1.0, 0)];
        assert!(wrong.iter().all(Result::is_err));
    }
}

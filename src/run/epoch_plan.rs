//! Which samples of a pass the steps of an epoch take, and in how many batches.

use std::sync::Arc;

/// The division of a pass into steps and batches.
#[derive(Clone)]
pub(super) struct EpochPlan {
    /// Samples of a batch.
    batch: usize,
    /// Samples of a step, if all have the same number.
    each: usize,
    /// Samples of the pass.
    samples: usize,
    /// The number of samples in all steps up to each one, if steps differ.
    ends: Option<Arc<[usize]>>,
}

impl EpochPlan {
    /// Steps of `each` samples, and fewer in the last one, in batches of `batch`.
    pub fn even(samples: usize, each: usize, batch: usize) -> EpochPlan {
        EpochPlan {
            batch,
            each,
            samples,
            ends: None,
        }
    }

    /// Steps of these numbers of samples, which may be 0.
    pub fn drawn(sizes: &[usize], batch: usize) -> EpochPlan {
        let mut end = 0;
        let ends = sizes.iter().map(|size| {
            end += size;
            end
        });
        let ends: Arc<[usize]> = ends.collect();
        EpochPlan {
            batch,
            each: 0,
            samples: ends.last().copied().unwrap_or(0),
            ends: Some(ends),
        }
    }

    /// Samples of the first `steps` steps.
    pub fn seen(&self, steps: u64) -> usize {
        match (&self.ends, steps) {
            (_, 0) => 0,
            (Some(ends), _) => ends
                .get(steps as usize - 1)
                .copied()
                .unwrap_or(self.samples),
            (None, _) => self.samples.min(self.each.saturating_mul(steps as usize)),
        }
    }

    /// Steps that are finished after `seen` samples: the fewest that have as many.
    pub fn finished(&self, seen: u64) -> u64 {
        let seen = seen as usize;
        match &self.ends {
            Some(_) if seen == 0 => 0,
            Some(ends) => ends.partition_point(|&end| end < seen) as u64 + 1,
            None => seen.div_ceil(self.each) as u64,
        }
    }

    /// The position of the batch number `batch` of the step number `step`, both from 0, and the number of its samples.
    pub fn batch(&self, step: u64, batch: usize) -> (usize, usize) {
        let at = self
            .seen(step)
            .saturating_add(batch.saturating_mul(self.batch));
        let end = self.seen(step + 1);
        (at, self.batch.min(end.saturating_sub(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_of_an_even_plan_has_what_is_left() {
        let plan = EpochPlan::even(10, 4, 2);
        let seen: Vec<usize> = (0..5).map(|steps| plan.seen(steps)).collect();
        assert_eq!(seen, [0, 4, 8, 10, 10]);
        assert_eq!(plan.batch(1, 1), (6, 2));
        assert_eq!((plan.batch(2, 0), plan.batch(2, 1)), ((8, 2), (10, 0)));
        assert_eq!([0, 4, 5, 10].map(|seen| plan.finished(seen)), [0, 1, 2, 3]);
    }

    #[test]
    fn steps_of_drawn_samples_may_be_empty_or_take_several_batches() {
        let plan = EpochPlan::drawn(&[3, 0, 5], 2);
        let seen: Vec<usize> = (0..4).map(|steps| plan.seen(steps)).collect();
        assert_eq!(seen, [0, 3, 3, 8]);
        assert_eq!((plan.batch(0, 0), plan.batch(0, 1)), ((0, 2), (2, 1)));
        assert_eq!((plan.batch(0, 2).1, plan.batch(1, 0).1), (0, 0));
        assert_eq!((plan.batch(2, 1), plan.batch(2, 2)), ((5, 2), (7, 1)));
        assert_eq!([0, 3, 8].map(|seen| plan.finished(seen)), [0, 1, 3]);
    }
}

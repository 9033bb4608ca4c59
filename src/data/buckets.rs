//! Batches of samples of about the same length, which are padded to less than the context.

use super::Samples;
use crate::random::{Purpose, Stream};

/// The buckets of a training set: the lengths that batches are padded to, and the one of each sample.
pub(crate) struct Buckets {
    /// Tokens of a batch in each bucket but the last, which has the whole context; in ascending order.
    pub lengths: Vec<usize>,
    /// The bucket of each sample.
    of_samples: Vec<usize>,
}

impl Buckets {
    /// The buckets of `samples` for batches of these `lengths`, or of the whole context.
    pub fn new(samples: &Samples, lengths: &[usize]) -> Buckets {
        let mut lengths = lengths.to_vec();
        lengths.sort_unstable();
        lengths.dedup();
        let bucket = |length: usize| lengths.partition_point(|&most| most < length);
        let of_samples = samples.token_lengths().into_iter().map(bucket).collect();
        Buckets {
            lengths,
            of_samples,
        }
    }

    /// Groups the samples of a shuffled `order` into batches of `batch` samples of one bucket, and shuffles the batches, but for a last
    /// one with fewer samples. A batch where one bucket ends and the next begins belongs to the larger one. Returns the bucket of each
    /// batch.
    pub fn group(&self, order: &mut [u32], batch: usize, seed: u64, epoch: u32) -> Vec<usize> {
        let bucket = |sample: &u32| self.of_samples.get(*sample as usize).copied().unwrap_or(0);
        // A stable sort keeps the shuffled order within each bucket.
        order.sort_by_key(bucket);
        let full = order.len() / batch;
        let mut batches: Vec<&[u32]> = order.chunks(batch).collect();
        Stream::new(seed, Purpose::BucketOrder.stream(epoch)).shuffle(&mut batches[..full]);
        let grouped: Vec<u32> = batches.concat();
        order.copy_from_slice(&grouped);
        let largest = |samples: &[u32]| samples.iter().map(bucket).max().unwrap_or(0);
        order.chunks(batch).map(largest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_of_one_length_and_hold_every_sample_once() {
        let buckets = Buckets {
            lengths: vec![4, 8],
            of_samples: (0..23).map(|sample| sample % 3).collect(),
        };
        let mut order: Vec<u32> = (0..23).rev().collect();
        let of_batches = buckets.group(&mut order, 4, 1, 0);
        assert_eq!(of_batches.len(), 6);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..23).collect::<Vec<u32>>());
        let own = |sample: &u32| *sample as usize % 3;
        for (samples, &bucket) in order.chunks(4).zip(&of_batches) {
            assert!(samples.iter().all(|sample| own(sample) <= bucket));
            assert!(samples.iter().any(|sample| own(sample) == bucket));
        }
        // Eight samples of the first two buckets each fill their batches.
        let pure = order.chunks(4).zip(&of_batches);
        let pure = pure.filter(|(samples, bucket)| samples.iter().all(|s| own(s) == **bucket));
        assert_eq!(pure.count(), 6);
        let mut again: Vec<u32> = (0..23).rev().collect();
        buckets.group(&mut again, 4, 1, 1);
        assert_ne!(again, order);
    }
}

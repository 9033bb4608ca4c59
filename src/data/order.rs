//! The order in which an epoch visits its samples.

use crate::random::{Purpose, Stream};

/// The indices 0..`n` in the shuffled order of one epoch: the same for the same `n`, seed and epoch on every
/// platform. Indices past `u32::MAX` cannot be named and are left out.
pub fn shuffled(n: usize, seed: u64, epoch: u32) -> Vec<u32> {
    let mut order = sequential(n);
    Stream::new(seed, Purpose::BatchOrder.stream(epoch)).shuffle(&mut order);
    order
}

/// The indices 0..`n` in order, for evaluation.
pub fn sequential(n: usize) -> Vec<u32> {
    (0..u32::try_from(n).unwrap_or(u32::MAX)).collect()
}

/// Random first rows of `n` samples among `places`: the same for the same arguments on every platform.
pub fn random_starts(n: usize, places: u32, seed: u64, epoch: u32) -> Vec<u32> {
    let mut stream = Stream::new(seed, Purpose::Starts.stream(epoch));
    (0..n).map(|_| stream.below(places)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_sample_once() {
        for n in [0, 1, 2, 1000] {
            let mut order = shuffled(n, 9, 3);
            order.sort_unstable();
            assert_eq!(order, sequential(n));
        }
    }

    #[test]
    fn the_order_changes_with_the_epoch_and_the_seed_and_with_nothing_else() {
        assert_eq!(shuffled(100, 9, 3), shuffled(100, 9, 3));
        assert_ne!(shuffled(100, 9, 3), shuffled(100, 9, 4));
        assert_ne!(shuffled(100, 9, 3), shuffled(100, 10, 3));
    }

    #[test]
    fn starts_reach_every_place_and_change_with_the_epoch_and_the_seed() {
        let starts = random_starts(1000, 10, 9, 3);
        assert!((0..10).all(|place| starts.contains(&place)));
        assert!(starts.iter().all(|&start| start < 10));
        assert_eq!(starts, random_starts(1000, 10, 9, 3));
        assert_ne!(starts, random_starts(1000, 10, 9, 4));
        assert_ne!(starts, random_starts(1000, 10, 8, 3));
    }

    /// The expected values are fixed: a change here changes every seeded run.
    #[test]
    fn the_order_is_the_same_on_every_platform() {
        assert_eq!(shuffled(10, 0, 0), [0, 9, 3, 2, 1, 4, 5, 7, 6, 8]);
    }
}

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

/// The samples of `steps` steps, each of which takes every one of `n` samples with probability `rate`, independently of all others: their
/// indices one step after another, and the number of each step, which may be 0. The same for the same arguments on every platform.
pub fn drawn(n: usize, rate: f64, steps: usize, seed: u64, epoch: u32) -> (Vec<u32>, Vec<usize>) {
    let limit = (rate * 2f64.powi(32)).round() as u64;
    let mut stream = Stream::new(seed, Purpose::Poisson.stream(epoch));
    let mut order = Vec::with_capacity((rate * n as f64 * steps as f64) as usize);
    let mut sizes = Vec::with_capacity(steps);
    for _ in 0..steps {
        let before = order.len();
        order.extend((0..n as u32).filter(|_| u64::from(stream.next_u32()) < limit));
        sizes.push(order.len() - before);
    }
    (order, sizes)
}

/// More samples than [`drawn`] takes in `steps` steps of `each` on average: its deviation is at most the root of their number, and this is
/// ten deviations away.
pub fn most_drawn(steps: usize, each: usize) -> usize {
    let mean = steps * each;
    mean + (10.0 * (mean as f64).sqrt()).ceil() as usize + 100
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
    fn every_step_takes_every_sample_with_the_same_probability() {
        let (order, sizes) = drawn(500, 0.1, 400, 9, 0);
        assert_eq!((order.len(), sizes.len()), (sizes.iter().sum(), 400));
        // 20,000 draws of probability 0.1 have a deviation of 134; the sizes of steps one of 6.7.
        assert!(order.len().abs_diff(20_000) < 600, "{}", order.len());
        let mean = order.len() as f64 / 400.0;
        let squares: f64 = sizes.iter().map(|&n| (n as f64 - mean).powi(2)).sum();
        assert!((squares / 400.0 - 45.0).abs() < 12.0, "{}", squares / 400.0);
        let mut counts = vec![0_usize; 500];
        order.iter().for_each(|&i| counts[i as usize] += 1);
        assert!(counts.iter().all(|count| (12..80).contains(count)));
        // No sample twice in a step.
        let mut rest = &order[..];
        for size in sizes {
            let (step, others) = rest.split_at(size);
            assert!(step.windows(2).all(|pair| pair[0] < pair[1]));
            rest = others;
        }
        assert_ne!(drawn(500, 0.1, 4, 9, 0), drawn(500, 0.1, 4, 9, 1));
        assert_ne!(drawn(500, 0.1, 4, 9, 0), drawn(500, 0.1, 4, 8, 0));
        assert_eq!(drawn(5, 1.0, 2, 1, 0).1, [5, 5]);
        assert_eq!(drawn(5, 0.0, 2, 1, 0).1, [0, 0]);
        assert!(drawn(500, 0.1, 400, 9, 3).0.len() < most_drawn(400, 50));
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

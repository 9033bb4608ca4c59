//! Bootstrap intervals: how much figures of groups vary if the samples are drawn anew, with replacement, from the samples that there
//! are (Efron 1979, percentile intervals).

use super::counts::OutcomeCounts;
use crate::random::{Purpose, Stream};
use rayon::prelude::*;

/// Number of draws.
pub const DRAWS: u32 = 1000;
/// Share of the draws whose figure lies in the interval.
pub const LEVEL: f64 = 0.95;

/// The counts of each of `groups` groups in [`DRAWS`] draws of as many samples as there are: for each sample its group and its
/// outcome as a number, in `cells`, which holds `group * outcomes + outcome`.
pub(super) fn drawn_counts(cells: &[u16], groups: usize, seed: u64) -> Vec<Vec<OutcomeCounts>> {
    let outcomes = OutcomeCounts::default().counts.len();
    let count = u32::try_from(cells.len()).unwrap_or(u32::MAX);
    let draw = |number: u32| {
        let mut stream = Stream::new(seed, Purpose::Bootstrap.stream(number));
        let mut counts = vec![0_u64; groups * outcomes];
        for _ in 0..count {
            let cell = cells[stream.below(count) as usize];
            counts[usize::from(cell)] += 1;
        }
        let each = counts.chunks_exact(outcomes).map(|counts| {
            let mut own = OutcomeCounts::default();
            own.counts.copy_from_slice(counts);
            own
        });
        each.collect()
    };
    (0..DRAWS).into_par_iter().map(draw).collect()
}

/// The interval that holds the middle [`LEVEL`] of a figure's `values` in the draws, its ends interpolated between neighbours; `None`
/// if fewer than half of the draws have the figure.
pub(crate) fn interval(values: impl Iterator<Item = Option<f64>>) -> Option<[f64; 2]> {
    let mut all = 0_usize;
    let counted = values.inspect(|_| all += 1);
    let mut known: Vec<f64> = counted.flatten().collect();
    if known.is_empty() || 2 * known.len() < all {
        return None;
    }
    known.sort_by(f64::total_cmp);
    let last = (known.len() - 1) as f64;
    let quantile = |share: f64| {
        let at = share * last;
        let (low, rest) = (at.floor() as usize, at.fract());
        let high = (low + 1).min(known.len() - 1);
        known[low] + rest * (known[high] - known[low])
    };
    let tail = (1.0 - LEVEL) / 2.0;
    Some([quantile(tail), quantile(1.0 - tail)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_as_many_samples_and_vary_as_a_binomial_count() {
        // A quarter of 400 samples in one cell.
        let cells: Vec<u16> = (0..400).map(|i| if i % 4 == 0 { 1 } else { 8 }).collect();
        let drawn = drawn_counts(&cells, 2, 7);
        assert_eq!(drawn.len(), DRAWS as usize);
        assert!(drawn.iter().all(|groups| {
            groups[0].samples() + groups[1].samples() == 400 && groups[0].counts[1] > 50
        }));
        let shares = drawn
            .iter()
            .map(|groups| Some(groups[0].counts[1] as f64 / 400.0));
        let [low, high] = interval(shares).unwrap();
        // 1.96 standard deviations of a share of a quarter are 0.0424.
        assert!(
            (low - 0.2076).abs() < 0.008 && (high - 0.2924).abs() < 0.008,
            "{low} {high}"
        );
        assert_eq!(drawn_counts(&cells, 2, 7), drawn);
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.quantile(numpy.arange(11) ** 2, [0.025, 0.975])
        let [low, high] = interval((0..11).map(|n| Some(f64::from(n * n)))).unwrap();
        assert!(
            (low - 0.25).abs() < 1e-12 && (high - 95.25).abs() < 1e-12,
            "{low} {high}"
        );
        assert_eq!(interval([Some(1.0), None, None].into_iter()), None);
        assert_eq!(interval(std::iter::empty()), None);
    }
}

//! Gaps between groups: how far their rates are apart. Definitions are those of fairlearn (Weerts et al. 2023), where groups are
//! compared with each other.

use super::counts::Rates;

/// The names of the gaps of [`gaps`].
pub const GAPS: [&str; 6] = [
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equal_opportunity_difference",
    "equalized_odds_difference",
    "equalized_odds_ratio",
    "predictive_parity_difference",
];

/// Gaps between groups, in the order of [`GAPS`]; `None` where fewer than two groups have the rate.
pub type Gaps = [Option<f64>; GAPS.len()];

/// The gaps between groups with these `rates`. Demographic parity is about the selection rate, equal opportunity about the true
/// positive rate, equalized odds about that and the false positive rate, whichever is further apart, and predictive parity about the
/// precision. A difference is the largest rate less the smallest, a ratio the smallest divided by the largest. Groups in which no
/// sample decides a rate are left out of it.
pub fn gaps(rates: &[Rates]) -> Gaps {
    let range = |place: usize| {
        let known = || rates.iter().filter_map(move |rates| rates[place]);
        let (low, high) = known().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), rate| {
            (low.min(rate), high.max(rate))
        });
        (known().count() > 1).then_some((low, high))
    };
    let difference = |place: usize| range(place).map(|(low, high)| high - low);
    let ratio = |place: usize| {
        let (low, high) = range(place)?;
        (high > 0.0).then(|| low / high)
    };
    let both = |a: Option<f64>, b: Option<f64>, of: fn(f64, f64) -> f64| match (a, b) {
        (Some(a), Some(b)) => Some(of(a, b)),
        (one, other) => one.or(other),
    };
    [
        difference(1),
        ratio(1),
        difference(2),
        both(difference(2), difference(3), f64::max),
        both(ratio(2), ratio(3), f64::min),
        difference(4),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_between_the_groups_that_have_the_rate() {
        let a = [Some(0.9), Some(0.5), Some(0.75), Some(0.25), Some(0.5)];
        let b = [Some(0.8), Some(0.25), Some(0.5), Some(0.125), None];
        let c = [Some(0.7), Some(0.375), None, Some(0.5), None];
        let found = gaps(&[a, b, c]);
        let wanted = [
            Some(0.25),
            Some(0.5),
            Some(0.25),
            Some(0.375),
            Some(0.25),
            None,
        ];
        assert_eq!(found, wanted);
        assert_eq!(gaps(&[a]), [None; 6]);
        let never = [Some(0.9), Some(0.0), None, Some(0.0), None];
        let found = gaps(&[never, never]);
        assert_eq!(found[..2], [Some(0.0), None]);
    }
}

//! Fits a threshold for each group: those with the highest accuracy of which rates of the groups are no further apart than a gap.
//!
//! After Hardt, Price and Srebro, "Equality of Opportunity in Supervised Learning", 2016, but without decisions by lot: a sample of a
//! group is predicted to be positive if its probability reaches the threshold of the group, so that equal samples of a group are
//! treated equally, and the same run decides the same every time. Rates can then not always be made equal; how much accuracy each
//! smaller gap costs is the trade-off.

use crate::error::{Error, Result};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What thresholds are to make equal between groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// True positive rate and false positive rate.
    EqualizedOdds,
    /// The selection rate.
    DemographicParity,
}

impl Criterion {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Criterion::EqualizedOdds => "equalized_odds",
            Criterion::DemographicParity => "demographic_parity",
        }
    }
}

/// Gap and accuracy of decisions about the samples to which thresholds are fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TradeOff {
    /// The largest difference of a rate between two groups.
    pub gap: f64,
    /// Share of the samples that are predicted right.
    pub accuracy: f64,
}

/// Thresholds that were fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedThresholds {
    /// The threshold of each group, a probability.
    pub thresholds: Vec<f64>,
    /// With a threshold of one half for every group.
    pub before: TradeOff,
    /// With these thresholds.
    pub after: TradeOff,
    /// The highest accuracy for gaps from the smallest to that of `before`.
    pub trade_off: Vec<TradeOff>,
}

/// Thresholds of a group that are tried, at most.
const MOST_TRIED: usize = 1000;
/// Lower ends of the windows in which a rate is to lie, at most, if two rates are to be equal.
const MOST_ENDS: usize = 200;
/// Number of gaps between 0 and that of one threshold for all, for each of which the best thresholds are found.
const GAPS_TRIED: usize = 40;
/// Log-odds beyond which a probability is certain enough to be taken for the last threshold.
const MOST_LOG_ODDS: f64 = 30.0;

/// Fits thresholds to samples with these log-odds of the positive class (the difference of its logit and that of the other class),
/// which are `positive` or not, and are of the group `groups` among `count`. Of thresholds that lose at most `cost` of the accuracy of
/// one half, those with the smallest gap are taken.
///
/// # Errors
/// If a group has no samples, or no two groups have the rates that are to be equal.
pub fn fit_thresholds(
    log_odds: &[f32],
    positive: &[bool],
    groups: &[u32],
    count: usize,
    (criterion, cost): (Criterion, f64),
) -> Result<FittedThresholds> {
    let curves = (0..count as u32).map(|group| {
        let own = log_odds.iter().zip(positive).zip(groups);
        let own = own.filter(|(_, of)| **of == group);
        let own = own.map(|((&odds, &positive), _)| (f64::from(odds), positive));
        GroupCurve::of(own.collect(), criterion)
    });
    let curves: Vec<GroupCurve> = curves.collect();
    if curves.iter().any(|curve| curve.samples == 0) {
        return Err(Error::Data(
            "a group has no samples to which its threshold could be fitted".to_string(),
        ));
    }
    let dimensions = curves.first().map_or(0, |curve| curve.rates.len());
    let comparable = (0..dimensions).all(|rate| {
        let known = curves.iter().filter(|curve| curve.rates[rate].is_some());
        known.count() > 1
    });
    if !comparable {
        return Err(Error::Data(format!(
            "fewer than two groups have samples of both classes, which {} compares; fit thresholds to a part with more samples",
            criterion.name()
        )));
    }
    let total: u64 = curves.iter().map(|curve| curve.samples).sum();
    let judged = |chosen: &[usize]| TradeOff {
        gap: gap_of(&curves, chosen),
        accuracy: right_of(&curves, chosen) as f64 / total as f64,
    };
    let halves: Vec<usize> = curves.iter().map(|curve| curve.half).collect();
    let before = judged(&halves);
    let mut found: Vec<(TradeOff, Vec<usize>)> = Vec::new();
    let ends: Vec<Vec<f64>> = (0..dimensions).map(|rate| ends(&curves, rate)).collect();
    for step in 0..=GAPS_TRIED {
        let most = before.gap * step as f64 / GAPS_TRIED as f64;
        let Some(chosen) = best_within(&curves, &ends, most) else {
            continue;
        };
        let judged = judged(&chosen);
        // A larger gap that gains nothing is no trade.
        if found
            .last()
            .is_none_or(|(last, _)| judged.accuracy > last.accuracy)
        {
            while found.last().is_some_and(|(last, _)| last.gap >= judged.gap) {
                found.pop();
            }
            found.push((judged, chosen));
        }
    }
    let affordable = |(judged, _): &&(TradeOff, Vec<usize>)| {
        judged.accuracy >= before.accuracy - cost && judged.gap <= before.gap
    };
    let best = found.iter().find(affordable);
    let (after, chosen) = best.map_or((before, halves), |(judged, chosen)| {
        (*judged, chosen.clone())
    });
    let thresholds = curves.iter().zip(&chosen);
    Ok(FittedThresholds {
        thresholds: thresholds.map(|(curve, &at)| curve.threshold(at)).collect(),
        before,
        after,
        trade_off: found.into_iter().map(|(judged, _)| judged).collect(),
    })
}

/// The rates of a group by its threshold, from the highest threshold to the lowest: all rise from 0 to 1.
struct GroupCurve {
    samples: u64,
    /// Log-odds from which on samples are selected.
    from: Vec<f64>,
    /// The rates that are to be equal; `None` if no sample decides it.
    rates: Vec<Option<Vec<f64>>>,
    /// Number of samples that are predicted right.
    right: Vec<u64>,
    /// The place of the largest of `right` in each range of 2^k thresholds.
    largest: Vec<Vec<usize>>,
    /// The place of the threshold one half.
    half: usize,
}

impl GroupCurve {
    fn of(mut samples: Vec<(f64, bool)>, criterion: Criterion) -> GroupCurve {
        samples.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let positives = samples.iter().filter(|(_, positive)| *positive).count();
        let negatives = samples.len() - positives;
        // Between which samples the threshold may lie: not between equal ones, and not everywhere if there are many.
        let mut between: Vec<usize> = (0..=samples.len())
            .filter(|&at| at == 0 || at == samples.len() || samples[at - 1].0 > samples[at].0)
            .collect();
        let half = samples.partition_point(|(odds, _)| *odds > 0.0);
        if between.len() > MOST_TRIED {
            let all = between.len() - 1;
            between = (0..=MOST_TRIED)
                .map(|step| between[step * all / MOST_TRIED])
                .chain([half])
                .collect();
            between.sort_unstable();
            between.dedup();
        }
        let mut selected = [0; 2];
        let (mut seen, mut counted) = (0, Vec::with_capacity(between.len()));
        for &at in &between {
            for (_, positive) in &samples[seen..at] {
                selected[usize::from(*positive)] += 1;
            }
            seen = at;
            counted.push(selected);
        }
        let odds = |at: usize| samples.get(at).map(|(odds, _)| *odds);
        let from = between.iter().map(|&at| {
            if at == half {
                return 0.0;
            }
            match (at.checked_sub(1).and_then(odds), odds(at)) {
                (Some(above), Some(below)) => above + (below - above) / 2.0,
                (None, Some(below)) => below + 1.0,
                (Some(above), None) => above - 1.0,
                (None, None) => 0.0,
            }
        });
        let rate = |whole: usize, of: &dyn Fn(&[usize; 2]) -> usize| {
            let share = |counts: &[usize; 2]| of(counts) as f64 / whole as f64;
            (whole > 0).then(|| counted.iter().map(share).collect())
        };
        let rates = match criterion {
            Criterion::EqualizedOdds => vec![
                rate(positives, &|[_, positive]| *positive),
                rate(negatives, &|[negative, _]| *negative),
            ],
            Criterion::DemographicParity => vec![rate(samples.len(), &|both| both[0] + both[1])],
        };
        let right = counted
            .iter()
            .map(|[negative, positive]| (positive + negatives - negative) as u64);
        let right: Vec<u64> = right.collect();
        GroupCurve {
            samples: samples.len() as u64,
            from: from.collect(),
            rates,
            largest: largest_in_ranges(&right),
            right,
            half: between.iter().position(|&at| at == half).unwrap_or(0),
        }
    }

    /// The place with the most right predictions of those whose rates lie in these windows, `[low, high]`; `None` if there is none.
    fn best(&self, windows: &[[f64; 2]]) -> Option<usize> {
        let (mut first, mut end) = (0, self.right.len());
        for (rate, [low, high]) in self.rates.iter().zip(windows) {
            if let Some(rate) = rate {
                first = first.max(rate.partition_point(|value| value < low));
                end = end.min(rate.partition_point(|value| value <= high));
            }
        }
        if first >= end {
            return None;
        }
        let level = (end - first).ilog2() as usize;
        let (a, b) = (
            self.largest[level][first],
            self.largest[level][end - (1 << level)],
        );
        Some(if self.right[b] > self.right[a] { b } else { a })
    }

    /// The threshold at a place, as a probability.
    fn threshold(&self, at: usize) -> f64 {
        let odds = self.from[at].clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS);
        1.0 / (1.0 + (-odds).exp())
    }
}

/// For each k the place of the largest value among the 2^k values from each place on.
fn largest_in_ranges(values: &[u64]) -> Vec<Vec<usize>> {
    let mut levels = vec![(0..values.len()).collect::<Vec<usize>>()];
    let mut width = 1;
    while 2 * width <= values.len() {
        let last = &levels[levels.len() - 1];
        let joined = (0..=values.len() - 2 * width).map(|at| {
            let (a, b) = (last[at], last[at + width]);
            if values[b] > values[a] { b } else { a }
        });
        levels.push(joined.collect());
        width *= 2;
    }
    levels
}

/// The lower ends of the windows in which a rate is tried: where a group has that rate, or some of these if two rates are compared.
fn ends(curves: &[GroupCurve], rate: usize) -> Vec<f64> {
    let rates = curves.iter().filter_map(|curve| curve.rates[rate].as_ref());
    let mut ends: Vec<f64> = rates.flatten().copied().collect();
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    let several = curves.iter().any(|curve| curve.rates.len() > 1);
    if several && ends.len() > MOST_ENDS {
        let last = ends.len() - 1;
        ends = (0..=MOST_ENDS)
            .map(|step| ends[step * last / MOST_ENDS])
            .collect();
    }
    ends
}

/// The places of the thresholds with the most right predictions of which no rate differs by more than `most` between groups, tried in
/// windows that begin at the `ends` of each rate.
fn best_within(curves: &[GroupCurve], ends: &[Vec<f64>], most: f64) -> Option<Vec<usize>> {
    const ONE: [f64; 1] = [0.0];
    let window = |low: f64| [low, low + most];
    let columns = ends.first()?;
    let rows = ends.get(1).map_or(&ONE[..], Vec::as_slice);
    let best = rows.par_iter().map(|&row| {
        let mut best: Option<(u64, Vec<usize>)> = None;
        for &column in columns {
            let windows = [window(column), window(row)];
            let chosen = curves
                .iter()
                .map(|curve| curve.best(&windows[..ends.len()]));
            let Some(chosen) = chosen.collect::<Option<Vec<usize>>>() else {
                continue;
            };
            let right = right_of(curves, &chosen);
            if best.as_ref().is_none_or(|(most, _)| right > *most) {
                best = Some((right, chosen));
            }
        }
        best
    });
    // In the order of rows, so that of equal ones always the first is taken.
    let all: Vec<Option<(u64, Vec<usize>)>> = best.collect();
    let better = |a: (u64, Vec<usize>), b: (u64, Vec<usize>)| if b.0 > a.0 { b } else { a };
    all.into_iter()
        .flatten()
        .reduce(better)
        .map(|(_, chosen)| chosen)
}

/// The number of right predictions with the thresholds at these places.
fn right_of(curves: &[GroupCurve], chosen: &[usize]) -> u64 {
    let each = curves.iter().zip(chosen);
    each.map(|(curve, &at)| curve.right[at]).sum()
}

/// The largest difference of a rate between two groups with the thresholds at these places.
fn gap_of(curves: &[GroupCurve], chosen: &[usize]) -> f64 {
    let dimensions = curves.first().map_or(0, |curve| curve.rates.len());
    let gap = |dimension: usize| {
        let rates = curves.iter().zip(chosen);
        let known = rates.filter_map(|(curve, &at)| Some(curve.rates[dimension].as_ref()?[at]));
        let (low, high) = known.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), rate| {
            (low.min(rate), high.max(rate))
        });
        (high - low).max(0.0)
    };
    (0..dimensions).map(gap).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    /// Two groups whose scores of the same meaning differ by a constant.
    fn shifted(count: usize) -> (Vec<f32>, Vec<bool>, Vec<u32>) {
        let mut stream = Stream::new(3, 0);
        let (mut odds, mut positive, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..count {
            let group = (index % 2) as u32;
            let is_positive = stream.unit() < 0.4;
            let centre = if is_positive { 1.0 } else { -1.0 };
            odds.push(centre + stream.normal() + group as f32);
            positive.push(is_positive);
            groups.push(group);
        }
        (odds, positive, groups)
    }

    #[test]
    fn a_shift_of_one_group_is_found_and_taken_back() {
        let (odds, positive, groups) = shifted(8000);
        for criterion in [Criterion::EqualizedOdds, Criterion::DemographicParity] {
            let fitted = fit_thresholds(&odds, &positive, &groups, 2, (criterion, 0.0)).unwrap();
            assert!(fitted.before.gap > 0.15, "{fitted:?}");
            assert!(fitted.after.gap < 0.02, "{fitted:?}");
            assert!(fitted.after.accuracy > fitted.before.accuracy, "{fitted:?}");
            let log_odds = |t: f64| (t / (1.0 - t)).ln();
            let shift = log_odds(fitted.thresholds[1]) - log_odds(fitted.thresholds[0]);
            assert!((shift - 1.0).abs() < 0.15, "{shift}");
            // Smaller gaps cost accuracy.
            let falls = |pair: &[TradeOff]| {
                pair[0].gap <= pair[1].gap + 1e-12 && pair[0].accuracy < pair[1].accuracy
            };
            assert!(fitted.trade_off.windows(2).all(falls), "{fitted:?}");
        }
    }

    #[test]
    fn the_best_of_all_pairs_of_thresholds_is_found() {
        let (odds, positive, groups) = shifted(60);
        let fitted = fit_thresholds(
            &odds,
            &positive,
            &groups,
            2,
            (Criterion::DemographicParity, 1.0),
        )
        .unwrap();
        // Every pair of numbers of selected samples, tried one by one.
        let ranked = |group: u32| {
            let own = odds.iter().zip(&positive).zip(&groups);
            let own = own.filter(|(_, of)| **of == group);
            let mut own: Vec<(f32, bool)> = own.map(|((&o, &p), _)| (o, p)).collect();
            own.sort_by(|a, b| b.0.total_cmp(&a.0));
            own
        };
        let right = |own: &[(f32, bool)], selected: usize| {
            let each = own.iter().enumerate();
            each.filter(|(at, (_, p))| (*at < selected) == *p).count()
        };
        let (a, b) = (ranked(0), ranked(1));
        for found in &fitted.trade_off {
            let mut best = 0;
            for i in 0..=a.len() {
                for j in 0..=b.len() {
                    let gap = (i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs();
                    if gap <= found.gap + 1e-12 {
                        best = best.max(right(&a, i) + right(&b, j));
                    }
                }
            }
            assert_eq!((found.accuracy * 60.0).round() as usize, best, "{found:?}");
        }
    }

    #[test]
    fn groups_without_one_of_the_classes_are_left_out_of_its_rate() {
        let odds = [1.0, -1.0, 2.0, -2.0, 0.5, 0.25];
        let positive = [true, false, true, false, true, true];
        let groups = [0, 0, 1, 1, 2, 2];
        let goal = (Criterion::EqualizedOdds, 0.0);
        let fitted = fit_thresholds(&odds, &positive, &groups, 3, goal).unwrap();
        assert_eq!((fitted.after.gap, fitted.after.accuracy), (0.0, 1.0));
        let message = fit_thresholds(&odds[4..], &positive[4..], &[0, 1], 2, goal)
            .unwrap_err()
            .to_string();
        assert!(message.contains("samples of both classes"), "{message}");
        assert!(fit_thresholds(&odds, &positive, &groups, 4, goal).is_err());
    }
}

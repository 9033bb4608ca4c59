//! How well scores rank the samples of a class before the others: ROC and precision-recall curves, the areas under them.

/// Most points of a curve.
const MOST_POINTS: usize = 256;
/// A point of a curve is kept if it lies this far, along an axis, from the last one that was kept.
const LEAST_DISTANCE: f64 = 1.0 / 128.0;
/// Points of an averaged curve.
const MEAN_POINTS: usize = 101;

/// How well a class is ranked before the others. The curves have a point for each threshold, thinned to at most 256.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Samples of the class.
    pub positives: usize,
    /// Area under the ROC curve, scikit-learn's `roc_auc_score`.
    pub area: f64,
    /// The mean of the precision at each threshold, weighted by the increase of recall: scikit-learn's `average_precision_score`.
    pub average_precision: f64,
    /// False positive rate and true positive rate, from (0, 0) to (1, 1).
    pub roc: Vec<(f64, f64)>,
    /// Recall and precision, from the highest threshold down.
    pub precision_recall: Vec<(f64, f64)>,
}

impl Ranking {
    /// The ranking by `scores`, of which the higher are for the class. Samples with equal scores share a threshold. `None` if all
    /// samples are of the class, or none.
    pub fn of(scores: &[f32], is_of_class: &[bool]) -> Option<Ranking> {
        let area = area_under_curve(scores, is_of_class)?;
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let positives = is_of_class.iter().filter(|&&is| is).count();
        let negatives = scores.len() - positives;
        let (mut inside, mut outside) = (0usize, 0usize);
        let mut roc = vec![(0.0, 0.0)];
        let mut precision_recall = Vec::new();
        let mut average_precision = 0.0;
        for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
            let added = tied.iter().filter(|&&index| is_of_class[index]).count();
            inside += added;
            outside += tied.len() - added;
            let recall = inside as f64 / positives as f64;
            let precision = inside as f64 / (inside + outside) as f64;
            average_precision += added as f64 / positives as f64 * precision;
            roc.push((outside as f64 / negatives as f64, recall));
            precision_recall.push((recall, precision));
        }
        Some(Ranking {
            positives,
            area,
            average_precision,
            roc: thinned(roc),
            precision_recall: thinned(precision_recall),
        })
    }

    /// The averages over several classes, each with the same weight: of the areas, and of the curves at 101 false positive rates
    /// and recalls. `None` without classes.
    pub fn mean<'a>(classes: impl Iterator<Item = &'a Ranking> + Clone) -> Option<Ranking> {
        let count = classes.clone().count();
        if count == 0 {
            return None;
        }
        let mean =
            |of: &dyn Fn(&Ranking) -> f64| classes.clone().map(of).sum::<f64>() / count as f64;
        let grid = (0..MEAN_POINTS).map(|i| i as f64 / (MEAN_POINTS - 1) as f64);
        let mut roc: Vec<(f64, f64)> = grid
            .clone()
            .map(|x| (x, mean(&|class| interpolated(&class.roc, x))))
            .collect();
        roc.insert(0, (0.0, 0.0));
        let precision_recall = grid
            .map(|x| (x, mean(&|class| precision_at(&class.precision_recall, x))))
            .collect();
        Some(Ranking {
            positives: classes.clone().map(|class| class.positives).sum(),
            area: mean(&|class| class.area),
            average_precision: mean(&|class| class.average_precision),
            roc,
            precision_recall,
        })
    }
}

/// The height of a curve at `x`, between its points; the highest of those at `x` itself.
fn interpolated(curve: &[(f64, f64)], x: f64) -> f64 {
    let after = curve.partition_point(|&(at, _)| at <= x);
    match (curve.get(after.wrapping_sub(1)), curve.get(after)) {
        (Some(&(x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        (Some(&(_, y)), None) | (None, Some(&(_, y))) => y,
        (None, None) => 0.0,
    }
}

/// The precision at the highest threshold that reaches a recall.
fn precision_at(curve: &[(f64, f64)], recall: f64) -> f64 {
    let at = curve.partition_point(|&(reached, _)| reached < recall);
    curve.get(at).or(curve.last()).map_or(0.0, |&(_, y)| y)
}

/// The first and the last point of a curve, and of the others those that lie apart.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let last = points.len().saturating_sub(1);
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for (index, point) in points.into_iter().enumerate() {
        let apart = kept.last().is_none_or(|before| {
            let distance = (point.0 - before.0).abs().max((point.1 - before.1).abs());
            distance >= LEAST_DISTANCE
        });
        if apart || index == last {
            kept.push(point);
        }
    }
    let every = kept.len().div_ceil(MOST_POINTS - 1).max(1);
    let last = kept.len().saturating_sub(1);
    let mut index = 0;
    kept.retain(|_| {
        index += 1;
        (index - 1) % every == 0 || index - 1 == last
    });
    kept
}

/// Area under the ROC curve: the probability that a sample of the class has a higher score than any other, with ties counting
/// half (Mann and Whitney 1947). `None` if all samples are of the class, or none.
pub fn area_under_curve(scores: &[f32], is_of_class: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = is_of_class.iter().filter(|&&is| is).count() as f64;
    let negatives = scores.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let mut sum = 0.0;
    let mut below = 0.0;
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let inside = tied.iter().filter(|&&index| is_of_class[index]).count() as f64;
        let outside = tied.len() as f64 - inside;
        sum += inside * (below + outside / 2.0);
        below += outside;
    }
    Some(sum / (positives * negatives))
}

/// The scores by which samples are ranked for `class`: of two classes the difference of the logits, else the probabilities, which
/// depend on the other logits too. `logits` are `[samples, classes]`.
fn class_scores(logits: &[f32], classes: usize, class: usize) -> Vec<f32> {
    let rows = logits.chunks_exact(classes.max(1));
    if classes == 2 {
        return rows.map(|row| row[class] - row[1 - class]).collect();
    }
    rows.map(|row| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let share = |x: f32| f64::from(x - largest).exp();
        let total: f64 = row.iter().map(|&x| share(x)).sum();
        // Rounding to f32 gives equal probabilities where the same logits come in another order.
        (share(row[class]) / total) as f32
    })
    .collect()
}

/// The ranking of each class against the rest, of two classes that of the second alone; `None` for a class without samples.
/// `logits` are `[samples, classes]`.
pub fn class_rankings(
    logits: &[f32],
    classes: usize,
    labels: &[u32],
) -> Vec<(usize, Option<Ranking>)> {
    let first = usize::from(classes == 2);
    let of = |class: usize| {
        let scores = class_scores(logits, classes, class);
        let is: Vec<bool> = labels
            .iter()
            .map(|&label| label as usize == class)
            .collect();
        (class, Ranking::of(&scores, &is))
    };
    (first..classes).map(of).collect()
}

/// AUC for two classes, or the mean over more classes, each against the rest. `logits` are `[samples, classes]`.
pub fn mean_area_under_curve(logits: &[f32], classes: usize, labels: &[u32]) -> Option<f64> {
    let first = usize::from(classes == 2);
    let areas = (first..classes).filter_map(|class| {
        let is: Vec<bool> = labels
            .iter()
            .map(|&label| label as usize == class)
            .collect();
        area_under_curve(&class_scores(logits, classes, class), &is)
    });
    let areas: Vec<f64> = areas.collect();
    (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bools(is: &[u8]) -> Vec<bool> {
        is.iter().map(|&i| i == 1).collect()
    }

    /// Values of scikit-learn's `roc_auc_score`.
    #[test]
    fn auc_agrees_with_scikit_learn() {
        let area = |scores: &[f32], is: &[u8]| area_under_curve(scores, &bools(is));
        assert_eq!(area(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]), Some(0.75));
        assert_eq!(area(&[0.5, 0.5, 0.5], &[1, 0, 1]), Some(0.5));
        assert_eq!(area(&[0.1, 0.2], &[1, 0]), Some(0.0));
        assert_eq!(area(&[0.1, 0.2], &[1, 1]), None);
        let logits = [2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 2.0, 0.0];
        let mean = mean_area_under_curve(&logits, 3, &[0, 1, 2, 2]).unwrap();
        assert!(
            (mean - (1.0 + 5.0 / 6.0 + 0.75) / 3.0).abs() < 1e-9,
            "{mean}"
        );
        assert_eq!(
            mean_area_under_curve(&[0.0, 1.0, 1.0, 0.0], 2, &[1, 0]),
            Some(1.0)
        );
    }

    /// Values of scikit-learn's `roc_auc_score`, `average_precision_score`, `roc_curve` and `precision_recall_curve` (1.9), of scores
    /// with ties.
    #[test]
    fn curves_agree_with_scikit_learn() {
        let is = bools(&[0, 1, 1, 0, 1, 0, 0, 1, 1, 0]);
        let scores = [1.0, 3.0, 2.0, 2.0, 5.0, 3.0, 1.0, 3.0, 4.0, 5.0];
        let found = Ranking::of(&scores, &is).unwrap();
        assert_eq!(found.positives, 5);
        assert!((found.area - 0.72).abs() < 1e-12, "{}", found.area);
        assert!((found.average_precision - 0.625).abs() < 1e-12);
        let roc = [
            (0.0, 0.0),
            (0.2, 0.2),
            (0.2, 0.4),
            (0.4, 0.8),
            (0.6, 1.0),
            (1.0, 1.0),
        ];
        assert_eq!(found.roc, roc);
        let two_thirds = 2.0 / 3.0;
        let precision_recall = [
            (0.2, 0.5),
            (0.4, two_thirds),
            (0.8, two_thirds),
            (1.0, 0.625),
            (1.0, 0.5),
        ];
        assert_eq!(found.precision_recall, precision_recall);
        let equal = Ranking::of(&[0.5; 4], &bools(&[0, 1, 1, 0])).unwrap();
        assert_eq!((equal.area, equal.average_precision), (0.5, 0.5));
        assert!(Ranking::of(&[0.5, 0.1], &bools(&[1, 1])).is_none());
    }

    /// Values of scikit-learn's `roc_auc_score` and `average_precision_score` (1.9) of softmax probabilities, of each class and
    /// with `average="macro"`.
    #[test]
    fn several_classes_agree_with_scikit_learn() {
        let logits = [
            [2.0, 0.0, -1.0],
            [0.0, 1.0, 0.0],
            [0.0, 1.0, 0.0],
            [1.0, 1.0, 1.0],
            [-1.0, 0.0, 2.0],
            [0.5, 0.0, 0.5],
            [0.0, 0.0, 3.0],
            [3.0, 0.0, 0.0],
        ];
        let labels = [0, 1, 2, 2, 2, 0, 1, 0];
        let found = class_rankings(logits.as_flattened(), 3, &labels);
        let found: Vec<Ranking> = found.into_iter().filter_map(|(_, found)| found).collect();
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found}");
        let wanted = [(1.0, 1.0), (0.5, 0.375), (19.0 / 30.0, 0.5)];
        for (found, (area, precision)) in found.iter().zip(wanted) {
            near(found.area, area);
            near(found.average_precision, precision);
        }
        let mean = Ranking::mean(found.iter()).unwrap();
        near(mean.area, 32.0 / 45.0);
        near(mean.average_precision, 0.625);
        assert_eq!(
            mean_area_under_curve(logits.as_flattened(), 3, &labels),
            Some(mean.area)
        );
    }

    #[test]
    fn curves_of_many_samples_are_bounded_and_keep_their_ends() {
        let count = 20_000;
        let scores: Vec<f32> = (0..count).map(|i| (i * 7919 % 10_007) as f32).collect();
        let is: Vec<bool> = (0..count).map(|i| (i * 104_729) % 13 < 5).collect();
        let found = Ranking::of(&scores, &is).unwrap();
        for curve in [&found.roc, &found.precision_recall] {
            assert!(curve.len() <= MOST_POINTS, "{}", curve.len());
        }
        assert_eq!(
            (found.roc[0], found.roc[found.roc.len() - 1]),
            ((0.0, 0.0), (1.0, 1.0))
        );
        assert_eq!(found.precision_recall.last().unwrap().0, 1.0);
    }

    #[test]
    fn the_mean_of_classes_is_that_of_their_curves() {
        let perfect = Ranking::of(&[0.0, 1.0], &bools(&[0, 1])).unwrap();
        let useless = Ranking::of(&[0.5, 0.5], &bools(&[0, 1])).unwrap();
        let mean = Ranking::mean([&perfect, &useless].into_iter()).unwrap();
        assert_eq!((mean.area, mean.average_precision), (0.75, 0.75));
        // At a false positive rate of 0.5, one curve is at 1 and the other at 0.5.
        assert_eq!(mean.roc[51], (0.5, 0.75));
        assert_eq!(mean.precision_recall[50], (0.5, 0.75));
        assert!(Ranking::mean([].into_iter()).is_none());
    }
}

//! Confident learning: which samples are probably labelled wrong, and how often a class is labelled as another (Northcutt, Jiang and
//! Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021).

mod listed;

pub use listed::{IssueSample, ListedIssues};

use super::{largest, softmax};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// How far below its threshold a probability may be by rounding.
const ROUNDING: f64 = 1e-6;

/// What confident learning finds in the probabilities of samples by a model that was not trained on them.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelIssues {
    /// Number of samples.
    pub samples: usize,
    /// The threshold of each class: the mean probability of the class among the samples that are labelled so; `None` without any.
    pub thresholds: Vec<Option<f64>>,
    /// The confident joint: how many samples of a given class, the first, have a probability of a class, the second, that is above its
    /// threshold, and the highest of those that are. Pairs without samples are left out, but for a class with itself, which has one at
    /// least.
    pub joint: BTreeMap<(u32, u32), u64>,
    /// The pairs of different classes of the joint, those first of which most samples are estimated.
    pub noise: Vec<LabelNoise>,
    /// Estimated number of samples that are labelled wrong.
    pub estimated: f64,
    /// The samples that are probably labelled wrong, the lowest margin first.
    pub issues: Vec<LabelIssue>,
}

/// How often a class is labelled as another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelNoise {
    /// The class that samples are labelled as.
    pub given: u32,
    /// Their true class.
    pub suggested: u32,
    /// Such samples in the confident joint.
    pub counted: u64,
    /// Estimated number of such samples among all.
    pub estimated: f64,
    /// Estimated share of the samples of the true class that is labelled as the given one.
    pub rate: f64,
}

/// A sample that is probably labelled wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelIssue {
    /// Its index.
    pub index: usize,
    /// The class that it is labelled as.
    pub given: u32,
    /// The class that it probably is of.
    pub suggested: u32,
    /// Probability of the given class: the self-confidence.
    pub given_probability: f64,
    /// Probability of the suggested class.
    pub suggested_probability: f64,
    /// Normalised margin: probability of the given class less the highest of the other classes, from -1 to 1.
    pub margin: f64,
}

impl LabelIssues {
    /// Of the probabilities by `logits`, `[samples, classes]`, of samples that are labelled as `labels`. A sample is an issue if it is
    /// counted in the confident joint for another class than its own, and the model predicts another one.
    ///
    /// # Errors
    /// If there are no samples, or a label is none of the classes.
    pub fn of(logits: &[f32], classes: usize, labels: &[u32]) -> Result<LabelIssues> {
        if labels.is_empty() {
            return Err(Error::Data(
                "wrong labels are looked for among samples, and there are none".to_string(),
            ));
        }
        if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
            return Err(Error::Data(format!(
                "a sample is of class {label}, and the model distinguishes {classes}"
            )));
        }
        let rows = || logits.chunks_exact(classes.max(1)).zip(labels);
        let mut sums = vec![(0.0, 0_u64); classes];
        for (row, &label) in rows() {
            let own = softmax(row).get(label as usize).copied();
            if let (Some(own), Some((sum, count))) = (own, sums.get_mut(label as usize)) {
                *sum += own;
                *count += 1;
            }
        }
        let mean = |&(sum, count): &(f64, u64)| (count > 0).then(|| sum / count as f64);
        let thresholds: Vec<Option<f64>> = sums.iter().map(mean).collect();
        let counts: Vec<u64> = sums.iter().map(|(_, count)| *count).collect();
        let mut joint: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        let mut issues = Vec::new();
        for (index, (row, &given)) in rows().enumerate() {
            let probabilities = softmax(row);
            let Some(suggested) = confident(&probabilities, &thresholds) else {
                continue;
            };
            *joint.entry((given, suggested)).or_default() += 1;
            if suggested != given && largest(&probabilities) != given as usize {
                issues.extend(LabelIssue::of(index, given, suggested, &probabilities));
            }
        }
        issues.sort_by(|a, b| a.margin.total_cmp(&b.margin));
        for (class, _) in (0..).zip(&counts).filter(|(_, count)| **count > 0) {
            joint.entry((class, class)).or_insert(1);
        }
        let noise = noise(&joint, &counts);
        Ok(LabelIssues {
            samples: labels.len(),
            thresholds,
            joint,
            estimated: noise.iter().map(|pair| pair.estimated).sum(),
            noise,
            issues,
        })
    }
}

impl LabelIssue {
    fn of(index: usize, given: u32, suggested: u32, probabilities: &[f64]) -> Option<LabelIssue> {
        let own = *probabilities.get(given as usize)?;
        let others = probabilities.iter().enumerate();
        let others = others.filter(|(class, _)| *class != given as usize);
        let other = others.fold(0.0, |most: f64, (_, &p)| most.max(p));
        Some(LabelIssue {
            index,
            given,
            suggested,
            given_probability: own,
            suggested_probability: *probabilities.get(suggested as usize)?,
            margin: own - other,
        })
    }
}

/// The most probable of the classes whose probabilities reach their thresholds.
fn confident(probabilities: &[f64], thresholds: &[Option<f64>]) -> Option<u32> {
    let mut best: Option<(u32, f64)> = None;
    for ((class, &p), threshold) in (0..).zip(probabilities).zip(thresholds) {
        let reaches = threshold.is_some_and(|threshold| p >= threshold - ROUNDING);
        if reaches && best.is_none_or(|(_, most)| p > most) {
            best = Some((class, p));
        }
    }
    best.map(|(class, _)| class)
}

/// The pairs of different classes, from the confident joint and the number of samples of each given class: each row of the joint is
/// scaled so that it sums to that number.
fn noise(joint: &BTreeMap<(u32, u32), u64>, counts: &[u64]) -> Vec<LabelNoise> {
    let mut of_rows = vec![0_u64; counts.len()];
    for (&(given, _), &count) in joint {
        if let Some(row) = of_rows.get_mut(given as usize) {
            *row += count;
        }
    }
    let estimated = |given: u32, counted: u64| {
        let (row, count) = (of_rows.get(given as usize), counts.get(given as usize));
        match (row, count) {
            (Some(&row), Some(&count)) if row > 0 => counted as f64 * count as f64 / row as f64,
            _ => 0.0,
        }
    };
    let mut of_true = vec![0.0; counts.len()];
    for (&(given, suggested), &counted) in joint {
        if let Some(column) = of_true.get_mut(suggested as usize) {
            *column += estimated(given, counted);
        }
    }
    let pairs = joint
        .iter()
        .filter(|((given, suggested), _)| given != suggested);
    let pairs = pairs.map(|(&(given, suggested), &counted)| {
        let estimated = estimated(given, counted);
        let all = of_true
            .get(suggested as usize)
            .copied()
            .unwrap_or(estimated);
        LabelNoise {
            given,
            suggested,
            counted,
            estimated,
            rate: estimated / all,
        }
    });
    let mut pairs: Vec<LabelNoise> = pairs.collect();
    pairs.sort_by(|a, b| b.estimated.total_cmp(&a.estimated));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(probabilities: &[f64]) -> Vec<f32> {
        probabilities.iter().map(|p| p.ln() as f32).collect()
    }

    /// By hand: thresholds (0.9 + 0.8 + 0.1) / 3 = 0.6 and (0.7 + 0.5) / 2 = 0.6. The third sample is labelled 0 and has 0.9 for 1; the
    /// last one reaches no threshold.
    #[test]
    fn a_sample_that_another_class_is_sure_of_is_an_issue() {
        let found = logits(&[0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.3, 0.7, 0.5, 0.5]);
        let found = LabelIssues::of(&found, 2, &[0, 0, 0, 1, 1]).unwrap();
        for threshold in &found.thresholds {
            assert!((threshold.unwrap() - 0.6).abs() < 1e-6, "{threshold:?}");
        }
        let joint = [((0, 0), 2), ((0, 1), 1), ((1, 1), 1)];
        assert_eq!(found.joint, BTreeMap::from(joint));
        let [issue] = found.issues[..] else {
            panic!("{:?}", found.issues);
        };
        assert_eq!((issue.index, issue.given, issue.suggested), (2, 0, 1));
        assert!((issue.margin + 0.8).abs() < 1e-6, "{issue:?}");
        // One of three samples labelled 0 is of class 1, which has three: that one and the two that are labelled so.
        let [pair] = found.noise[..] else {
            panic!("{:?}", found.noise);
        };
        assert!((pair.estimated - 1.0).abs() < 1e-9 && (pair.rate - 1.0 / 3.0).abs() < 1e-9);
        assert!((found.estimated - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_class_without_samples_is_never_suggested() {
        let found = logits(&[0.2, 0.1, 0.7, 0.1, 0.2, 0.7]);
        let found = LabelIssues::of(&found, 3, &[0, 1]).unwrap();
        assert_eq!((found.thresholds[2], found.issues.len()), (None, 0));
        assert!(LabelIssues::of(&[], 3, &[]).is_err());
        assert!(LabelIssues::of(&[0.0, 0.0], 2, &[2]).is_err());
    }
}

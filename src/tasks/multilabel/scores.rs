//! How well labels are predicted, each by itself: a sample is predicted to have a label if its probability is above one half, that is,
//! its logit above 0. Labels that are not known of a sample count nowhere.

use crate::data::{Samples, field};
use crate::tasks::scores::Ranking;

/// Scores of one label.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelScores {
    /// Samples of which it is known whether they have it.
    pub known: usize,
    /// Samples that have it and are predicted to.
    pub right: usize,
    /// Samples that are predicted to have it.
    pub predicted: usize,
    /// Samples that have it.
    pub positives: usize,
    /// How well samples are ranked by it; `None` if all known ones have it, or none.
    pub ranking: Option<Ranking>,
}

impl LabelScores {
    /// Share of the samples predicted to have it that do; 0 without any.
    pub fn precision(&self) -> f64 {
        share(self.right, self.predicted)
    }

    /// Share of the samples with it that are predicted to have it; 0 without any.
    pub fn recall(&self) -> f64 {
        share(self.right, self.positives)
    }

    /// The harmonic mean of both; 0 if no sample has it, or is predicted to.
    pub fn f1(&self) -> f64 {
        share(2 * self.right, self.predicted + self.positives)
    }
}

fn share(part: usize, all: usize) -> f64 {
    match all {
        0 => 0.0,
        all => part as f64 / all as f64,
    }
}

/// Scores of all labels.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    /// Those of each.
    pub labels: Vec<LabelScores>,
    /// Share of the samples of which all labels are predicted right, as scikit-learn's `accuracy_score` of several labels.
    pub exact_match: f64,
}

impl Scores {
    /// The scores of `logits`, `[samples, labels]`, of the first of `samples`; `None` if these have no labels or there are none.
    pub fn of(logits: &[f32], labels: usize, samples: &Samples) -> Option<Scores> {
        let count = logits.len() / labels.max(1);
        let truth: Vec<&[f32]> = (0..count)
            .map_while(|index| Some(samples.numbers(field::LABELS, index)?.0))
            .filter(|truth| truth.len() == labels)
            .collect();
        if count == 0 || truth.len() != count {
            return None;
        }
        let rows = || logits.chunks_exact(labels).zip(&truth);
        let is_right =
            |(&logit, &truth): (&f32, &f32)| truth < 0.0 || (logit > 0.0) == (truth > 0.5);
        let exact = rows().filter(|(row, truth)| row.iter().zip(truth.iter()).all(is_right));
        let of_label = |at: usize| {
            let known = rows().filter(|(_, truth)| truth[at] >= 0.0);
            let (logits, has): (Vec<f32>, Vec<bool>) =
                known.map(|(row, truth)| (row[at], truth[at] > 0.5)).unzip();
            let pairs = || logits.iter().map(|&logit| logit > 0.0).zip(&has);
            LabelScores {
                known: has.len(),
                right: pairs()
                    .filter(|&(predicted, &has)| predicted && has)
                    .count(),
                predicted: pairs().filter(|&(predicted, _)| predicted).count(),
                positives: has.iter().filter(|&&has| has).count(),
                ranking: Ranking::of(&logits, &has),
            }
        };
        Some(Scores {
            exact_match: share(exact.count(), count),
            labels: (0..labels).map(of_label).collect(),
        })
    }

    /// The mean area under the ROC curve of the labels that have one.
    pub fn area(&self) -> Option<f64> {
        let rankings = self
            .labels
            .iter()
            .filter_map(|label| label.ranking.as_ref());
        Ranking::mean(rankings).map(|mean| mean.area)
    }

    /// The mean F1 of the labels.
    pub fn macro_f1(&self) -> f64 {
        let sum: f64 = self.labels.iter().map(LabelScores::f1).sum();
        sum / self.labels.len().max(1) as f64
    }

    /// F1 of all labels of all samples together.
    pub fn micro_f1(&self) -> f64 {
        let sum = |of: fn(&LabelScores) -> usize| self.labels.iter().map(of).sum::<usize>();
        share(
            2 * sum(|label| label.right),
            sum(|label| label.predicted) + sum(|label| label.positives),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{RowSet, Targets, WindowRows};
    use serde_json::Value;

    fn samples(values: Vec<f32>, labels: usize) -> Samples {
        let count = values.len() / labels;
        Samples::from(RowSet {
            rows: WindowRows::Floats {
                values: vec![0.0; count],
                columns: 1,
            },
            starts: (0..count as u32).collect(),
            random_starts: false,
            length: 1,
            targets: Targets::Labels { values, labels },
        })
    }

    /// `tests/fixtures/multilabel.json`, which `make_multilabel.py` recorded.
    #[test]
    fn scores_are_those_of_scikit_learn() {
        let recorded = include_str!("../../../tests/fixtures/multilabel.json");
        let case: Value = serde_json::from_str(recorded).unwrap();
        let numbers = |key: &str| -> Vec<f32> {
            let rows = case[key].as_array().unwrap().iter();
            rows.flat_map(|row| row.as_array().unwrap())
                .map(|x| x.as_f64().unwrap() as f32)
                .collect()
        };
        let labels = case["auc_of_each"].as_array().unwrap().len();
        let found = Scores::of(
            &numbers("logits"),
            labels,
            &samples(numbers("truth"), labels),
        )
        .unwrap();
        let near = |found: f64, wanted: &Value| {
            let wanted = wanted.as_f64().unwrap();
            assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
        };
        near(found.area().unwrap(), &case["auc"]);
        near(found.macro_f1(), &case["macro_f1"]);
        near(found.micro_f1(), &case["micro_f1"]);
        near(found.exact_match, &case["exact_match"]);
        for (at, label) in found.labels.iter().enumerate() {
            let ranking = label.ranking.as_ref().unwrap();
            near(ranking.area, &case["auc_of_each"][at]);
            near(
                ranking.average_precision,
                &case["average_precision_of_each"][at],
            );
            near(label.f1(), &case["f1_of_each"][at]);
            near(label.precision(), &case["precision_of_each"][at]);
            near(label.recall(), &case["recall_of_each"][at]);
        }
    }

    #[test]
    fn labels_that_are_not_known_do_not_count() {
        let truth = vec![1.0, field::NOT_KNOWN, 0.0, 1.0, 1.0, field::NOT_KNOWN];
        let logits = [2.0, 5.0, -1.0, 1.0, -3.0, -5.0];
        let found = Scores::of(&logits, 2, &samples(truth, 2)).unwrap();
        let [first, second] = &found.labels[..] else {
            panic!("two labels")
        };
        assert_eq!(
            (first.known, first.right, first.predicted, first.positives),
            (3, 1, 1, 2)
        );
        assert_eq!(
            (
                second.known,
                second.right,
                second.predicted,
                second.positives
            ),
            (1, 1, 1, 1)
        );
        assert_eq!(first.ranking.as_ref().unwrap().area, 0.5);
        assert!(second.ranking.is_none());
        assert_eq!(found.exact_match, 2.0 / 3.0);
        assert_eq!(found.area(), Some(0.5));
        assert_eq!(LabelScores::default().f1(), 0.0);
        let none = Samples::new(3, Vec::new(), None);
        assert!(Scores::of(&logits, 2, &none).is_none());
    }
}

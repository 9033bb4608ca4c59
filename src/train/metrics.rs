//! What is told of a model beyond loss and score: top-5, the confusion matrix and what follows from it, the area under the
//! curve.

use serde_json::{Value, json};

/// The most classes with a confusion matrix: a kernel counts every cell.
pub const MOST_CONFUSED: usize = 100;

/// What is counted over a test set beside loss and score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// Share of samples with their class among the five likeliest, where there are more than five.
    pub top_5: Option<f64>,
    /// Mean squared error, where numbers are predicted, in units of their deviation.
    pub mse: Option<f64>,
    /// How often each class (row) was taken for each (column), where there are not too many.
    pub confusion: Option<Vec<Vec<u64>>>,
}

/// How well one class is told from the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Of the samples that were taken for it, the share that are; 0 if there are none.
    pub precision: f64,
    /// Of the samples that are, the share that were taken for it; 0 if there are none.
    pub recall: f64,
    /// The harmonic mean of the two; 0 if both are.
    pub f1: f64,
}

impl Details {
    /// Scores of each class.
    pub fn class_scores(&self) -> Option<Vec<ClassScores>> {
        let matrix = self.confusion.as_ref()?;
        let share = |part: u64, whole: u64| {
            if whole == 0 {
                0.0
            } else {
                part as f64 / whole as f64
            }
        };
        let scores = |class: usize| {
            let right = matrix[class][class];
            let taken: u64 = matrix.iter().map(|row| row[class]).sum();
            let (precision, recall) = (
                share(right, taken),
                share(right, matrix[class].iter().sum()),
            );
            let f1 = match precision + recall {
                0.0 => 0.0,
                sum => 2.0 * precision * recall / sum,
            };
            ClassScores {
                precision,
                recall,
                f1,
            }
        };
        Some((0..matrix.len()).map(scores).collect())
    }

    /// Mean of precision, recall and F1 over the classes that a sample is of or was taken for, as scikit-learn has it.
    pub fn macro_scores(&self) -> Option<ClassScores> {
        let matrix = self.confusion.as_ref()?;
        let occurs = |class: usize| {
            matrix[class].iter().any(|&n| n > 0) || matrix.iter().any(|row| row[class] > 0)
        };
        let scores = self.class_scores()?.into_iter().enumerate();
        let scores: Vec<ClassScores> = scores
            .filter(|&(class, _)| occurs(class))
            .map(|(_, scores)| scores)
            .collect();
        let mean = |of: fn(&ClassScores) -> f64| {
            scores.iter().map(of).sum::<f64>() / scores.len().max(1) as f64
        };
        Some(ClassScores {
            precision: mean(|s| s.precision),
            recall: mean(|s| s.recall),
            f1: mean(|s| s.f1),
        })
    }

    /// As keys of a line of JSON.
    pub fn to_json(&self) -> Value {
        let scores = self.macro_scores();
        json!({
            "top_5": self.top_5,
            "confusion": self.confusion,
            "precision": scores.map(|s| s.precision),
            "recall": scores.map(|s| s.recall),
            "f1": scores.map(|s| s.f1),
        })
    }
}

/// Area under the receiver operating characteristic: the probability that a sample of the class has a higher score than one
/// that is not, ties counting half (Mann and Whitney 1947). `None` if all samples are of the class, or none.
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

/// Area under the curve of two classes, or the mean over more, each against the rest. `logits` are `[samples, classes]`.
pub fn mean_area_under_curve(logits: &[f32], classes: usize, labels: &[u32]) -> Option<f64> {
    let rows = || logits.chunks_exact(classes);
    let of_class = |class: usize| {
        // The share of a class, in which the other logits matter too.
        let scores: Vec<f32> = rows()
            .map(|row| {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let share = |x: f32| f64::from(x - largest).exp();
                let total: f64 = row.iter().map(|&x| share(x)).sum();
                // Rounded, so that equal logits in another order give equal shares.
                (share(row[class]) / total) as f32
            })
            .collect();
        let is: Vec<bool> = labels
            .iter()
            .map(|&label| label as usize == class)
            .collect();
        area_under_curve(&scores, &is)
    };
    if classes == 2 {
        let scores: Vec<f32> = rows().map(|row| row[1] - row[0]).collect();
        let is: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
        return area_under_curve(&scores, &is);
    }
    let areas: Vec<f64> = (0..classes).filter_map(of_class).collect();
    (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_follow_from_the_matrix() {
        let details = Details {
            confusion: Some(vec![vec![3, 1, 0], vec![2, 4, 0], vec![0, 0, 0]]),
            ..Details::default()
        };
        let scores = details.class_scores().unwrap();
        assert_eq!((scores[0].precision, scores[0].recall), (0.6, 0.75));
        assert!((scores[0].f1 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            scores[2],
            ClassScores {
                precision: 0.0,
                recall: 0.0,
                f1: 0.0
            }
        );
        // The third class neither occurs nor is predicted, so it has no part in the means.
        let means = details.macro_scores().unwrap();
        assert!((means.recall - (0.75 + 4.0 / 6.0) / 2.0).abs() < 1e-12);
        assert_eq!(Details::default().macro_scores(), None);
    }

    /// Values of scikit-learn's `roc_auc_score`.
    #[test]
    fn the_area_is_that_of_the_textbook() {
        let area = |scores: &[f32], is: &[u8]| {
            area_under_curve(scores, &is.iter().map(|&i| i == 1).collect::<Vec<_>>())
        };
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
}

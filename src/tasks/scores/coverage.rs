//! Selective prediction: how accurate a classifier is if it only predicts the samples of which it is most confident.

use super::{largest, softmax};
use serde_json::{Value, json};

/// The coverages that are listed.
pub const COVERAGES: [f64; 8] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];
/// Points of a curve.
const CURVE: usize = 200;

/// Accuracy over coverage, the share of the samples that is predicted: those with the highest confidence, which is the probability of the
/// predicted class.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectivePrediction {
    /// One for each of [`COVERAGES`].
    pub points: Vec<CoveragePoint>,
    /// Area under the risk-coverage curve: the error rate, averaged over all coverages (Geifman and El-Yaniv, "Selective Classification
    /// for Deep Neural Networks", 2017). Lower is better.
    pub area: f64,
    /// Coverage and accuracy at up to 200 equal distances.
    pub curve: Vec<(f64, f64)>,
}

/// What is predicted at a coverage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoveragePoint {
    /// The least share of the samples that is predicted.
    pub coverage: f64,
    /// The share of these that is predicted right.
    pub accuracy: f64,
    /// The lowest confidence among them.
    pub threshold: f64,
}

impl SelectivePrediction {
    /// Of predictions by `logits`, `[samples, classes]`; `None` without samples. Among samples of the same confidence, errors count as if
    /// spread evenly, so that the order of samples does not matter.
    pub fn of(logits: &[f32], classes: usize, labels: &[u32]) -> Option<SelectivePrediction> {
        let rows = logits.chunks_exact(classes.max(1)).zip(labels);
        let judged = rows.map(|(row, &label)| {
            let probabilities = softmax(row);
            let predicted = largest(&probabilities);
            let confidence = probabilities.get(predicted).copied().unwrap_or(f64::NAN);
            (confidence, predicted != label as usize)
        });
        let mut judged: Vec<(f64, bool)> = judged.collect();
        judged.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let mut errors = Vec::with_capacity(judged.len());
        let mut before = 0.0;
        for equal in judged.chunk_by(|(a, _), (b, _)| a == b) {
            let own = equal.iter().filter(|(_, wrong)| *wrong).count() as f64;
            let share = own / equal.len() as f64;
            errors.extend((1..=equal.len()).map(|place| before + share * place as f64));
            before += own;
        }
        let risks: Vec<f64> = (1_u32..)
            .zip(&errors)
            .map(|(kept, errors)| errors / f64::from(kept))
            .collect();
        let count = risks.len();
        let at = |coverage: f64| {
            // A share such as 0.7 of 10 samples is 7 of them, although 0.7 is not exact.
            let kept = (coverage * count as f64 - 1e-9).ceil() as usize;
            let place = kept.clamp(1, count.max(1)) - 1;
            let (confidence, _) = judged.get(place)?;
            Some(CoveragePoint {
                coverage,
                accuracy: 1.0 - risks.get(place)?,
                threshold: *confidence,
            })
        };
        let curve = (1..=CURVE.min(count)).filter_map(|step| {
            let coverage = step as f64 / CURVE.min(count) as f64;
            Some((coverage, at(coverage)?.accuracy))
        });
        Some(SelectivePrediction {
            points: COVERAGES
                .iter()
                .map(|&share| at(share))
                .collect::<Option<_>>()?,
            area: risks.iter().sum::<f64>() / count as f64,
            curve: curve.collect(),
        })
    }
}

impl CoveragePoint {
    /// A line of JSON; `scaled` says whether confidences are by a temperature.
    pub fn to_json(self, scaled: bool) -> Value {
        json!({
            "event": "coverage",
            "scaled": scaled,
            "coverage": self.coverage,
            "accuracy": self.accuracy,
            "threshold": self.threshold,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of two classes whose second has this probability.
    fn logits(probabilities: &[f64]) -> Vec<f32> {
        let each = probabilities
            .iter()
            .flat_map(|p| [0.0, (p / (1.0 - p)).ln() as f32]);
        each.collect()
    }

    /// By hand: confidences 0.9 right, 0.8 wrong, 0.7 right, 0.6 wrong; risks 0, 1/2, 1/3, 1/2.
    #[test]
    fn the_most_confident_samples_are_predicted_first() {
        let found =
            SelectivePrediction::of(&logits(&[0.6, 0.9, 0.3, 0.8]), 2, &[0, 1, 0, 0]).unwrap();
        assert!((found.area - (0.5 + 1.0 / 3.0 + 0.5) / 4.0).abs() < 1e-9);
        let half = found.points[0];
        assert_eq!((half.coverage, half.accuracy), (0.5, 0.5));
        assert!((half.threshold - 0.8).abs() < 1e-6, "{half:?}");
        assert_eq!(found.points[7].accuracy, 0.5);
        assert_eq!(found.curve.len(), 4);
        assert_eq!(found.curve[0], (0.25, 1.0));
    }

    #[test]
    fn the_order_of_samples_with_equal_confidence_does_not_matter() {
        let equal = logits(&[0.75; 4]);
        let one = SelectivePrediction::of(&equal, 2, &[1, 1, 0, 0]).unwrap();
        let other = SelectivePrediction::of(&equal, 2, &[0, 1, 0, 1]).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.area, 0.5);
        // As where probabilities are too near to 1 to differ.
        let certain = SelectivePrediction::of(&[0.0, 100.0, 0.0, 200.0], 2, &[0, 1]).unwrap();
        assert_eq!(certain.points[0].accuracy, 0.5);
        assert_eq!(SelectivePrediction::of(&[], 2, &[]), None);
    }
}

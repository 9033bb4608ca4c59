//! How good probabilities are: calibration errors and proper scores.

use super::Calibration;
use crate::tasks::scores::{cross_entropy, softmax};
use serde_json::{Map, Value};

/// Scores of the probabilities that samples have of their classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbabilityScores {
    /// Number of samples.
    pub samples: usize,
    /// Share of the samples that is predicted right.
    pub accuracy: f64,
    /// Mean probability of the predicted class.
    pub confidence: f64,
    /// Expected calibration error (Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017).
    pub expected_error: f64,
    /// Maximum calibration error, of the same.
    pub maximum_error: f64,
    /// Brier score: the sum over the classes of the squared differences of probability and truth, averaged over the samples, from 0 to 2
    /// (Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950).
    pub brier: f64,
    /// Mean negative log-likelihood of the true classes, in nats.
    pub nll: f64,
}

impl ProbabilityScores {
    /// Of the probabilities by `logits`, `[samples, classes]`, of samples of the classes `labels`.
    pub fn of(logits: &[f32], classes: usize, labels: &[u32]) -> ProbabilityScores {
        let bins = Calibration::of(logits, classes, labels);
        let rows = || logits.chunks_exact(classes.max(1)).zip(labels);
        let count = rows().count().max(1) as f64;
        let squares = rows().map(|(row, &label)| {
            let each = softmax(row).into_iter().enumerate();
            let differences = each.map(|(class, p)| match class == label as usize {
                true => p - 1.0,
                false => p,
            });
            differences.map(|d| d * d).sum::<f64>()
        });
        let losses = rows().map(|(row, &label)| cross_entropy(row, label as usize));
        ProbabilityScores {
            samples: bins.samples(),
            accuracy: bins.accuracy(),
            confidence: bins.confidence(),
            expected_error: bins.expected_error(),
            maximum_error: bins.maximum_error(),
            brier: squares.sum::<f64>() / count,
            nll: losses.sum::<f64>() / count,
        }
    }

    /// The figures by their keys in JSON.
    pub fn to_json(self) -> Map<String, Value> {
        let figures = [
            ("confidence", self.confidence),
            ("ece", self.expected_error),
            ("mce", self.maximum_error),
            ("brier", self.brier),
            ("nll", self.nll),
        ];
        figures
            .into_iter()
            .map(|(key, value)| (key.to_string(), value.into()))
            .collect()
    }
}

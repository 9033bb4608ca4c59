//! Scores of classifiers from the logits of all samples: confusion matrix, ranking (ROC and precision-recall curves), calibration and
//! selective prediction, with their sections of a report; wrong labels; and how alike groups of samples are treated.

mod bleu;
mod calibration;
mod confusion;
mod coverage;
mod embedding;
mod errors;
pub mod fairness;
mod label_issues;
mod mistakes;
mod ranking;
mod sections;

pub use bleu::{Bleu, tokens_13a};
pub(super) use calibration::calibration_section;
pub use calibration::{
    Calibrated, Calibration, CalibrationBin, CalibrationReport, Judged, MOST_TEMPERATURE,
    ProbabilityScores, fit_temperature, scaled,
};
pub use confusion::{ClassScores, Confusion, MOST_CONFUSED};
pub use coverage::{COVERAGES, CoveragePoint, SelectivePrediction};
pub(super) use embedding::components_section;
pub use embedding::{Components, nearest_neighbour_accuracy};
pub use errors::NumberErrors;
pub use label_issues::{IssueSample, LabelIssue, LabelIssues, LabelNoise, ListedIssues};
pub use mistakes::confident_mistakes;
pub use ranking::{Ranking, area_under_curve, class_rankings, mean_area_under_curve};
pub(super) use sections::{label_rankings, rankings};

/// Probabilities of the classes, from their logits.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits
        .iter()
        .map(|&x| f64::from(x - largest).exp())
        .collect();
    let total: f64 = exps.iter().sum();
    exps.into_iter().map(|e| e / total).collect()
}

/// The cross-entropy of a sample of class `label`: its negative log-probability, from the logits.
pub fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps = logits.iter().map(|&x| f64::from(x - largest).exp());
    let own = logits.get(label).copied().unwrap_or(f32::NAN);
    exps.sum::<f64>().ln() - f64::from(own - largest)
}

/// The class with the largest value, the first of those that are equal.
pub fn largest(values: &[f64]) -> usize {
    let each = values.iter().enumerate();
    each.fold(0, |best, (class, &value)| match value > values[best] {
        true => class,
        false => best,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cross_entropy_of_a_sample_is_its_negative_log_probability() {
        let logits = [1.0, -2.0, 0.5];
        let probabilities = softmax(&logits);
        for (label, probability) in probabilities.iter().enumerate() {
            assert!((cross_entropy(&logits, label) + probability.ln()).abs() < 1e-12);
        }
        // Also where the probability is too small for a number.
        assert_eq!(cross_entropy(&[0.0, 2000.0], 0), 2000.0);
        assert_eq!(largest(&probabilities), 0);
        assert_eq!(largest(&[0.25, 0.5, 0.5]), 1);
    }
}

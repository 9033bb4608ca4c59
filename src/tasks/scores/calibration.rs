//! Calibration: whether predictions are right as often as their confidence says.

mod probabilities;
mod report;
mod section;
mod temperature;

pub use probabilities::ProbabilityScores;
pub use report::{Calibrated, CalibrationReport, Judged};
pub use section::calibration_section;
pub use temperature::{MOST_TEMPERATURE, fit_temperature, scaled};

use super::{largest, softmax};

/// Number of bins of equal width, as of Guo et al. 2017.
const BINS: usize = 15;

/// Samples in bins of confidence, the probability of the predicted class.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The bins, from the lowest confidence. Bin m of 15, from 0, holds confidences above m/15, up to (m + 1)/15.
    pub bins: Vec<CalibrationBin>,
}

/// The samples whose confidence lies in a range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CalibrationBin {
    /// Number of samples.
    pub samples: usize,
    /// Those of them that were predicted right.
    pub right: usize,
    /// Sum of their confidences.
    pub confidence: f64,
}

impl Calibration {
    /// Of predictions by `logits`, `[samples, classes]`; samples whose logits are not finite are left out.
    pub fn of(logits: &[f32], classes: usize, labels: &[u32]) -> Calibration {
        let mut bins = vec![CalibrationBin::default(); BINS];
        for (row, &label) in logits.chunks_exact(classes.max(1)).zip(labels) {
            let probabilities = softmax(row);
            let predicted = largest(&probabilities);
            let Some(&confidence) = probabilities.get(predicted).filter(|p| p.is_finite()) else {
                continue;
            };
            let at = (confidence * BINS as f64).ceil() as usize;
            let bin = &mut bins[at.clamp(1, BINS) - 1];
            bin.samples += 1;
            bin.right += usize::from(predicted == label as usize);
            bin.confidence += confidence;
        }
        Calibration { bins }
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.bins.iter().map(|bin| bin.samples).sum()
    }

    /// Share of the samples that were predicted right.
    pub fn accuracy(&self) -> f64 {
        let right: usize = self.bins.iter().map(|bin| bin.right).sum();
        right as f64 / self.samples().max(1) as f64
    }

    /// Mean confidence.
    pub fn confidence(&self) -> f64 {
        let sum: f64 = self.bins.iter().map(|bin| bin.confidence).sum();
        sum / self.samples().max(1) as f64
    }

    /// Expected calibration error: the difference of accuracy and mean confidence of a bin, averaged over the samples.
    pub fn expected_error(&self) -> f64 {
        let differences = self
            .bins
            .iter()
            .map(|bin| (bin.right as f64 - bin.confidence).abs());
        differences.sum::<f64>() / self.samples().max(1) as f64
    }

    /// Maximum calibration error: the largest difference of accuracy and mean confidence of a bin.
    pub fn maximum_error(&self) -> f64 {
        let filled = self.bins.iter().filter(|bin| bin.samples > 0);
        let differences =
            filled.map(|bin| (bin.right as f64 - bin.confidence).abs() / bin.samples as f64);
        differences.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests;

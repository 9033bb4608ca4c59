//! Scores of pixels: intersection over union (IoU) and pixel accuracy.

use super::PIXELS;
use crate::tasks::Counters;

/// Pixel counts of an evaluation, by class.
pub(super) struct PixelScores {
    /// Pixels of the class that were predicted correctly.
    pub right: Vec<f64>,
    /// Pixels that belong to the class or were predicted as it.
    either: Vec<f64>,
    /// Pixels of the class.
    of_class: Vec<f64>,
}

impl PixelScores {
    /// Intersection over union of a class; `None` if no pixel belongs to it or was predicted as it.
    pub fn iou(&self, class: usize) -> Option<f64> {
        (self.either[class] > 0.0).then(|| self.right[class] / self.either[class])
    }

    /// The mean IoU of the classes that occur or were predicted.
    pub fn mean_iou(&self) -> Option<f64> {
        let all: Vec<f64> = (0..self.right.len())
            .filter_map(|class| self.iou(class))
            .collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }

    /// The mean Dice coefficient, `2 right / (predicted + belonging)`, of the classes that occur or were predicted.
    pub fn mean_dice(&self) -> Option<f64> {
        let dice = |iou: f64| 2.0 * iou / (1.0 + iou);
        let all: Vec<f64> = (0..self.right.len())
            .filter_map(|class| self.iou(class).map(dice))
            .collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }

    /// The share of the pixels that were predicted correctly.
    pub fn pixel_accuracy(&self) -> Option<f64> {
        let total: f64 = self.of_class.iter().sum();
        (total > 0.0).then(|| self.right.iter().sum::<f64>() / total)
    }
}

/// The scores from the counters; `None` in a training step, which does not count pixels.
pub(super) fn scores(counters: &Counters) -> Option<PixelScores> {
    let counted = counters.tensor(PIXELS)?;
    let classes = counted.dims().last().copied()?;
    let row = |at: usize| -> Vec<f64> {
        let row = &counted.reals()[at * classes..][..classes];
        row.iter().map(|&count| f64::from(count)).collect()
    };
    let [right, predicted, of_class] = [0, 1, 2].map(row);
    let either = (0..classes)
        .map(|class| predicted[class] + of_class[class] - right[class])
        .collect();
    Some(PixelScores {
        right,
        either,
        of_class,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_does_not_occur_does_not_count_in_the_mean() {
        let scores = PixelScores {
            right: vec![3.0, 0.0],
            either: vec![4.0, 0.0],
            of_class: vec![4.0, 0.0],
        };
        assert_eq!(scores.iou(1), None);
        assert_eq!(scores.mean_iou(), Some(0.75));
        // 3 right, 4 in either: 3.5 in each on average.
        assert_eq!(scores.mean_dice(), Some(6.0 / 7.0));
    }
}

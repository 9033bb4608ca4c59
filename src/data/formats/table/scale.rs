//! Mean and standard deviation of a column of numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Scale of a column of numbers: a model reads or predicts `(value - mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scale {
    /// Mean of the training part.
    pub mean: f64,
    /// Standard deviation of the training part; 1 if its numbers are equal up to rounding.
    pub std: f64,
}

impl Scale {
    /// The scale of `numbers`. Their variance counts as 0 if it is within the rounding error of their mean, by the bound of
    /// scikit-learn's `StandardScaler`.
    pub(super) fn of(numbers: &[f64]) -> Scale {
        let count = numbers.len().max(1) as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
        let rounding = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
        let std = if variance > rounding {
            variance.sqrt()
        } else {
            1.0
        };
        Scale { mean, std }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_deviation_one() {
        for (number, count) in [(14.63, 48), (0.1, 999), (-1e300, 3), (0.0, 5), (1e-300, 7)] {
            assert_eq!(Scale::of(&vec![number; count]).std, 1.0, "{number}");
        }
        assert_eq!(
            Scale::of(&[1.5, 2.5]),
            Scale {
                mean: 2.0,
                std: 0.5
            }
        );
        // Seconds since 1970 that differ by little, and numbers that are all tiny.
        assert_eq!(Scale::of(&[1.6e9, 1.6e9 + 2.0]).std, 1.0);
        assert!(Scale::of(&[1.6e9, 1.6e9 + 4.0]).std == 2.0);
        assert!(Scale::of(&[1e-9, 3e-9]).std < 2e-9);
    }
}

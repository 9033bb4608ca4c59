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

    /// The shortest decimal number that a model reads as `scaled`. It is within the rounding error of an f32, so a cell such as 505
    /// comes back as 505 and not as 505.00000618.
    pub fn restore(&self, scaled: f32) -> f64 {
        let number = f64::from(scaled) * self.std + self.mean;
        let rounded = |digits: usize| format!("{number:.digits$e}").parse().unwrap_or(number);
        // No number is shorter than 0, which has no digits by which the others are tried.
        let mut shorter = std::iter::once(0.0).chain((0..f64::DIGITS as usize).map(rounded));
        let is_read_as_scaled = |shorter: &f64| ((shorter - self.mean) / self.std) as f32 == scaled;
        shorter.find(is_read_as_scaled).unwrap_or(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cells_come_back_as_they_were_written(
            cells in prop::collection::vec(-99_999i32..100_000, 2..20),
            unit in prop::sample::select(&[0.01, 0.1, 1.0, 1000.0][..]),
        ) {
            let numbers: Vec<f64> = cells.iter().map(|&cell| format!("{}", f64::from(cell) * unit).parse().unwrap()).collect();
            let scale = Scale::of(&numbers);
            for number in numbers {
                let scaled = ((number - scale.mean) / scale.std) as f32;
                let restored = scale.restore(scaled);
                prop_assert_eq!(((restored - scale.mean) / scale.std) as f32, scaled);
                prop_assert!(restored.to_string().len() <= number.to_string().len(), "{} of {}", restored, number);
            }
        }
    }

    #[test]
    fn numbers_that_are_not_finite_stay_so() {
        let scale = Scale {
            mean: 1.0,
            std: 2.0,
        };
        assert!(scale.restore(f32::NAN).is_nan());
        assert_eq!(scale.restore(f32::INFINITY), f64::INFINITY);
        let scale = Scale {
            mean: 582.4,
            std: 2543.6,
        };
        assert_eq!(scale.restore((-582.4f64 / 2543.6) as f32), 0.0);
        let scale = Scale {
            mean: 312.4,
            std: 119.7,
        };
        assert_eq!(
            scale.restore(((505.0 - scale.mean) / scale.std) as f32),
            505.0
        );
    }

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

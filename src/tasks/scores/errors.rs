//! Errors of predicted numbers in the units of a target.

use crate::html::plot::significant;
use serde::Serialize;

/// Errors of the predictions of one target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NumberErrors {
    /// Mean absolute error, in the unit of the target.
    pub mae: f64,
    /// Root of the mean squared error, in the unit of the target.
    pub rmse: f64,
    /// Mean absolute error as a share of the true number; `None` if one of them is 0. scikit-learn's
    /// `mean_absolute_percentage_error`.
    pub mape: Option<f64>,
    /// Share of the variance that is explained: 1 is perfect, 0 as good as the mean; `None` if the true numbers are all equal.
    /// scikit-learn's `r2_score`.
    pub r2: Option<f64>,
}

impl NumberErrors {
    /// The errors of `pairs` of a true and a predicted number; `None` if there are none.
    pub fn of(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> Option<NumberErrors> {
        let count = pairs.clone().count();
        if count == 0 {
            return None;
        }
        let mean = |of: &dyn Fn(f64, f64) -> f64| {
            pairs
                .clone()
                .map(|(truth, predicted)| of(truth, predicted))
                .sum::<f64>()
                / count as f64
        };
        let centre = mean(&|truth, _| truth);
        let squared = mean(&|truth, predicted| (predicted - truth).powi(2));
        let variance = mean(&|truth, _| (truth - centre).powi(2));
        let has_zero = pairs.clone().any(|(truth, _)| truth == 0.0);
        Some(NumberErrors {
            mae: mean(&|truth, predicted| (predicted - truth).abs()),
            rmse: squared.sqrt(),
            mape: (!has_zero)
                .then(|| mean(&|truth, predicted| ((predicted - truth) / truth).abs())),
            r2: (variance > 0.0).then(|| 1.0 - squared / variance),
        })
    }

    /// All of them on one line.
    pub fn show(&self) -> String {
        let mut text = format!(
            "mae {}, rmse {}",
            significant(self.mae, 4),
            significant(self.rmse, 4)
        );
        if let Some(mape) = self.mape {
            text += &format!(", mape {:.1}%", 100.0 * mape);
        }
        if let Some(r2) = self.r2 {
            text += &format!(", R² {r2:.3}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of scikit-learn 1.9 for these numbers.
    #[test]
    fn errors_are_those_of_scikit_learn() {
        let pairs = [(3.0, 2.5), (-0.5, 0.0), (2.0, 2.0), (7.0, 8.0)];
        let errors = NumberErrors::of(pairs.into_iter()).unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(errors.mae, 0.5));
        assert!(close(errors.rmse, 0.375_f64.sqrt()));
        assert!(close(errors.mape.unwrap(), 0.327_380_952_380_952_4));
        assert!(close(errors.r2.unwrap(), 0.948_608_137_044_967_8));
    }

    #[test]
    fn shares_of_zero_and_of_no_variance_are_left_out() {
        let errors = NumberErrors::of([(0.0, 1.0), (0.0, -1.0)].into_iter()).unwrap();
        assert_eq!(
            (errors.mae, errors.rmse, errors.mape, errors.r2),
            (1.0, 1.0, None, None)
        );
        assert!(NumberErrors::of(std::iter::empty()).is_none());
    }
}

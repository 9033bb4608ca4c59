//! Integrated gradients of single rows: what the cells of each column add to a prediction, beginning with a row of zeros, which is the
//! mean of numbers and no category (Sundararajan et al., "Axiomatic Attribution for Deep Networks", 2017).

use super::{TableExplainer, TableSample};
use crate::data::Column;
use crate::error::Result;
use crate::explain::quadrature::gauss_legendre;
use std::ops::Range;

/// What the cells of a row add to a prediction.
#[derive(Clone, Debug)]
pub struct RowAttributions {
    /// For each column: what its cell adds to the logit of the class, or to the number in its own unit.
    pub values: Vec<f64>,
    /// How far their sum is from the prediction less that of a row of zeros, as a share of that difference.
    pub completeness: f64,
}

/// A row with its explanation.
#[derive(Clone, Debug)]
pub struct ExplainedRow {
    /// What it is called.
    pub name: String,
    /// Its predictions in words.
    pub predictions: String,
    /// The class or the number that is explained.
    pub explained: String,
    /// Each column with its cell as text.
    pub cells: Vec<(String, String)>,
    /// What the cells add.
    pub attributions: RowAttributions,
}

impl TableExplainer<'_> {
    /// The predictions for the row number `index`: probabilities of classes, or numbers in their own units.
    ///
    /// # Errors
    /// If the device failed.
    pub fn predictions(&mut self, sample: &TableSample, index: usize) -> Result<Vec<f64>> {
        let found = self.model.predict(sample.row(index))?;
        Ok(self.readable(&found))
    }

    /// Each column of the row number `index` with its cell as text.
    pub fn cells(&self, sample: &TableSample, index: usize) -> Vec<(String, String)> {
        let row = sample.row(index);
        let each = self.columns.iter().zip(&self.places);
        let cell = |(column, place): (&Column, &Range<usize>)| {
            let values = row.get(place.clone()).unwrap_or_default();
            (column.name.clone(), column.cell(values))
        };
        each.map(cell).collect()
    }

    /// What the cells of the row number `index` add to the prediction number `output`, by a quadrature over `steps` points.
    ///
    /// # Errors
    /// If the device failed.
    pub fn attributions(
        &mut self,
        sample: &TableSample,
        index: usize,
        output: usize,
        steps: usize,
    ) -> Result<RowAttributions> {
        let row = sample.row(index);
        let nodes = gauss_legendre(steps);
        let mut slopes = vec![0.0; row.len()];
        for some in nodes.chunks(self.model.batch().max(1)) {
            let points: Vec<f32> = some
                .iter()
                .flat_map(|(at, _)| row.iter().map(move |x| *at as f32 * x))
                .collect();
            let found = self.model.gradients(&points, output)?;
            for ((_, weight), own) in some.iter().zip(found.chunks_exact(row.len().max(1))) {
                for (sum, slope) in slopes.iter_mut().zip(own) {
                    *sum += weight * f64::from(*slope);
                }
            }
        }
        // A number is predicted in units of its deviation.
        let unit = self.scales.get(output).map_or(1.0, |scale| scale.std);
        let each: Vec<f64> = slopes
            .iter()
            .zip(row)
            .map(|(slope, x)| unit * slope * f64::from(*x))
            .collect();
        let values: Vec<f64> = self
            .places
            .iter()
            .map(|place| each.get(place.clone()).unwrap_or_default().iter().sum())
            .collect();
        let mut prediction = |row: &[f32]| -> Result<f64> {
            let found = self.model.predict(row)?;
            Ok(unit * found.get(output).map_or(f64::NAN, |&x| f64::from(x)))
        };
        let difference = prediction(row)? - prediction(&vec![0.0; row.len()])?;
        let missed = (values.iter().sum::<f64>() - difference).abs();
        Ok(RowAttributions {
            values,
            completeness: missed / difference.abs().max(f64::MIN_POSITIVE),
        })
    }
}

//! Partial dependence: the mean prediction where all rows have the same cell in a column (Friedman, "Greedy Function Approximation",
//! 2001; scikit-learn's `partial_dependence` by brute force).
//!
//! The cells are some of those in the rows: of numbers and dates quantiles, of categories the most frequent ones.

use super::{TableExplainer, TableSample};
use crate::data::{Column, ColumnKind, Scale};
use crate::error::Result;
use std::collections::BTreeMap;

/// Most cells of a column that are tried.
const MOST_CELLS: usize = 20;
/// The share of the smallest numbers, and of the largest ones, that are left out: single ones would stretch the curve.
const TAIL: f64 = 0.05;

/// The mean predictions by the cell of a column.
#[derive(Clone, Debug)]
pub struct PartialDependence {
    /// Name of the column.
    pub column: String,
    /// Each cell as text.
    pub cells: Vec<String>,
    /// Each cell as a number; empty if they are categories.
    pub numbers: Vec<f64>,
    /// For each cell the mean of each prediction: probabilities of classes, or numbers in their own units.
    pub means: Vec<Vec<f64>>,
}

impl PartialDependence {
    /// The difference between the largest and the smallest mean of the prediction number `output`.
    pub fn range(&self, output: usize) -> f64 {
        let means = || self.means.iter().filter_map(|means| means.get(output));
        let high = means().copied().fold(f64::NEG_INFINITY, f64::max);
        high - means().copied().fold(f64::INFINITY, f64::min)
    }
}

impl TableExplainer<'_> {
    /// The mean predictions for the rows of `sample` by the cell of the column number `column`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn dependence(
        &mut self,
        sample: &TableSample,
        column: usize,
    ) -> Result<Option<PartialDependence>> {
        let (Some(own), Some(place)) = (self.columns.get(column), self.places.get(column)) else {
            return Ok(None);
        };
        let (own, place) = (own.clone(), place.clone());
        let cells: Vec<&[f32]> = (0..sample.len())
            .filter_map(|index| sample.row(index).get(place.clone()))
            .collect();
        let chosen = chosen(&own, cells);
        let outputs = self.outputs.len().max(1);
        let mut means = Vec::with_capacity(chosen.len());
        for cell in &chosen {
            let predictions = self.predict(sample.len(), |index, rows| {
                let first = rows.len();
                rows.extend_from_slice(sample.row(index));
                if let Some(own) = rows.get_mut(first + place.start..first + place.end) {
                    own.copy_from_slice(cell);
                }
            })?;
            let mut sums = vec![0.0; outputs];
            for row in predictions.chunks_exact(outputs) {
                let values = self.readable(row);
                sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
            }
            let count = sample.len().max(1) as f64;
            means.push(sums.into_iter().map(|sum| sum / count).collect());
        }
        let numbers = chosen.iter().filter_map(|cell| number(&own, cell));
        Ok(Some(PartialDependence {
            cells: chosen.iter().map(|cell| own.cell(cell)).collect(),
            numbers: numbers.collect(),
            column: own.name,
            means,
        }))
    }
}

/// The number of an encoded cell, a year of dates; `None` of categories.
fn number(column: &Column, cell: &[f32]) -> Option<f64> {
    match &column.kind {
        &ColumnKind::Number { mean, std, .. } | &ColumnKind::Date { mean, std, .. } => {
            let scale = Scale { mean, std };
            cell.first().map(|&x| scale.restore(x))
        }
        ColumnKind::Category { .. } => None,
    }
}

/// Whether a cell is missing: the last of its numbers says so, if cells were missing in training.
fn is_missing(column: &Column, cell: &[f32]) -> bool {
    match &column.kind {
        ColumnKind::Number { missing, .. } | ColumnKind::Date { missing, .. } => {
            *missing && cell.last() == Some(&1.0)
        }
        ColumnKind::Category { .. } => false,
    }
}

/// The cells that are tried: each is one of `cells`, as it is encoded.
fn chosen<'c>(column: &Column, cells: Vec<&'c [f32]>) -> Vec<&'c [f32]> {
    let first = |cell: &[f32]| cell.first().copied().unwrap_or(0.0);
    if let ColumnKind::Category { .. } = &column.kind {
        // By the place of the category, which is past the end for one that was not learned.
        let mut counts: BTreeMap<usize, (usize, &[f32])> = BTreeMap::new();
        for cell in cells {
            let place = cell.iter().position(|&x| x == 1.0);
            let entry = counts
                .entry(place.unwrap_or(cell.len()))
                .or_insert((0, cell));
            entry.0 += 1;
        }
        let mut kept: Vec<(usize, (usize, &[f32]))> = counts.into_iter().collect();
        kept.sort_by(|(a, (n, _)), (b, (m, _))| m.cmp(n).then(a.cmp(b)));
        kept.truncate(MOST_CELLS);
        kept.sort_by_key(|(place, _)| *place);
        return kept.into_iter().map(|(_, (_, cell))| cell).collect();
    }
    let mut sorted: Vec<&[f32]> = cells
        .into_iter()
        .filter(|cell| !is_missing(column, cell))
        .collect();
    sorted.sort_by(|a, b| first(a).total_cmp(&first(b)));
    let mut different = sorted.clone();
    different.dedup_by(|a, b| first(a) == first(b));
    if different.len() <= MOST_CELLS {
        return different;
    }
    let mut found = quantiles(&sorted);
    found.dedup_by(|a, b| first(a) == first(b));
    match found.len() > MOST_CELLS / 2 {
        true => found,
        // Where one number makes up so much that quantiles coincide, they are those of the different numbers.
        false => quantiles(&different),
    }
}

/// Quantiles of `sorted` cells, without the tails.
fn quantiles<'c>(sorted: &[&'c [f32]]) -> Vec<&'c [f32]> {
    let last = sorted.len().saturating_sub(1) as f64;
    let quantile = |at: usize| {
        let share = TAIL + (1.0 - 2.0 * TAIL) * at as f64 / (MOST_CELLS - 1) as f64;
        sorted.get((share * last).round() as usize).copied()
    };
    (0..MOST_CELLS).filter_map(quantile).collect()
}

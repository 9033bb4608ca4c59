//! Explanations of what a trained model makes of the columns of a table: permutation importance and partial dependence over many rows,
//! and integrated gradients of single ones.
//!
//! A column is taken as a whole: all numbers that its cells are encoded as change together.

mod dependence;
mod importance;
mod page;
mod rows;
#[cfg(test)]
mod tests;

pub use dependence::PartialDependence;
pub use importance::{ColumnImportance, Importances};
pub use page::ExplainedTable;
pub use rows::{ExplainedRow, RowAttributions};

use crate::data::{Column, Fitted, Samples, Scale, field};
use crate::error::{Error, Result};
use crate::tasks::scores::softmax;
use crate::train::RowModel;
use std::ops::Range;

/// How a model of a table is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableMethod {
    /// How much worse the model is where the cells of a column are in another order (Breiman 2001).
    PermutationImportance,
    /// The mean prediction where all rows have the same cell in a column (Friedman 2001).
    PartialDependence,
    /// What the cells of a row add to its prediction, beginning with an average row (Sundararajan et al. 2017).
    IntegratedGradients,
}

impl TableMethod {
    /// All of them.
    pub const ALL: [TableMethod; 3] = [
        TableMethod::PermutationImportance,
        TableMethod::PartialDependence,
        TableMethod::IntegratedGradients,
    ];

    /// Its name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            TableMethod::PermutationImportance => "permutation_importance",
            TableMethod::PartialDependence => "partial_dependence",
            TableMethod::IntegratedGradients => "integrated_gradients",
        }
    }
}

/// Explains a model of the rows of a table.
pub struct TableExplainer<'e> {
    model: RowModel<'e>,
    columns: Vec<Column>,
    /// The numbers of each column in an encoded row.
    places: Vec<Range<usize>>,
    /// The classes, or the numbers that it predicts, by name.
    outputs: Vec<String>,
    /// Mean and deviation of each number that it predicts; none of classes.
    scales: Vec<Scale>,
}

/// Encoded rows of a table with what is to be predicted of them.
#[derive(Clone, Debug)]
pub struct TableSample {
    /// Row after row.
    rows: Vec<f32>,
    /// Number of rows.
    count: usize,
    truth: TableTruth,
}

#[derive(Clone, Debug)]
enum TableTruth {
    /// The class of each row.
    Classes(Vec<u32>),
    /// Scaled numbers of each row, row after row.
    Numbers(Vec<f32>),
    /// Not known.
    None,
}

impl TableSample {
    /// The first rows of `samples`, at most `most`.
    ///
    /// # Errors
    /// If there are none, or samples are no rows of a table.
    pub fn of(samples: &Samples, most: usize) -> Result<TableSample> {
        let count = samples.len().min(most);
        if count == 0 {
            return Err(Error::Data("there is no row to explain".to_string()));
        }
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for index in 0..count {
            let (row, _) = samples.numbers(field::ROW, index).ok_or_else(|| {
                Error::Data(format!(
                    "sample {index} is no row of a table; name a run of one"
                ))
            })?;
            rows.extend_from_slice(row);
            if let Some((own, _)) = samples.numbers(field::VALUE, index) {
                numbers.extend_from_slice(own);
            }
        }
        let truth = match samples.labels() {
            Some(labels) => TableTruth::Classes(labels.iter().take(count).copied().collect()),
            None if numbers.is_empty() => TableTruth::None,
            None => TableTruth::Numbers(numbers),
        };
        Ok(TableSample { rows, count, truth })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The row at `index`.
    fn row(&self, index: usize) -> &[f32] {
        let width = self.rows.len() / self.count.max(1);
        let row = self.rows.get(index * width..(index + 1) * width);
        row.unwrap_or_default()
    }
}

impl<'e> TableExplainer<'e> {
    /// Of the predictions of `model`, whose rows were encoded as `fitted` says.
    ///
    /// # Errors
    /// If rows and columns don't fit together.
    pub fn new(model: RowModel<'e>, fitted: &Fitted) -> Result<TableExplainer<'e>> {
        let mut next = 0;
        let place = |column: &Column| {
            let first = next;
            next += column.width();
            first..next
        };
        let places: Vec<Range<usize>> = fitted.columns.iter().map(place).collect();
        if next != model.columns() || places.is_empty() {
            return Err(Error::Config(format!(
                "the columns of the run are encoded as {next} numbers, but its model takes {}; name a run of a table",
                model.columns()
            )));
        }
        let (outputs, scales): (Vec<String>, Vec<Scale>) = match model.is_classifier() {
            true => {
                let name = |class: usize| match fitted.classes.get(class) {
                    Some(name) => name.clone(),
                    None => class.to_string(),
                };
                ((0..model.outputs()).map(name).collect(), Vec::new())
            }
            false => {
                let numbers = fitted.numbers().into_iter();
                numbers
                    .map(|(name, scale)| (name.to_string(), scale))
                    .unzip()
            }
        };
        if outputs.len() != model.outputs() {
            return Err(Error::Config(format!(
                "the model predicts {} numbers, but the run names {}; name a run of a table",
                model.outputs(),
                outputs.len()
            )));
        }
        Ok(TableExplainer {
            model,
            columns: fitted.columns.clone(),
            places,
            outputs,
            scales,
        })
    }

    /// The classes, or the numbers that it predicts, by name.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// The columns, by name.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| &*column.name)
    }

    /// The predictions for any number of rows that `row` writes into a buffer by their number.
    fn predict(
        &mut self,
        count: usize,
        mut row: impl FnMut(usize, &mut Vec<f32>),
    ) -> Result<Vec<f32>> {
        let mut found = Vec::with_capacity(count * self.outputs.len());
        let batch = self.model.batch().max(1);
        for first in (0..count).step_by(batch) {
            let mut rows = Vec::with_capacity(batch.min(count) * self.model.columns());
            for index in first..(first + batch).min(count) {
                row(index, &mut rows);
            }
            found.extend(self.model.predict(&rows)?);
        }
        Ok(found)
    }

    /// Predictions as people read them: probabilities of classes, or numbers in their own units.
    fn readable(&self, predictions: &[f32]) -> Vec<f64> {
        match self.model.is_classifier() {
            true => softmax(predictions),
            false => {
                let each = predictions.iter().zip(&self.scales);
                each.map(|(x, scale)| f64::from(*x) * scale.std + scale.mean)
                    .collect()
            }
        }
    }
}

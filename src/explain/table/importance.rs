//! Permutation importance: how much worse a model is where the cells of a column are in another order (Breiman, "Random Forests",
//! 2001; scikit-learn's `permutation_importance`).

use super::{TableExplainer, TableSample, TableTruth};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use crate::tasks::scores::NumberErrors;

/// The importance of all columns.
#[derive(Clone, Debug)]
pub struct Importances {
    /// What the model is measured by: `accuracy`, or `r2`, the mean over the numbers that it predicts.
    pub score: &'static str,
    /// Its score on the rows as they are.
    pub baseline: f64,
    /// Rows that it was measured on.
    pub rows: usize,
    /// How often each column was put in another order.
    pub repeats: usize,
    /// The columns, the most important one first.
    pub columns: Vec<ColumnImportance>,
}

/// The importance of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnImportance {
    /// Its name.
    pub column: String,
    /// How much the score falls, the mean over the repeats.
    pub mean: f64,
    /// Standard deviation of that fall over the repeats.
    pub deviation: f64,
}

impl TableExplainer<'_> {
    /// The importance of all columns for `sample`, each put in another order `repeats` times, which follow from `seed`.
    ///
    /// # Errors
    /// If what is to be predicted is not known, or the same in all rows, or the device failed.
    pub fn importance(
        &mut self,
        sample: &TableSample,
        repeats: usize,
        seed: u64,
    ) -> Result<Importances> {
        let baseline = self.score(sample, None)?;
        let names: Vec<String> = self.column_names().map(str::to_string).collect();
        let mut columns = Vec::with_capacity(names.len());
        for (at, column) in names.into_iter().enumerate() {
            let mut falls = Vec::with_capacity(repeats);
            for repeat in 0..repeats {
                let index = (at * repeats + repeat) as u32;
                let mut stream = Stream::new(seed, Purpose::Explanation.stream(index));
                let mut order: Vec<usize> = (0..sample.len()).collect();
                stream.shuffle(&mut order);
                falls.push(baseline - self.score(sample, Some((at, &order)))?);
            }
            let count = falls.len().max(1) as f64;
            let mean = falls.iter().sum::<f64>() / count;
            let squares = falls.iter().map(|fall| (fall - mean).powi(2));
            columns.push(ColumnImportance {
                column,
                mean,
                deviation: (squares.sum::<f64>() / count).sqrt(),
            });
        }
        columns.sort_by(|a, b| b.mean.total_cmp(&a.mean));
        Ok(Importances {
            score: match sample.truth {
                TableTruth::Classes(_) => "accuracy",
                TableTruth::Numbers(_) | TableTruth::None => "r2",
            },
            baseline,
            rows: sample.len(),
            repeats,
            columns,
        })
    }

    /// The score on the rows of `sample`, where the cells of a column are those of other rows: the column's number, and whose cell each
    /// row has.
    pub(super) fn score(
        &mut self,
        sample: &TableSample,
        moved: Option<(usize, &[usize])>,
    ) -> Result<f64> {
        let places = self.places.clone();
        let predictions = self.predict(sample.len(), |index, rows| {
            let first = rows.len();
            rows.extend_from_slice(sample.row(index));
            let Some((column, order)) = moved else { return };
            let (place, other) = (places.get(column), order.get(index));
            if let (Some(place), Some(&other)) = (place, other)
                && let Some(own) = rows.get_mut(first + place.start..first + place.end)
                && let Some(cell) = sample.row(other).get(place.clone())
            {
                own.copy_from_slice(cell);
            }
        })?;
        let outputs = self.outputs.len().max(1);
        match &sample.truth {
            TableTruth::Classes(classes) => {
                let rows = predictions.chunks_exact(outputs).zip(classes);
                let correct = rows.filter(|(row, class)| largest(row) == **class as usize);
                Ok(correct.count() as f64 / sample.len().max(1) as f64)
            }
            TableTruth::Numbers(numbers) => {
                let mut sum = 0.0;
                for output in 0..outputs {
                    let of = |values: &[f32]| values.get(output).map_or(f64::NAN, |&x| f64::from(x));
                    let rows = numbers.chunks_exact(outputs);
                    let pairs = rows.zip(predictions.chunks_exact(outputs));
                    let errors = NumberErrors::of(pairs.map(|(t, p)| (of(t), of(p))));
                    sum += errors.and_then(|errors| errors.r2).ok_or_else(|| {
                        Error::Data(
                            "the numbers to predict are the same in all rows, so that no column can be important; explain more rows with \
                             --samples N"
                                .to_string(),
                        )
                    })?;
                }
                Ok(sum / outputs as f64)
            }
            TableTruth::None => Err(Error::Data(
                "the rows have no column to predict, so that the importance of the others can't be measured; name a part of the run's data \
                 with --part"
                    .to_string(),
            )),
        }
    }
}

/// The place of the largest value, the first of those that are equal.
fn largest(values: &[f32]) -> usize {
    let each = values.iter().enumerate();
    let best = each.fold((0, f32::NEG_INFINITY), |best, (at, &x)| match x > best.1 {
        true => (at, x),
        false => best,
    });
    best.0
}

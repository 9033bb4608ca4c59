//! Columns of a table: their encoding, fitted to the training part, and their cells as numbers for a model.

use super::csv::{CsvTable, number, value};
use crate::data::DataError;
use crate::data::files::check_memory;
use crate::html::plot::significant;
use csv::StringRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::Path;

/// Maximum number of categories of a column; one with more is an identifier.
const MAX_CATEGORIES: usize = 1000;

/// A column that a model reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// Name in the header.
    pub name: String,
    /// Encoding of its cells.
    #[serde(flatten)]
    pub kind: ColumnKind,
}

/// Encoding of the cells of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ColumnKind {
    /// `(cell - mean) / std`; 0 for a missing cell. If cells were missing in training, a second number is 1 for missing cells.
    Number {
        /// Mean of the training part.
        mean: f64,
        /// Standard deviation of the training part, 1 if that is 0.
        std: f64,
        /// Whether there is a second number.
        missing: bool,
    },
    /// One-hot: one number per category, 1 for the cell's own; all zeros for a category that did not occur in training.
    Category {
        /// The categories of the training part, sorted; the empty one stands for missing cells.
        values: Vec<String>,
    },
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnKind::Number { mean, std, missing } => {
                let missing = if *missing { ", some missing" } else { "" };
                write!(
                    f,
                    "numbers, mean {mean:.4}, standard deviation {std:.4}{missing}"
                )
            }
            ColumnKind::Category { values } => {
                /// Maximum number of categories that are listed.
                const SHOWN: usize = 6;
                let shown = values.iter().take(SHOWN).map(|value| match &**value {
                    "" => "(missing)",
                    value => value,
                });
                let shown = shown.collect::<Vec<&str>>().join(", ");
                let more = if values.len() > SHOWN { ", …" } else { "" };
                write!(f, "{} categories: {shown}{more}", values.len())
            }
        }
    }
}

/// Categories that did not occur in training, by column: the number of cells, and the first one.
pub(super) type Unknown = BTreeMap<String, (usize, String)>;

impl Column {
    /// Fits the encoding of a column of `cells`: numeric if all cells that are not missing are numbers, unless `category` is set.
    ///
    /// # Errors
    /// If it is text with too many different values for a categorical column, as the rest of a sentence about the file.
    pub(crate) fn learn<'a>(
        name: &str,
        cells: impl Iterator<Item = &'a str> + Clone,
        category: bool,
    ) -> Result<Column, String> {
        let values = || cells.clone().map(value);
        let numbers: Option<Vec<f64>> = values().flatten().map(number).collect();
        let kind = match numbers {
            Some(numbers) if !category && !numbers.is_empty() => {
                let count = numbers.len() as f64;
                let mean = numbers.iter().sum::<f64>() / count;
                let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
                let std = if variance > 0.0 { variance.sqrt() } else { 1.0 };
                ColumnKind::Number {
                    mean,
                    std,
                    missing: values().any(|value| value.is_none()),
                }
            }
            _ => {
                let values: BTreeSet<&str> = values().map(Option::unwrap_or_default).collect();
                if values.len() > MAX_CATEGORIES {
                    return Err(format!(
                        "has {} different texts in column {name}, over the {MAX_CATEGORIES} that are taken for \
                         categories: leave it out with drop = [\"{name}\"]",
                        values.len()
                    ));
                }
                let values = values.into_iter().map(str::to_string).collect();
                ColumnKind::Category { values }
            }
        };
        let name = name.to_string();
        Ok(Column { name, kind })
    }

    /// The cell that was encoded as `values`, as text.
    pub fn cell(&self, values: &[f32]) -> String {
        const MISSING: &str = "(missing)";
        match &self.kind {
            ColumnKind::Number { missing: true, .. } if values.get(1) == Some(&1.0) => {
                MISSING.to_string()
            }
            ColumnKind::Number { mean, std, .. } => {
                let value = values.first().map(|&x| f64::from(x) * std + mean);
                significant(value.unwrap_or(f64::NAN), 6)
            }
            ColumnKind::Category { values: names } => {
                let at = values.iter().position(|&x| x == 1.0);
                match at.and_then(|at| names.get(at)).map(String::as_str) {
                    Some("") => MISSING.to_string(),
                    Some(name) => name.to_string(),
                    None => "(unknown)".to_string(),
                }
            }
        }
    }

    /// Number of values per cell.
    pub fn width(&self) -> usize {
        match &self.kind {
            ColumnKind::Number { missing, .. } => 1 + usize::from(*missing),
            ColumnKind::Category { values } => values.len(),
        }
    }
}

/// The index of each of `columns` among the columns of `table`.
///
/// # Errors
/// Names the column that is missing.
pub(super) fn places(
    table: &CsvTable,
    columns: &[Column],
    path: &Path,
) -> Result<Vec<usize>, DataError> {
    let place = |column: &Column| {
        let found = table.place(&column.name);
        found.ok_or_else(|| {
            DataError::unusable(
                path,
                format!("has no column {}: it has {}", column.name, table.listed()),
            )
        })
    };
    columns.iter().map(place).collect()
}

/// The cells of `rows` as numbers, row after row. Counts unknown categories in `unknown`.
///
/// # Errors
/// Names the line of a cell that should be a number but is not.
pub(super) fn encode<'a>(
    rows: impl ExactSizeIterator<Item = &'a (u64, StringRecord)>,
    columns: &[Column],
    places: &[usize],
    path: &Path,
    unknown: &mut Unknown,
) -> Result<Vec<f32>, DataError> {
    let indices: Vec<HashMap<&str, usize>> = columns
        .iter()
        .map(|column| match &column.kind {
            ColumnKind::Category { values } => {
                values.iter().enumerate().map(|(i, v)| (&**v, i)).collect()
            }
            ColumnKind::Number { .. } => HashMap::new(),
        })
        .collect();
    let width: usize = columns.iter().map(Column::width).sum();
    check_memory(path, (rows.len() as u64).saturating_mul(width as u64 * 4))?;
    let mut out = Vec::new();
    for (line, row) in rows {
        for ((column, &place), index) in columns.iter().zip(places).zip(&indices) {
            let cell = value(row.get(place).unwrap_or_default());
            let first = out.len();
            out.resize(first + column.width(), 0.0);
            match &column.kind {
                ColumnKind::Number { mean, std, missing } => {
                    match cell {
                        Some(text) => {
                            let x = number(text).ok_or_else(|| {
                            DataError::unusable(
                                path,
                                format!("has \"{text}\" at line {line} in column {}, which is numeric", column.name),
                            )
                        })?;
                            out[first] = ((x - mean) / std) as f32;
                        }
                        None if *missing => out[first + 1] = 1.0,
                        None => {}
                    }
                }
                ColumnKind::Category { .. } => match index.get(cell.unwrap_or_default()) {
                    Some(&category) => out[first + category] = 1.0,
                    None => {
                        let shown = cell.unwrap_or("(missing)").to_string();
                        unknown.entry(column.name.clone()).or_insert((0, shown)).0 += 1;
                    }
                },
            }
        }
    }
    Ok(out)
}

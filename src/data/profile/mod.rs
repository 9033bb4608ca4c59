//! Profiles of tables: what each column holds, how strongly it is associated with the target, and what may leak the target.

mod association;
mod measure;
mod page;
mod suspects;
mod words;

pub(super) use measure::{Cell, CellKind, Profiler, Subject};
pub use page::page;
pub use suspects::{Suspect, Suspicion};
pub use words::lines;

use super::{DataSettings, Fitted, Source};
use crate::error::Result;
use serde::Serialize;

/// What a table holds.
#[derive(Clone, Debug, Serialize)]
pub struct TableProfile {
    /// Name of the file.
    pub name: String,
    /// Number of rows.
    pub rows: usize,
    /// Number of rows that quartiles, histograms, distinct numbers and suspects are of: all of them, or a random sample.
    pub sampled: usize,
    /// Name of the target.
    pub target: String,
    /// The columns, in the order of the file.
    pub columns: Vec<ColumnProfile>,
    /// What may leak the target.
    pub suspects: Vec<Suspect>,
}

/// What a column holds.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnProfile {
    /// Name.
    pub name: String,
    /// What it is used for.
    pub role: ColumnRole,
    /// Number of missing cells.
    pub missing: usize,
    /// Number of distinct values.
    pub distinct: usize,
    /// Whether there may be more distinct values, as they were counted in a sample or up to a bound.
    pub at_least: bool,
    /// Its values.
    #[serde(flatten)]
    pub values: ColumnValues,
    /// Association with the target; absent if it can't be measured.
    pub association: Option<Association>,
}

/// What a column is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnRole {
    /// The model reads it.
    Input,
    /// It is to be predicted.
    Target,
    /// Nothing: it is an index, is dropped, or has no values.
    LeftOut,
}

/// The values of a column.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ColumnValues {
    /// Numbers.
    Number(Distribution),
    /// Dates, in seconds since 1970.
    Date(Distribution),
    /// Categories.
    Category {
        /// The most frequent ones, each with its number of cells.
        top: Vec<(String, usize)>,
    },
    /// No values: all cells are missing.
    Empty,
}

/// The distribution of numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Distribution {
    /// Smallest.
    pub min: f64,
    /// Lower quartile, interpolated linearly as the others.
    pub lower_quartile: f64,
    /// Median.
    pub median: f64,
    /// Upper quartile.
    pub upper_quartile: f64,
    /// Largest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation, divided by the number of values.
    pub std: f64,
    /// Number of values in each of several intervals of equal width from the smallest to the largest.
    pub histogram: Vec<usize>,
}

/// The strength of an association with the target, over the rows in which both have a value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Association {
    /// How it is measured.
    pub measure: Measure,
    /// Its value: from -1 to 1 for Pearson's correlation, otherwise from 0 to 1.
    pub value: f64,
}

/// A measure of association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Pearson's correlation of two numbers.
    Pearson,
    /// Correlation ratio of categories and a number: the root of the share of variance between the categories.
    CorrelationRatio,
    /// Cramér's V of two kinds of categories, without a correction for bias.
    CramersV,
}

impl Measure {
    /// Name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Pearson => "correlation",
            Measure::CorrelationRatio => "correlation ratio",
            Measure::CramersV => "Cramér's V",
        }
    }
}

/// The profile of the training file of the table that `settings` name and that was loaded into `fitted`; `None` if the data are no
/// table.
///
/// # Errors
/// If the file can't be read.
pub fn profile(settings: &DataSettings, fitted: &Fitted) -> Result<Option<TableProfile>> {
    let source = Source::look(&settings.source)?;
    match fitted.format {
        Some(format) => format.profile(&source, settings, fitted),
        None => Ok(None),
    }
}

//! A first look at a series, before it is known how long its windows should be.

use super::dates::Dates;
use crate::data::formats::table::{CsvTable, TableFiles};
use crate::data::{DataError, DataSettings, Source};

/// Length and season of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesOutline {
    /// Number of rows.
    pub rows: usize,
    /// Rows of a season, if the distance between its dates suggests one.
    pub season: Option<usize>,
}

impl SeriesOutline {
    /// Looks at the series in `source`.
    ///
    /// # Errors
    /// If it can't be read, or `settings.date` names no dates.
    pub fn of(source: &Source, settings: &DataSettings) -> Result<SeriesOutline, DataError> {
        let files = TableFiles::of(source).ok_or_else(|| {
            DataError::unusable(source.path(), "is not a series: give a .csv file")
        })?;
        let table = CsvTable::read(&files.train, settings, &[])?;
        let dates = Dates::of(&table, settings, &files.train)?;
        Ok(SeriesOutline {
            rows: table.rows.len(),
            season: dates.and_then(|dates| dates.season()),
        })
    }
}

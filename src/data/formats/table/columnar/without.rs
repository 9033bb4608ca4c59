//! What a build without the feature `parquet` says of Parquet and Arrow files.

use crate::data::DataError;
use crate::data::formats::table::csv::CsvTable;
use std::path::Path;

/// No names of columns.
///
/// # Errors
/// Always: this build does not read `path`.
pub(in crate::data::formats::table) fn names(path: &Path) -> Result<Vec<String>, DataError> {
    Err(unable(path))
}

/// No table.
///
/// # Errors
/// Always: this build does not read `path`.
pub(in crate::data::formats::table) fn read(
    path: &Path,
    _drop: &[String],
) -> Result<CsvTable, DataError> {
    Err(unable(path))
}

fn unable(path: &Path) -> DataError {
    DataError::unusable(
        path,
        "is a Parquet or Arrow file, which this build of wgrad does not read: build it with `--features parquet`, or save the table as \
         .csv",
    )
}

//! Rows that are left out, because they lack a value that every sample needs.

use super::csv::CsvTable;
use super::missing::value;
use crate::data::DataError;
use std::path::PathBuf;

/// Removes the rows of `tables` that have no value in the column `name`, which is `what`: the target, or the text. Returns how many
/// of each, in words. A table without that column is left as it is.
///
/// # Errors
/// If no row of a table has one.
pub(in crate::data::formats) fn leave_out_without(
    tables: &mut [(CsvTable, PathBuf)],
    name: &str,
    what: &str,
) -> Result<Vec<String>, DataError> {
    let mut left_out = Vec::new();
    for (table, path) in tables {
        let Some(place) = table.place(name) else {
            continue;
        };
        let all = table.rows.len();
        let missing = table.column(place).find(|(_, cell)| value(cell).is_none());
        let Some((line, _)) = missing else { continue };
        table.keep_rows(|row| value(row.get(place).unwrap_or_default()).is_some());
        let without = all - table.rows.len();
        if without == all {
            return Err(DataError::unusable(
                &*path,
                format!(
                    "has no value in column {name}, {what}, in any row: fill it in, or name another with data.{}",
                    what.rsplit(' ').next().unwrap_or_default()
                ),
            ));
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        left_out.push(format!(
            "{file}: {without} of {all} rows have no value in column {name}, {what}, first at line {line}: they are left out"
        ));
    }
    Ok(left_out)
}

//! A first column that is not data: the index of the rows, as pandas and R write it.

use super::csv::CsvTable;
use super::missing::value;
use super::number::number;
use std::collections::HashSet;

/// A named column that counts is an index in tables of at least this many rows.
const ROWS: usize = 5;

/// Whether the cells are 0, 1, 2, … or 1, 2, 3, ….
pub(in crate::data::formats) fn counts_up<'c>(mut cells: impl Iterator<Item = &'c str>) -> bool {
    let first = cells.next().and_then(|cell| cell.parse::<u64>().ok());
    let Some(first @ (0 | 1)) = first else {
        return false;
    };
    cells
        .zip(first + 1..)
        .all(|(cell, wanted)| cell.parse() == Ok(wanted))
}

/// Why the first column of `table` is an index of its rows, for use after "it"; `None` if it is data.
pub fn find(table: &CsvTable) -> Option<String> {
    let cells = || table.column(0).map(|(_, cell)| cell);
    let count = table.rows.len();
    if counts_up(cells()) && (table.is_unnamed(0) || count >= ROWS) {
        let first = cells().next().unwrap_or_default();
        return Some(format!("counts the {count} rows from {first}"));
    }
    if !table.is_unnamed(0) {
        return None;
    }
    if is_names(cells()) {
        return Some("has no name, and another word in every row".to_string());
    }
    let whole = |cell: &str| number(cell).is_some_and(|x| x.fract() == 0.0);
    cells()
        .all(whole)
        .then(|| "has no name, and whole numbers".to_string())
}

/// Whether the cells could name rows: words that are all different.
pub(super) fn is_names<'c>(mut cells: impl Iterator<Item = &'c str>) -> bool {
    let mut seen = HashSet::new();
    cells.all(|cell| value(cell).is_some() && number(cell).is_none() && seen.insert(cell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSettings;

    fn reason(text: &str) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let settings = DataSettings {
            header: Some(true),
            ..DataSettings::default()
        };
        find(&CsvTable::read(file.path(), &settings, &[]).unwrap())
    }

    #[test]
    fn a_column_that_counts_or_has_no_name_is_an_index() {
        for (text, want) in [
            (",a\n0,5\n1,5\n", Some("counts the 2 rows from 0")),
            (
                "id,a\n1,5\n2,5\n3,5\n4,5\n5,5\n",
                Some("counts the 5 rows from 1"),
            ),
            ("id,a\n1,5\n2,5\n", None),
            ("id,a\n1,5\n2,5\n3,5\n4,5\n6,5\n", None),
            (",a\n17,5\n3,5\n", Some("has no name, and whole numbers")),
            (
                ",a\nx,5\ny,5\n",
                Some("has no name, and another word in every row"),
            ),
            (",a\nx,5\nx,5\n", None),
            (",a\n1.5,5\n2.5,5\n", None),
        ] {
            assert_eq!(reason(text).as_deref(), want, "{text}");
        }
    }
}

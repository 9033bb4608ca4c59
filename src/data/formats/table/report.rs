//! What was found in a table, in words.

use super::columns::{Column, ColumnKind};
use super::csv::CsvTable;
use super::missing;
use std::path::Path;

/// Maximum number of columns that are listed.
const MOST: usize = 12;

/// The missing cells of `columns` in `table`, a line for each column that has some.
pub(super) fn missing(table: &CsvTable, columns: &[Column], path: &Path) -> Vec<String> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let of_column = |column: &Column| {
        let cells = table.column(table.place(&column.name)?);
        let words = missing::in_words(cells.map(|(_, cell)| cell))?;
        Some(format!("{file}: column {}: {words}", column.name))
    };
    capped(columns.iter().filter_map(of_column).collect())
}

/// The first few of `lines`, and how many more there are.
pub(super) fn capped(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("… and {more} more of this kind"));
    }
    lines
}

/// The names of `columns`, by their kind.
pub(super) fn columns(columns: &[Column]) -> Vec<String> {
    let kind = |column: &Column| match column.kind {
        ColumnKind::Number { .. } => "numbers",
        ColumnKind::Date { .. } => "dates",
        ColumnKind::Category { .. } => "categories",
    };
    let of_kind = |wanted: &&str| {
        let columns = columns.iter().filter(|column| kind(column) == *wanted);
        line(wanted, columns.map(|column| &*column.name).collect())
    };
    let kinds = ["numbers", "dates", "categories"];
    kinds.iter().filter_map(of_kind).collect()
}

/// The target column `name`, and its classes if it has some.
pub(super) fn target(name: &str, classes: &[String]) -> String {
    let shown = classes[..classes.len().min(MOST)].join(", ");
    match classes.len() {
        0 => format!("to predict: {name}, a number"),
        count if count > MOST => format!("to predict: {name}, {count} classes: {shown}, …"),
        count => format!("to predict: {name}, {count} classes: {shown}"),
    }
}

fn line(kind: &str, names: Vec<&str>) -> Option<String> {
    let shown = names[..names.len().min(MOST)].join(", ");
    match names.len() {
        0 => None,
        1 => Some(format!("1 column of {kind}: {shown}")),
        count if count > MOST => Some(format!("{count} columns of {kind}: {shown}, …")),
        count => Some(format!("{count} columns of {kind}: {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(line("numbers", vec![]), None);
        assert_eq!(
            line("numbers", vec!["a"]).unwrap(),
            "1 column of numbers: a"
        );
        let lines = capped(vec!["x".to_string(); 15]);
        assert_eq!(
            (lines.len(), &*lines[12]),
            (13, "… and 3 more of this kind")
        );
        let many = line("numbers", vec!["a"; 14]).unwrap();
        assert!(
            many.starts_with("14 columns of numbers: a, a") && many.ends_with("a, …"),
            "{many}"
        );
    }
}

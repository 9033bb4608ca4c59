//! Tables that fit a terminal.

use wgrad::html::shortened;

/// Most characters of a cell.
const MOST_TEXT: usize = 40;

/// A table. Its first column is aligned to the left, the others to the right.
pub(super) struct TextTable {
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table with this head.
    pub(super) fn new(head: impl IntoIterator<Item = String>) -> TextTable {
        TextTable {
            rows: vec![head.into_iter().collect()],
        }
    }

    /// Adds a row with as many cells as the head.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// The width of the terminal; `None` if the output is not one.
    pub(super) fn columns() -> Option<usize> {
        let (_, columns) = console::Term::stdout().size_checked()?;
        Some(columns.into())
    }

    /// The table in lines of at most `width` characters: what does not fit beside the first column follows below, with the first
    /// column again.
    pub(super) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| shortened(cell, MOST_TEXT)).collect())
            .collect();
        let columns = cells.first().map_or(0, Vec::len);
        let length = |row: &Vec<String>, column: usize| {
            row.get(column).map_or(0, |cell| cell.chars().count())
        };
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                cells
                    .iter()
                    .map(|row| length(row, column))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let width = width.unwrap_or(usize::MAX);
        let mut lines = Vec::new();
        let mut next = 1;
        while next < columns || lines.is_empty() {
            let mut used = widths.first().copied().unwrap_or(0);
            let first = next;
            while next < columns && (next == first || used + 2 + widths[next] <= width) {
                used += 2 + widths[next];
                next += 1;
            }
            if !lines.is_empty() {
                lines.push(String::new());
            }
            for row in &cells {
                let cell = |column: usize| row.get(column).map_or("", String::as_str);
                let mut line = format!("{:<1$}", cell(0), widths.first().copied().unwrap_or(0));
                for (column, wide) in widths.iter().enumerate().take(next).skip(first) {
                    line.push_str(&format!("  {:>1$}", cell(column), *wide));
                }
                lines.push(line.trim_end().to_string());
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_table_is_continued_below_with_its_first_column() {
        let row = |cells: [&str; 4]| cells.map(String::from);
        let mut table = TextTable::new(row(["key", "1", "2", "3"]));
        table.push(row(["optimizer.lr", "0.01", "0.001", "0.1"]));
        assert_eq!(
            table.lines(None),
            [
                "key              1      2    3",
                "optimizer.lr  0.01  0.001  0.1"
            ]
        );
        assert_eq!(
            table.lines(Some(25)),
            [
                "key              1      2",
                "optimizer.lr  0.01  0.001",
                "",
                "key             3",
                "optimizer.lr  0.1"
            ]
        );
        // A terminal narrower than a column shows it nevertheless.
        assert_eq!(table.lines(Some(3)).len(), 8);
    }
}

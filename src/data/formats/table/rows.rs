//! The rows of a table as cells in one text.

use super::lines::Lines;
use crate::data::spilled::{Spilled, WINDOW};
use crate::data::texts::not_utf8;
use bytemuck::{Pod, Zeroable};
use csv::StringRecord;
use csv_core::{ReadRecordResult, ReaderBuilder};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that a row takes beside its cells.
const ROW_BYTES: u64 = size_of::<Place>() as u64;
/// Bytes that a cell takes beside its text.
const CELL_BYTES: u64 = size_of::<u32>() as u64;
/// What is said of a row or a table that is too large, as the rest of a sentence about its file.
const TOO_LONG: &str =
    "holds 4 GiB of cells in a row, or 4 billion rows: split it into several files";

/// Rows of cells. All cells are in one text, one after the other, so that a table takes, beside its text, 4 bytes for
/// each cell and 24 for each row. A large table is in files, and takes little memory.
#[derive(Debug, Default)]
pub struct TableRows {
    /// UTF-8.
    text: Spilled<u8>,
    /// Where each cell ends in the text of its row. It begins where the one before it ends.
    ends: Spilled<u32>,
    rows: Spilled<Place>,
    /// Which part of the text was accessed last.
    window: AtomicU64,
}

/// Where a row is.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Place {
    /// Where its text begins.
    start: u64,
    /// Its first cell.
    first: u64,
    /// Number of its cells.
    cells: u32,
    /// Its line, or its number in a file without lines.
    line: u32,
}

/// A row of a table.
#[derive(Clone, Copy, Debug)]
pub struct TableRow<'t> {
    /// From its first cell on.
    text: &'t [u8],
    ends: &'t [u32],
}

impl TableRows {
    /// Reads CSV with one `delimiter`, without white space around cells. The cells are written over the text, which is never shorter.
    ///
    /// # Errors
    /// If `text` is not UTF-8 or too long, or there is no room for the rows: the rest of a sentence about the file.
    pub(super) fn of_csv(mut text: Spilled<u8>, delimiter: u8) -> Result<TableRows, String> {
        let mut table = TableRows::default();
        let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
        let mut lines = Lines::default();
        let (mut record, mut ends) = (vec![0; 1 << 10], vec![0; 1 << 6]);
        let (mut at, mut written) = (0, 0);
        loop {
            let begin = at;
            let line = lines.line_of(&text, at);
            let (mut bytes, mut cells) = (0, 0);
            let result = loop {
                let (result, read, wrote, ended) =
                    reader.read_record(&text[at..], &mut record[bytes..], &mut ends[cells..]);
                (at, bytes, cells) = (at + read, bytes + wrote, cells + ended);
                match result {
                    ReadRecordResult::OutputFull => record.resize(2 * record.len(), 0),
                    ReadRecordResult::OutputEndsFull => ends.resize(2 * ends.len(), 0),
                    // All of the text was given, and an empty rest ends the last record.
                    ReadRecordResult::InputEmpty => {}
                    ReadRecordResult::Record | ReadRecordResult::End => break result,
                }
            };
            if let Err(e) = std::str::from_utf8(&text[begin..at]) {
                let wrong = begin + e.valid_up_to();
                lines.pass(&text, wrong);
                return Err(not_utf8(lines.line(), text.get(wrong).copied()));
            }
            if result == ReadRecordResult::End {
                break;
            }
            lines.pass(&text, at);
            table.begin_row(line, cells, written)?;
            let (start, mut first) = (written, 0);
            for &end in &ends[..cells] {
                let cell = trimmed(&record[first..end]);
                text[written..written + cell.len()].copy_from_slice(cell);
                (first, written) = (end, written + cell.len());
                table.end_cell(written - start)?;
            }
            if text.release_behind(begin, at) {
                table.release();
            }
        }
        text.truncate(written);
        table.text = text;
        table.ends.shrink();
        table.rows.shrink();
        table.release();
        Ok(table)
    }

    /// Adds a row of `cells` at `line`.
    ///
    /// # Errors
    /// If the row has 4 GiB of text or more, the table has 4 billion rows, or there is no room for them: the rest of a sentence about
    /// the file.
    pub fn push<C: AsRef<str>>(
        &mut self,
        line: u64,
        cells: impl IntoIterator<Item = C>,
    ) -> Result<(), String> {
        let (start, first) = (self.text.len(), self.ends.len());
        for cell in cells {
            let text = cell.as_ref().as_bytes();
            self.text.extend(text).map_err(|e| no_room(&e))?;
            self.end_cell(self.text.len() - start)?;
        }
        let cells = self.ends.len() - first;
        self.place(line, cells, (start, first))?;
        if self.text.release_behind(start, self.text.len()) {
            self.release();
        }
        Ok(())
    }

    /// Adds a row of `cells`, which are to be ended, whose text begins at `start`.
    fn begin_row(&mut self, line: u64, cells: usize, start: usize) -> Result<(), String> {
        self.place(line, cells, (start, self.ends.len()))
    }

    /// Adds a row of `cells` whose text and first cell are at these places.
    fn place(&mut self, line: u64, cells: usize, at: (usize, usize)) -> Result<(), String> {
        let place = Place {
            start: at.0 as u64,
            first: at.1 as u64,
            cells: u32::try_from(cells).map_err(|_| TOO_LONG)?,
            line: u32::try_from(line).map_err(|_| TOO_LONG)?,
        };
        self.rows.push(place).map_err(|e| no_room(&e))
    }

    /// Ends a cell `end` bytes after the beginning of its row.
    fn end_cell(&mut self, end: usize) -> Result<(), String> {
        let end = u32::try_from(end).map_err(|_| TOO_LONG)?;
        self.ends.push(end).map_err(|e| no_room(&e))
    }

    /// Memory that rows take, of which a file with `text` bytes holds `rows` with `cells` in all, unless they are in files.
    pub fn bytes(text: u64, rows: u64, cells: u64) -> u64 {
        text.saturating_add(rows.saturating_mul(ROW_BYTES))
            .saturating_add(cells.saturating_mul(CELL_BYTES))
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row at `place`, with its line.
    pub fn row(&self, place: usize) -> Option<(u64, TableRow<'_>)> {
        self.rows.get(place).map(|&place| self.at(place))
    }

    /// All rows, with their lines.
    pub fn iter(&self) -> impl Iterator<Item = (u64, TableRow<'_>)> + Clone {
        self.rows.iter().map(|&place| self.at(place))
    }

    /// Lets go of the memory of what is in files.
    fn release(&self) {
        self.text.release();
        self.ends.release();
        self.rows.release();
    }

    /// The row at a place. As reading moves on in the text, what is in files is let go of.
    fn at(&self, place: Place) -> (u64, TableRow<'_>) {
        let window = place.start / WINDOW as u64;
        if self.window.swap(window, Ordering::Relaxed) != window {
            self.release();
        }
        let first = place.first as usize;
        let row = TableRow {
            text: &self.text[place.start as usize..],
            ends: &self.ends[first..first + place.cells as usize],
        };
        (u64::from(place.line), row)
    }

    /// The first `most` rows as records of their own.
    pub fn head(&self, most: usize) -> Vec<StringRecord> {
        let rows = self.iter().take(most);
        rows.map(|(_, row)| row.record()).collect()
    }

    /// Leaves out the first row.
    pub fn remove_first(&mut self) {
        self.rows.remove_first(1);
    }

    /// Leaves out the cells of the row at `place` from `cells` on.
    pub fn truncate(&mut self, place: usize, cells: usize) {
        let row = &mut self.rows[place];
        row.cells = row.cells.min(cells as u32);
    }

    /// Keeps the rows whose place `keep` accepts.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut kept = 0;
        for place in (0..self.rows.len()).filter(|&place| keep(place)) {
            self.rows[kept] = self.rows[place];
            kept += 1;
        }
        self.rows.truncate(kept);
    }

    /// Keeps the rows that `keep` accepts.
    pub fn retain_rows(&mut self, keep: impl Fn(TableRow<'_>) -> bool) {
        let kept: Vec<bool> = self.iter().map(|(_, row)| keep(row)).collect();
        if kept.contains(&false) {
            self.retain(|place| kept[place]);
        }
    }

    /// Brings the rows into the order of the places `order`.
    ///
    /// # Errors
    /// If there is no room for them: the rest of a sentence about the file.
    pub fn sort(&mut self, order: &[usize]) -> Result<(), String> {
        let mut rows = Spilled::default();
        for &place in order {
            rows.push(self.rows[place]).map_err(|e| no_room(&e))?;
        }
        self.rows = rows;
        Ok(())
    }
}

/// The problem of a table without room for a file with its rows, as the rest of a sentence about it.
pub(super) fn no_room(e: &io::Error) -> String {
    format!("is too large for its rows to be kept: {e}")
}

impl<'t> TableRow<'t> {
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The cell at `place`, if the row has it.
    pub fn get(&self, place: usize) -> Option<&'t str> {
        let end = *self.ends.get(place)?;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        let cell = self.text.get(start as usize..end as usize)?;
        std::str::from_utf8(cell).ok()
    }

    /// All cells.
    pub fn iter(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        let row = *self;
        (0..row.len()).filter_map(move |place| row.get(place))
    }

    /// The row by itself.
    pub fn record(&self) -> StringRecord {
        self.iter().collect()
    }
}

/// A cell without the white space around it.
fn trimmed(cell: &[u8]) -> &[u8] {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    match std::str::from_utf8(cell) {
        _ if is_letter(cell.first()) && is_letter(cell.last()) => cell,
        Ok(text) => text.trim().as_bytes(),
        Err(_) => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, delimiter: u8) -> Vec<(u64, Vec<String>)> {
        let rows = TableRows::of_csv(Spilled::from(Vec::from(text)), delimiter).unwrap();
        let own = |row: TableRow<'_>| row.iter().map(str::to_string).collect();
        rows.iter().map(|(line, row)| (line, own(row))).collect()
    }

    #[test]
    fn csv_is_read_as_its_crate_reads_it() {
        for (text, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a, \u{a0}b\u{a0} ,c\r\n\r\n\" 1\"\"2 \",, \r3", b','),
            ("\"x\ny\";z\n\n\n;\n\"\"\n\"open", b';'),
            ("ü\té\n\n \tß \n", b'\t'),
            ("\n\n", b','),
            ("", b','),
        ] {
            let reader = super::super::dialect::reader(text.as_bytes(), delimiter);
            let wanted = reader.into_records().map(|record| {
                let record = record.unwrap();
                record.iter().map(str::to_string).collect::<Vec<_>>()
            });
            let found = read(text, delimiter).into_iter().map(|(_, row)| row);
            assert_eq!(found.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        }
        let lines = |text: &str| read(text, b',').into_iter().map(|(line, _)| line);
        let text = "\r\na,\"b\r\n\",c\r\n\r\n\"1\"\"1\",2,3\r\nx,y,z";
        assert!(lines(text).eq([2, 5, 6]));
    }

    #[test]
    fn long_rows_and_cells_fit() {
        let cells: Vec<String> = (0..300)
            .map(|place| place.to_string().repeat(place))
            .collect();
        let text = format!("{}\n{}\n", cells.join(","), cells.join(","));
        let found = read(&text, b',');
        assert_eq!(found, [(1, cells.clone()), (2, cells)]);
    }

    #[test]
    fn rows_are_moved_cut_and_left_out() {
        let mut rows = TableRows::of_csv(Vec::from("a,b\n1,2\n3,4\n5,6").into(), b',').unwrap();
        rows.push(9, ["7", "8"]).unwrap();
        rows.remove_first();
        rows.sort(&[3, 0, 2, 1]).unwrap();
        rows.retain(|place| place != 1);
        rows.truncate(1, 1);
        let found: Vec<_> = rows
            .iter()
            .map(|(line, row)| (line, row.record()))
            .collect();
        let record = |cells: &[&str]| StringRecord::from(cells.to_vec());
        assert_eq!(
            found,
            [
                (9, record(&["7", "8"])),
                (4, record(&["5"])),
                (3, record(&["3", "4"]))
            ]
        );
        assert_eq!(rows.row(1).unwrap().1.get(1), None);
        assert!(rows.row(3).is_none());
    }

    #[test]
    fn what_is_no_text_is_named_with_its_line() {
        let words = TableRows::of_csv(b"a,b\r\n1,\xe9\n".to_vec().into(), b',').unwrap_err();
        assert!(words.contains("line 2") && words.contains('é'), "{words}");
    }
}

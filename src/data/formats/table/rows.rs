//! The rows of a table as cells in one text.

use super::lines::Lines;
use crate::data::texts::not_utf8_at;
use csv::StringRecord;
use csv_core::{ReadRecordResult, ReaderBuilder};

/// Bytes that a row takes beside its cells.
const ROW_BYTES: u64 = size_of::<Place>() as u64;
/// Bytes that a cell takes beside its text.
const CELL_BYTES: u64 = size_of::<u32>() as u64;
/// What is said of too large a table, as the rest of a sentence about its file.
const TOO_LONG: &str = "holds over 4 GiB of cells: split it into several files";

/// Rows of cells. All cells are in one text, one after the other, so that a table takes, beside its text, 4 bytes for
/// each cell and 12 for each row.
#[derive(Clone, Debug, Default)]
pub struct TableRows {
    text: String,
    /// Where each cell ends in the text. It begins where the one before it ends.
    ends: Vec<u32>,
    rows: Vec<Place>,
}

/// Where a row is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Its line, or its number in a file without lines.
    line: u32,
    /// Its first cell.
    first: u32,
    /// Number of its cells.
    cells: u32,
}

/// A row of a table.
#[derive(Clone, Copy, Debug)]
pub struct TableRow<'t> {
    text: &'t str,
    /// Where its first cell begins.
    start: u32,
    ends: &'t [u32],
}

impl TableRows {
    /// Reads CSV with one `delimiter`, without white space around cells. The cells are written over the text, which is never shorter.
    ///
    /// # Errors
    /// If `text` is not UTF-8, with the first byte that is not, or too long.
    pub fn of_csv(mut text: Vec<u8>, delimiter: u8) -> Result<TableRows, CsvProblem> {
        if let Err(e) = std::str::from_utf8(&text) {
            return Err(CsvProblem::NotText(e.valid_up_to(), text));
        }
        let mut table = TableRows::default();
        let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
        let mut lines = Lines::default();
        let (mut record, mut ends) = (vec![0; 1 << 10], vec![0; 1 << 6]);
        let (mut at, mut written) = (0, 0);
        loop {
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
            if result == ReadRecordResult::End {
                break;
            }
            lines.pass(&text, at);
            let place = table.place(line, cells).ok_or(CsvProblem::TooLong)?;
            table.rows.push(place);
            let mut first = 0;
            for &end in &ends[..cells] {
                let cell = trimmed(&record[first..end]);
                text[written..written + cell.len()].copy_from_slice(cell);
                (first, written) = (end, written + cell.len());
                let end = u32::try_from(written).map_err(|_| CsvProblem::TooLong)?;
                table.ends.push(end);
            }
        }
        text.truncate(written);
        text.shrink_to_fit();
        table.ends.shrink_to_fit();
        table.text = String::from_utf8(text)
            .map_err(|e| CsvProblem::NotText(e.utf8_error().valid_up_to(), e.into_bytes()))?;
        Ok(table)
    }

    /// Adds a row of `cells` at `line`.
    ///
    /// # Errors
    /// If the table has 4 GiB of text or more, or 4 billion cells: the rest of a sentence about the file.
    pub fn push<C: AsRef<str>>(
        &mut self,
        line: u64,
        cells: impl IntoIterator<Item = C>,
    ) -> Result<(), String> {
        let first = self.ends.len();
        for cell in cells {
            self.text.push_str(cell.as_ref());
            let end = u32::try_from(self.text.len());
            self.ends.push(end.map_err(|_| TOO_LONG.to_string())?);
        }
        let place = Place {
            first: u32::try_from(first).map_err(|_| TOO_LONG.to_string())?,
            ..self.place(line, self.ends.len() - first).ok_or(TOO_LONG)?
        };
        self.rows.push(place);
        Ok(())
    }

    /// The place of a row of `cells` that begins with the next cell.
    fn place(&self, line: u64, cells: usize) -> Option<Place> {
        Some(Place {
            line: u32::try_from(line).ok()?,
            first: u32::try_from(self.ends.len()).ok()?,
            cells: u32::try_from(cells).ok()?,
        })
    }

    /// Memory that rows take, of which a file with `text` bytes holds `rows` with `cells` in all.
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

    fn at(&self, place: Place) -> (u64, TableRow<'_>) {
        let first = place.first as usize;
        let row = TableRow {
            text: &self.text,
            start: first.checked_sub(1).map_or(0, |before| self.ends[before]),
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
        self.rows.remove(0);
    }

    /// Leaves out the cells of the row at `place` from `cells` on.
    pub fn truncate(&mut self, place: usize, cells: usize) {
        let row = &mut self.rows[place];
        row.cells = row.cells.min(cells as u32);
    }

    /// Keeps the rows whose place `keep` accepts.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut places = 0..;
        self.rows.retain(|_| places.next().is_some_and(&keep));
    }

    /// Keeps the rows that `keep` accepts.
    pub fn retain_rows(&mut self, keep: impl Fn(TableRow<'_>) -> bool) {
        let kept: Vec<bool> = self.iter().map(|(_, row)| keep(row)).collect();
        if kept.contains(&false) {
            self.retain(|place| kept[place]);
        }
    }

    /// Brings the rows into the order of the places `order`.
    pub fn sort(&mut self, order: &[usize]) {
        self.rows = order.iter().map(|&place| self.rows[place]).collect();
    }
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
        let start = place
            .checked_sub(1)
            .map_or(self.start, |before| self.ends[before]);
        self.text.get(start as usize..end as usize)
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

/// Why bytes are no rows.
#[derive(Debug)]
pub enum CsvProblem {
    /// The byte at this place is not UTF-8; with the bytes.
    NotText(usize, Vec<u8>),
    /// There are too many.
    TooLong,
}

impl CsvProblem {
    /// The rest of a sentence about the file.
    pub fn in_words(&self) -> String {
        match self {
            CsvProblem::NotText(at, bytes) => not_utf8_at(bytes, *at),
            CsvProblem::TooLong => TOO_LONG.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, delimiter: u8) -> Vec<(u64, Vec<String>)> {
        let rows = TableRows::of_csv(text.into(), delimiter).unwrap();
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
        let mut rows = TableRows::of_csv("a,b\n1,2\n3,4\n5,6".into(), b',').unwrap();
        rows.push(9, ["7", "8"]).unwrap();
        rows.remove_first();
        rows.sort(&[3, 0, 2, 1]);
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
        let problem = TableRows::of_csv(b"a,b\r\n1,\xe9\n".to_vec(), b',').unwrap_err();
        let words = problem.in_words();
        assert!(words.contains("line 2") && words.contains('é'), "{words}");
    }
}

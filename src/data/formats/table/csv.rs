//! CSV files as text cells, with the line of every row.

use crate::data::DataError;
use crate::data::files::{check_memory, read_whole};
use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use std::collections::HashMap;
use std::path::Path;

/// A file of rows with the same number of cells.
pub struct CsvTable {
    /// Names of the columns: from the header, or `column_1`, `column_2`, ….
    pub names: Vec<String>,
    /// Cells, with the line at which each row begins.
    pub rows: Vec<(u64, StringRecord)>,
    /// The first column of every name.
    places: HashMap<String, usize>,
}

/// Cells that mean a missing value, besides empty ones.
const MISSING: [&str; 7] = ["?", "NA", "N/A", "NaN", "nan", "null", "NULL"];
/// Possible delimiters.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The value of a cell, unless it is missing.
pub(super) fn value(cell: &str) -> Option<&str> {
    (!cell.is_empty() && !MISSING.contains(&cell)).then_some(cell)
}

/// A cell as a number.
pub(super) fn number(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|x: &f64| x.is_finite())
}

impl CsvTable {
    /// Reads `path`. Whether the first row is a header is detected unless `header` says so: it is one if none of its cells
    /// is a number and no two are equal.
    ///
    /// # Errors
    /// Names the line with a different number of cells than the others, or that is not text.
    pub fn read(path: &Path, header: Option<bool>) -> Result<CsvTable, DataError> {
        let wrong = |problem: String| DataError::unusable(path, problem);
        let bytes = read_whole(path)?;
        let (text, delimiter) = text(&bytes);
        if let Some(line) = open_quote(text, delimiter) {
            return Err(wrong(format!(
                "has a quote at line {line} that is never closed, so everything after it is one cell: close it, or write it twice \
                 inside of quotes"
            )));
        }
        check_memory(path, parsed_bytes(text, delimiter))?;
        let mut rows = Vec::new();
        for record in reader(text, delimiter).records() {
            let record = record.map_err(|e| wrong(in_words(&e)))?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push((line, record));
        }
        let Some((_, first)) = rows.first() else {
            return Err(wrong("holds no rows".to_string()));
        };
        let names: Vec<String> = match header.unwrap_or_else(|| is_header(first)) {
            true => rows.remove(0).1.iter().map(str::to_string).collect(),
            false => (1..=first.len()).map(|n| format!("column_{n}")).collect(),
        };
        if rows.is_empty() {
            return Err(wrong("holds a header and no rows".to_string()));
        }
        let mut places = HashMap::new();
        for (place, name) in names.iter().enumerate() {
            places.entry(name.clone()).or_insert(place);
        }
        Ok(CsvTable {
            names,
            rows,
            places,
        })
    }

    /// The first column called `name`.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The names for a message, at most the first few.
    pub fn listed(&self) -> String {
        const MOST: usize = 30;
        match self.names.get(..MOST) {
            Some(first) if self.names.len() > MOST => {
                format!("{} and {} more", first.join(", "), self.names.len() - MOST)
            }
            _ => self.names.join(", "),
        }
    }
}

/// The header of a table that begins with the bytes `head`, if it can be read and has one.
pub fn header(head: &[u8]) -> Option<Vec<String>> {
    let (text, delimiter) = text(head);
    let first = reader(text, delimiter).records().next()?.ok()?;
    is_header(&first).then(|| first.iter().map(str::to_string).collect())
}

/// The first two rows of a table that begins with the bytes `head`, if they can be read.
pub fn first_rows(head: &[u8]) -> Option<[StringRecord; 2]> {
    let (text, delimiter) = text(head);
    let mut reader = reader(text, delimiter);
    let mut rows = reader.records();
    Some([rows.next()?.ok()?, rows.next()?.ok()?])
}

/// Up to `most` rows of a table that begins with the bytes `head`: those before the first that can't be read.
pub fn head_rows(head: &[u8], most: usize) -> Vec<StringRecord> {
    let (text, delimiter) = text(head);
    let mut reader = reader(text, delimiter);
    reader.records().map_while(Result::ok).take(most).collect()
}

/// The bytes after a byte order mark, and the delimiter: the candidate that is most frequent in the first line.
fn text(bytes: &[u8]) -> (&[u8], u8) {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| first.iter().filter(|byte| *byte == delimiter).count();
    // The first of equally frequent delimiters.
    let delimiter = DELIMITERS.iter().rev().max_by_key(|d| count(d)).copied();
    (text, delimiter.unwrap_or(b','))
}

/// Memory that the rows of a table take: text, the place of each cell, and what each row takes by itself.
fn parsed_bytes(text: &[u8], delimiter: u8) -> u64 {
    /// A line number, a record with its position, and its two allocations.
    const ROW: u64 = 192;
    const CELL: u64 = size_of::<usize>() as u64;
    let count = |wanted: u8| text.iter().filter(|&&byte| byte == wanted).count() as u64;
    let rows = count(b'\n') + 1;
    text.len() as u64 + rows * ROW + (rows + count(delimiter)) * CELL
}

fn reader(text: &[u8], delimiter: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .trim(Trim::All)
        .delimiter(delimiter)
        .from_reader(text)
}

/// Whether a first row consists of names: none of its cells is a number or missing, and no two are equal.
fn is_header(first: &StringRecord) -> bool {
    let mut cells: Vec<&str> = first.iter().collect();
    cells.sort_unstable();
    let distinct = cells.windows(2).all(|pair| pair[0] != pair[1]);
    distinct
        && cells
            .iter()
            .all(|cell| value(cell).is_some() && number(cell).is_none())
}

/// The position of a byte of a file in a cell, according to RFC 4180.
#[derive(Clone, Copy)]
enum Place {
    /// At the start of a cell, where a quote opens it.
    Start,
    Cell,
    /// In a quoted cell, with the line of its opening quote.
    Quoted(u64),
    /// After a second quote, which closes the cell unless a third quote follows.
    Closed(u64),
}

/// The line of the quote that opens a cell and is never closed, if there is one.
fn open_quote(text: &[u8], delimiter: u8) -> Option<u64> {
    let (mut place, mut line) = (Place::Start, 1);
    for &byte in text {
        place = match (place, byte) {
            (Place::Quoted(opened), b'"') => Place::Closed(opened),
            (Place::Quoted(opened), _) => Place::Quoted(opened),
            (Place::Closed(opened), b'"') => Place::Quoted(opened),
            (Place::Start, b'"') => Place::Quoted(line),
            (_, b'\n' | b'\r') => Place::Start,
            (_, byte) if byte == delimiter => Place::Start,
            _ => Place::Cell,
        };
        line += u64::from(byte == b'\n');
    }
    match place {
        Place::Quoted(opened) => Some(opened),
        _ => None,
    }
}

fn in_words(error: &csv::Error) -> String {
    let line = |pos: &Option<csv::Position>| pos.as_ref().map_or(0, csv::Position::line);
    match error.kind() {
        ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => format!(
            "has {len} cells in the row at line {}, but the rows before have {expected_len}: fix that row, or quote the \
             cells that hold a delimiter",
            line(pos)
        ),
        ErrorKind::Utf8 { pos, .. } => {
            format!("is not UTF-8 text at line {}: save it as UTF-8", line(pos))
        }
        _ => format!("can't be read as CSV ({error})"),
    }
}

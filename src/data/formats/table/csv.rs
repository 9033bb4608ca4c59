//! Files of tables as text cells, with the line of every row.

use super::comments::{Uncommented, may_have_comments};
use super::dialect::{self, Delimiter, LOOKED_AT, is_blank_at, reader, width_of};
use super::header::{self, Finding, Names};
use super::quotes::open_quote;
use super::report::capped;
use super::row_index::{counts_up, is_names};
use super::rows::{TableRow, TableRows, no_room};
use super::{columnar, json, workbook};
use crate::data::files::read_table;
use crate::data::packed::has_ending;
use crate::data::texts::{image_instead, spilled_utf8, utf8};
use crate::data::{DataError, DataSettings};
use csv::StringRecord;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// A file of rows with the same number of cells.
pub struct CsvTable {
    /// Names of the columns, all different: from the header, or `column_1`, `column_2`, ….
    pub names: Vec<String>,
    /// Cells, with the line at which each row begins.
    pub rows: TableRows,
    /// The column of every name.
    places: HashMap<String, usize>,
    /// The number of each row in the file, from 1, if rows were removed or moved.
    numbers: Option<Vec<u32>>,
    layout: Layout,
}

/// How the cells of a file are arranged.
#[derive(Default)]
struct Layout {
    /// What separates cells, if the file is text.
    delimiter: Option<Delimiter>,
    header: Finding,
    /// Places of columns without a name in the header.
    blank: Vec<usize>,
    /// Names that repeat in the header, with the names that their columns got.
    repeated: Vec<(String, Vec<String>)>,
    /// Number of rows that end in a delimiter.
    trailing: usize,
    /// Number of lines that are comments.
    comments: usize,
    /// Which sheet of a workbook was read, in words, if the settings name one.
    sheet: Option<String>,
    /// Which sheet of several was read, in words, if the settings don't.
    note: Option<String>,
}

impl CsvTable {
    /// Reads `path`: CSV, JSON, a workbook, Parquet or Arrow. Whether the first row is a header is detected unless `settings` say so;
    /// it is one if it holds the names that are `known` from training, of which there are none before.
    ///
    /// # Errors
    /// Names the line with a different number of cells than the others, or that is not text.
    pub fn read(
        path: &Path,
        settings: &DataSettings,
        known: &[String],
    ) -> Result<CsvTable, DataError> {
        let header = settings.header;
        if json::ENDINGS.iter().any(|ending| has_ending(path, ending)) {
            return json::read(path);
        }
        if columnar::ENDINGS
            .iter()
            .any(|ending| has_ending(path, ending))
        {
            return columnar::read(path, &settings.drop);
        }
        if workbook::ENDINGS
            .iter()
            .any(|ending| has_ending(path, ending))
        {
            let sheet = workbook::rows(path, settings.sheet.as_ref(), !known.is_empty())?;
            let mut table = CsvTable::of_rows(sheet.rows, None, (header, known), path)?;
            (table.layout.sheet, table.layout.note) = (sheet.found, sheet.note);
            return Ok(table);
        }
        let wrong = |problem: String| DataError::unusable(path, problem);
        let text = read_table(path)?;
        if let Some(problem) = image_instead(&text) {
            return Err(wrong(problem));
        }
        let mut text = spilled_utf8(text).map_err(|e| wrong(no_room(&e)))?;
        text.remove_first(declaration(&text));
        let delimiter = dialect::detect(&text);
        if delimiter.separates(text.pieces()) {
            let length = delimiter.separate(&mut text);
            text.truncate(length);
        }
        let mut comments = 0;
        if text.pieces().any(may_have_comments) {
            let left = Uncommented::of(&mut text, delimiter.byte());
            text.truncate(left.length);
            comments = left.comments;
        }
        if let Some(line) = open_quote(text.pieces(), delimiter.byte()) {
            return Err(wrong(format!(
                "has a quote at line {line} that is never closed, so everything after it is one cell: close it, or write it twice \
                 inside of quotes"
            )));
        }
        let rows = TableRows::of_csv(text, delimiter.byte()).map_err(wrong)?;
        let mut table = CsvTable::of_rows(rows, Some(delimiter), (header, known), path)?;
        table.layout.comments = comments;
        Ok(table)
    }

    /// The table of rows, the first of which may be a header.
    fn of_rows(
        mut rows: TableRows,
        delimiter: Option<Delimiter>,
        (header, known): (Option<bool>, &[String]),
        path: &Path,
    ) -> Result<CsvTable, DataError> {
        let wrong = |problem: String| DataError::unusable(path, problem);
        if rows.is_empty() {
            return Err(wrong("holds no rows".to_string()));
        }
        let looked_at = rows.head(LOOKED_AT + 1);
        let header = match header {
            None => header::find(&looked_at[0], &looked_at[1..], known),
            Some(is_header) => Finding {
                is_header,
                reason: "data.header says so".to_string(),
            },
        };
        let mut head = header.is_header.then(|| looked_at[0].clone());
        if head.is_some() {
            rows.remove_first();
        }
        if rows.is_empty() {
            return Err(wrong("holds a header and no rows".to_string()));
        }
        let below = &looked_at[usize::from(header.is_header)..];
        let (width, trailing) = fit(&mut head, &mut rows, width_of(below).0).map_err(wrong)?;
        if rows.is_empty() {
            return Err(wrong("holds blank lines and no rows".to_string()));
        }
        let names = match &head {
            Some(head) => Names::of(head),
            None => Names::numbered(width),
        };
        Ok(CsvTable::with_names(
            names,
            rows,
            Layout {
                delimiter,
                header,
                trailing,
                ..Layout::default()
            },
        ))
    }

    fn with_names(names: Names, rows: TableRows, layout: Layout) -> CsvTable {
        let places = names.names.iter().enumerate();
        CsvTable {
            places: places.map(|(place, name)| (name.clone(), place)).collect(),
            names: names.names,
            rows,
            numbers: None,
            layout: Layout {
                blank: names.blank,
                repeated: names.repeated,
                ..layout
            },
        }
    }

    /// The table of a file that is not CSV: the names of its columns, if it has some, and its rows, each with its line or number.
    /// `reason` says where the names come from, and continues "because".
    ///
    /// # Errors
    /// If there are no rows or columns, or a row has another length; `path` is the file.
    pub fn of_cells(
        names: Option<StringRecord>,
        rows: TableRows,
        reason: impl Into<String>,
        path: &Path,
    ) -> Result<CsvTable, DataError> {
        let wrong = |problem: String| DataError::unusable(path, problem);
        let of_names = names.as_ref().map(StringRecord::len);
        let Some(width) = of_names.or(rows.row(0).map(|(_, row)| row.len())) else {
            return Err(wrong("holds no rows".to_string()));
        };
        if rows.is_empty() {
            return Err(wrong("holds columns and no rows".to_string()));
        }
        if width == 0 {
            return Err(wrong("holds no columns".to_string()));
        }
        if let Some((line, row)) = rows.iter().find(|(_, row)| row.len() != width) {
            return Err(wrong(format!(
                "has {} cells in row {line}, but {width} columns: fix that row",
                row.len()
            )));
        }
        let header = Finding {
            is_header: names.is_some(),
            reason: reason.into(),
        };
        let names = match names {
            Some(names) => Names::of(&names),
            None => Names::numbered(width),
        };
        Ok(CsvTable::with_names(
            names,
            rows,
            Layout {
                header,
                ..Layout::default()
            },
        ))
    }

    /// The number in the file, from 1 and without the header, of the row at `place`.
    pub fn row_number(&self, place: usize) -> u32 {
        let numbers = self.numbers.as_ref();
        numbers.map_or(place as u32 + 1, |numbers| numbers[place])
    }

    /// Keeps the rows that `keep` accepts.
    pub fn keep_rows(&mut self, mut keep: impl FnMut(TableRow<'_>) -> bool) {
        let kept: Vec<bool> = self.rows.iter().map(|(_, row)| keep(row)).collect();
        if kept.iter().all(|&kept| kept) {
            return;
        }
        let places = (0..kept.len()).filter(|&place| kept[place]);
        self.numbers = Some(places.map(|place| self.row_number(place)).collect());
        self.rows.retain(|place| kept[place]);
    }

    /// Brings the rows into the order of the places `order`.
    ///
    /// # Errors
    /// If there is no room for them: the rest of a sentence about the file.
    pub fn sort_rows(&mut self, order: &[usize]) -> Result<(), String> {
        let numbers = order.iter().map(|&place| self.row_number(place));
        self.numbers = Some(numbers.collect());
        self.rows.sort(order)
    }

    /// The column called `name`.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Whether the first row was a header.
    pub fn has_header(&self) -> bool {
        self.layout.header.is_header
    }

    /// Whether the header has no name for the column at `place`.
    pub fn is_unnamed(&self, place: usize) -> bool {
        self.layout.blank.contains(&place)
    }

    /// The names of the columns that the header calls `name`, if these are several.
    pub fn repeated(&self, name: &str) -> Option<&[String]> {
        let mut repeated = self.layout.repeated.iter();
        let found = repeated.find(|(repeated, _)| repeated == name);
        found.map(|(_, names)| &**names)
    }

    /// The cells of the column at `place`, with their lines.
    pub fn column(&self, place: usize) -> impl Iterator<Item = (u64, &str)> + Clone {
        let rows = self.rows.iter();
        rows.map(move |(line, row)| (line, row.get(place).unwrap_or_default()))
    }

    /// Whether a semicolon separates cells, as where a comma separates decimals.
    pub fn has_semicolons(&self) -> bool {
        self.layout.delimiter == Some(Delimiter::Semicolon)
    }

    /// The names for a message, at most the first few, and of which sheet they are if there are several.
    pub fn listed(&self) -> String {
        const MOST: usize = 30;
        let names = match self.names.get(..MOST) {
            Some(first) if self.names.len() > MOST => {
                format!("{} and {} more", first.join(", "), self.names.len() - MOST)
            }
            _ => self.names.join(", "),
        };
        match &self.layout.note {
            Some(note) => format!("{names} ({note})"),
            None => names,
        }
    }

    /// What the user should know of how the file was read.
    pub fn notes(&self, path: &Path) -> Vec<String> {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let note = self.layout.note.iter();
        note.map(|note| format!("{file}: {note}")).collect()
    }

    /// How the file was read, in words: one line, and one for each change.
    pub fn in_words(&self, path: &Path) -> Vec<String> {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let Layout {
            delimiter,
            header,
            blank,
            repeated,
            trailing,
            comments,
            sheet,
            note: _,
        } = &self.layout;
        let (rows, columns) = (self.rows.len(), self.names.len());
        let between = match (columns, delimiter) {
            (1, _) => "1 column".to_string(),
            (_, Some(delimiter)) => format!("{columns} columns between {}", delimiter.name()),
            (_, None) => format!("{columns} columns"),
        };
        let has = match (header.is_header, delimiter) {
            (true, Some(_)) => "a header",
            (true, None) => "names of columns",
            (false, Some(_)) => "no header",
            (false, None) => "no names of columns",
        };
        let mut lines = vec![format!(
            "{file}: {rows} rows of {between}, and {has}, because {}",
            header.reason
        )];
        lines.extend(sheet.iter().map(|sheet| format!("{file}: {sheet}")));
        if *comments > 0 {
            lines.push(format!(
                "{file}: {comments} lines that begin with # are left out as comments"
            ));
        }
        if *trailing > 0 {
            lines.push(format!(
                "{file}: {trailing} rows end in a delimiter, which is left out"
            ));
        }
        let repeated = repeated.iter().map(|(name, names)| {
            format!(
                "{file}: {} columns are called {name}: they are read as {}",
                names.len(),
                names.join(", ")
            )
        });
        lines.extend(capped(repeated.collect()));
        let blank = blank.iter().map(|&place| {
            format!(
                "{file}: column {} has no name: it is read as {}",
                place + 1,
                self.names[place]
            )
        });
        lines.extend(capped(blank.collect()));
        lines
    }
}

/// Brings the header and all rows to one length, which is `width` in most rows: removes empty cells after the last delimiter, and
/// adds a blank name for a first column of row names. Returns the length, and the number of rows that ended in a delimiter.
fn fit(
    head: &mut Option<StringRecord>,
    rows: &mut TableRows,
    width: usize,
) -> Result<(usize, usize), String> {
    let mut width = width;
    if let Some(head) = head {
        let blank_ends = || {
            rows.iter()
                .all(|(_, row)| row.len() < width || row.get(width - 1) == Some(""))
        };
        if head.len() == width + 1 && is_blank_at(head, width) {
            head.truncate(width);
        } else if head.len() + 1 == width && !blank_ends() {
            let first = || rows.iter().map(|(_, row)| row.get(0).unwrap_or_default());
            if counts_up(first()) || is_names(first()) {
                let cells = [""].into_iter().chain(head.iter());
                *head = cells.collect();
            }
        }
        width = head.len();
    }
    let ends = |len: usize, last: Option<&str>| len == width && last == Some("");
    let is_end = head
        .as_ref()
        .is_none_or(|head| ends(head.len(), head.get(width - 1)))
        && rows
            .iter()
            .all(|(_, row)| ends(row.len(), row.get(width - 1)));
    width -= usize::from(is_end && width > 1);
    if let Some(head) = head {
        head.truncate(width);
    }
    // Lines of white space only.
    rows.retain_rows(|row| row.len() == width || row.iter().any(|cell| !cell.is_empty()));
    let mut trailing = 0;
    for place in 0..rows.len() {
        let Some((line, row)) = rows.row(place) else {
            continue;
        };
        let len = row.len();
        if len == width + 1 && row.get(width) == Some("") {
            rows.truncate(place, width);
            trailing += 1;
        } else if len != width {
            return Err(format!(
                "has {len} cells in the row at line {line}, but the rows before have {width}: fix that row, or quote the cells that \
                 hold a delimiter"
            ));
        }
    }
    Ok((width, trailing))
}

/// The header of a table that begins with the bytes `head`, if it can be read and has one.
pub fn header(head: &[u8]) -> Option<Vec<String>> {
    let rows = head_rows(head, LOOKED_AT + 1);
    if json::is_json(head) {
        return Some(rows.first()?.iter().map(str::to_string).collect());
    }
    let (first, rest) = rows.split_first()?;
    header::find(first, rest, &[])
        .is_header
        .then(|| Names::of(first).names)
}

/// The first two rows of a table that begins with the bytes `head`, if they can be read.
pub fn first_rows(head: &[u8]) -> Option<[StringRecord; 2]> {
    head_rows(head, 2).try_into().ok()
}

/// Up to `most` rows of a table that begins with the bytes `head`: those before the first that can't be read.
pub fn head_rows(head: &[u8], most: usize) -> Vec<StringRecord> {
    if json::is_json(head) {
        return json::head_rows(head, most);
    }
    let mut text = utf8(Cow::Borrowed(head)).into_owned();
    text.drain(..declaration(&text));
    let delimiter = dialect::detect(&text);
    let length = delimiter.separate(&mut text);
    let left = Uncommented::of(&mut text[..length], delimiter.byte());
    text.truncate(left.length);
    let mut reader = reader(&text, delimiter.byte());
    reader.records().map_while(Result::ok).take(most).collect()
}

/// Number of bytes of `sep=;` or the like in the first line of `text`, with which Excel is told the delimiter.
fn declaration(text: &[u8]) -> usize {
    match text {
        [b's', b'e', b'p', b'=', _, b'\n' | b'\r', ..] => "sep=;".len(),
        _ => 0,
    }
}

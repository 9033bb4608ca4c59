//! The cells of a sheet of a workbook: Excel files (`.xlsx`, `.xlsm`, `.xlsb`, `.xls`) and OpenDocument files (`.ods`).

mod limits;

use self::limits::check_size;
use super::rows::TableRows;
use crate::data::DataError;
use crate::data::files::check_memory;
use crate::guard::guarded;
use calamine::{Data, ExcelDateTime, Ods, Reader, Xls, Xlsb, Xlsx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _};
use std::path::Path;

/// Endings of such files.
pub(super) const ENDINGS: [&str; 5] = ["xlsx", "xlsm", "xlsb", "xls", "ods"];

/// A sheet of a workbook, by its name, or its number from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected the name of a sheet, or its number from 1"
)]
pub enum SheetName {
    /// Its place among the sheets, from 1.
    Number(usize),
    /// Its name.
    Name(String),
}

impl fmt::Display for SheetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SheetName::Number(number) => write!(f, "number {number}"),
            SheetName::Name(name) => f.write_str(name),
        }
    }
}

/// The rows of a sheet.
pub(super) struct SheetRows {
    /// Rows with their numbers.
    pub rows: TableRows,
    /// Which sheet was read, in words, if the settings name one.
    pub found: Option<String>,
    /// Which sheet of several was read, in words, if the settings name none.
    pub note: Option<String>,
}

/// The rows of the sheet that `wanted` names or, without it, of the first sheet with cells. For a model that `is_trained` a workbook
/// with one sheet may call it otherwise.
///
/// # Errors
/// If it is no workbook, is damaged, has no such sheet, or no cells.
pub(super) fn rows(
    path: &Path,
    wanted: Option<&SheetName>,
    is_trained: bool,
) -> Result<SheetRows, DataError> {
    let wrong = |problem: String| DataError::unusable(path, problem);
    let damaged = |message: String| wrong(format!("is not a readable workbook ({message})"));
    let kind = Kind::of(path)?;
    check_size(path, kind)?;
    let file = BufReader::new(open(path)?);
    let sheet = guarded(|| match kind {
        Kind::Xls => Sheet::read(Xls::new(file), wanted, is_trained, range_cells),
        Kind::Ods => Sheet::read(Ods::new(file), wanted, is_trained, range_cells),
        Kind::Xlsx => Sheet::read(Xlsx::new(file), wanted, is_trained, |book, name, add| {
            // A sheet of a chart has no cells.
            let Ok(mut cells) = book.worksheet_cells_reader(name) else {
                return Ok(());
            };
            while let Some(cell) = cells.next_cell()? {
                add(cell.get_position(), &Data::from(cell.get_value().clone()));
            }
            Ok(())
        }),
        Kind::Xlsb => Sheet::read(Xlsb::new(file), wanted, is_trained, |book, name, add| {
            let Ok(mut cells) = book.worksheet_cells_reader(name) else {
                return Ok(());
            };
            while let Some(cell) = cells.next_cell()? {
                add(cell.get_position(), &Data::from(cell.get_value().clone()));
            }
            Ok(())
        }),
    });
    let sheet = sheet.map_err(damaged)?.map_err(|problem| match problem {
        Problem::Damaged(message) => damaged(message),
        Problem::Sheet(message) => wrong(message),
    })?;
    let (found, note) = sheet.in_words(wanted);
    Ok(SheetRows {
        rows: joined(sheet.cells, path)?,
        found,
        note,
    })
}

/// The rows of `cells`, which are sorted by row.
fn joined(cells: Vec<Cell>, path: &Path) -> Result<TableRows, DataError> {
    let first = cells.iter().map(|cell| cell.column).min().unwrap_or(0);
    let last = cells.iter().map(|cell| cell.column).max().unwrap_or(0);
    let width = (last - first) as usize + 1;
    let mut count = 0;
    let mut before = None;
    for cell in &cells {
        count += u64::from(before != Some(cell.row));
        before = Some(cell.row);
    }
    let all = count.saturating_mul(width as u64);
    check_memory(path, TableRows::bytes(0, count, all))?;
    let mut rows = TableRows::default();
    let mut own: Vec<String> = Vec::new();
    let mut cells = cells.into_iter().peekable();
    while let Some(cell) = cells.next() {
        own.resize(width, String::new());
        own[(cell.column - first) as usize] = cell.text;
        if cells.peek().is_none_or(|next| next.row != cell.row) {
            rows.push(u64::from(cell.row) + 1, std::mem::take(&mut own))
                .map_err(|problem| DataError::unusable(path, problem))?;
        }
    }
    Ok(rows)
}

/// Kind of a workbook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Xlsx,
    Xlsb,
    Xls,
    Ods,
}

impl Kind {
    /// The kind of the workbook `path`: its content decides, whatever it is called.
    fn of(path: &Path) -> Result<Kind, DataError> {
        let mut file = open(path)?;
        let mut start = [0; 8];
        let unreadable = |source| DataError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let read = file.read(&mut start).map_err(unreadable)?;
        match start[..read] {
            [0xd0, 0xcf, 0x11, 0xe0, ..] => return Ok(Kind::Xls),
            [b'P', b'K', ..] => {}
            _ => {
                return Err(DataError::unusable(
                    path,
                    "is not a readable workbook, whatever its name says: if it is text, end its name in .csv, or else save it again",
                ));
            }
        }
        file.rewind().map_err(unreadable)?;
        let archive = limits::archive(path, file)?;
        let has = |name: &str| archive.index_for_name(name).is_some();
        Ok(if has("content.xml") {
            Kind::Ods
        } else if has("xl/workbook.bin") {
            Kind::Xlsb
        } else {
            Kind::Xlsx
        })
    }
}

fn open(path: &Path) -> Result<File, DataError> {
    File::open(path).map_err(|source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// A cell that is not empty.
struct Cell {
    row: u32,
    column: u32,
    text: String,
}

/// Why a sheet can't be read.
enum Problem {
    /// The workbook is damaged, in the words of its reader.
    Damaged(String),
    /// There is no such sheet, as the rest of a sentence about the file.
    Sheet(String),
}

/// A sheet of a workbook.
struct Sheet {
    /// The names of all sheets.
    names: Vec<String>,
    /// Its place among them.
    place: usize,
    /// Its cells, sorted by row.
    cells: Vec<Cell>,
}

impl Sheet {
    /// The sheet of `book` that is `wanted`, or the first that has cells, which `cells_of` gives: it adds each with row and column.
    fn read<B: Reader<BufReader<File>, Error: fmt::Display>>(
        book: Result<B, B::Error>,
        wanted: Option<&SheetName>,
        is_trained: bool,
        cells_of: impl Fn(&mut B, &str, &mut dyn FnMut((u32, u32), &Data)) -> Result<(), B::Error>,
    ) -> Result<Sheet, Problem> {
        let damaged = |e: B::Error| Problem::Damaged(e.to_string());
        let mut book = book.map_err(damaged)?;
        let names = book.sheet_names();
        let places = match wanted {
            None => 0..names.len(),
            Some(wanted) => {
                let place = place_of(wanted, &names, is_trained)?;
                place..place + 1
            }
        };
        for place in places {
            let mut cells = Vec::new();
            let mut add = |(row, column): (u32, u32), value: &Data| {
                let text = text_of(value);
                if !text.is_empty() {
                    cells.push(Cell { row, column, text });
                }
            };
            cells_of(&mut book, &names[place], &mut add).map_err(damaged)?;
            if !cells.is_empty() {
                // Rows are in order in any file of Excel.
                cells.sort_by_key(|cell| cell.row);
                return Ok(Sheet {
                    names,
                    place,
                    cells,
                });
            }
        }
        Err(Problem::Sheet(match wanted {
            Some(wanted) => format!("has no cells in sheet {wanted}, which data.sheet names"),
            None => "has no cells in any sheet".to_string(),
        }))
    }

    /// What was found and what to note of the choice of the sheet.
    fn in_words(&self, wanted: Option<&SheetName>) -> (Option<String>, Option<String>) {
        let name = &self.names[self.place];
        match wanted {
            Some(wanted) if is_called(wanted, self.place, name) => (
                Some(format!("sheet {name} is read, because data.sheet says so")),
                None,
            ),
            Some(wanted) => (
                None,
                Some(format!(
                    "sheet {name} is read, the only one: there is no sheet {wanted}, which data.sheet names"
                )),
            ),
            None if self.names.len() == 1 => (None, None),
            None => {
                let others = self.names.iter().enumerate();
                let others = others.filter(|(place, _)| *place != self.place);
                let others: Vec<&str> = others.map(|(_, name)| &**name).collect();
                let note = format!(
                    "sheet {name} is read, the first with cells, and not {}: data.sheet names another",
                    others.join(", ")
                );
                (None, Some(note))
            }
        }
    }
}

/// Whether `wanted` is the sheet at `place` with this name.
fn is_called(wanted: &SheetName, place: usize, name: &str) -> bool {
    match wanted {
        SheetName::Number(number) => *number == place + 1,
        SheetName::Name(wanted) => wanted == name,
    }
}

fn place_of(wanted: &SheetName, names: &[String], is_trained: bool) -> Result<usize, Problem> {
    let mut places = names.iter().enumerate();
    let found = places.position(|(place, name)| is_called(wanted, place, name));
    let only = || (is_trained && names.len() == 1).then_some(0);
    found.or_else(only).ok_or_else(|| {
        Problem::Sheet(format!(
            "has no sheet {wanted}, which data.sheet names: it has {}",
            names.join(", ")
        ))
    })
}

/// The cells of the sheet `name` of a `book` whose reader has them in memory.
fn range_cells<B: Reader<BufReader<File>>>(
    book: &mut B,
    name: &str,
    add: &mut dyn FnMut((u32, u32), &Data),
) -> Result<(), B::Error> {
    // A sheet of a chart has no cells.
    let Ok(range) = book.worksheet_range(name) else {
        return Ok(());
    };
    let (top, left) = range.start().unwrap_or_default();
    for (row, column, value) in range.used_cells() {
        add((top + row as u32, left + column as u32), value);
    }
    Ok(())
}

/// A value as a cell of a table; an error, such as `#DIV/0!`, is a missing one.
fn text_of(value: &Data) -> String {
    match value {
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::String(text) => text.trim().to_string(),
        Data::Bool(is_true) => is_true.to_string(),
        Data::DateTime(date) => date_of(*date),
        Data::DateTimeIso(text) => match text.strip_suffix("T00:00:00") {
            Some(day) => day.to_string(),
            None => text.replacen('T', " ", 1),
        },
        Data::DurationIso(text) => text.clone(),
        Data::Error(_) | Data::Empty => String::new(),
    }
}

/// A date as `2020-12-31`, with `06:30:00` if it has a time; a duration as its number of days.
fn date_of(date: ExcelDateTime) -> String {
    if date.is_duration() {
        return date.as_f64().to_string();
    }
    let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
    let day = format!("{year:04}-{month:02}-{day:02}");
    match (hour, minute, second) {
        (0, 0, 0) => day,
        _ => format!("{day} {hour:02}:{minute:02}:{second:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::csv::CsvTable;
    use super::*;
    use crate::data::DataSettings;
    use std::io::Write as _;
    use zip::write::SimpleFileOptions;

    /// A workbook with these sheets: name, and XML of its rows.
    fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
        const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        const DOC: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let mut put = |name: &str, text: String| {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        };
        let each = |of: &dyn Fn(usize) -> String| (1..=sheets.len()).map(of).collect::<String>();
        put(
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"rId1\" Type=\"{DOC}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        );
        let list = each(&|n| {
            format!(
                "<sheet name=\"{}\" sheetId=\"{n}\" r:id=\"rId{n}\"/>",
                sheets[n - 1].0
            )
        });
        put(
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{DOC}\"><sheets>{list}</sheets></workbook>"
            ),
        );
        let links = each(&|n| {
            format!(
                "<Relationship Id=\"rId{n}\" Type=\"{DOC}/worksheet\" Target=\"worksheets/sheet{n}.xml\"/>"
            )
        });
        put(
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{PACKAGE}\">{links}<Relationship Id=\"rIdS\" Type=\"{DOC}/styles\" Target=\"styles.xml\"/></Relationships>"
            ),
        );
        // The second style is that of dates.
        put(
            "xl/styles.xml",
            format!(
                "<styleSheet xmlns=\"{MAIN}\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
            ),
        );
        for (n, (_, rows)) in (1..).zip(sheets) {
            put(
                &format!("xl/worksheets/sheet{n}.xml"),
                format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>"),
            );
        }
        zip.finish().unwrap().into_inner()
    }

    fn text(place: &str, text: &str) -> String {
        format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
    }

    #[test]
    fn the_first_sheet_with_cells_is_a_table() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people.xlsx");
        let head = ["B2", "C2", "D2"].into_iter().zip(["age", "city", "born"]);
        let head: String = head.map(|(place, name)| text(place, name)).collect();
        let rows = format!(
            "<row r=\"2\">{head}</row>\
             <row r=\"3\"><c r=\"B3\"><v>31</v></c>{}<c r=\"D3\" s=\"1\"><v>44196</v></c></row>\
             <row r=\"5\"><c r=\"B5\"><v>2.5</v></c>{}<c r=\"D5\" t=\"e\"><v>#N/A</v></c></row>",
            text("C3", "Oslo"),
            text("C5", " Rome")
        );
        let book = workbook(&[("Empty", ""), ("People", &rows), ("Notes", &rows)]);
        std::fs::write(&path, &book).unwrap();
        let table = CsvTable::read(&path, &DataSettings::default(), &[]).unwrap();
        assert_eq!(table.names, ["age", "city", "born"]);
        let cells: Vec<(u64, Vec<&str>)> = table
            .rows
            .iter()
            .map(|(line, row)| (line, row.iter().collect()))
            .collect();
        let wanted = [
            (3, vec!["31", "Oslo", "2020-12-31"]),
            (5, vec!["2.5", "Rome", ""]),
        ];
        assert_eq!(cells, wanted);
        let notes = table.notes(&path);
        assert!(
            notes[0].starts_with(
                "people.xlsx: sheet People is read, the first with cells, and not Empty, Notes"
            ),
            "{notes:?}"
        );
        std::fs::write(&path, &book[..book.len() - 9]).unwrap();
        let message = CsvTable::read(&path, &DataSettings::default(), &[])
            .err()
            .unwrap()
            .to_string();
        assert!(
            message.contains("people.xlsx is not a readable workbook"),
            "{message}"
        );
        std::fs::write(&path, workbook(&[("Empty", "")])).unwrap();
        let message = CsvTable::read(&path, &DataSettings::default(), &[])
            .err()
            .unwrap()
            .to_string();
        assert!(message.contains("no cells in any sheet"), "{message}");
    }

    /// Two cells at opposite corners of a sheet: 17 billion cells between them.
    #[test]
    fn a_sheet_is_not_filled_beyond_its_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wide.xlsx");
        let rows = "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row>\
                    <row r=\"1048576\"><c r=\"XFD1048576\"><v>2</v></c></row>";
        std::fs::write(&path, workbook(&[("Wide", rows)])).unwrap();
        let rows = super::rows(&path, None, false).unwrap().rows;
        assert_eq!((rows.len(), rows.row(1).unwrap().1.len()), (2, 16_384));
    }

    /// A file of `tests/fixtures/workbooks`, which other programs wrote.
    fn fixture(ending: &str) -> std::path::PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/workbooks");
        folder.join(format!("people.{ending}"))
    }

    fn sheet(wanted: SheetName) -> DataSettings {
        DataSettings {
            sheet: Some(wanted),
            ..DataSettings::default()
        }
    }

    #[test]
    fn every_kind_of_workbook_holds_the_same_table() {
        for ending in ["xls", "xlsx", "xlsb", "ods"] {
            let path = fixture(ending);
            for wanted in [SheetName::Name("People".to_string()), SheetName::Number(2)] {
                let table = CsvTable::read(&path, &sheet(wanted), &[]).unwrap();
                assert_eq!(table.names, ["age", "city", "born", "member", "score"]);
                let cells = table
                    .rows
                    .iter()
                    .map(|(line, row)| (line, row.iter().collect::<Vec<_>>()));
                let wanted = [
                    (2, vec!["31", "Oslo", "1989-12-31", "true", "2.5"]),
                    (3, vec!["2.25", "Rome", "2018-10-01 06:30:00", "false", ""]),
                    (4, vec!["-7", "Zürich, West", "2020-02-29", "true", "0.001"]),
                ];
                assert_eq!(cells.collect::<Vec<_>>(), wanted, "{ending}");
                let words = table.in_words(&path);
                assert!(
                    words[1].ends_with("sheet People is read, because data.sheet says so"),
                    "{words:?}"
                );
                assert!(table.notes(&path).is_empty());
            }
            // Without the setting the first sheet is read, and a note names the other.
            let rows = rows(&path, None, false).unwrap();
            assert_eq!(
                rows.rows.row(0).unwrap().1.get(0),
                Some("people of two cities")
            );
            let note = rows.note.unwrap();
            assert!(
                note.contains("sheet About is read") && note.contains("not People"),
                "{note}"
            );
        }
    }

    #[test]
    fn a_sheet_that_is_not_there_is_an_error_unless_a_trained_model_gets_the_only_one() {
        let missing = SheetName::Name("Places".to_string());
        for wanted in [&missing, &SheetName::Number(3)] {
            let message = rows(&fixture("ods"), Some(wanted), true).err().unwrap();
            let message = message.to_string();
            assert!(
                message.contains(&format!("no sheet {wanted}"))
                    && message.contains("it has About, People"),
                "{message}"
            );
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new.xlsx");
        let row = format!("<row r=\"1\">{}</row>", text("A1", "age"));
        std::fs::write(&path, workbook(&[("Sheet1", &row)])).unwrap();
        assert!(rows(&path, Some(&missing), false).is_err());
        let note = rows(&path, Some(&missing), true).unwrap().note.unwrap();
        assert!(
            note.contains("sheet Sheet1 is read, the only one"),
            "{note}"
        );
    }

    #[test]
    fn content_decides_what_a_workbook_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people.xls");
        std::fs::copy(fixture("ods"), &path).unwrap();
        assert_eq!(
            rows(&path, Some(&SheetName::Number(2)), false)
                .unwrap()
                .rows
                .len(),
            4
        );
        std::fs::write(&path, "age,city\n31,Oslo\n").unwrap();
        let message = rows(&path, None, false).err().unwrap().to_string();
        assert!(message.contains("end its name in .csv"), "{message}");
    }
}

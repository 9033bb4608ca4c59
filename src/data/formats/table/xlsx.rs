//! The cells of Excel files (`.xlsx`): of the first sheet that has some.

use crate::data::DataError;
use crate::data::files::{MAX_BYTES, check_memory};
use crate::guard::guarded;
use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx};
use csv::StringRecord;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use zip::ZipArchive;

/// Ending of such files.
pub(super) const ENDING: &str = "xlsx";
/// Maximum compression ratio of deflate (RFC 1951).
const MAX_RATIO: u64 = 1032;
/// Memory of the unpacked text of a file per byte: strings of their own, and the positions of cells.
const PARSED: u64 = 8;

/// Rows with their numbers, and which sheet of several they are of, in words.
type Rows = (Vec<(u64, StringRecord)>, Option<String>);

/// The rows of the first sheet with cells, each with its number, and how the file was read, if it has several sheets.
///
/// # Errors
/// If it is not an Excel file, is damaged, or has no cells.
pub(super) fn rows(path: &Path) -> Result<Rows, DataError> {
    check_size(path)?;
    let wrong = |problem: String| DataError::unusable(path, problem);
    let damaged = |message: &str| wrong(format!("is not a readable Excel file ({message})"));
    let file = File::open(path).map_err(|source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let read = guarded(|| sheets(BufReader::new(file)));
    let (names, found) = read
        .and_then(|read| read)
        .map_err(|message| damaged(&message))?;
    let (place, cells) = found.ok_or_else(|| wrong("has no cells in any sheet".to_string()))?;
    let others: Vec<&str> = (names.iter().enumerate())
        .filter(|(other, _)| *other != place)
        .map(|(_, name)| &**name)
        .collect();
    let found = (!others.is_empty()).then(|| {
        format!(
            "sheet {} is read; others are {}",
            names[place],
            others.join(", ")
        )
    });
    let first = cells.iter().map(|cell| cell.column).min().unwrap_or(0);
    let last = cells.iter().map(|cell| cell.column).max().unwrap_or(0);
    let width = (last - first) as usize + 1;
    let mut count = 0;
    let mut before = None;
    for cell in &cells {
        count += u64::from(before != Some(cell.row));
        before = Some(cell.row);
    }
    // A record with its allocations for each row, and a place for each cell.
    check_memory(path, count.saturating_mul(width as u64 * 32 + 192))?;
    let mut rows: Vec<(u64, StringRecord)> = Vec::new();
    let mut own: Vec<String> = Vec::new();
    let mut cells = cells.into_iter().peekable();
    while let Some(cell) = cells.next() {
        own.resize(width, String::new());
        own[(cell.column - first) as usize] = cell.text;
        if cells.peek().is_none_or(|next| next.row != cell.row) {
            rows.push((u64::from(cell.row) + 1, std::mem::take(&mut own).into()));
        }
    }
    Ok((rows, found))
}

/// Checks that what the archive unpacks to fits the file and the free memory.
fn check_size(path: &Path) -> Result<(), DataError> {
    let wrong = |problem: String| DataError::unusable(path, problem);
    let file = File::open(path).map_err(|source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let mut archive = ZipArchive::new(BufReader::new(file))
        .map_err(|e| wrong(format!("is not a readable Excel file ({e})")))?;
    let mut all: u64 = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index);
        let entry = entry.map_err(|e| wrong(format!("is not a readable Excel file ({e})")))?;
        if entry.size() > entry.compressed_size().saturating_mul(MAX_RATIO) {
            return Err(wrong(format!(
                "declares {} bytes for {}: it is damaged",
                entry.size(),
                entry.name().unwrap_or_default()
            )));
        }
        all = all.saturating_add(entry.size());
    }
    if all > MAX_BYTES {
        return Err(wrong(format!(
            "unpacks to over {MAX_BYTES} bytes: save it as .csv"
        )));
    }
    check_memory(path, all.saturating_mul(PARSED))
}

/// A cell that is not empty.
struct Cell {
    row: u32,
    column: u32,
    text: String,
}

/// The names of the sheets, and place and cells of the first that has some.
type Sheets = (Vec<String>, Option<(usize, Vec<Cell>)>);

fn sheets(file: BufReader<File>) -> Result<Sheets, String> {
    let mut book: Xlsx<_> = Xlsx::new(file).map_err(|e| e.to_string())?;
    let names = book.sheet_names();
    for (place, name) in names.iter().enumerate() {
        // A sheet of a chart has no cells.
        let Ok(mut reader) = book.worksheet_cells_reader(name) else {
            continue;
        };
        let mut cells = Vec::new();
        while let Some(cell) = reader.next_cell().map_err(|e| e.to_string())? {
            let (row, column) = cell.get_position();
            let text = text_of(cell.get_value());
            if !text.is_empty() {
                cells.push(Cell { row, column, text });
            }
        }
        if !cells.is_empty() {
            // Rows are in order in any file of Excel.
            cells.sort_by_key(|cell| cell.row);
            return Ok((names, Some((place, cells))));
        }
    }
    Ok((names, None))
}

/// A value as a cell of a table; an error, such as `#DIV/0!`, is a missing one.
fn text_of(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::String(text) => text.trim().to_string(),
        DataRef::SharedString(text) => text.trim().to_string(),
        DataRef::Bool(is_true) => is_true.to_string(),
        DataRef::DateTime(date) => date_of(*date),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(_) | DataRef::Empty => String::new(),
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
        let table = CsvTable::read(&path, None, &[]).unwrap();
        assert_eq!(table.names, ["age", "city", "born"]);
        let cells: Vec<(u64, Vec<&str>)> = table
            .rows
            .iter()
            .map(|(line, row)| (*line, row.iter().collect()))
            .collect();
        let wanted = [
            (3, vec!["31", "Oslo", "2020-12-31"]),
            (5, vec!["2.5", "Rome", ""]),
        ];
        assert_eq!(cells, wanted);
        let words = table.in_words(&path);
        assert!(
            words[1].contains("sheet People is read; others are Empty, Notes"),
            "{words:?}"
        );
        std::fs::write(&path, &book[..book.len() - 9]).unwrap();
        let message = CsvTable::read(&path, None, &[]).err().unwrap().to_string();
        assert!(
            message.contains("people.xlsx is not a readable Excel file"),
            "{message}"
        );
        std::fs::write(&path, workbook(&[("Empty", "")])).unwrap();
        let message = CsvTable::read(&path, None, &[]).err().unwrap().to_string();
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
        let (rows, _) = super::rows(&path).unwrap();
        assert_eq!((rows.len(), rows[1].1.len()), (2, 16_384));
    }
}

//! What a workbook takes in memory, judged before its cells are read: a few bytes can declare millions of cells.

use super::{Kind, open};
use crate::data::DataError;
use crate::data::files::{MAX_BYTES, check_memory};
use crate::guard::guarded;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use zip::ZipArchive;

/// Maximum compression ratio of deflate (RFC 1951).
const MAX_RATIO: u64 = 1032;
/// Memory of the unpacked text of a file per byte: strings of their own, and the positions of cells.
const PARSED: u64 = 8;
/// Memory of a cell of a sheet that is read as a whole: its value, its position, and its formula.
const CELL: u64 = 96;
/// Maximum number of columns of a sheet.
const MAX_COLUMNS: u64 = 16_384;
/// Maximum number of rows of a sheet.
const MAX_ROWS: u64 = 1 << 20;

/// The zip archive of a workbook.
pub(super) fn archive(path: &Path, file: File) -> Result<ZipArchive<BufReader<File>>, DataError> {
    ZipArchive::new(BufReader::new(file))
        .map_err(|e| DataError::unusable(path, format!("is not a readable workbook ({e})")))
}

/// Checks that what the workbook unpacks to, and the cells that its sheets declare, fit the free memory.
///
/// # Errors
/// If they don't, or it is damaged.
pub(super) fn check_size(path: &Path, kind: Kind) -> Result<(), DataError> {
    let damaged = |message: String| {
        DataError::unusable(path, format!("is not a readable workbook ({message})"))
    };
    let cells = match kind {
        Kind::Xls => guarded(|| xls_cells(path))
            .map_err(damaged)?
            .map_err(|e| damaged(e.to_string()))?,
        Kind::Xlsx | Kind::Xlsb => {
            check_archive(path)?;
            0
        }
        Kind::Ods => {
            check_archive(path)?;
            ods_cells(&content(path).map_err(|e| damaged(e.to_string()))?)
        }
    };
    check_memory(path, cells.saturating_mul(CELL))
}

/// Checks that what the archive unpacks to fits the file and the free memory.
fn check_archive(path: &Path) -> Result<(), DataError> {
    let wrong = |problem: String| DataError::unusable(path, problem);
    let mut archive = archive(path, open(path)?)?;
    let mut all: u64 = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index);
        let entry = entry.map_err(|e| wrong(format!("is not a readable workbook ({e})")))?;
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

/// The cells of an OpenDocument file, as XML. Its size was checked.
fn content(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(path)?))?;
    let mut bytes = Vec::new();
    archive.by_name("content.xml")?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The number of cells that the sheets of an OpenDocument file declare: a cell or row can say how often it is repeated.
fn ods_cells(content: &[u8]) -> u64 {
    let repeated = |tag: &[u8], name: &str| -> u64 {
        let name = format!("{name}-repeated=\"");
        let at = tag
            .windows(name.len())
            .position(|part| part == name.as_bytes());
        let digits = at.map(|at| tag[at + name.len()..].split(|&byte| byte == b'"'));
        let digits =
            digits.and_then(|mut parts| std::str::from_utf8(parts.next()?).ok()?.parse().ok());
        digits.unwrap_or(1)
    };
    let (mut all, mut rows, mut width) = (0_u64, 0_u64, 0_u64);
    // Of the row, and of the empty cells or rows before the next that is not empty.
    let (mut own, mut empty, mut empty_rows, mut times) = (0_u64, 0_u64, 0_u64, 1);
    for tag in content.split(|&byte| byte == b'<') {
        if tag.starts_with(b"table:table-row") {
            (own, empty) = (0, 0);
            times = repeated(tag, "table:number-rows").min(MAX_ROWS);
        } else if tag.starts_with(b"table:table-cell")
            || tag.starts_with(b"table:covered-table-cell")
        {
            let count = repeated(tag, "table:number-columns").min(MAX_COLUMNS);
            let has_value = tag
                .windows(7)
                .any(|part| part == b"office:" || part == b"formula");
            if has_value {
                own = own.saturating_add(empty + count);
            }
            empty = if has_value { 0 } else { count };
        } else if tag.starts_with(b"/table:table-row>") {
            if own == 0 {
                empty_rows = empty_rows.saturating_add(times);
            } else {
                rows = rows
                    .saturating_add(std::mem::take(&mut empty_rows))
                    .saturating_add(times);
                width = width.max(own);
                all = all.saturating_add(own);
            }
        } else if tag.starts_with(b"/table:table>") {
            all = all.saturating_add(rows.min(MAX_ROWS).saturating_mul(width.min(MAX_COLUMNS)));
            (rows, width, empty_rows) = (0, 0, 0);
        }
    }
    all
}

/// The number of cells that the sheets of an `.xls` file declare, or that lie between their first and last ones.
fn xls_cells(path: &Path) -> std::io::Result<u64> {
    let mut file = cfb::CompoundFile::open(BufReader::new(File::open(path)?))?;
    let name = ["/Workbook", "/Book"]
        .into_iter()
        .find(|name| file.is_stream(name));
    let name = name.ok_or_else(|| std::io::Error::other("no stream Workbook"))?;
    let mut bytes = Vec::new();
    file.open_stream(name)?.read_to_end(&mut bytes)?;
    let (mut all, mut corner) = (0_u64, [0_u64; 2]);
    let mut rest = &bytes[..];
    while let [a, b, c, d, after @ ..] = rest {
        let (kind, length) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
        let data = &after[..after.len().min(usize::from(length))];
        rest = &after[data.len()..];
        let word = |at: usize| match data.get(at..at + 2) {
            Some(pair) => u64::from(u16::from_le_bytes([pair[0], pair[1]])),
            None => 0,
        };
        match kind {
            // The beginning of a sheet.
            0x0809 => {
                all = all.saturating_add(corner[0] * corner[1]);
                corner = [0, 0];
            }
            // Its dimensions, which its reader believes: up to which row and column there are cells.
            0x0200 => {
                let (rows, columns) = match data.len() {
                    10 => (word(2), word(6)),
                    _ => (word(4) | word(6) << 16, word(10)),
                };
                all = all.saturating_add(rows.saturating_mul(columns));
            }
            // Cells: number, text, formula, and the like.
            0x0203..=0x0205 | 0x00d6 | 0x027e | 0x00fd | 0x0006 => {
                corner = [corner[0].max(word(0) + 1), corner[1].max(word(2) + 1)];
            }
            // Numbers side by side; the last column is at the end.
            0x00bd => {
                let last = word(data.len().saturating_sub(2));
                corner = [corner[0].max(word(0) + 1), corner[1].max(last + 1)];
            }
            _ => {}
        }
    }
    Ok(all.saturating_add(corner[0] * corner[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_cells_are_counted_up_to_the_last_with_a_value() {
        let sheet = |rows: &str| format!("<table:table table:name=\"a\">{rows}</table:table>");
        let cell = "<table:table-cell office:value=\"1\"/>";
        let many = "<table:table-cell table:number-columns-repeated=\"16000\"";
        let row = |cells: &str| format!("<table:table-row>{cells}</table:table-row>");
        let empty = format!(
            "<table:table-row table:number-rows-repeated=\"1000000\">{many}/></table:table-row>"
        );
        for (rows, want) in [
            (row(cell).repeat(3), 3 + 3),
            (row(&format!("{cell}{many}/>")), 1 + 1),
            (row(&format!("{many} office:value=\"1\"/>")), 16_000 * 2),
            (row(&format!("{many}/>{cell}")), 16_001 * 2),
            (row(cell) + &empty, 1 + 1),
            (row(cell) + &empty + &row(cell), 2 + 1_000_002),
        ] {
            assert_eq!(ods_cells(sheet(&rows).as_bytes()), want, "{rows}");
        }
    }

    /// The least `.xls` file with these records: kind and content.
    fn xls(records: &[(u16, Vec<u8>)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::with_suffix(".xls").unwrap();
        let mut book = cfb::CompoundFile::create(file.reopen().unwrap()).unwrap();
        let mut stream = book.create_stream("/Workbook").unwrap();
        for (kind, data) in records {
            let bytes = [
                &kind.to_le_bytes()[..],
                &(data.len() as u16).to_le_bytes(),
                data,
            ]
            .concat();
            std::io::Write::write_all(&mut stream, &bytes).unwrap();
        }
        std::io::Write::flush(&mut stream).unwrap();
        drop(stream);
        book.flush().unwrap();
        file
    }

    #[test]
    fn dimensions_that_no_memory_holds_are_refused() {
        let words = |words: &[u16]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let number = |row: u16, column: u16| (0x0203, words(&[row, column, 0, 0, 0, 0, 0]));
        let begin = (0x0809, Vec::new());
        let small = [
            begin.clone(),
            (0x0200, words(&[0, 0, 3, 0, 0, 2, 0])),
            number(2, 1),
        ];
        assert_eq!(xls_cells(xls(&small).path()).unwrap(), 6 + 6);
        let far = [
            begin.clone(),
            number(0, 0),
            number(65_535, 255),
            begin,
            number(1, 0),
        ];
        assert_eq!(xls_cells(xls(&far).path()).unwrap(), 65_536 * 256 + 2);
        let huge = xls(&[(0x0200, words(&[0, 0, 0, 0xffff, 0, 256, 0]))]);
        let message = check_size(huge.path(), Kind::Xls).unwrap_err().to_string();
        assert!(message.contains("needs"), "{message}");
    }
}

//! Helpers for reading files.

use super::spilled::Spilled;
use super::{DataError, packed};
use crate::host_memory;
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Size limit for a file of names, in bytes.
const MAX_NAMES_BYTES: u64 = 64 << 10;
/// Size limit for a data file, in bytes.
pub(super) const MAX_BYTES: u64 = 4 << 30;
/// Size limit for the text of a table that is not compressed, in bytes.
const MAX_TABLE_BYTES: u64 = 1 << 40;

/// Bytes that are unpacked first.
const FIRST_STEP: u64 = 1 << 20;

/// The content of `path`, unpacked if it is compressed, unless it is larger than the limit.
pub(super) fn read_whole(path: &Path) -> Result<Vec<u8>, DataError> {
    read_at_most(path, MAX_BYTES)
}

/// The text of a table in `path`, unpacked if it is compressed, unless it is larger than the limit.
pub(super) fn read_table(path: &Path) -> Result<Spilled<u8>, DataError> {
    let file = packed::open(path)?;
    let most = match file.packing {
        Some(_) => MAX_BYTES,
        None => MAX_TABLE_BYTES,
    };
    if file.packing.is_none() && file.most > most {
        return Err(too_long(path, most));
    }
    let text = Spilled::of_reader(file.reader, most);
    let text = text.map_err(|source| packed::read_error(source, path, file.packing))?;
    text.ok_or_else(|| too_long(path, most))
}

/// The problem of a file with over `most` bytes.
fn too_long(path: &Path, most: u64) -> DataError {
    let problem = format!("is over {most} bytes long: split it, or check what it is");
    DataError::unusable(path, problem)
}

/// The content of `path`, which is unpacked if it is compressed. Memory grows with what was unpacked, and is compared with the free
/// memory before.
fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, DataError> {
    let mut file = packed::open(path)?;
    let mut bytes = Vec::new();
    if file.packing.is_none() {
        if file.most > most {
            return Err(too_long(path, most));
        }
        check_memory(path, file.most)?;
        bytes.reserve_exact(usize::try_from(file.most).unwrap_or(0) + 1);
    }
    loop {
        let step = match file.packing {
            None => most + 1,
            Some(_) => (bytes.len() as u64).max(FIRST_STEP).min(most + 1),
        };
        if file.packing.is_some() {
            check_memory(path, bytes.len() as u64 + step)?;
        }
        let read = (&mut *file.reader).take(step).read_to_end(&mut bytes);
        let read = read.map_err(|source| packed::read_error(source, path, file.packing))?;
        if bytes.len() as u64 > most {
            return Err(too_long(path, most));
        }
        if (read as u64) < step {
            return Ok(bytes);
        }
    }
}

/// Fails if the `bytes` that the content of `path` takes exceed the free memory.
pub(super) fn check_memory(path: &Path, bytes: u64) -> Result<(), DataError> {
    host_memory::check(bytes).map_err(|needs| {
        DataError::unusable(path, format!("needs {needs}: use a smaller part of it"))
    })
}

/// The entries of `dir`, sorted by name, without those whose names begin with a dot.
pub(super) fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::Unreadable {
        path: dir.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Natural order of names, in which 2 comes before 10.
pub(super) fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let ([l, left_rest], [r, right_rest]) = (run(left), run(right));
        if l.is_empty() || r.is_empty() {
            // The name with characters left is longer; names that differ only in leading zeros are compared as text.
            return l.len().cmp(&r.len()).then_with(|| a.cmp(b));
        }
        let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let order = match number(l) && number(r) {
            true => {
                let [l, r] = [l, r].map(|digits| digits.trim_start_matches('0'));
                l.len().cmp(&r.len()).then_with(|| l.cmp(r))
            }
            false => l.cmp(r),
        };
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// The leading digits, or other characters, of `text`, and the rest.
fn run(text: &str) -> [&str; 2] {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits);
    let (first, rest) = text.split_at(end.unwrap_or(text.len()));
    [first, rest]
}

/// The class names in `path`, one per line.
pub(super) fn class_names(path: &Path) -> Result<Vec<String>, DataError> {
    let problem = |problem: String| DataError::ClassNames {
        path: path.to_owned(),
        problem,
    };
    let bytes = match read_at_most(path, MAX_NAMES_BYTES) {
        Err(DataError::Unusable { .. }) => {
            return Err(problem(format!("is over {MAX_NAMES_BYTES} bytes long")));
        }
        other => other?,
    };
    let text = String::from_utf8(bytes).map_err(|_| problem("is not UTF-8 text".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim_end();
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    if names.is_empty() {
        return Err(problem("is empty".to_owned()));
    }
    if let Some(line) = names.iter().position(String::is_empty) {
        return Err(problem(format!("has a blank line {}", line + 1)));
    }
    Ok(names)
}

/// A name as text: bytes that are not UTF-8 are written as `\xFF`, so that names which differ only in them stay different.
pub(super) fn name_as_text(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

/// Name of a data set in `path`: that of the folder or file.
pub(super) fn set_name(path: &Path) -> String {
    let whole = path.canonicalize();
    let whole = whole.as_deref().unwrap_or(path);
    let unpacked = packed::unpacked_name(whole);
    let name = if whole.is_file() {
        unpacked.file_stem()
    } else {
        whole.file_name()
    };
    name.map_or_else(|| "data".to_owned(), name_as_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_ordered_as_numbers() {
        let mut names = [
            "b1", "a10", "a9", "10", "a", "9", "a02b", "a2a", "a2", "01", "1",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            [
                "01", "1", "9", "10", "a", "a2", "a2a", "a02b", "a9", "a10", "b1"
            ]
        );
    }
}

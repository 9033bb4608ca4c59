//! Tables in JSON: lines with an object each, or an array of objects, whose values are numbers, texts, booleans or null.

use super::csv::CsvTable;
use super::rows::{TableRows, no_room};
use crate::data::DataError;
use crate::data::files::{check_memory, read_table};
use crate::data::texts::{spilled_utf8, utf8};
use csv::StringRecord;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// Endings of files of objects.
pub(super) const ENDINGS: [&str; 3] = ["jsonl", "ndjson", "json"];

/// Whether a file that begins with `head` holds objects.
pub(super) fn is_json(head: &[u8]) -> bool {
    let mut bytes = head.iter().filter(|byte| !byte.is_ascii_whitespace());
    match (bytes.next(), bytes.next()) {
        (Some(b'{'), second) => matches!(second, Some(b'"' | b'}')),
        (Some(b'['), second) => second == Some(&b'{'),
        _ => false,
    }
}

/// Reads the table in `path`. Its columns are the keys, in the order in which they first occur; a key that an object lacks is a
/// missing cell.
///
/// # Errors
/// Names the line of an object that is damaged, or holds a list or an object.
pub(super) fn read(path: &Path) -> Result<CsvTable, DataError> {
    let wrong = |problem: String| DataError::unusable(path, problem);
    let bytes = spilled_utf8(read_table(path)?).map_err(|e| wrong(no_room(&e)))?;
    let mut keys = Keys::default();
    let (mut count, mut cells) = (0_u64, 0_u64);
    for row in Rows::of(&bytes) {
        let (_, row) = row.map_err(wrong)?;
        row.0.iter().for_each(|(key, _)| keys.add(key));
        (count, cells) = (count + 1, cells + row.0.len() as u64);
    }
    let places = count.saturating_mul(keys.names.len() as u64);
    check_memory(path, TableRows::bytes(bytes.len() as u64, count, places))?;
    let mut rows = TableRows::default();
    for row in Rows::of(&bytes) {
        let (line, row) = row.map_err(wrong)?;
        rows.push(line, keys.cells(row, line).map_err(wrong)?)
            .map_err(wrong)?;
    }
    let full = count.saturating_mul(keys.names.len() as u64);
    let reason = match full - cells.min(full) {
        0 => "objects have keys".to_string(),
        missing => format!("objects have keys, of which {missing} are missing"),
    };
    CsvTable::of_cells(Some(keys.names.into()), rows, reason, path)
}

/// The keys of the objects in a text that begins with `head`, and the rows of the first of them: at most `most` in all, those
/// before the first that can't be read.
pub(super) fn head_rows(head: &[u8], most: usize) -> Vec<StringRecord> {
    let head = utf8(Cow::Borrowed(head));
    let rows = Rows::of(&head).map_while(Result::ok);
    let rows: Vec<(u64, Row)> = rows.take(most.saturating_sub(1)).collect();
    let mut keys = Keys::default();
    for (_, row) in &rows {
        row.0.iter().for_each(|(key, _)| keys.add(key));
    }
    let records: Vec<StringRecord> = rows
        .into_iter()
        .map_while(|(line, row)| Some(keys.cells(row, line).ok()?.into()))
        .collect();
    match records.is_empty() {
        true => records,
        false => [keys.names.into()].into_iter().chain(records).collect(),
    }
}

/// The keys of all objects.
#[derive(Default)]
struct Keys {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Keys {
    fn add(&mut self, key: &str) {
        if !self.places.contains_key(key) {
            self.places.insert(key.to_string(), self.names.len());
            self.names.push(key.to_string());
        }
    }

    /// The cells of a row, in the order of the keys.
    fn cells(&self, row: Row, line: u64) -> Result<Vec<String>, String> {
        let mut cells: Vec<String> = vec![String::new(); self.names.len()];
        for (key, value) in row.0 {
            let cell = match value {
                Value::Null => String::new(),
                Value::Bool(is_true) => is_true.to_string(),
                Value::Number(number) => number.to_string(),
                Value::String(text) => text.trim().to_string(),
                Value::Array(_) | Value::Object(_) => {
                    return Err(format!(
                        "holds a list or an object in {key} at line {line}: write flat objects, whose values are numbers, texts, booleans \
                         or null, as pandas does with orient=\"records\""
                    ));
                }
            };
            if let Some(&place) = self.places.get(&key) {
                cells[place] = cell;
            }
        }
        Ok(cells)
    }
}

/// An object with its keys in order.
struct Row(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Row, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object for each row, such as {\"age\": 31, \"city\": \"Oslo\"}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Row(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// The objects of a text, each with the line at which it begins.
struct Rows<'b> {
    bytes: &'b [u8],
    at: usize,
    line: u64,
    /// Whether they are in an array.
    is_array: bool,
    is_first: bool,
    done: bool,
}

impl<'b> Rows<'b> {
    fn of(bytes: &'b [u8]) -> Rows<'b> {
        let mut rows = Rows {
            bytes,
            at: 0,
            line: 1,
            is_array: false,
            is_first: true,
            done: false,
        };
        rows.skip_space();
        if rows.next_byte() == Some(b'[') {
            rows.is_array = true;
            rows.at += 1;
        }
        rows
    }

    fn next_byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.next_byte().filter(u8::is_ascii_whitespace) {
            self.line += u64::from(byte == b'\n');
            self.at += 1;
        }
    }

    /// Goes to the next object, if there is one.
    fn advance(&mut self) -> Result<bool, String> {
        self.skip_space();
        let is_first = std::mem::take(&mut self.is_first);
        match (self.next_byte(), self.is_array) {
            (None, false) => return Ok(false),
            (None, true) => return Err(format!("ends at line {} within its array", self.line)),
            (Some(b']'), true) => return self.end(),
            (Some(b','), true) if !is_first => {
                self.at += 1;
                self.skip_space();
            }
            (Some(_), true) if !is_first => {
                return Err(format!(
                    "has no comma between objects at line {}",
                    self.line
                ));
            }
            _ => {}
        }
        Ok(true)
    }

    fn end(&mut self) -> Result<bool, String> {
        self.at += 1;
        self.skip_space();
        match self.next_byte() {
            None => Ok(false),
            Some(_) => Err(format!("goes on after its array at line {}", self.line)),
        }
    }

    fn read(&mut self) -> Result<(u64, Row), String> {
        let line = self.line;
        let rest = &self.bytes[self.at..];
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<Row>();
        let row = stream.next();
        let end = stream.byte_offset();
        let row = row.unwrap_or_else(|| Ok(Row(Vec::new()))).map_err(|e| {
            let line = line + (e.line() as u64).saturating_sub(1);
            let text = e.to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            format!("can't be read as JSON at line {line} ({text}): write an object for each row")
        })?;
        self.line += rest[..end].iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.at += end;
        Ok((line, row))
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<(u64, Row), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let row = match self.advance() {
            Ok(false) => None,
            Ok(true) => Some(self.read()),
            Err(problem) => Some(Err(problem)),
        };
        self.done = !matches!(row, Some(Ok(_)));
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSettings;

    fn table(text: &str) -> Result<CsvTable, String> {
        let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
        std::fs::write(file.path(), text).unwrap();
        CsvTable::read(file.path(), &DataSettings::default(), &[]).map_err(|e| e.to_string())
    }

    #[test]
    fn objects_are_rows_in_lines_or_in_an_array() {
        let lines = "{\"b\": 1.5, \"a\": \"x, y\"}\n{\"a\": null, \"b\": 2, \"c\": true}\n";
        let array = format!("[\n{}\n]", lines.trim().replace("}\n", "},\n"));
        for (text, first) in [(lines, 1), (&array, 2)] {
            let table = table(text).unwrap();
            assert_eq!(table.names, ["b", "a", "c"]);
            let rows: Vec<(u64, Vec<&str>)> = table
                .rows
                .iter()
                .map(|(line, row)| (line, row.iter().collect()))
                .collect();
            let wanted = [
                (first, vec!["1.5", "x, y", ""]),
                (first + 1, vec!["2", "", "true"]),
            ];
            assert_eq!(rows, wanted);
            assert!(is_json(text.as_bytes()));
            assert_eq!(head_rows(text.as_bytes(), 2)[1].len(), 2);
        }
    }

    #[test]
    fn what_is_no_table_is_named_with_its_line() {
        for (text, complaint) in [
            ("{\"a\": 1}\n{\"a\": [1]}\n", "in a at line 2"),
            ("{\"a\": 1}\n{\"a\": }\n", "as JSON at line 2"),
            ("[{\"a\": 1}\n", "ends at line 2"),
            ("[{\"a\": 1} {\"a\": 2}]", "no comma"),
            ("[{\"a\": 1}] 5", "goes on after"),
            ("[1, 2]", "an object for each row"),
            ("[]", "no rows"),
            ("", "no rows"),
        ] {
            let message = table(text).err().unwrap();
            assert!(message.contains(complaint), "{text}: {message}");
        }
    }
}

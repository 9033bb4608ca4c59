//! Names of samples: the row of a table, the file, or the rows of a series that a sample is, as the reader of its format knows them.

use super::files::name_as_text;
use serde_json::Value;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What the samples of a part are called.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleNames {
    /// The row of each in its table, counted from 1 without the header.
    Rows(Vec<u32>),
    /// The line of each in its file, counted from 1.
    Lines(Vec<u32>),
    /// The file of each, relative to the source.
    Files(Vec<String>),
    /// The text of each: its words with spaces between them.
    Texts(Vec<String>),
    /// They are windows of a series with these rows.
    Windows(Arc<SeriesRows>),
}

/// What the rows of a series are called.
#[derive(Clone, Debug, PartialEq)]
pub enum SeriesRows {
    /// The date of each, as it is written in the file.
    Dates(Vec<String>),
    /// The number of each in the file, counted from 1 without the header.
    Numbers(Vec<u32>),
}

/// The name of a sample, or of a row of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleName {
    /// What it is: `row`, `line`, `file`, `text`, `window`, `date` or, without a name, `index`.
    pub key: &'static str,
    /// The number, or the text.
    pub value: Value,
}

impl SampleName {
    fn new(key: &'static str, value: impl Into<Value>) -> SampleName {
        SampleName {
            key,
            value: value.into(),
        }
    }

    /// The number of a sample that has no name, counted from 0.
    pub(super) fn index(index: usize) -> SampleName {
        SampleName::new("index", index)
    }
}

impl fmt::Display for SampleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::String(text) => f.write_str(text),
            number => write!(f, "{} {number}", self.key),
        }
    }
}

impl SampleNames {
    /// The names of `files` relative to `folder`.
    pub(super) fn files<'p>(files: impl Iterator<Item = &'p Path>, folder: &Path) -> SampleNames {
        let name = |file: &Path| {
            let name = file.strip_prefix(folder).unwrap_or(file);
            name_as_text(name.as_os_str())
        };
        SampleNames::Files(files.map(name).collect())
    }

    /// The name of the sample at `index`; windows are counted from 1.
    pub(super) fn of(&self, index: usize) -> Option<SampleName> {
        Some(match self {
            SampleNames::Rows(rows) => SampleName::new("row", *rows.get(index)?),
            SampleNames::Lines(lines) => SampleName::new("line", *lines.get(index)?),
            SampleNames::Files(files) => SampleName::new("file", files.get(index)?.clone()),
            SampleNames::Texts(texts) => SampleName::new("text", texts.get(index)?.clone()),
            SampleNames::Windows(_) => SampleName::new("window", index + 1),
        })
    }

    /// The name of the row at `place` of a series.
    pub(super) fn row_of_series(&self, place: usize) -> Option<SampleName> {
        let SampleNames::Windows(rows) = self else {
            return None;
        };
        Some(match &**rows {
            SeriesRows::Dates(dates) => SampleName::new("date", dates.get(place)?.clone()),
            SeriesRows::Numbers(numbers) => SampleName::new("row", *numbers.get(place)?),
        })
    }

    /// The names of the samples at the indices `kept`.
    pub(super) fn kept(&self, kept: &[usize]) -> SampleNames {
        match self {
            SampleNames::Rows(rows) => {
                SampleNames::Rows(kept.iter().map(|&index| rows[index]).collect())
            }
            SampleNames::Lines(lines) => {
                SampleNames::Lines(kept.iter().map(|&index| lines[index]).collect())
            }
            SampleNames::Files(files) => {
                SampleNames::Files(kept.iter().map(|&index| files[index].clone()).collect())
            }
            SampleNames::Texts(texts) => {
                SampleNames::Texts(kept.iter().map(|&index| texts[index].clone()).collect())
            }
            SampleNames::Windows(rows) => SampleNames::Windows(rows.clone()),
        }
    }

    /// The number of names, unless any number of samples has some.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            SampleNames::Rows(rows) | SampleNames::Lines(rows) => Some(rows.len()),
            SampleNames::Files(files) => Some(files.len()),
            SampleNames::Texts(texts) => Some(texts.len()),
            SampleNames::Windows(_) => None,
        }
    }
}

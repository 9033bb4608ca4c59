//! From a source to a data set: what it holds is said, or found out by looking.

use super::settings::DIGITS;
use super::split::split_off;
use super::{
    DataError, DataSettings, Dataset, Part, Parts, Samples, cifar, digits, files, folder, idx, npz,
    series, table, text,
};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// What a source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The digits that the program draws.
    Digits,
    /// IDX files, as MNIST has.
    Idx,
    /// CIFAR-10 in its binary version.
    Cifar,
    /// A folder of image files for each class.
    Folder,
    /// A NumPy archive with images and labels.
    Npz,
    /// A CSV file, or one for each part.
    Table,
    /// A text whose next token is to be predicted.
    Text,
    /// A CSV file with a text and its class in each row.
    TextTable,
    /// A CSV file of numbers in the order of time.
    Series,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Digits => "built-in digits",
            Format::Idx => "IDX files",
            Format::Cifar => "CIFAR-10 batches",
            Format::Folder => "a folder of images for each class",
            Format::Npz => "a NumPy archive",
            Format::Table => "a table",
            Format::Text => "a text",
            Format::TextTable => "a table of texts",
            Format::Series => "a series",
        })
    }
}

/// Finds out what `source` holds.
///
/// # Errors
/// If it is not there, or nothing in it is known.
pub fn detect(source: &str) -> Result<Format, DataError> {
    if source == DIGITS {
        return Ok(Format::Digits);
    }
    let path = Path::new(source);
    if !path.exists() {
        return Err(DataError::NoFolder {
            path: path.to_owned(),
        });
    }
    if has_ending(path, "npz") {
        return Ok(Format::Npz);
    }
    if path.is_dir() {
        let entries = files::sorted_entries(path)?;
        let name = |path: &PathBuf| path.file_name().map(|n| n.to_string_lossy().into_owned());
        if entries
            .iter()
            .filter_map(name)
            .any(|name| name.contains("-ubyte"))
        {
            return Ok(Format::Idx);
        }
        if !cifar::training_files(path).is_empty() {
            return Ok(Format::Cifar);
        }
        if only(&entries, "npz").is_some() {
            return Ok(Format::Npz);
        }
        if folder::looks_like(path) {
            return Ok(Format::Folder);
        }
    }
    if table::looks_like(path) {
        return Ok(match text::table_has_text(path) {
            true => Format::TextTable,
            false => Format::Table,
        });
    }
    if text::looks_like(path) {
        return Ok(Format::Text);
    }
    Err(DataError::UnknownFormat {
        path: path.to_owned(),
    })
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// The file with this ending, if there is exactly one.
fn only<'a>(entries: &'a [PathBuf], ending: &str) -> Option<&'a PathBuf> {
    let mut found = entries.iter().filter(|path| has_ending(path, ending));
    found.next().filter(|_| found.next().is_none())
}

/// What a reader of images found: parts, names of classes, and what the user should hear of.
#[derive(Debug)]
pub(super) struct Found {
    pub parts: Parts,
    pub classes: Vec<String>,
    pub notes: Vec<String>,
}

/// Loads what `settings` say, and puts what is learned of it there: the columns of a table. Where no format is said, the
/// source is looked at. The part to evaluate is [`Dataset::test`].
///
/// # Errors
/// If the source can't be read, or is not what it should be.
pub fn load(settings: &mut DataSettings, seed: u64) -> Result<Dataset<Samples>> {
    let source = settings.source.clone();
    let path = Path::new(&source);
    let format = match settings.format {
        Some(format) => format,
        None => detect(&source)?,
    };
    if format == Format::Text {
        settings.test_share.get_or_insert(0.1);
    }
    let found = |found: Found| -> Result<Dataset<Samples>> {
        let Found {
            parts,
            classes,
            notes,
        } = found;
        let parts = Parts {
            train: parts.train.into(),
            validation: parts.validation.map(Samples::from),
            test: parts.test.map(Samples::from),
        };
        let parts = split_off(parts, settings, seed)?;
        let mut dataset = Dataset::of_parts(path, parts, classes);
        dataset.notes.extend(notes);
        Ok(dataset)
    };
    let whole = |dataset: Dataset| -> Result<Dataset<Samples>> {
        let dataset = Dataset::<Samples>::from(dataset);
        let parts = Parts {
            train: dataset.train,
            validation: dataset.validation,
            test: Some(dataset.test),
        };
        let parts = split_off(parts, settings, seed)?;
        Ok(Dataset {
            name: dataset.name,
            notes: dataset.notes,
            ..Dataset::of_parts(path, parts, dataset.classes)
        })
    };
    let mut dataset = match format {
        Format::Digits => whole(digits(seed, settings.train, settings.test))?,
        Format::Idx => whole(idx::load_idx_dir(path)?)?,
        Format::Cifar => whole(cifar::load_cifar_dir(path)?)?,
        Format::Npz => {
            let entries = match path.is_dir() {
                true => files::sorted_entries(path)?,
                false => Vec::new(),
            };
            found(npz::load(
                only(&entries, "npz").map_or(path, PathBuf::as_path),
            )?)?
        }
        Format::Folder => found(folder::load(path, settings)?)?,
        Format::Table => table::load(path, settings, seed)?,
        Format::Text => text::load_text(path, settings)?,
        Format::TextTable => text::load_table(path, settings, seed)?,
        Format::Series => series::load(path, settings)?,
    };
    match settings.evaluate {
        Part::Test => {}
        Part::Train => dataset.test = dataset.train.clone(),
        Part::Validation => match dataset.validation.take() {
            Some(validation) => dataset.test = validation,
            None => {
                return Err(DataError::NoValidation {
                    path: path.to_owned(),
                }
                .into());
            }
        },
    }
    Ok(dataset)
}

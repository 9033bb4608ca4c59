//! The files of a source with their sizes and checksums, by which a resumed run names those that changed.

use super::{DataError, Source};
use crate::checksum::FileSums;
use crate::error::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Files named in a sentence; the others are counted.
const NAMED: usize = 3;

/// The size, the CRC-32 and the SHA-256 of each file of a source, by its path within the source. Earlier versions left the last out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Listing {
    files: BTreeMap<String, String>,
}

impl Listing {
    /// Reads all files of the source that `word` names; the built-in digits have none.
    ///
    /// # Errors
    /// If there is no such source, or a file can't be read.
    pub fn of(word: &str) -> Result<Listing> {
        let source = Source::look(word)?;
        let files: Vec<(&Path, &Path)> = if source.is_folder() {
            source.tree().files_below(source.path())?.collect()
        } else if source.is_file() {
            let name = source.path().file_name().map_or(source.path(), Path::new);
            vec![(source.path(), name)]
        } else {
            Vec::new()
        };
        let summed = files.into_par_iter().map(|(path, name)| {
            let sums = FileSums::of(path).map_err(|source| DataError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
            let FileSums {
                bytes,
                crc32,
                sha256,
            } = sums;
            let sums = format!("{bytes} bytes, crc32 {crc32:08x}, sha256 {sha256}");
            Ok((name.to_string_lossy().into_owned(), sums))
        });
        let files = summed.collect::<Result<BTreeMap<_, _>, DataError>>()?;
        Ok(Listing { files })
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The content of `data-files.json`.
    ///
    /// # Errors
    /// If it can't be written as JSON.
    pub fn to_text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self);
        text.map_err(|e| Error::Config(format!("files of the data: {e}")))
    }

    /// What differs `now`, as a sentence's part: `b.png changed, a/1.png and 2 more are missing`. `None` if nothing does.
    pub fn difference(&self, now: &Listing) -> Option<String> {
        let missing = |from: &Listing, to: &Listing| -> Vec<String> {
            let names = from.files.keys();
            names
                .filter(|name| !to.files.contains_key(*name))
                .cloned()
                .collect()
        };
        let other = |(name, sum): &(&String, &String)| {
            now.files.get(*name).is_some_and(|now| !are_same(sum, now))
        };
        let changed: Vec<String> = self
            .files
            .iter()
            .filter(other)
            .map(|(name, _)| name.clone())
            .collect();
        let kinds = [
            (changed, ["changed", "changed"]),
            (missing(self, now), ["is missing", "are missing"]),
            (missing(now, self), ["is new", "are new"]),
        ];
        let told: Vec<String> = kinds
            .into_iter()
            .filter(|(names, _)| !names.is_empty())
            .map(|(names, [one, many])| {
                let verb = if names.len() == 1 { one } else { many };
                format!("{} {verb}", enumerated(&names))
            })
            .collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}

/// The error about the changed data of `source` with the files that differ from those `recorded`, if any do.
pub fn with_changed_files(error: Error, source: &str, recorded: Option<&Listing>) -> Error {
    let now = recorded.and_then(|_| Listing::of(source).ok());
    let told = recorded
        .zip(now.as_ref())
        .and_then(|(before, now)| before.difference(now));
    match (error, told) {
        (Error::Data(text), Some(told)) => Error::Data(format!("{text}: {told}")),
        (error, _) => error,
    }
}

/// `a, b and c`, or the first few names and the number of the others.
fn enumerated(names: &[String]) -> String {
    let rest = names.len().saturating_sub(NAMED);
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>();
    match (rest, shown.split_last()) {
        (0, Some((last, first))) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        (0, _) => shown.concat(),
        _ => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// Whether two descriptions of a file agree, one of which may lack what the other has at its end.
fn are_same(before: &str, now: &str) -> bool {
    let begins = |long: &str, short: &str| {
        let rest = long.strip_prefix(short);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(", "))
    };
    begins(now, before) || begins(before, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_that_changed_vanished_or_appeared_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let word = dir.path().display().to_string();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        for name in ["a.csv", "b.csv", "c.csv", "d.csv", "e.csv"] {
            write(name, "1");
        }
        let before = Listing::of(&word).unwrap();
        let known = "1 bytes, crc32 83dcefb7, sha256 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
        assert_eq!(before.files["a.csv"], known);
        assert!(are_same("1 bytes, crc32 83dcefb7", known));
        assert!(!are_same("1 bytes, crc32 83dcefb", known));
        assert_eq!(before.difference(&Listing::of(&word).unwrap()), None);
        write("b.csv", "2");
        write("f.csv", "1");
        for name in ["a.csv", "c.csv", "d.csv", "e.csv"] {
            fs::remove_file(dir.path().join(name)).unwrap();
        }
        let told = before.difference(&Listing::of(&word).unwrap()).unwrap();
        assert_eq!(
            told,
            "b.csv changed, a.csv, c.csv, d.csv and 1 more are missing, f.csv is new"
        );
        let file = dir.path().join("b.csv").display().to_string();
        let alone = Listing::of(&file).unwrap();
        write("b.csv", "3");
        let told = alone.difference(&Listing::of(&file).unwrap()).unwrap();
        assert_eq!(told, "b.csv changed");
        assert_eq!(Listing::of("digits").unwrap(), Listing::default());
    }
}

//! The files of a source with their sizes and checksums, by which a resumed run names those that changed.

use super::{DataError, Source};
use crate::error::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Files named in a sentence; the others are counted.
const NAMED: usize = 3;

/// The size and the CRC-32 of each file of a source, by its path within the source.
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
            let sum = sum(path).map_err(|source| DataError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
            Ok((name.to_string_lossy().into_owned(), sum))
        });
        let files = summed.collect::<Result<BTreeMap<_, _>, DataError>>()?;
        Ok(Listing { files })
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
        let other =
            |(name, sum): &(&String, &String)| now.files.get(*name).is_some_and(|s| s != *sum);
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

/// The size of a file and the CRC-32 of its bytes.
fn sum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hasher, mut bytes) = (crc32fast::Hasher::new(), 0);
    let mut block = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        hasher.update(&block[..read]);
        bytes += read as u64;
    }
    Ok(format!("{bytes} bytes, crc32 {:08x}", hasher.finalize()))
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
        assert_eq!(before.files["a.csv"], "1 bytes, crc32 83dcefb7");
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

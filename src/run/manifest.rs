//! The files that a run wrote into its folder, listed in `files.json`. A run overwrites and removes only these.

use crate::error::{Error, Result};
use crate::files::{read_text, write_whole};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) const MANIFEST: &str = "files.json";

/// The list. Paths are relative to the folder, with `/` between their parts.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    files: BTreeSet<String>,
}

impl Manifest {
    /// The list in `folder`; `None` if there is none.
    ///
    /// # Errors
    /// If it can't be read, or was not written by a run.
    pub fn read(folder: &Path) -> Result<Option<Manifest>> {
        let path = folder.join(MANIFEST);
        if !path.exists() {
            return Ok(None);
        }
        let text = read_text(&path).map_err(Error::io("read", &path))?;
        let manifest: Option<Manifest> = serde_json::from_str(&text).ok();
        // A path out of the folder was not written by a run, and must never be removed.
        let inside = |file: &String| file.split('/').all(|part| !["", ".", ".."].contains(&part));
        match manifest.filter(|manifest| manifest.files.iter().all(inside)) {
            Some(manifest) => Ok(Some(manifest)),
            None => Err(not_of_a_run(&path)),
        }
    }

    /// Writes the list into `folder`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::Config(format!("{MANIFEST}: {e}")))?;
        write_whole(&folder.join(MANIFEST), text.as_bytes())
    }

    /// Whether `file` is listed.
    pub fn contains(&self, file: &str) -> bool {
        self.files.contains(file)
    }

    /// The listed files, sorted.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Adds `file`.
    pub fn add(&mut self, file: &str) {
        self.files.insert(file.to_string());
    }

    /// Removes `file`.
    pub fn remove(&mut self, file: &str) {
        self.files.remove(file);
    }
}

/// The path of `file` in `folder`, which is about to be written, after it was listed.
///
/// # Errors
/// If the file exists and is not listed.
pub(super) fn claim(folder: &Path, file: &str) -> Result<PathBuf> {
    let path = folder.join(file);
    let mut manifest = Manifest::read(folder)?.unwrap_or_default();
    if !manifest.contains(file) {
        if path.symlink_metadata().is_ok() {
            return Err(not_of_a_run(&path));
        }
        manifest.add(file);
        manifest.write(folder)?;
    }
    Ok(path)
}

/// The error about a file of the user in the place of one of a run.
pub(super) fn not_of_a_run(path: &Path) -> Error {
    Error::Config(format!(
        "{} exists and was not written by a run; move it, or name another folder",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_claimed_unless_it_was_there_before() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(dir.path().join(name), "mine").unwrap();
        let path = claim(dir.path(), "a").unwrap();
        fs::write(&path, "of the run").unwrap();
        assert_eq!(claim(dir.path(), "a").unwrap(), path);
        write("b");
        let message = claim(dir.path(), "b").unwrap_err().to_string();
        assert!(message.contains("not written by a run"), "{message}");
        let listed = Manifest::read(dir.path()).unwrap().unwrap();
        assert_eq!(listed.files().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn a_list_of_something_else_or_of_files_outside_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        for text in [
            "",
            "[]",
            "{\"files\": [\"../a\"]}",
            "{\"files\": [\"/etc/passwd\"]}",
            "{\"files\": [], \"name\": \"of another program\"}",
        ] {
            fs::write(dir.path().join(MANIFEST), text).unwrap();
            assert!(Manifest::read(dir.path()).is_err(), "{text}");
        }
    }
}

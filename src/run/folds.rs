//! The folder of a cross-validation: `folds.toml`, its copy `settings.lock.toml`, and `fold-1`, `fold-2` and so on, each the
//! folder of a run with a `result.toml`.

use super::folder::{ACCEPTED, RunFolder, next_free};
use super::lock::FolderLock;
use crate::error::{Error, Result};
use crate::files::write_whole;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) const FOLDS: &str = "folds.toml";
const RESULT: &str = "result.toml";

/// The folder of all folds.
#[derive(Debug)]
pub struct FoldsFolder {
    /// Its path.
    pub path: PathBuf,
    /// Held while folds are trained in the folder.
    _lock: Option<FolderLock>,
}

impl FoldsFolder {
    /// The folder of folds at `path`, if it is one.
    pub fn open(path: &Path) -> Option<FoldsFolder> {
        let folder = FoldsFolder::at(path);
        let holds = [FOLDS, ACCEPTED].map(|file| path.join(file).is_file());
        (holds == [true, true]).then_some(folder)
    }

    /// The folder `path`, whatever it holds.
    pub(crate) fn at(path: &Path) -> FoldsFolder {
        FoldsFolder {
            path: path.to_path_buf(),
            _lock: None,
        }
    }

    /// Locks the folder to train in it.
    ///
    /// # Errors
    /// If folds are being trained in it, or it can't be written.
    pub fn lock(mut self) -> Result<FoldsFolder> {
        self._lock = Some(FolderLock::take(&self.path)?);
        Ok(self)
    }

    /// Whether training of a fold has begun, which is so once its settings exist.
    pub fn has_begun(&self) -> bool {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("fold-"))
            .any(|entry| RunFolder::open(&entry.path()).is_ok())
    }

    /// Creates the folder `out`, or the next free one under `runs` with the prefix `name`, and writes the settings into it.
    ///
    /// # Errors
    /// If folds are being trained in it, or it can't be written.
    pub fn create(out: Option<&Path>, name: &str, settings: &str) -> Result<FoldsFolder> {
        let path = match out {
            Some(path) => {
                fs::create_dir_all(path).map_err(Error::io("create", path))?;
                path.to_path_buf()
            }
            None => next_free(name)?,
        };
        let folder = FoldsFolder::at(&path).lock()?;
        folder.write_settings(settings)?;
        Ok(folder)
    }

    /// Writes `folds.toml` and its copy.
    ///
    /// # Errors
    /// If one can't be written.
    pub fn write_settings(&self, settings: &str) -> Result<()> {
        write_whole(&self.settings_path(), settings.as_bytes())?;
        write_whole(&self.accepted_settings_path(), settings.as_bytes())
    }

    /// `folds.toml`: the settings that the folds share.
    pub fn settings_path(&self) -> PathBuf {
        self.path.join(FOLDS)
    }

    /// `settings.lock.toml`: the settings with which they were started or last resumed.
    pub fn accepted_settings_path(&self) -> PathBuf {
        self.path.join(ACCEPTED)
    }

    /// The run folder of a fold; folds count from 1.
    pub fn fold_path(&self, fold: usize) -> PathBuf {
        self.path.join(format!("fold-{fold}"))
    }

    /// `result.toml` of a fold, which exists once the fold is finished.
    pub fn result_path(&self, fold: usize) -> PathBuf {
        self.fold_path(fold).join(RESULT)
    }
}

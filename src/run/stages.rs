//! The folder of the stages of continual learning: `stages.toml`, its copy `settings.lock.toml`, `report.html`, and `stage-1`, `stage-2`
//! and so on, each the folder of a run.

use super::folder::{ACCEPTED, RunFolder, next_free};
use super::lock::FolderLock;
use crate::error::{Error, Result};
use crate::files::write_whole;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) const STAGES: &str = "stages.toml";

/// The folder of all stages.
#[derive(Debug)]
pub struct StagesFolder {
    /// Its path.
    pub path: PathBuf,
    /// Held while stages are trained in the folder.
    _lock: Option<FolderLock>,
}

impl StagesFolder {
    /// The folder of stages at `path`, if it is one.
    pub fn open(path: &Path) -> Option<StagesFolder> {
        let holds = [STAGES, ACCEPTED].map(|file| path.join(file).is_file());
        (holds == [true, true]).then(|| StagesFolder::at(path))
    }

    /// The folder `path`, whatever it holds.
    pub(crate) fn at(path: &Path) -> StagesFolder {
        StagesFolder {
            path: path.to_path_buf(),
            _lock: None,
        }
    }

    /// Locks the folder to train in it.
    ///
    /// # Errors
    /// If stages are being trained in it, or it can't be written.
    pub fn lock(mut self) -> Result<StagesFolder> {
        self._lock = Some(FolderLock::take(&self.path)?);
        Ok(self)
    }

    /// Whether training of the first stage has begun, which is so once its settings exist.
    pub fn has_begun(&self) -> bool {
        RunFolder::open(&self.run_path(1)).is_ok()
    }

    /// Creates the folder `out`, or the next free one under `runs` with the prefix `name`, and writes the settings into it.
    ///
    /// # Errors
    /// If stages are being trained in it, or it can't be written.
    pub fn create(out: Option<&Path>, name: &str, settings: &str) -> Result<StagesFolder> {
        let path = match out {
            Some(path) => {
                fs::create_dir_all(path).map_err(Error::io("create", path))?;
                path.to_path_buf()
            }
            None => next_free(name)?,
        };
        let folder = StagesFolder::at(&path).lock()?;
        folder.write_settings(settings)?;
        Ok(folder)
    }

    /// Writes `stages.toml` and its copy.
    ///
    /// # Errors
    /// If one can't be written.
    pub fn write_settings(&self, settings: &str) -> Result<()> {
        write_whole(&self.settings_path(), settings.as_bytes())?;
        write_whole(&self.accepted_settings_path(), settings.as_bytes())
    }

    /// `stages.toml`: the settings of all stages.
    pub fn settings_path(&self) -> PathBuf {
        self.path.join(STAGES)
    }

    /// `settings.lock.toml`: the settings with which they were started or last resumed.
    pub fn accepted_settings_path(&self) -> PathBuf {
        self.path.join(ACCEPTED)
    }

    /// The run folder of a stage; stages count from 1.
    pub fn run_path(&self, stage: usize) -> PathBuf {
        self.path.join(format!("stage-{stage}"))
    }

    /// Writes `report.html`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_report(&self, page: &str) -> Result<()> {
        write_whole(&self.path.join("report.html"), page.as_bytes())
    }
}

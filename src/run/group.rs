//! The folder of several runs that belong together: the settings that they share, a copy of them, `settings.lock.toml`, and a run
//! folder for each, with a `result.toml`.

use super::folder::{ACCEPTED, RunFolder, next_free};
use super::lock::{self, FolderLock};
use crate::error::{Error, Result};
use crate::files::{read_text, write_whole};
use crate::toml_text::parse;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};

const RESULT: &str = "result.toml";

/// Why runs belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// They are the folds of a cross-validation: `folds.toml`, and `fold-1`, `fold-2` and so on.
    Folds,
    /// They are the trials of a sweep: `sweep.toml`, and `trial-1`, `trial-2` and so on, or `trial-1-seed-1` with several seeds.
    Sweep,
    /// They are the members of an ensemble: `ensemble.toml`, and `member-1`, `member-2` and so on.
    Ensemble,
    /// They are the stages of continual learning, one after another: `stages.toml`, and `stage-1`, `stage-2` and so on.
    Stages,
}

impl GroupKind {
    const ALL: [GroupKind; 4] = [
        GroupKind::Folds,
        GroupKind::Sweep,
        GroupKind::Ensemble,
        GroupKind::Stages,
    ];

    /// The file with the settings that the runs share.
    pub(super) fn file(self) -> &'static str {
        match self {
            GroupKind::Folds => "folds.toml",
            GroupKind::Sweep => "sweep.toml",
            GroupKind::Ensemble => "ensemble.toml",
            GroupKind::Stages => "stages.toml",
        }
    }

    /// What its runs are called.
    pub fn noun(self) -> &'static str {
        match self {
            GroupKind::Folds => "folds",
            GroupKind::Sweep => "trials",
            GroupKind::Ensemble => "members",
            GroupKind::Stages => "stages",
        }
    }

    /// What the names of the run folders begin with.
    fn prefix(self) -> &'static str {
        match self {
            GroupKind::Folds => "fold-",
            GroupKind::Sweep => "trial-",
            GroupKind::Ensemble => "member-",
            GroupKind::Stages => "stage-",
        }
    }

    /// The command that resumes the runs, up to the folder.
    fn command(self) -> &'static str {
        match self {
            GroupKind::Folds | GroupKind::Ensemble | GroupKind::Stages => "wgrad train --resume",
            GroupKind::Sweep => "wgrad sweep --resume",
        }
    }
}

/// The folder of several runs.
#[derive(Debug)]
pub struct GroupFolder {
    /// Its path.
    pub path: PathBuf,
    kind: GroupKind,
    /// Held while runs are trained in the folder.
    _lock: Option<FolderLock>,
}

impl GroupFolder {
    /// The folder of runs of this kind at `path`, if it is one.
    pub fn open(kind: GroupKind, path: &Path) -> Option<GroupFolder> {
        let holds = [kind.file(), ACCEPTED].map(|file| path.join(file).is_file());
        (holds == [true, true]).then(|| GroupFolder::at(kind, path))
    }

    /// The folder of runs of any kind at `path`, if it is one.
    pub fn find(path: &Path) -> Option<GroupFolder> {
        let mut kinds = GroupKind::ALL.into_iter();
        kinds.find_map(|kind| GroupFolder::open(kind, path))
    }

    /// Whether `path` holds the settings of several runs.
    pub(super) fn is_named_at(path: &Path) -> bool {
        let mut kinds = GroupKind::ALL.iter();
        kinds.any(|kind| path.join(kind.file()).exists())
    }

    /// Why its runs belong together.
    pub fn kind(&self) -> GroupKind {
        self.kind
    }

    /// The folder `path`, whatever it holds.
    pub(crate) fn at(kind: GroupKind, path: &Path) -> GroupFolder {
        GroupFolder {
            path: path.to_path_buf(),
            kind,
            _lock: None,
        }
    }

    /// Locks the folder to train in it.
    ///
    /// # Errors
    /// If runs are being trained in it, or it can't be written.
    pub fn lock(mut self) -> Result<GroupFolder> {
        self._lock = Some(FolderLock::take(&self.path)?);
        Ok(self)
    }

    /// Whether runs are being trained in it.
    pub fn is_locked(&self) -> bool {
        lock::is_held(&self.path)
    }

    /// Whether training of a run has begun, which is so once its settings or its result exist.
    pub fn has_begun(&self) -> bool {
        let mut folders = self.folders().into_iter();
        folders.any(|path| path.join(RESULT).is_file() || RunFolder::open(&path).is_ok())
    }

    /// Creates the folder `out`, or the next free one under `runs` with the prefix `name`, and writes the settings into it.
    ///
    /// # Errors
    /// If runs are being trained in it, or it can't be written.
    pub fn create(
        kind: GroupKind,
        out: Option<&Path>,
        name: &str,
        settings: &str,
    ) -> Result<GroupFolder> {
        let path = match out {
            Some(path) => {
                fs::create_dir_all(path).map_err(Error::io("create", path))?;
                path.to_path_buf()
            }
            None => next_free(name)?,
        };
        let folder = GroupFolder::at(kind, &path).lock()?;
        folder.write_settings(settings)?;
        Ok(folder)
    }

    /// Writes the settings that the runs share, and their copy.
    ///
    /// # Errors
    /// If one can't be written.
    pub fn write_settings(&self, settings: &str) -> Result<()> {
        write_whole(&self.settings_path(), settings.as_bytes())?;
        write_whole(&self.accepted_settings_path(), settings.as_bytes())
    }

    /// `folds.toml`, `sweep.toml`, `ensemble.toml` or `stages.toml`: the settings that the runs share.
    pub fn settings_path(&self) -> PathBuf {
        self.path.join(self.kind.file())
    }

    /// `settings.lock.toml`: the settings with which the runs were started or last resumed.
    pub fn accepted_settings_path(&self) -> PathBuf {
        self.path.join(ACCEPTED)
    }

    /// The folder of the run called `name`, such as `1` for `fold-1`.
    pub fn run_path(&self, name: &str) -> PathBuf {
        self.path.join(format!("{}{name}", self.kind.prefix()))
    }

    /// The folders of the runs that have settings, in the order of the numbers in their names.
    pub fn run_paths(&self) -> Vec<PathBuf> {
        let mut paths = self.folders();
        paths.retain(|path| RunFolder::open(path).is_ok());
        paths.sort_by_key(|path| numbers(path));
        paths
    }

    /// The entries that are named as run folders are.
    fn folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let named = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with(self.kind.prefix())
        };
        entries.filter(named).map(|entry| entry.path()).collect()
    }

    /// The result in `result.toml` of the run called `name`; `None` if it has none.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read_result<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.run_path(name).join(RESULT);
        if !path.is_file() {
            return Ok(None);
        }
        let text = read_text(&path).map_err(Error::io("read", &path))?;
        parse(&text, &path.display().to_string()).map(Some)
    }

    /// Writes `result.toml` of the run called `name`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_result(&self, name: &str, result: &impl Serialize) -> Result<()> {
        let text = toml::to_string(result)
            .map_err(|e| Error::Training(format!("the result of a run can't be written: {e}")))?;
        let path = self.run_path(name);
        // A run that failed before its first checkpoint has left nothing.
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        write_whole(&path.join(RESULT), text.as_bytes())
    }

    /// Writes `report.html`, the report of all runs.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_report(&self, page: &str) -> Result<()> {
        write_whole(&self.path.join("report.html"), page.as_bytes())
    }

    /// The command that resumes the runs.
    pub(super) fn resume_command(&self) -> String {
        format!("{} {}", self.kind.command(), self.path.display())
    }
}

/// The numbers in the name of a folder.
fn numbers(path: &Path) -> Vec<u64> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let words = name.split('-');
    words.filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let folder = GroupFolder::create(GroupKind::Sweep, Some(dir.path()), "", "").unwrap();
        assert!(!folder.has_begun());
        for name in ["10-seed-1", "2-seed-3", "2-seed-10"] {
            folder.write_result(name, &toml::Table::new()).unwrap();
            fs::write(folder.run_path(name).join("run.toml"), "").unwrap();
        }
        // A run that failed has a result alone.
        folder.write_result("3", &toml::Table::new()).unwrap();
        let wanted = ["2-seed-3", "2-seed-10", "10-seed-1"].map(|name| folder.run_path(name));
        assert_eq!(folder.run_paths(), wanted);
        assert!(folder.has_begun() && folder.is_locked());
        assert!(GroupFolder::open(GroupKind::Folds, dir.path()).is_none());
        assert!(GroupFolder::find(dir.path()).is_some());
    }
}

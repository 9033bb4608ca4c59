//! The lock of a folder in which a run writes.

use crate::error::{Error, Result};
use std::fs::{File, TryLockError};
use std::path::Path;

pub(super) const LOCK: &str = ".wgrad.lock";

/// An exclusive lock on a folder. It ends when it is dropped or its process ends, however that happens.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks `folder` through the file `.wgrad.lock` in it.
    ///
    /// # Errors
    /// If another run holds the lock, or the file can't be created.
    pub fn take(folder: &Path) -> Result<FolderLock> {
        let path = folder.join(LOCK);
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(Error::io("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Config(format!(
                "another run is writing in {}; wait until it ends, or name another folder",
                folder.display()
            ))),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
        }
    }
}

/// Whether a run holds the lock of `folder`.
pub(super) fn is_held(folder: &Path) -> bool {
    let file = File::open(folder.join(LOCK));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_until_the_lock_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(dir.path()).unwrap();
        assert!(is_held(dir.path()));
        let message = FolderLock::take(dir.path()).unwrap_err().to_string();
        assert!(message.contains("another run is writing"), "{message}");
        drop(lock);
        assert!(!is_held(dir.path()));
        FolderLock::take(dir.path()).unwrap();
    }
}

//! The lock of a folder in which a run writes.

use crate::error::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

pub(super) const LOCK: &str = ".wgrad.lock";

/// What the file says once a run has released the lock. The file of a run whose process was killed is empty.
const RELEASED: &[u8] = b"released\n";

/// Attempts to take a lock, and the time between them: to ask whether a folder is locked takes the lock for a moment.
const ATTEMPTS: u32 = 5;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// An exclusive lock on a folder. It ends when it is dropped or its process ends, however that happens.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
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
        let mut locked = file.try_lock();
        for _ in 1..ATTEMPTS {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            sleep(BETWEEN_ATTEMPTS);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Config(format!(
                    "another run is writing in {}; wait until it ends, or name another folder",
                    folder.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        file.set_len(0).map_err(Error::io("write", &path))?;
        Ok(FolderLock { file })
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // On a disk that is full, the run counts as killed.
        let _ = self.file.write_all(RELEASED);
    }
}

/// Whether a run holds the lock of `folder`.
pub(super) fn is_held(folder: &Path) -> bool {
    let path = folder.join(LOCK);
    // Opening a pipe would wait for its other end.
    let file = path.is_file().then(|| File::open(&path));
    file.and_then(std::result::Result::ok)
        .is_some_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Whether the last run that held the lock of `folder` released it, and was not killed.
pub(super) fn was_released(folder: &Path) -> bool {
    fs::metadata(folder.join(LOCK)).is_ok_and(|file| file.len() > 0)
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
        assert!(!was_released(dir.path()));
        drop(lock);
        assert!(!is_held(dir.path()) && was_released(dir.path()));
        FolderLock::take(dir.path()).unwrap();
    }
}

//! Whole files: written so that no reader ever sees a half of one, and read.

use crate::error::{Error, Result};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes `bytes` to `path` in one go: what was there stays until the new content is complete on disk.
///
/// # Errors
/// If the folder can't be written or the disk is full.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = new_file(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    // What the temporary file was called is no help.
    let reason = |e: io::Error| match e.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => e.kind().into(),
    };
    write().map_err(reason).map_err(Error::io("write", path))
}

/// A file of no lasting name in `folder`, with the permissions that a file usually gets.
fn new_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The process's mask takes off what it should.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Reads a whole file; a device or a pipe might never end.
///
/// # Errors
/// If `path` is no file, or can't be read.
pub fn read_whole(path: &Path) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_file() {
        return Err(Error::Config(format!(
            "{} is not a file; name one",
            path.display()
        )));
    }
    std::fs::read(path).map_err(Error::io("read", path))
}

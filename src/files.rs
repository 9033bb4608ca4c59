//! Atomic writing and complete reading of files.

use crate::error::{Error, Result};
use crate::host_memory;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Writes `bytes` to `path` atomically: the old content stays until the new one is complete on disk.
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
        // The new name is on disk only once the folder is, too.
        #[cfg(unix)]
        std::fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    // What the temporary file was called is no help.
    let reason = |e: io::Error| match e.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => e.kind().into(),
    };
    write().map_err(reason).map_err(Error::io("write", path))
}

/// What the names of temporary files begin with.
const TEMPORARY: &str = ".wgrad-tmp-";

/// Removes temporary files in `folder` that a process left that was killed while it wrote a file.
pub(crate) fn remove_temporary(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            // One that can't be removed harms nothing.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A temporary file in `folder`, with the usual permissions of a file.
fn new_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The process's mask takes off what it should.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Reads a whole file, which should be `what` (such as "a safetensors file"). A device or pipe, which might never end, is refused.
///
/// # Errors
/// If `path` is not a file, or can't be read.
pub(crate) fn read_whole(path: &Path, what: &str) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_file() {
        return Err(Error::Config(format!(
            "{} is not a file; name {what}",
            path.display()
        )));
    }
    // The bytes, and the values in them.
    host_memory::check_read(metadata.len().saturating_mul(2)).map_err(Error::io("read", path))?;
    std::fs::read(path).map_err(Error::io("read", path))
}

/// Memory of a parsed text per byte of it: `[[a]]` becomes a table with a list of tables.
const PARSED: u64 = 16;
/// Size limit of a text from a pipe or a device, which has no length, in bytes.
const LONGEST_STREAM: u64 = 64 << 20;

/// Reads a text that is to be parsed, such as settings.
///
/// # Errors
/// If `path` can't be read, is not UTF-8, or is too long for the free memory.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    host_memory::check_read(length.saturating_mul(PARSED))?;
    let most = length.max(LONGEST_STREAM);
    let mut text = String::new();
    file.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::other(format!("it is over {most} bytes long")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_memory::tests::with_free;

    #[test]
    fn a_file_that_the_free_memory_does_not_hold_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long");
        // A file of a gibibyte, which takes no space on the disk.
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        let whole = with_free(1 << 30, || read_whole(&path, "a file").unwrap_err());
        let text = with_free(1 << 30, || read_text(&path).unwrap_err());
        let message = whole.to_string();
        assert!(message.contains("long: it needs 2.0 GiB"), "{message}");
        assert!(text.to_string().contains("it needs 16.0 GiB"), "{text}");
        std::fs::write(&path, "a = 1").unwrap();
        with_free(1 << 30, || {
            assert_eq!(read_whole(&path, "a file").unwrap(), b"a = 1");
            assert_eq!(read_text(&path).unwrap(), "a = 1");
        });
    }
}

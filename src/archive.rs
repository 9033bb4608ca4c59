//! Zip archives in memory, in which other frameworks keep networks and weights.

use crate::error::{Error, Result};
use crate::host_memory;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};
use zip::ZipArchive;
use zip::result::ZipError;

/// What an archive begins with.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";

/// Maximum compression ratio of deflate (RFC 1951).
const MAX_RATIO: u64 = 1032;

/// An archive.
pub(crate) struct Archive {
    path: PathBuf,
    zip: ZipArchive<Cursor<Vec<u8>>>,
}

impl Archive {
    /// The archive with the content `bytes` of the file at `path`.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn new(path: &Path, bytes: Vec<u8>) -> Result<Archive> {
        match ZipArchive::new(Cursor::new(bytes)) {
            Ok(zip) => Ok(Archive {
                path: path.to_owned(),
                zip,
            }),
            Err(e) => Err(damaged(path, &e)),
        }
    }

    /// Names of its files.
    pub fn names(&self) -> Vec<String> {
        let names = self.zip.file_names().flatten();
        names.map(|name| name.into_owned()).collect()
    }

    /// The content of the file `name`.
    ///
    /// # Errors
    /// If there is none, it is damaged, or memory is too small for it.
    pub fn read(&mut self, name: &str) -> Result<Vec<u8>> {
        let path = &self.path;
        let mut entry = self.zip.by_name(name).map_err(|e| match e {
            ZipError::FileNotFound => refused(path, &format!("holds no {name}")),
            e => damaged(path, &e),
        })?;
        let most = entry.compressed_size().saturating_mul(MAX_RATIO);
        let size = entry.size();
        if size > most {
            return Err(refused(path, &format!("declares {size} bytes for {name}")));
        }
        // The bytes, and the values in them.
        host_memory::check(size.saturating_mul(2)).map_err(|needs| {
            Error::Config(format!(
                "{} holds {name}, which needs {needs}",
                path.display()
            ))
        })?;
        let mut bytes = Vec::new();
        let read = (&mut entry).take(size).read_to_end(&mut bytes);
        read.map_err(|e| refused(path, &format!("can't be unpacked at {name} ({e})")))?;
        match bytes.len() as u64 == size {
            true => Ok(bytes),
            false => Err(refused(path, &format!("ends within {name}"))),
        }
    }
}

fn damaged(path: &Path, e: &ZipError) -> Error {
    refused(path, &format!("is no readable archive ({e})"))
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Config(format!(
        "{} {why}; it may be damaged: save or download it again",
        path.display()
    ))
}

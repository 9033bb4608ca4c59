//! An event file that is being written.

use super::messages::{Event, EventContent};
use super::record;
use crate::error::{Error, Result};
use prost::Message as _;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

/// The version of the format that TensorBoard expects in the first record.
const VERSION: &str = "brain.Event:2";

/// An event file. Records are only appended, so that TensorBoard can read it at any time.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Creates the file, with the version of the format.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn create(path: PathBuf) -> Result<EventFile> {
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        let mut file = EventFile { path, file };
        file.write(0, [EventContent::FileVersion(VERSION.to_string())])?;
        Ok(file)
    }

    /// Appends events of a step.
    ///
    /// # Errors
    /// If they can't be written.
    pub fn write<const N: usize>(&mut self, step: u64, events: [EventContent; N]) -> Result<()> {
        let mut records = Vec::new();
        for what in events {
            let event = Event {
                wall_time: now(),
                step: i64::try_from(step).unwrap_or(i64::MAX),
                what: Some(what),
            };
            record::append(&mut records, &event.encode_to_vec());
        }
        let written = self.file.write_all(&records);
        written.map_err(Error::io("write", &self.path))
    }

    /// Waits until everything is on disk.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(Error::io("write", &self.path))
    }
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    let passed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    passed.map_or(0.0, |passed| passed.as_secs_f64())
}

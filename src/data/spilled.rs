//! Vectors that move to a file once they are large, so that they don't take up memory.
#![allow(unsafe_code)]

use bytemuck::{Pod, cast_slice, cast_slice_mut};
use memmap2::MmapMut;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

/// Bytes of a vector that are kept in memory.
const MOST_IN_MEMORY: usize = 64 << 20;
/// Bytes that are read or written at once.
const BUFFER: usize = 1 << 20;
/// Bytes of a text after which its pages are let go.
pub(super) const WINDOW: usize = 16 << 20;

/// A vector. What is larger than [`MOST_IN_MEMORY`] is in a file without a name, of which the system holds in memory what is used, as
/// far as there is room; it removes the file when the vector is dropped, or the program ends in any way.
#[derive(Debug)]
pub(super) struct Spilled<T>(Store<T>);

#[derive(Debug)]
enum Store<T> {
    Memory(Vec<T>),
    File(Mapped),
}

/// A vector in a file.
#[derive(Debug)]
struct Mapped {
    file: File,
    bytes: MmapMut,
    /// Number of bytes that hold elements.
    used: usize,
}

impl<T> Default for Spilled<T> {
    fn default() -> Self {
        Spilled(Store::Memory(Vec::new()))
    }
}

impl<T: Pod> Spilled<T> {
    /// Adds `value`.
    ///
    /// # Errors
    /// If there is no room for the file.
    pub fn push(&mut self, value: T) -> io::Result<()> {
        self.extend(&[value])
    }

    /// Adds `values`.
    ///
    /// # Errors
    /// If there is no room for the file.
    pub fn extend(&mut self, values: &[T]) -> io::Result<()> {
        if let Store::Memory(own) = &mut self.0 {
            if (own.len() + values.len()) * size_of::<T>() <= most_in_memory() {
                own.extend_from_slice(values);
                return Ok(());
            }
            self.0 = Store::File(Mapped::holding(cast_slice(own))?);
        }
        match &mut self.0 {
            Store::Memory(_) => Ok(()),
            Store::File(mapped) => mapped.extend(cast_slice(values)),
        }
    }

    /// Keeps the first `length` elements.
    pub fn truncate(&mut self, length: usize) {
        match &mut self.0 {
            Store::Memory(own) => {
                own.truncate(length);
                own.shrink_to_fit();
            }
            Store::File(mapped) => mapped.used = mapped.used.min(length * size_of::<T>()),
        }
    }

    /// Gives back memory that holds no elements.
    pub fn shrink(&mut self) {
        self.truncate(self.len());
    }

    /// Leaves out the first `count` elements.
    pub fn remove_first(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let length = self.len();
        self.copy_within(count.min(length).., 0);
        self.truncate(length.saturating_sub(count));
    }

    /// Lets go of the memory of what is in a file, which comes back as it is used.
    pub fn release(&self) {
        if let Store::File(mapped) = &self.0 {
            mapped.release();
        }
    }
}

impl Spilled<u8> {
    /// The rest of `reader`, if it has at most `most` bytes.
    ///
    /// # Errors
    /// If it can't be read, or there is no room for the file.
    pub fn of_reader(mut reader: impl Read, most: u64) -> io::Result<Option<Spilled<u8>>> {
        let mut bytes = Spilled::default();
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = match reader.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                bytes.release();
                return Ok(Some(bytes));
            }
            if (bytes.len() + read) as u64 > most {
                return Ok(None);
            }
            let before = bytes.len();
            bytes.extend(&buffer[..read])?;
            bytes.release_behind(before, bytes.len());
        }
    }

    /// The bytes, in pieces one after another, of which one is in memory.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks(WINDOW).inspect(|_| self.release())
    }

    /// [Releases](Spilled::release) the bytes now and then as a reader or a writer goes from `before` to `after`. Whether it did.
    pub fn release_behind(&self, before: usize, after: usize) -> bool {
        let passed = before / WINDOW != after / WINDOW;
        if passed {
            self.release();
        }
        passed
    }
}

impl<T: Pod> Deref for Spilled<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Store::Memory(own) => own,
            Store::File(mapped) => cast_slice(&mapped.bytes[..mapped.used]),
        }
    }
}

impl<T: Pod> DerefMut for Spilled<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Store::Memory(own) => own,
            Store::File(mapped) => cast_slice_mut(&mut mapped.bytes[..mapped.used]),
        }
    }
}

impl<T> From<Vec<T>> for Spilled<T> {
    fn from(values: Vec<T>) -> Self {
        Spilled(Store::Memory(values))
    }
}

impl Mapped {
    fn holding(values: &[u8]) -> io::Result<Mapped> {
        let folder = folder();
        let file = tempfile::tempfile_in(&folder).map_err(|e| {
            io::Error::new(
                e.kind(),
                format!("in {}, where they are kept, {e}", folder.display()),
            )
        })?;
        let mut mapped = Mapped {
            file,
            bytes: MmapMut::map_anon(1)?,
            used: 0,
        };
        mapped.extend(values)?;
        Ok(mapped)
    }

    fn extend(&mut self, values: &[u8]) -> io::Result<()> {
        let end = self.used + values.len();
        if end > self.bytes.len() || self.used == 0 {
            self.grow(end.max(self.used + self.used / 2))?;
        }
        self.bytes[self.used..end].copy_from_slice(values);
        self.used = end;
        Ok(())
    }

    /// Makes room for `length` bytes. They are written, because a page without room on the disk could not be reported later.
    fn grow(&mut self, length: usize) -> io::Result<()> {
        let written = self.file.metadata()?.len() as usize;
        let zeros = vec![0; BUFFER];
        for at in (written..length).step_by(BUFFER) {
            let count = BUFFER.min(length - at);
            self.file.write_all(&zeros[..count]).map_err(|e| {
                let gib = length as f64 / (1_u64 << 30) as f64;
                let folder = folder();
                let problem = format!("{gib:.1} GiB do not fit into {}: {e}", folder.display());
                io::Error::new(e.kind(), problem)
            })?;
        }
        // SAFETY: the file has no name, and only this vector holds it open, so that nothing else changes it.
        self.bytes = unsafe { MmapMut::map_mut(&self.file)? };
        Ok(())
    }

    fn release(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the mapping is shared with its file, from which its pages come back with what was written to them. That it
        // fails costs memory alone.
        let _ = unsafe {
            self.bytes
                .unchecked_advise(memmap2::UncheckedAdvice::DontNeed)
        };
    }
}

/// Where the files are: in the system's folder for caches, because the one for temporary files is often in memory.
fn folder() -> PathBuf {
    let own = dirs::cache_dir().map(|folder| folder.join("wgrad"));
    own.filter(|folder| fs::create_dir_all(folder).is_ok())
        .unwrap_or_else(std::env::temp_dir)
}

/// [`MOST_IN_MEMORY`], or what a test says.
fn most_in_memory() -> usize {
    #[cfg(test)]
    if let Some(most) = tests::MOST.get() {
        return most;
    }
    MOST_IN_MEMORY
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        pub(super) static MOST: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// The result of `work`, in which this thread keeps `most` bytes of a vector in memory.
    pub(in crate::data) fn with_most_in_memory<T>(most: usize, work: impl FnOnce() -> T) -> T {
        MOST.set(Some(most));
        let result = work();
        MOST.set(None);
        result
    }

    #[test]
    fn a_vector_is_the_same_in_a_file() {
        with_most_in_memory(40, || {
            let mut found = Spilled::default();
            let mut wanted = Vec::new();
            for value in 0..5_000_u32 {
                found.push(value).unwrap();
                wanted.push(value);
                if value % 7 == 0 {
                    found.extend(&[value, 1, 2]).unwrap();
                    wanted.extend([value, 1, 2]);
                }
                assert_eq!(matches!(found.0, Store::File(_)), wanted.len() > 10);
            }
            assert_eq!(found[..], wanted);
            found.release();
            found[17] = 99;
            wanted[17] = 99;
            found.remove_first(3);
            wanted.drain(..3);
            found.release();
            assert_eq!(found[..], wanted);
            found.truncate(20);
            found.push(5).unwrap();
            assert_eq!(found[18..], [wanted[18], wanted[19], 5]);
        });
    }

    #[test]
    fn bytes_of_a_reader_have_a_limit() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        for most in [1 << 10, 1 << 20] {
            with_most_in_memory(most, || {
                let found = Spilled::of_reader(&bytes[..], bytes.len() as u64).unwrap();
                let found = found.unwrap();
                assert_eq!(found.pieces().collect::<Vec<_>>().concat(), bytes);
                let less = Spilled::of_reader(&bytes[..], bytes.len() as u64 - 1).unwrap();
                assert!(less.is_none());
            });
        }
        let empty = Spilled::of_reader(&[][..], 0).unwrap();
        assert!(empty.unwrap().is_empty());
    }
}

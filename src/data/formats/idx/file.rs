//! One IDX file: its header, which is checked before anything is read, and its elements.

use super::find::{accepts, dimensions_of};
use crate::data::DataError;
use crate::data::error::Found;
use crate::data::files::{MAX_BYTES, check_memory};
use crate::data::formats::array::Role;
use crate::data::formats::array::{Array, ElementClass, Kind, shape_in_words};
use crate::data::packed::{self, Packing};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Maximum number of dimensions.
const MAX_DIMENSIONS: u8 = 4;

/// The type of the elements and the number of dimensions of a file that begins with `magic`, if it is IDX.
pub(super) fn kind_of(magic: &[u8]) -> Option<(Kind, u8)> {
    let &[0, 0, code, dimensions, ..] = magic else {
        return None;
    };
    let (class, bytes) = match code {
        0x08 => (ElementClass::Unsigned, 1),
        0x09 => (ElementClass::Signed, 1),
        0x0b => (ElementClass::Signed, 2),
        0x0c => (ElementClass::Signed, 4),
        0x0d => (ElementClass::Float, 4),
        0x0e => (ElementClass::Float, 8),
        _ => return None,
    };
    let kind = match bytes {
        1 if class == ElementClass::Unsigned => Kind::BYTE,
        _ => Kind {
            class,
            bytes,
            big_endian: true,
        },
    };
    (1..=MAX_DIMENSIONS)
        .contains(&dimensions)
        .then_some((kind, dimensions))
}

/// A file whose header has been read and is plausible.
pub(super) struct IdxFile {
    pub path: PathBuf,
    /// The declared dimensions, none of them zero.
    pub shape: Vec<usize>,
    kind: Kind,
    /// Bytes of the elements; at most [`MAX_BYTES`].
    declared: u64,
    /// Positioned at the first element.
    reader: Box<dyn Read>,
    packing: Option<Packing>,
}

impl IdxFile {
    /// Opens the file `path`, which should hold `what`. Memory is only allocated after the declared size has been checked against
    /// the length of the file and the free memory.
    ///
    /// # Errors
    /// If it is not an IDX file, has another number of dimensions than its role, or is cut short.
    pub fn open(path: PathBuf, role: Role, what: &'static str) -> Result<IdxFile, DataError> {
        let mut file = packed::open(&path)?;
        let mut header = Header {
            reader: &mut *file.reader,
            packing: file.packing,
            path: &path,
            read: 0,
            length: 4 + 4 * u64::from(dimensions_of(role)),
        };
        let magic = header.word()?;
        let Some((kind, dimensions)) = kind_of(&magic) else {
            let expected = [0, 0, 8, dimensions_of(role)];
            return Err(DataError::NotIdx {
                path,
                found: u32::from_be_bytes(magic),
                expected: u32::from_be_bytes(expected),
            });
        };
        if !accepts(role, dimensions) {
            return Err(DataError::WrongDimensions {
                path,
                what,
                expected: dimensions_of(role),
                found: dimensions,
            });
        }
        header.length = 4 + 4 * u64::from(dimensions);
        let mut shape = Vec::with_capacity(dimensions.into());
        for _ in 0..dimensions {
            shape.push(u32::from_be_bytes(header.word()?) as usize);
        }
        let shown = shape_in_words(&shape);
        if shape.contains(&0) {
            return Err(DataError::Empty { path, shape: shown });
        }
        let declared = shape
            .iter()
            .try_fold(kind.bytes as u64, |n, &side| n.checked_mul(side as u64));
        let Some(declared) = declared.filter(|&n| n <= MAX_BYTES) else {
            return Err(DataError::TooLarge {
                path,
                shape: shown,
                limit: MAX_BYTES,
            });
        };
        let opened = IdxFile {
            path,
            shape,
            kind,
            declared,
            reader: file.reader,
            packing: file.packing,
        };
        if file.most < opened.whole() {
            let found = match opened.packing {
                Some(_) => Found::AtMost(file.most),
                None => Found::Exactly(file.most),
            };
            return Err(DataError::Truncated {
                declared: opened.whole(),
                found,
                path: opened.path,
            });
        }
        // Elements of several bytes become pixels beside them.
        let pixels = if kind == Kind::BYTE { 0 } else { declared };
        check_memory(&opened.path, declared + pixels)?;
        Ok(opened)
    }

    fn header_length(&self) -> u64 {
        4 + 4 * self.shape.len() as u64
    }

    /// Number of bytes of header and elements.
    fn whole(&self) -> u64 {
        self.header_length() + self.declared
    }

    /// Reads the declared elements and tries to read one more byte, whose absence shows that the file ends there.
    ///
    /// # Errors
    /// If there are fewer or more of them, or the file is damaged.
    pub fn read(self) -> Result<Array, DataError> {
        let (header, whole) = (self.header_length(), self.whole());
        let path = self.path;
        let mut bytes = Vec::new();
        if self.packing.is_none() {
            // The length of the file has been checked, so it has this many bytes.
            let wanted = usize::try_from(self.declared + 1).unwrap_or(usize::MAX);
            if bytes.try_reserve_exact(wanted).is_err() {
                let source = ErrorKind::OutOfMemory.into();
                return Err(DataError::Unreadable { path, source });
            }
        }
        let outcome = self.reader.take(self.declared + 1).read_to_end(&mut bytes);
        let read = bytes.len() as u64;
        if let Err(source) = outcome {
            return Err(read_error(
                source,
                &path,
                self.packing,
                (whole, header + read),
            ));
        }
        if read < self.declared {
            let found = Found::Exactly(header + read);
            return Err(DataError::Truncated {
                path,
                declared: whole,
                found,
            });
        }
        if read > self.declared {
            return Err(DataError::TooLong {
                path,
                declared: whole,
            });
        }
        bytes.shrink_to_fit();
        Ok(Array {
            shape: self.shape,
            kind: self.kind,
            bytes,
        })
    }
}

/// The header of a file, as it is read.
struct Header<'f> {
    reader: &'f mut dyn Read,
    packing: Option<Packing>,
    path: &'f Path,
    /// Bytes that were read.
    read: u64,
    /// Bytes of the whole header, as far as it is known.
    length: u64,
}

impl Header<'_> {
    /// The next four bytes.
    fn word(&mut self) -> Result<[u8; 4], DataError> {
        let mut read = Vec::with_capacity(4);
        let outcome = (&mut *self.reader).take(4).read_to_end(&mut read);
        self.read += read.len() as u64;
        if let Err(source) = outcome {
            return Err(read_error(
                source,
                self.path,
                self.packing,
                (self.length, self.read),
            ));
        }
        read.try_into().map_err(|_| DataError::Truncated {
            path: self.path.to_owned(),
            declared: self.length,
            found: Found::Exactly(self.read),
        })
    }
}

/// A file that ends too early after `found` of the `declared` bytes, or one that can't be read or unpacked.
fn read_error(
    source: std::io::Error,
    path: &Path,
    packing: Option<Packing>,
    (declared, found): (u64, u64),
) -> DataError {
    match source.kind() {
        ErrorKind::UnexpectedEof if packing.is_some() => DataError::Truncated {
            path: path.to_owned(),
            declared,
            found: Found::Exactly(found),
        },
        _ => packed::read_error(source, path, packing),
    }
}

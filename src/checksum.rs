//! Checksums of sequences of values, and digests that no other content can be made to have.

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What is made of byte strings in their order: a [`Checksum`] or a [`ContentDigest`].
pub(crate) trait Absorb {
    /// Adds a byte string.
    fn add(&mut self, bytes: &[u8]);
    /// Adds the byte string that consists of `parts`, by the CRC-32 and the length of each.
    fn add_parts(&mut self, parts: impl Iterator<Item = (u32, u64)> + Clone);
}

/// The CRC-32 of byte strings, each with its length, so that moving a byte from one to the next changes it.
#[derive(Default)]
pub(crate) struct Checksum(crc32fast::Hasher);

impl Absorb for Checksum {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn add_parts(&mut self, parts: impl Iterator<Item = (u32, u64)> + Clone) {
        let length: u64 = parts.clone().map(|(_, length)| length).sum();
        self.0.update(&length.to_le_bytes());
        for (crc, length) in parts {
            let part = crc32fast::Hasher::new_with_initial_len(crc, length);
            self.0.combine(&part);
        }
    }
}

impl Checksum {
    /// The checksum as eight hexadecimal digits.
    pub fn digits(self) -> String {
        format!("{:08x}", self.0.finalize())
    }
}

/// Bytes of a block whose digest is taken by itself, so that all cores take part.
const BLOCK: usize = 1 << 20;

/// The SHA-256 of byte strings, each as its length and the digests of its blocks of a mebibyte.
#[derive(Default)]
pub(crate) struct ContentDigest(Sha256);

impl Absorb for ContentDigest {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        let blocks = bytes.par_chunks(BLOCK).map(sha256);
        for block in blocks.collect::<Vec<_>>() {
            self.0.update(block);
        }
    }

    fn add_parts(&mut self, parts: impl Iterator<Item = (u32, u64)> + Clone) {
        for (crc, length) in parts {
            self.0.update(length.to_le_bytes());
            self.0.update(crc.to_le_bytes());
        }
    }
}

impl ContentDigest {
    /// The digest in hexadecimal digits.
    pub fn digits(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Text that is hashed as it is written, without being kept.
impl std::fmt::Write for ContentDigest {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// The SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The SHA-256 of `bytes` in hexadecimal digits, as `sha256sum` prints it.
pub(crate) fn sha256_digits(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

/// Bytes that are read of a file at a time.
const READ: usize = 1 << 18;

/// What is known of a file that was read once.
pub(crate) struct FileSums {
    pub bytes: u64,
    pub crc32: u32,
    /// The SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl FileSums {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn of(path: &Path) -> io::Result<FileSums> {
        let mut file = File::open(path)?;
        let (mut crc32, mut sha256, mut bytes) = (crc32fast::Hasher::new(), Sha256::new(), 0);
        let mut block = vec![0; READ];
        loop {
            let read = file.read(&mut block)?;
            if read == 0 {
                break;
            }
            crc32.update(&block[..read]);
            sha256.update(&block[..read]);
            bytes += read as u64;
        }
        Ok(FileSums {
            bytes,
            crc32: crc32.finalize(),
            sha256: hex(&sha256.finalize()),
        })
    }
}

/// `bytes` as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The `N` bytes that `digits` are, lower-case and hexadecimal; `None` if they are something else.
pub(crate) fn from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits = digits.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        // FIPS 180-4, the example of one block.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_digits(b"abc"), known);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let sums = FileSums::of(file.path()).unwrap();
        assert_eq!((sums.bytes, sums.sha256.as_str()), (3, known));
        assert_eq!(from_hex(known), Some(sha256(b"abc")));
        for wrong in [&known[1..], &known.to_uppercase(), ""] {
            assert_eq!(from_hex::<32>(wrong), None);
        }
    }

    #[test]
    fn a_byte_that_moves_from_one_string_to_the_next_changes_the_digest() {
        let of = |strings: &[&[u8]]| {
            let mut digest = ContentDigest::default();
            strings.iter().for_each(|bytes| digest.add(bytes));
            digest.digits()
        };
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        let (mut long, short) = (vec![7; BLOCK + 1], vec![7; BLOCK]);
        let before = of(&[&long]);
        assert_ne!(before, of(&[&short]));
        long[BLOCK] = 8;
        assert_ne!(before, of(&[&long]));
    }

    #[test]
    fn the_checksum_of_parts_is_that_of_the_whole() {
        let bytes: Vec<u8> = (0..100).collect();
        for cut in [0, 1, 50, 100] {
            let (mut whole, mut parts) = (Checksum::default(), Checksum::default());
            whole.add(b"before");
            parts.add(b"before");
            whole.add(&bytes);
            let (a, b) = bytes.split_at(cut);
            let each = [a, b].map(|part| (crc32fast::hash(part), part.len() as u64));
            parts.add_parts(each.into_iter());
            whole.add(b"after");
            parts.add(b"after");
            assert_eq!(whole.digits(), parts.digits(), "{cut}");
        }
    }
}

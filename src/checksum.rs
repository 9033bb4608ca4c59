//! Checksums of sequences of values.

/// The CRC-32 of byte strings, each with its length, so that moving a byte from one to the next changes it.
#[derive(Default)]
pub(crate) struct Checksum(crc32fast::Hasher);

impl Checksum {
    /// Adds a byte string.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The checksum as eight hexadecimal digits.
    pub fn digits(self) -> String {
        format!("{:08x}", self.0.finalize())
    }
}

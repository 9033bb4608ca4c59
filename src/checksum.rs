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

    /// Adds the byte string that consists of `parts`, by the CRC-32 and the length of each.
    pub fn add_parts(&mut self, parts: impl Iterator<Item = (u32, u64)> + Clone) {
        let length: u64 = parts.clone().map(|(_, length)| length).sum();
        self.0.update(&length.to_le_bytes());
        for (crc, length) in parts {
            let part = crc32fast::Hasher::new_with_initial_len(crc, length);
            self.0.combine(&part);
        }
    }

    /// The checksum as eight hexadecimal digits.
    pub fn digits(self) -> String {
        format!("{:08x}", self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

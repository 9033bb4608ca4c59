//! Whether the values that a TIFF file declares can lie in it (TIFF 6.0, and BigTIFF).

/// Checks the entries of the first directory of a file: the decoder reserves memory for as many values as an entry declares before
/// it reads one, 200 bytes for each of up to a million.
///
/// # Errors
/// The reason, as the rest of a sentence about the file.
pub(super) fn check_counts(file: &[u8]) -> Result<(), String> {
    let damaged = |count: u64| {
        let length = file.len();
        format!(
            "it declares {count} values of a tag but is only {length} bytes long: it is damaged"
        )
    };
    let entries = Reader::of(file).and_then(|reader| reader.counts());
    // The decoder reports a directory that is cut short.
    let mut entries = entries.into_iter().flatten();
    match entries.find(|&(count, size)| count.saturating_mul(size) > file.len() as u64) {
        Some((count, _)) => Err(damaged(count)),
        None => Ok(()),
    }
}

/// The numbers of a file.
struct Reader<'f> {
    file: &'f [u8],
    big_endian: bool,
    /// Whether offsets and counts have 8 bytes.
    is_big: bool,
}

impl<'f> Reader<'f> {
    /// `None` if it is not a TIFF file.
    fn of(file: &'f [u8]) -> Option<Reader<'f>> {
        let (big_endian, is_big) = match file.get(..4)? {
            b"II*\0" => (false, false),
            b"MM\0*" => (true, false),
            b"II+\0" => (false, true),
            b"MM\0+" => (true, true),
            _ => return None,
        };
        Some(Reader {
            file,
            big_endian,
            is_big,
        })
    }

    /// The number of `width` bytes at `at`.
    fn number(&self, at: usize, width: usize) -> Option<u64> {
        let bytes = self.file.get(at..at.checked_add(width)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(match self.big_endian {
            true => bytes.iter().fold(0, add),
            false => bytes.iter().rev().fold(0, add),
        })
    }

    /// The number of values of each entry of the first directory, and the size of one in bytes; as many as are in the file.
    fn counts(&self) -> Option<Vec<(u64, u64)>> {
        // Place and width of the first offset, width of the number of entries, size of an entry. A count is as wide as an offset.
        let (place, width, entries, entry) = match self.is_big {
            true => (8, 8, 8, 20),
            false => (4, 4, 2, 12),
        };
        let directory = usize::try_from(self.number(place, width)?).ok()?;
        let found = self.number(directory, entries)?;
        let first = directory.checked_add(entries)?;
        let places = self.file.get(first..)?.chunks(entry).enumerate();
        let counts = places.map_while(|(number, _)| {
            let at = first + number * entry;
            let size = value_size(self.number(at + 2, 2)?);
            Some((self.number(at + 4, width)?, size))
        });
        Some(
            counts
                .take(usize::try_from(found).unwrap_or(usize::MAX))
                .collect(),
        )
    }
}

/// The bytes of a value of this type.
fn value_size(ty: u64) -> u64 {
    match ty {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, ImageFormat, RgbImage};
    use std::io::Cursor;

    /// A file with a directory of one entry of 16-bit numbers.
    fn file(is_big: bool, count: u32) -> Vec<u8> {
        let (start, width): (&[u8], usize) = match is_big {
            true => (b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0", 8),
            false => (b"II*\0\x08\0\0\0\x01\0", 4),
        };
        let mut file = [start, b"\x11\x01\x03\0"].concat();
        let at = file.len();
        file.extend(count.to_le_bytes());
        // The upper half of a count of 8 bytes, and the offset.
        file.resize(at + 2 * width, 0);
        file
    }

    #[test]
    fn more_values_than_bytes_are_refused() {
        for is_big in [false, true] {
            check_counts(&file(is_big, 2)).unwrap();
            let message = check_counts(&file(is_big, 1_000_000)).unwrap_err();
            assert!(message.contains("1000000 values"), "{message}");
            let whole = file(is_big, 1_000_000);
            for length in 0..whole.len() {
                let _ = check_counts(&whole[..length]);
            }
        }
        check_counts(b"BM").unwrap();
    }

    #[test]
    fn the_files_of_an_encoder_pass() {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::from(RgbImage::new(12, 9))
            .write_to(&mut bytes, ImageFormat::Tiff)
            .unwrap();
        let bytes = bytes.into_inner();
        assert!(Reader::of(&bytes).unwrap().counts().unwrap().len() > 5);
        check_counts(&bytes).unwrap();
    }
}

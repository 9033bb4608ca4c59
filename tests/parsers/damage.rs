//! Damaged copies of files.

use wgrad::random::Stream;

/// The magic number of PNG.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A damaged copy of `bytes`: one to four changes, each of a bit, of a byte, of a number, of a part, or of the length. A PNG file
/// gets correct checksums again half of the time, so that its decoder reads on.
pub fn damaged(bytes: &[u8], random: &mut Stream) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    let mut below = |most: usize| random.next_u32() as usize % most.max(1);
    for _ in 0..=below(4) {
        let at = below(copy.len());
        let length = below(16).min(copy.len() - at);
        match below(9) {
            0 if !copy.is_empty() => copy[at] ^= 1 << below(8),
            1 if !copy.is_empty() => copy[at] = below(256) as u8,
            // Numbers at which sizes overflow, in either order of bytes.
            2 => {
                let numbers = [0, 1, 0x7FFF_FFFF, 0x8000_0000, u32::MAX, 0xFFFF, 65_536];
                let number = numbers[below(numbers.len())];
                let written = [number.to_le_bytes(), number.to_be_bytes()][below(2)];
                let end = (at + 4).min(copy.len());
                copy[at..end].copy_from_slice(&written[..end - at]);
            }
            3 => copy.truncate(at),
            4 => drop(copy.drain(at..at + length)),
            5 => {
                let part = copy[at..at + length].to_vec();
                let to = below(copy.len());
                copy.splice(to..to, part);
            }
            // Digits of a text become other numbers.
            6 => {
                let texts = [
                    "-1",
                    "0",
                    "4294967296",
                    "1e400",
                    "nan",
                    "18446744073709551616",
                ];
                copy.splice(at..at, texts[below(texts.len())].bytes());
            }
            7 => {
                let marks = b"\"'[]{},;:\n\t\\\0\xff =";
                copy.insert(at, marks[below(marks.len())]);
            }
            _ => {
                let more = below(64);
                copy.extend((0..more).map(|i| i as u8));
            }
        }
    }
    if copy.starts_with(PNG) && below(2) == 0 {
        repair_png(&mut copy);
    }
    copy
}

/// Corrects the checksum of each chunk of a PNG file: length (4 bytes), type (4), data, CRC-32 of type and data.
fn repair_png(file: &mut [u8]) {
    let mut rest = &mut file[PNG.len()..];
    while let Some((length, after)) = rest.split_first_chunk_mut::<4>() {
        let checked = (u32::from_be_bytes(*length) as usize).saturating_add(4);
        let Some((data, after)) = after.split_at_mut_checked(checked) else {
            return;
        };
        let Some((sum, after)) = after.split_first_chunk_mut::<4>() else {
            return;
        };
        *sum = crc32fast::hash(data).to_be_bytes();
        rest = after;
    }
}

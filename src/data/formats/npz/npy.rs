//! NumPy's array files.
//!
//! Format (numpy.lib.format): the bytes `\x93NUMPY`, a version, the length of the header (two bytes in version 1, four
//! after), the header, a Python dictionary as text (`{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`), and
//! the elements, row-major or, with `fortran_order`, column-major.

use crate::host_memory;
use std::io::Read;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Maximum length of a header.
const MAX_HEADER: u32 = 64 << 10;
/// Maximum number of axes.
const MAX_AXES: usize = 8;

/// An array of a NumPy file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub elements: Elements,
}

/// Elements of an array.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elements {
    /// Unsigned bytes and booleans.
    Bytes(Vec<u8>),
    /// Any other integers.
    Integers(Vec<i64>),
    /// Floats of four or eight bytes.
    Floats(Vec<f32>),
}

impl Array {
    /// Reads an array of at most `available` bytes, including the header. Before memory is allocated, the size that the header
    /// declares is checked against that and against the free memory, and its shape by `expect`.
    ///
    /// # Errors
    /// Says what is wrong, as the rest of a sentence about the file.
    pub fn read(
        reader: &mut dyn Read,
        available: u64,
        expect: &dyn Fn(&[usize]) -> Result<(), String>,
    ) -> Result<Array, String> {
        let cut = |_| "is cut short within its header".to_string();
        let mut start = [0; 8];
        reader.read_exact(&mut start).map_err(cut)?;
        if &start[..6] != MAGIC {
            return Err("is not a NumPy array".to_string());
        }
        let (length, before) = if start[6] == 1 {
            let mut length = [0; 2];
            reader.read_exact(&mut length).map_err(cut)?;
            (u32::from(u16::from_le_bytes(length)), 10)
        } else {
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(cut)?;
            (u32::from_le_bytes(length), 12)
        };
        if length > MAX_HEADER {
            return Err(format!("has a header of {length} bytes, which is damaged"));
        }
        let mut header = vec![0; length as usize];
        reader.read_exact(&mut header).map_err(cut)?;
        let header = String::from_utf8_lossy(&header).into_owned();
        let (descr, fortran, shape) = parse_header(&header)
            .ok_or_else(|| format!("has an invalid header: {}", header.trim()))?;
        let kind = Kind::of(&descr)?;
        if fortran && shape.len() > 1 {
            return Err(
                "is stored column by column; save it with numpy.ascontiguousarray".to_string(),
            );
        }
        let wanted = shape
            .iter()
            .try_fold(kind.bytes as u64, |n, &d| n.checked_mul(d as u64));
        let rest = available.saturating_sub(before + u64::from(length));
        let wanted = wanted.filter(|&n| n <= rest).ok_or_else(|| {
            format!("declares {shape:?} elements of {} bytes but holds {rest} bytes: it is cut short or damaged", kind.bytes)
        })?;
        expect(&shape)?;
        // Elements are kept in up to eight bytes each, beside the bytes of the file.
        let kept = match kind.bytes {
            1 => wanted,
            _ => wanted / kind.bytes as u64 * 8,
        };
        host_memory::check(wanted + kept).map_err(|needs| format!("needs {needs}"))?;
        let mut bytes = Vec::new();
        let outcome = reader.take(wanted).read_to_end(&mut bytes);
        outcome.map_err(|e| format!("can't be unpacked ({e}): download it again"))?;
        if bytes.len() as u64 != wanted {
            return Err(format!(
                "holds {} of {wanted} bytes: it is cut short",
                bytes.len()
            ));
        }
        let elements = kind.elements(bytes);
        Ok(Array { shape, elements })
    }
}

/// `descr`, `fortran_order` and `shape` of a header.
fn parse_header(header: &str) -> Option<(String, bool, Vec<usize>)> {
    let after = |key: &str| {
        let (_, rest) = header.split_once(&format!("'{key}'"))?;
        rest.trim_start().strip_prefix(':').map(str::trim_start)
    };
    let descr = after("descr")?.strip_prefix('\'')?.split('\'').next()?;
    let fortran = after("fortran_order")?.starts_with("True");
    let shape = after("shape")?.strip_prefix('(')?.split(')').next()?;
    let extents = shape
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let shape = extents
        .map(|text| text.parse().ok())
        .collect::<Option<Vec<usize>>>()?;
    (shape.len() <= MAX_AXES).then(|| (descr.to_string(), fortran, shape))
}

/// Element type in a file.
struct Kind {
    code: char,
    bytes: usize,
    big_endian: bool,
}

impl Kind {
    fn of(descr: &str) -> Result<Kind, String> {
        let unknown = || format!("has elements of type {descr}; save integers, float32 or float64");
        let mut chars = descr.chars();
        let order = chars.next().ok_or_else(unknown)?;
        let code = chars.next().ok_or_else(unknown)?;
        let bytes: usize = chars.as_str().parse().map_err(|_| unknown())?;
        let known = match code {
            'b' => bytes == 1,
            'u' | 'i' => [1, 2, 4, 8].contains(&bytes),
            'f' => [4, 8].contains(&bytes),
            _ => false,
        };
        if !known || !"<>|=".contains(order) {
            return Err(unknown());
        }
        Ok(Kind {
            code,
            bytes,
            big_endian: order == '>',
        })
    }

    fn elements(&self, bytes: Vec<u8>) -> Elements {
        if self.bytes == 1 && self.code != 'i' {
            return Elements::Bytes(bytes);
        }
        // Eight bytes, the lowest first, with the sign extended.
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            for (place, &byte) in word.iter_mut().zip(chunk) {
                *place = byte;
            }
            if self.big_endian {
                word[..chunk.len()].reverse();
            }
            if self.code == 'i' && word[chunk.len() - 1] >= 128 {
                word[chunk.len()..].fill(255);
            }
            word
        };
        let words = bytes.chunks_exact(self.bytes).map(word);
        match (self.code, self.bytes) {
            ('f', 4) => Elements::Floats(
                words
                    .map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]]))
                    .collect(),
            ),
            ('f', _) => Elements::Floats(words.map(|w| f64::from_le_bytes(w) as f32).collect()),
            _ => Elements::Integers(words.map(i64::from_le_bytes).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8]) -> Result<Array, String> {
        Array::read(&mut &*bytes, bytes.len() as u64, &|_| Ok(()))
    }

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
    }

    #[test]
    fn elements_of_every_type_are_read() {
        let array = read(&file(&header("|u1", "(2, 2)"), &[1, 2, 3, 255])).unwrap();
        assert_eq!(array.shape, [2, 2]);
        assert_eq!(array.elements, Elements::Bytes(vec![1, 2, 3, 255]));
        let array = read(&file(&header("<i2", "(2,)"), &[254, 255, 1, 1])).unwrap();
        assert_eq!(array.elements, Elements::Integers(vec![-2, 257]));
        let array = read(&file(&header(">u4", "(1,)"), &[0, 0, 1, 2])).unwrap();
        assert_eq!(array.elements, Elements::Integers(vec![258]));
        let array = read(&file(&header("<f8", "()"), &1.5_f64.to_le_bytes())).unwrap();
        assert_eq!(
            (array.shape.len(), array.elements),
            (0, Elements::Floats(vec![1.5]))
        );
    }

    #[test]
    fn what_a_header_declares_is_held_against_the_file() {
        let huge = file(&header("|u1", "(4294967296, 4294967296, 4294967296)"), &[]);
        assert!(read(&huge).unwrap_err().contains("cut short"));
        assert!(
            read(&file(&header("|u1", "(3,)"), &[1, 2]))
                .unwrap_err()
                .contains("cut short")
        );
        assert!(
            read(b"\x93NUMPY\x02\x00\xff\xff\xff\xff")
                .unwrap_err()
                .contains("header")
        );
        assert!(read(b"PK").unwrap_err().contains("header"));
        assert!(
            read(&file("{}", &[]))
                .unwrap_err()
                .contains("invalid header")
        );
        assert!(
            read(&file(&header("|O", "(1,)"), &[0]))
                .unwrap_err()
                .contains("type |O")
        );
        assert!(
            read(&file(&header("|u1", "(-1,)"), &[0]))
                .unwrap_err()
                .contains("invalid header")
        );
    }
}

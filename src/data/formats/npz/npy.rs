//! NumPy's array files.
//!
//! Format (numpy.lib.format): the bytes `\x93NUMPY`, a version, the length of the header (two bytes in version 1, four
//! after), the header, a Python dictionary as text (`{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`), and
//! the elements, row-major or, with `fortran_order`, column-major.

use crate::data::formats::array::{Array, ElementClass, Kind, shape_in_words};
use crate::host_memory;
use std::io::Read;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Maximum length of a header.
const MAX_HEADER: u32 = 64 << 10;
/// Maximum number of axes.
const MAX_AXES: usize = 8;

/// What a header declares.
pub(super) struct Header {
    kind: Kind,
    is_fortran: bool,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Bytes of the header and what is before it.
    length: u64,
}

impl Header {
    /// Reads the header of an array.
    ///
    /// # Errors
    /// Says what is wrong, as the rest of a sentence about the array.
    pub fn read(reader: &mut dyn Read) -> Result<Header, String> {
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
        let (descr, is_fortran, shape) =
            parsed(&header).ok_or_else(|| format!("has an invalid header: {}", header.trim()))?;
        Ok(Header {
            kind: kind_of(&descr)?,
            is_fortran,
            shape,
            length: before + u64::from(length),
        })
    }
}

/// Reads an array of at most `available` bytes, including the header. Before memory is allocated, the size that the header
/// declares is checked against that and against the free memory, and its shape by `expect`.
///
/// # Errors
/// Says what is wrong, as the rest of a sentence about the array.
pub(super) fn read(
    reader: &mut dyn Read,
    available: u64,
    expect: &dyn Fn(&[usize]) -> Result<(), String>,
) -> Result<Array, String> {
    let Header {
        kind,
        is_fortran,
        shape,
        length,
    } = Header::read(reader)?;
    let wanted = shape
        .iter()
        .try_fold(kind.bytes as u64, |n, &d| n.checked_mul(d as u64));
    let rest = available.saturating_sub(length);
    let wanted = wanted.filter(|&n| n <= rest).ok_or_else(|| {
        format!(
            "declares {} elements of {} bytes but holds {rest} bytes: it is cut short or damaged",
            shape_in_words(&shape),
            kind.bytes
        )
    })?;
    expect(&shape)?;
    // The elements, and the pixels or the other order that they become.
    host_memory::check(wanted.saturating_mul(2)).map_err(|needs| format!("needs {needs}"))?;
    let mut bytes = Vec::new();
    let outcome = reader.take(wanted).read_to_end(&mut bytes);
    outcome.map_err(|e| format!("can't be unpacked ({e}): download it again"))?;
    if bytes.len() as u64 != wanted {
        return Err(format!(
            "holds {} of {wanted} bytes: it is cut short",
            bytes.len()
        ));
    }
    if is_fortran && shape.len() > 1 {
        bytes = row_major(&bytes, kind.bytes, &shape);
    }
    Ok(Array { shape, kind, bytes })
}

/// Elements of `size` bytes, whose first index changes fastest, in the order in which the last one does.
fn row_major(bytes: &[u8], size: usize, shape: &[usize]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut steps = Vec::with_capacity(shape.len());
    let mut step = size;
    for side in shape {
        steps.push(step);
        step *= side;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    while out.len() < bytes.len() {
        out.extend_from_slice(&bytes[at..at + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += steps[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= steps[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

/// `descr`, `fortran_order` and `shape` of a header.
fn parsed(header: &str) -> Option<(String, bool, Vec<usize>)> {
    let after = |key: &str| {
        let (_, rest) = header.split_once(&format!("'{key}'"))?;
        rest.trim_start().strip_prefix(':').map(str::trim_start)
    };
    let descr = after("descr")?;
    let descr = match descr.strip_prefix('\'') {
        Some(descr) => descr.split('\'').next()?,
        // A list of fields.
        None => descr.split(']').next()?,
    };
    let is_fortran = after("fortran_order")?.starts_with("True");
    let shape = after("shape")?.strip_prefix('(')?.split(')').next()?;
    let extents = shape
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty());
    // Python 2 wrote `10L`.
    let shape = extents
        .map(|text| text.trim_end_matches('L').parse().ok())
        .collect::<Option<Vec<usize>>>()?;
    (shape.len() <= MAX_AXES).then(|| (descr.to_string(), is_fortran, shape))
}

/// The type that `descr` names: `<f4` is the order of bytes, the kind, and the size.
fn kind_of(descr: &str) -> Result<Kind, String> {
    let unknown = || {
        format!(
            "has elements of type {descr}; save integers, float16, float32, float64, booleans or strings"
        )
    };
    let mut chars = descr.chars();
    let order = chars.next().ok_or_else(unknown)?;
    let code = chars.next().ok_or_else(unknown)?;
    let size: usize = chars.as_str().parse().map_err(|_| unknown())?;
    let (class, bytes) = match (code, size) {
        ('b', 1) => (ElementClass::Boolean, 1),
        ('u', 1 | 2 | 4 | 8) => (ElementClass::Unsigned, size),
        ('i', 1 | 2 | 4 | 8) => (ElementClass::Signed, size),
        ('f', 2 | 4 | 8) => (ElementClass::Float, size),
        ('S', 1..) => (ElementClass::Utf8, size),
        ('U', 1..) => (ElementClass::Utf32, size.saturating_mul(4)),
        _ => return Err(unknown()),
    };
    if !"<>|=".contains(order) {
        return Err(unknown());
    }
    Ok(Kind {
        class,
        bytes,
        big_endian: order == '>' && bytes > 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8]) -> Result<Array, String> {
        super::read(&mut &*bytes, bytes.len() as u64, &|_| Ok(()))
    }

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
    }

    fn numbers(descr: &str, shape: &str, data: &[u8]) -> Vec<f64> {
        let array = read(&file(&header(descr, shape), data)).unwrap();
        array.numbers().collect()
    }

    #[test]
    fn elements_of_every_type_are_read() {
        let array = read(&file(&header("|u1", "(2, 2)"), &[1, 2, 3, 255])).unwrap();
        assert_eq!((array.shape, array.bytes), (vec![2, 2], vec![1, 2, 3, 255]));
        assert_eq!(numbers("<i2", "(2,)", &[254, 255, 1, 1]), [-2.0, 257.0]);
        assert_eq!(numbers(">u4", "(1,)", &[0, 0, 1, 2]), [258.0]);
        assert_eq!(numbers("<f8", "()", &1.5_f64.to_le_bytes()), [1.5]);
        assert_eq!(numbers("<f2", "(1L,)", &[0, 0x3e]), [1.5]);
        assert_eq!(numbers("|b1", "(2,)", &[0, 1]), [0.0, 1.0]);
        let texts = read(&file(&header("|S3", "(2,)"), b"yesno\0")).unwrap();
        assert_eq!(texts.texts().unwrap().collect::<Vec<_>>(), ["yes", "no"]);
        let texts = read(&file(&header("<U1", "(1,)"), &[0x2d, 0x4e, 0, 0])).unwrap();
        assert_eq!(texts.texts().unwrap().collect::<Vec<_>>(), ["中"]);
    }

    /// `numpy.asfortranarray(numpy.arange(12, dtype='<u2').reshape(2, 3, 2))`.
    #[test]
    fn arrays_stored_column_by_column_are_turned() {
        let header = "{'descr': '<u2', 'fortran_order': True, 'shape': (2, 3, 2), }\n";
        let stored = [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11_u16];
        let bytes: Vec<u8> = stored.iter().flat_map(|x| x.to_le_bytes()).collect();
        let array = read(&file(header, &bytes)).unwrap();
        let numbers: Vec<f64> = array.numbers().collect();
        assert_eq!(numbers, (0..12).map(f64::from).collect::<Vec<_>>());
    }

    /// A step over the first axis would overflow.
    #[test]
    fn an_empty_array_stored_column_by_column_is_empty() {
        let header =
            "{'descr': '<u2', 'fortran_order': True, 'shape': (9223372036854775807, 0, 9), }\n";
        assert!(read(&file(header, &[])).unwrap().bytes.is_empty());
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
        let fields = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n";
        let message = read(&file(fields, &[0; 4])).unwrap_err();
        assert!(message.contains("type [('a', '<f4')"), "{message}");
        assert!(
            read(&file(&header("|u1", "(-1,)"), &[0]))
                .unwrap_err()
                .contains("invalid header")
        );
    }
}

//! Types of elements in ONNX files, and what numbers they can hold.

use crate::tensor::Half;
use std::fmt;

/// Type of the elements of a tensor, with its name and number in `onnx.proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit float.
    Float,
    /// Byte.
    Uint8,
    /// Signed byte.
    Int8,
    /// 16 bits.
    Uint16,
    /// 16 bits, signed.
    Int16,
    /// 32 bits, signed.
    Int32,
    /// 64 bits, signed.
    Int64,
    /// 0 or 1.
    Bool,
    /// 16-bit IEEE float.
    Float16,
    /// 64-bit float.
    Double,
    /// 32 bits.
    Uint32,
    /// 64 bits.
    Uint64,
    /// 16-bit float with the range of 32 bits.
    Bfloat16,
}

/// All types, with their numbers in files, their names, their bytes, and what NumPy calls them.
const TYPES: [(Element, i32, &str, usize, &str); 13] = [
    (Element::Float, 1, "float32", 4, "<f4"),
    (Element::Uint8, 2, "uint8", 1, "|u1"),
    (Element::Int8, 3, "int8", 1, "|i1"),
    (Element::Uint16, 4, "uint16", 2, "<u2"),
    (Element::Int16, 5, "int16", 2, "<i2"),
    (Element::Int32, 6, "int32", 4, "<i4"),
    (Element::Int64, 7, "int64", 8, "<i8"),
    (Element::Bool, 9, "bool", 1, "|b1"),
    (Element::Float16, 10, "float16", 2, "<f2"),
    (Element::Double, 11, "float64", 8, "<f8"),
    (Element::Uint32, 12, "uint32", 4, "<u4"),
    (Element::Uint64, 13, "uint64", 8, "<u8"),
    // NumPy has no such type: its bits are written.
    (Element::Bfloat16, 16, "bfloat16", 2, "<u2"),
];

/// Names of the types that are not computed with, by their numbers.
const OTHERS: [(i32, &str); 8] = [
    (8, "string"),
    (14, "complex64"),
    (15, "complex128"),
    (17, "float8e4m3fn"),
    (18, "float8e4m3fnuz"),
    (19, "float8e5m2"),
    (20, "float8e5m2fnuz"),
    (21, "uint4"),
];

impl Element {
    /// The type of number `code` in files.
    ///
    /// # Errors
    /// Names a type that is not computed with.
    pub fn of(code: i32) -> Result<Element, String> {
        let known = TYPES.iter().find(|(_, number, ..)| *number == code);
        known.map(|(element, ..)| *element).ok_or_else(|| {
            let other = OTHERS.iter().find(|(number, _)| *number == code);
            match other {
                Some((_, name)) => format!("elements of type {name}, which are not supported"),
                None => format!("elements of type {code}, which is not supported"),
            }
        })
    }

    fn row(self) -> &'static (Element, i32, &'static str, usize, &'static str) {
        let place = TYPES.iter().position(|(element, ..)| *element == self);
        &TYPES[place.unwrap_or_default()]
    }

    /// Its number in files.
    pub fn code(self) -> i32 {
        self.row().1
    }

    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        self.row().3
    }

    /// NumPy's name.
    pub fn numpy(self) -> &'static str {
        self.row().4
    }

    /// Whether it is a float.
    pub fn is_float(self) -> bool {
        use Element::{Bfloat16, Double, Float, Float16};
        matches!(self, Float | Float16 | Bfloat16 | Double)
    }

    /// The number nearest to `x` that the type can hold: floats are rounded; of integers, the fraction is dropped, and what is out
    /// of range wraps around, as when C converts between integers.
    pub fn nearest(self, x: f64) -> f64 {
        let wrapped = |bits: i32, signed: bool| {
            let x = if x.is_nan() { 0.0 } else { x.trunc() };
            let span = 2_f64.powi(bits);
            let low = if signed { -span / 2.0 } else { 0.0 };
            match x >= low && x < low + span {
                true => x,
                false if bits == 64 => x.clamp(low, low + span),
                false => (x - low).rem_euclid(span) + low,
            }
        };
        match self {
            Element::Double => x,
            Element::Float => f64::from(x as f32),
            Element::Float16 => Half::F16.rounded(x),
            Element::Bfloat16 => Half::Bf16.rounded(x),
            Element::Bool => f64::from(u8::from(x != 0.0)),
            Element::Uint8 => wrapped(8, false),
            Element::Int8 => wrapped(8, true),
            Element::Uint16 => wrapped(16, false),
            Element::Int16 => wrapped(16, true),
            Element::Int32 => wrapped(32, true),
            Element::Uint32 => wrapped(32, false),
            Element::Int64 => wrapped(64, true),
            Element::Uint64 => wrapped(64, false),
        }
    }

    /// The smallest and the largest integer that it holds; the infinities for floats.
    pub fn range(self) -> (f64, f64) {
        match self {
            Element::Bool => (0.0, 1.0),
            _ if self.is_float() => (f64::NEG_INFINITY, f64::INFINITY),
            Element::Uint8 | Element::Uint16 | Element::Uint32 | Element::Uint64 => {
                (0.0, 2_f64.powi(8 * self.bytes() as i32) - 1.0)
            }
            _ => {
                let half = 2_f64.powi(8 * self.bytes() as i32 - 1);
                (-half, half - 1.0)
            }
        }
    }

    /// The number in `bytes`, those of one element, the lowest first.
    pub fn number(self, bytes: &[u8]) -> f64 {
        let mut word = [0_u8; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        let [a, b, c, d, ..] = word;
        match self {
            Element::Float => f64::from(f32::from_le_bytes([a, b, c, d])),
            Element::Double => f64::from_le_bytes(word),
            Element::Float16 => half::f16::from_le_bytes([a, b]).to_f64(),
            Element::Bfloat16 => half::bf16::from_le_bytes([a, b]).to_f64(),
            Element::Bool => f64::from(u8::from(a != 0)),
            Element::Int8 => f64::from(a as i8),
            Element::Int16 => f64::from(i16::from_le_bytes([a, b])),
            Element::Int32 => f64::from(i32::from_le_bytes([a, b, c, d])),
            Element::Int64 => i64::from_le_bytes(word) as f64,
            Element::Uint8 | Element::Uint16 | Element::Uint32 | Element::Uint64 => {
                u64::from_le_bytes(word) as f64
            }
        }
    }

    /// Appends the bytes of `x`, the lowest first.
    pub fn write(self, x: f64, out: &mut Vec<u8>) {
        let x = self.nearest(x);
        match self {
            Element::Float => out.extend((x as f32).to_le_bytes()),
            Element::Double => out.extend(x.to_le_bytes()),
            Element::Float16 => out.extend(half::f16::from_f32(x as f32).to_le_bytes()),
            Element::Bfloat16 => out.extend(half::bf16::from_f32(x as f32).to_le_bytes()),
            Element::Uint64 => out.extend((x as u64).to_le_bytes()),
            _ => out.extend(&(x as i64).to_le_bytes()[..self.bytes()]),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().2)
    }
}

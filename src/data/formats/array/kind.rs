//! Types of elements, and their values.

use half::f16;

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data::formats) enum ElementClass {
    Boolean,
    Unsigned,
    Signed,
    Float,
    /// Text in UTF-8, padded with zero bytes.
    Utf8,
    /// Text of characters of four bytes each, padded with zeros.
    Utf32,
}

/// Type of an element in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data::formats) struct Kind {
    pub class: ElementClass,
    /// Bytes of an element.
    pub bytes: usize,
    pub big_endian: bool,
}

impl Kind {
    /// Unsigned bytes.
    pub const BYTE: Kind = Kind {
        class: ElementClass::Unsigned,
        bytes: 1,
        big_endian: false,
    };

    pub fn is_text(self) -> bool {
        matches!(self.class, ElementClass::Utf8 | ElementClass::Utf32)
    }

    pub fn is_float(self) -> bool {
        self.class == ElementClass::Float
    }

    /// The number in the bytes of an element. Integers above 2^53 are rounded; a text is not a number.
    pub fn number(self, bytes: &[u8]) -> f64 {
        // Eight bytes, the lowest first, with the sign extended.
        let mut word = [0; 8];
        for (place, &byte) in word.iter_mut().zip(bytes) {
            *place = byte;
        }
        let length = bytes.len().min(8);
        if self.big_endian {
            word[..length].reverse();
        }
        match (self.class, length) {
            (ElementClass::Float, 2) => f16::from_le_bytes([word[0], word[1]]).to_f64(),
            (ElementClass::Float, 4) => {
                f64::from(f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            }
            (ElementClass::Float, _) => f64::from_le_bytes(word),
            (ElementClass::Signed, 1..) => {
                if word[length - 1] >= 128 {
                    word[length..].fill(255);
                }
                i64::from_le_bytes(word) as f64
            }
            (ElementClass::Boolean, _) => f64::from(u8::from(word[0] != 0)),
            (ElementClass::Utf8 | ElementClass::Utf32, _) => f64::NAN,
            (ElementClass::Unsigned | ElementClass::Signed, _) => u64::from_le_bytes(word) as f64,
        }
    }

    /// The text in the bytes of an element; what is not a character becomes `�`.
    pub fn text(self, bytes: &[u8]) -> String {
        let text: String = match self.class {
            ElementClass::Utf32 => {
                let word = |chunk: &[u8]| {
                    let word = <[u8; 4]>::try_from(chunk).unwrap_or_default();
                    match self.big_endian {
                        true => u32::from_be_bytes(word),
                        false => u32::from_le_bytes(word),
                    }
                };
                let words = bytes.chunks_exact(4).map(word);
                words
                    .map(|word| char::from_u32(word).unwrap_or('\u{fffd}'))
                    .collect()
            }
            _ => String::from_utf8_lossy(bytes).into_owned(),
        };
        text.trim_end_matches('\0').to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_every_type_and_order_are_read() {
        use ElementClass::{Boolean, Float, Signed, Unsigned, Utf8, Utf32};
        let kind = |class, bytes, big_endian| Kind {
            class,
            bytes,
            big_endian,
        };
        for (class, big_endian, bytes, number) in [
            (Boolean, false, &[2][..], 1.0),
            (Unsigned, false, &[255], 255.0),
            (Signed, false, &[255], -1.0),
            (Signed, false, &[254, 255], -2.0),
            (Signed, true, &[255, 254], -2.0),
            (Unsigned, true, &[0, 0, 1, 2], 258.0),
            (Signed, true, &[0, 0, 0, 0, 0, 0, 1, 2], 258.0),
            (Float, true, &[0x3e, 0x00], 1.5),
            (Float, false, &[0x00, 0x3e], 1.5),
            (Float, true, &[0xbf, 0xc0, 0, 0], -1.5),
            (Float, true, &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0], 1.5),
        ] {
            let kind = kind(class, bytes.len(), big_endian);
            assert_eq!(kind.number(bytes), number, "{kind:?}");
        }
        let text = kind(Utf8, 6, false).text("käse\0".as_bytes());
        assert_eq!(text, "käse");
        let text = kind(Utf32, 12, true).text(&[0, 0, 0, b'a', 0, 0, 0x4e, 0x2d, 0, 0, 0, 0]);
        assert_eq!(text, "a中");
    }
}

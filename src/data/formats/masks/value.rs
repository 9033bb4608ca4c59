//! The values of the pixels of masks.

use image::{DynamicImage, GenericImageView};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The pixel value that represents a class in a mask: in a settings file a number, or a colour as `"#rrggbb"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MaskValue {
    /// A grey value as in the file: up to 255, or up to 65,535 if the file has 16 bits per pixel.
    Grey(u16),
    /// Red, green and blue, not all the same.
    Colour([u8; 3]),
}

impl From<[u8; 3]> for MaskValue {
    fn from(colour: [u8; 3]) -> Self {
        match colour {
            [r, g, b] if r == g && g == b => MaskValue::Grey(r.into()),
            _ => MaskValue::Colour(colour),
        }
    }
}

impl fmt::Display for MaskValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaskValue::Grey(value) => write!(f, "{value}"),
            MaskValue::Colour([r, g, b]) => write!(f, "#{r:02x}{g:02x}{b:02x}"),
        }
    }
}

impl JsonSchema for MaskValue {
    fn schema_name() -> Cow<'static, str> {
        "mask_value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A grey value, or a colour as \"#rrggbb\".",
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": u16::MAX },
                { "type": "string", "pattern": "^#[0-9a-fA-F]{6}$" },
            ],
        })
    }
}

impl Serialize for MaskValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            MaskValue::Grey(value) => serializer.serialize_u16(*value),
            MaskValue::Colour(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for MaskValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a grey value from 0 to 65535, or a colour such as \"#ff8000\""
        )]
        enum Written {
            Grey(u16),
            Colour(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Grey(value) => Ok(MaskValue::Grey(value)),
            Written::Colour(text) => colour(&text).map(MaskValue::from).ok_or_else(|| {
                serde::de::Error::custom(format!(
                    "\"{text}\" is not a colour; write it as \"#rrggbb\""
                ))
            }),
        }
    }
}

/// Parses `#rrggbb`.
fn colour(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#')?;
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let [_, r, g, b] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([r, g, b])
}

/// Calls `take` with every pixel of a mask, row by row. The colour of a transparent pixel counts.
pub(super) fn each_value(mask: &DynamicImage, mut take: impl FnMut(MaskValue)) {
    match mask {
        DynamicImage::ImageLuma8(grey) => grey
            .pixels()
            .for_each(|pixel| take(MaskValue::Grey(pixel.0[0].into()))),
        DynamicImage::ImageLuma16(grey) => grey
            .pixels()
            .for_each(|pixel| take(MaskValue::Grey(pixel.0[0]))),
        other => other.pixels().for_each(|(_, _, pixel)| {
            let [r, g, b, _] = pixel.0;
            take(MaskValue::from([r, g, b]));
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, Rgba, RgbaImage};

    #[derive(Debug, Serialize, Deserialize)]
    struct Written {
        values: Vec<MaskValue>,
    }

    fn read(text: &str) -> Result<Vec<MaskValue>, String> {
        let read = toml::from_str::<Written>(&format!("values = {text}"));
        read.map(|read| read.values)
            .map_err(|e| e.message().to_string())
    }

    #[test]
    fn values_are_written_as_numbers_and_colours_and_read_again() {
        let values = read("[0, 300, \"#0a80FF\", \"#070707\"]").unwrap();
        let want = [
            MaskValue::Grey(0),
            MaskValue::Grey(300),
            MaskValue::Colour([10, 128, 255]),
            MaskValue::Grey(7),
        ];
        assert_eq!(values, want);
        let text = toml::to_string(&Written { values }).unwrap();
        assert_eq!(text.trim(), "values = [0, 300, \"#0a80ff\", 7]");
        for wrong in [
            "[\"red\"]",
            "[\"#12345\"]",
            "[\"#é1234\"]",
            "[-1]",
            "[70000]",
        ] {
            let message = read(wrong).unwrap_err();
            assert!(
                message.contains("#rrggbb") || message.contains("grey value"),
                "{message}"
            );
        }
    }

    #[test]
    fn equal_parts_of_a_colour_are_a_grey_value_and_transparency_does_not_count() {
        let values = |mask: DynamicImage| {
            let mut values = Vec::new();
            each_value(&mask, |value| values.push(value));
            values
        };
        let pixel = |x, _| [Rgba([5, 5, 5, 0]), Rgba([5, 5, 6, 255])][x as usize];
        let want = [MaskValue::Grey(5), MaskValue::Colour([5, 5, 6])];
        assert_eq!(values(RgbaImage::from_fn(2, 1, pixel).into()), want);
        let grey = GrayImage::from_pixel(1, 1, Luma([9]));
        assert_eq!(values(grey.into()), [MaskValue::Grey(9)]);
    }
}

//! The colour on which transparent images are put.

use super::traits::Traits;
use image::{ColorType, DynamicImage, GrayImage, RgbImage};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Colours with a name.
const NAMES: [(&str, [u8; 3]); 4] = [
    ("white", [255; 3]),
    ("black", [0; 3]),
    ("grey", [128; 3]),
    ("gray", [128; 3]),
];

/// The colour on which transparent images are put: in a settings file `"white"`, `"black"` or `"grey"`, or `[red, green, blue]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Background(pub [u8; 3]);

impl Default for Background {
    fn default() -> Self {
        Background([255; 3])
    }
}

impl Background {
    fn name(self) -> Option<&'static str> {
        let same = |(_, colour): &&(&str, [u8; 3])| *colour == self.0;
        NAMES.iter().find(same).map(|(name, _)| *name)
    }

    /// `picture` on this colour, with 8 bits per channel and without transparency; `traits` record whether there was any.
    pub(super) fn under(self, picture: DynamicImage, traits: &mut Traits) -> DynamicImage {
        match picture.color() {
            ColorType::L8 | ColorType::Rgb8 => picture,
            ColorType::L16 => picture.into_luma8().into(),
            color if !color.has_alpha() => picture.into_rgb8().into(),
            color => {
                let pixels = picture.into_rgba8();
                traits.is_transparent = pixels.pixels().any(|pixel| pixel.0[3] < 255);
                let on = |[red, green, blue, alpha]: [u8; 4]| {
                    let [r, g, b] = self.0;
                    [(red, r), (green, g), (blue, b)].map(|(over, under)| blend(over, under, alpha))
                };
                let colours = RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
                    image::Rgb(on(pixels.get_pixel(x, y).0))
                });
                let mut following = colours.pixels();
                let first = following.next();
                traits.vanishes =
                    traits.is_transparent && following.all(|pixel| Some(pixel) == first);
                let [r, g, b] = self.0;
                match color.has_color() || r != g || g != b {
                    true => colours.into(),
                    false => GrayImage::from_fn(colours.width(), colours.height(), |x, y| {
                        image::Luma([colours.get_pixel(x, y).0[0]])
                    })
                    .into(),
                }
            }
        }
    }
}

/// `over` with this `alpha` on `under`, rounded as Pillow does it.
fn blend(over: u8, under: u8, alpha: u8) -> u8 {
    let [over, under, alpha] = [over, under, alpha].map(u32::from);
    let sum = over * alpha + under * (255 - alpha) + 128;
    (((sum >> 8) + sum) >> 8) as u8
}

impl fmt::Display for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:?}", self.0),
        }
    }
}

impl JsonSchema for Background {
    fn schema_name() -> Cow<'static, str> {
        "background".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a colour, or red, green and blue from 0 to 255.",
            "anyOf": [
                { "type": "string", "enum": NAMES.map(|(name, _)| name) },
                {
                    "type": "array",
                    "items": { "type": "integer", "minimum": 0, "maximum": 255 },
                    "minItems": 3,
                    "maxItems": 3,
                },
            ],
        })
    }
}

impl Serialize for Background {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.name() {
            Some(name) => serializer.serialize_str(name),
            None => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Background {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected \"white\", \"black\", \"grey\" or [red, green, blue] from 0 to 255"
        )]
        enum Written {
            Name(String),
            Colour([u8; 3]),
        }
        match Written::deserialize(deserializer)? {
            Written::Colour(colour) => Ok(Background(colour)),
            Written::Name(name) => {
                let named = NAMES.iter().find(|(known, _)| *known == name);
                named.map(|(_, colour)| Background(*colour)).ok_or_else(|| {
                    serde::de::Error::custom(format!(
                        "unknown colour \"{name}\": use \"white\", \"black\", \"grey\" or [red, green, blue] from 0 to 255"
                    ))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{LumaA, Rgba};

    #[derive(Debug, Serialize, Deserialize)]
    struct Written {
        background: Background,
    }

    fn read(text: &str) -> Result<Background, String> {
        let read = toml::from_str::<Written>(&format!("background = {text}"));
        read.map(|read| read.background)
            .map_err(|e| e.message().to_string())
    }

    #[test]
    fn a_colour_is_written_by_its_name_or_as_three_numbers() {
        assert_eq!(read("\"black\""), Ok(Background([0; 3])));
        assert_eq!(read("[1, 2, 3]"), Ok(Background([1, 2, 3])));
        let text = |colour| {
            let background = Background(colour);
            toml::to_string(&Written { background }).unwrap()
        };
        assert_eq!(text([128; 3]).trim(), "background = \"grey\"");
        assert_eq!(read(&text([1, 2, 3])[13..]), Ok(Background([1, 2, 3])));
        assert_eq!(Background([1, 2, 3]).to_string(), "[1, 2, 3]");
        for wrong in ["\"pink\"", "[1, 2]", "[1, 2, 300]", "7"] {
            let message = read(wrong).unwrap_err();
            assert!(message.contains("[red, green, blue]"), "{message}");
        }
    }

    #[test]
    fn what_vanishes_on_a_background_is_noticed() {
        let strokes = |value| -> DynamicImage {
            let pixel = |x, _| LumaA([value, if x == 1 { 255 } else { 0 }]);
            image::GrayAlphaImage::from_fn(3, 1, pixel).into()
        };
        let on = |picture, colour| {
            let mut traits = Traits::default();
            let opaque = Background(colour).under(picture, &mut traits);
            (opaque.into_bytes(), traits.is_transparent, traits.vanishes)
        };
        assert_eq!(on(strokes(0), [255; 3]), (vec![255, 0, 255], true, false));
        assert_eq!(on(strokes(0), [0; 3]), (vec![0; 3], true, true));
        assert_eq!(on(strokes(255), [255; 3]), (vec![255; 3], true, true));
        let whole = image::RgbaImage::from_pixel(1, 1, Rgba([1, 2, 3, 255]));
        assert_eq!(on(whole.into(), [0; 3]), (vec![1, 2, 3], false, false));
    }
}

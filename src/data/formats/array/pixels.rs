//! Images in an array: where rows, columns and channels lie, and how elements become pixels of one byte.

use super::{Array, ElementClass, Kind, shape_in_words};

/// Largest values of whole numbers of 8 to 16 bits, in which pixels are often stored.
const FULL: [f64; 5] = [255.0, 1023.0, 4095.0, 16_383.0, 65_535.0];
/// How far a float may lie beyond the end of a range, for rounding.
const TOLERANCE: f64 = 1e-3;

/// The arrangement of images in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data::formats) struct ImageLayout {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Whether the channels come before rows and columns.
    planes: bool,
}

impl ImageLayout {
    /// Images of the shape `[count, height, width]`, with 1 to 4 channels at the end or else after the count; `None` for another
    /// shape.
    pub fn of(shape: &[usize]) -> Option<ImageLayout> {
        let (height, width, channels, planes) = match *shape {
            [_, height, width] => (height, width, 1, false),
            [_, height, width, channels @ 1..=4] => (height, width, channels, false),
            [_, channels @ 1..=4, height, width] => (height, width, channels, true),
            _ => return None,
        };
        Some(ImageLayout {
            height,
            width,
            channels,
            planes,
        })
    }

    /// How images of `shape` are read, if that is not obvious.
    pub fn in_words(&self, shape: &[usize]) -> Option<String> {
        let shape = shape_in_words(shape);
        let (channels, [height, width]) = (self.channels, [self.height, self.width]);
        match self.planes {
            true => Some(format!(
                "have shape {shape}: {channels} channels come before {height} rows and {width} columns"
            )),
            // The first of them could be channels, too.
            false if channels > 1 && height <= 4 => Some(format!(
                "have shape {shape}: {height} rows and {width} columns come before {channels} channels"
            )),
            false => None,
        }
    }
}

/// How an element becomes a byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data::formats) enum PixelScale {
    /// As it is.
    Byte,
    /// From 0 to 1 if it is true.
    Flag,
    /// From this value, which becomes 0, to that one, which becomes 255.
    Range(f64, f64),
}

impl PixelScale {
    /// The scale of the images of each part. Bytes are pixels as they are; floats are from 0 to 1, from -1 to 1 or from 0 to 255, by
    /// those of the first part; other integers have as many bits, from 8 to 16, as hold the largest.
    ///
    /// # Errors
    /// The index of a part, and which of its values are out of range, as the rest of a sentence about it.
    pub fn of_parts(parts: &[&Array]) -> Result<Vec<PixelScale>, (usize, String)> {
        let mut scales: Vec<PixelScale> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let alike = |other: &&&Array| other.kind == part.kind;
            let of_kind = PixelScale::of(part.kind);
            let scale = match of_kind {
                Some(scale) => scale,
                None => {
                    let own = range(part).map_err(|problem| (index, problem))?;
                    let earlier = parts[..index].iter().position(|other| alike(&other));
                    match (part.kind.is_float(), earlier) {
                        (true, Some(earlier)) => scales[earlier].holding(own),
                        (true, None) => float_range(own),
                        (false, _) => {
                            let all = parts.iter().filter(alike).map(|part| range(part));
                            let most = all.flatten().map(|(_, most)| most).fold(0.0, f64::max);
                            integer_range((own.0, most))
                        }
                    }
                    .map_err(|problem| (index, problem))?
                }
            };
            scales.push(scale);
        }
        Ok(scales)
    }

    /// The scale that a type of elements has whatever the values are.
    fn of(kind: Kind) -> Option<PixelScale> {
        match (kind.class, kind.bytes) {
            (ElementClass::Boolean, _) => Some(PixelScale::Flag),
            (ElementClass::Unsigned, 1) => Some(PixelScale::Byte),
            _ => None,
        }
    }

    /// The same scale, if it holds values of a range.
    fn holding(self, (least, most): (f64, f64)) -> Result<PixelScale, String> {
        match self {
            PixelScale::Range(low, high) if least < low - TOLERANCE || most > high + TOLERANCE => {
                Err(format!(
                    "have values from {least} to {most}, but those of the training images are from {low} to {high}: save both in one range"
                ))
            }
            _ => Ok(self),
        }
    }

    /// How elements are read, if that is not as bytes.
    pub fn in_words(self) -> Option<String> {
        match self {
            PixelScale::Byte => None,
            PixelScale::Flag => Some("are booleans: true is 255".to_string()),
            PixelScale::Range(low, high) => Some(match (low, high) {
                (0.0, 255.0) => "are read as values from 0 to 255, rounded to bytes".to_string(),
                _ => format!("are read as values from {low} to {high}, scaled to bytes"),
            }),
        }
    }

    fn byte(self, x: f64) -> u8 {
        match self {
            PixelScale::Byte => x as u8,
            PixelScale::Flag => (x * 255.0) as u8,
            PixelScale::Range(low, high) => ((x - low) / (high - low) * 255.0).round() as u8,
        }
    }

    /// The pixels of the images in `array`, the channels of each pixel side by side.
    pub fn pixels(self, array: Array, layout: ImageLayout) -> Vec<u8> {
        let bytes = match self {
            PixelScale::Byte => array.bytes,
            _ => array.numbers().map(|x| self.byte(x)).collect(),
        };
        match layout.planes {
            true => side_by_side(&bytes, layout.height * layout.width, layout.channels),
            false => bytes,
        }
    }
}

/// The scale of floats of a range.
fn float_range((least, most): (f64, f64)) -> Result<PixelScale, String> {
    let holds = |&(low, high): &(f64, f64)| least >= low - TOLERANCE && most <= high + TOLERANCE;
    let found = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)]
        .into_iter()
        .find(holds);
    let (low, high) = found.ok_or_else(|| no_pixels(least, most))?;
    Ok(PixelScale::Range(low, high))
}

/// The scale of whole numbers of a range.
fn integer_range((least, most): (f64, f64)) -> Result<PixelScale, String> {
    let full = FULL.into_iter().find(|&full| most <= full);
    let full = full.filter(|_| least >= 0.0);
    let full = full.ok_or_else(|| no_pixels(least, most))?;
    Ok(PixelScale::Range(0.0, full))
}

fn no_pixels(least: f64, most: f64) -> String {
    format!(
        "have values from {least} to {most}, which are not pixels: save floats from 0 to 1 or -1 to 1, or whole numbers from 0 to 255 or \
         at most 65535"
    )
}

/// The least and the largest number in `array`.
fn range(array: &Array) -> Result<(f64, f64), String> {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for x in array.numbers() {
        if !x.is_finite() {
            return Err(match array.kind.is_text() {
                true => "are texts, which are not pixels".to_string(),
                false => format!("contain {x}, which is not a pixel"),
            });
        }
        (least, most) = (least.min(x), most.max(x));
    }
    Ok((least, most))
}

/// Images of channel planes as images in which the channels of each pixel are side by side.
fn side_by_side(bytes: &[u8], plane: usize, channels: usize) -> Vec<u8> {
    let images = bytes.chunks_exact((plane * channels).max(1));
    let pixel = |image: &[u8], i: usize| image[i % channels * plane + i / channels];
    images
        .flat_map(|image| (0..plane * channels).map(move |i| pixel(image, i)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(class: ElementClass, bytes: usize, data: &[u8]) -> Array {
        let kind = Kind {
            class,
            bytes,
            big_endian: false,
        };
        let shape = vec![1, 1, data.len() / bytes];
        Array {
            shape,
            kind,
            bytes: data.to_vec(),
        }
    }

    fn floats(values: &[f32]) -> Array {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        array(ElementClass::Float, 4, &bytes)
    }

    fn pixels(array: Array) -> Result<Vec<u8>, String> {
        let layout = ImageLayout::of(&array.shape).unwrap();
        let scale = PixelScale::of_parts(&[&array]).map_err(|(_, problem)| problem)?[0];
        assert_eq!(scale.in_words().is_none(), scale == PixelScale::Byte);
        Ok(scale.pixels(array, layout))
    }

    #[test]
    fn values_decide_what_is_full_brightness() {
        assert_eq!(pixels(floats(&[0.0, 0.5, 1.0])).unwrap(), [0, 128, 255]);
        assert_eq!(pixels(floats(&[-1.0, 0.0, 1.0])).unwrap(), [0, 128, 255]);
        assert_eq!(pixels(floats(&[0.0, 1.6, 254.9])).unwrap(), [0, 2, 255]);
        let words = |values: [u16; 3]| {
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            pixels(array(ElementClass::Unsigned, 2, &bytes)).unwrap()
        };
        assert_eq!(words([0, 7, 255]), [0, 7, 255]);
        assert_eq!(words([0, 2048, 4095]), [0, 128, 255]);
        assert_eq!(words([0, 257, 65_535]), [0, 1, 255]);
        let flags = array(ElementClass::Boolean, 1, &[0, 1]);
        assert_eq!(pixels(flags).unwrap(), [0, 255]);
        for values in [
            [-2.1_f32, 0.0, 2.6],
            [0.0, 256.5, 1.0],
            [0.0, f32::NAN, 1.0],
        ] {
            assert!(pixels(floats(&values)).is_err(), "{values:?}");
        }
        let signed = array(ElementClass::Signed, 1, &[0, 255]);
        assert!(pixels(signed).unwrap_err().contains("from -1 to 0"));
    }

    #[test]
    fn the_training_images_decide_for_floats_and_all_parts_for_integers() {
        let train = floats(&[0.0, 1.0]);
        let unit = PixelScale::Range(0.0, 1.0);
        let of = |test: &Array| PixelScale::of_parts(&[&train, test]);
        assert_eq!(of(&floats(&[0.5])).unwrap(), [unit, unit]);
        let (part, message) = of(&floats(&[0.0, 200.0])).unwrap_err();
        assert!(part == 1 && message.contains("from 0 to 1"), "{message}");
        let bytes = array(ElementClass::Unsigned, 1, &[9]);
        assert_eq!(of(&bytes).unwrap(), [unit, PixelScale::Byte]);
        let words = [[1, 1], [1, 5]].map(|bytes| array(ElementClass::Unsigned, 2, &bytes));
        let scales = PixelScale::of_parts(&[&words[0], &words[1]]).unwrap();
        assert_eq!(scales, [PixelScale::Range(0.0, 4095.0); 2]);
    }

    #[test]
    fn channels_are_at_the_end_or_before_rows() {
        let layout = |shape: &[usize]| ImageLayout::of(shape);
        let first = layout(&[9, 3, 5, 6]).unwrap();
        assert_eq!((first.height, first.width, first.channels), (5, 6, 3));
        assert!(
            first
                .in_words(&[9, 3, 5, 6])
                .unwrap()
                .contains("before 5 rows")
        );
        let last = layout(&[9, 5, 6, 3]).unwrap();
        assert_eq!((last.channels, last.in_words(&[9, 5, 6, 3])), (3, None));
        let either = layout(&[9, 3, 6, 3]).unwrap();
        assert_eq!((either.height, either.channels), (3, 3));
        assert!(either.in_words(&[9, 3, 6, 3]).is_some());
        assert_eq!((layout(&[9, 5, 6, 7]), layout(&[9, 5])), (None, None));
    }
}

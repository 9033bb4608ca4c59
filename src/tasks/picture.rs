//! Pictures that a model gives: from normalised numbers to PNG files, alone or side by side.

use crate::data::Normalization;
use crate::error::{Error, Result};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use std::io::Cursor;

/// A picture as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for grey, 3 for colour.
    pub channels: usize,
    /// `height * width * channels`, channels fastest.
    pub bytes: Vec<u8>,
}

/// Pixels between the pictures of a grid.
const GAP: usize = 2;

impl Picture {
    /// The picture of `values`, `[height, width, channels]`, which are normalised by `normal`: what is darker than black is black,
    /// and what is brighter than white is white. Of two or more than three channels only the first is taken.
    ///
    /// # Errors
    /// If there are not so many values.
    pub fn of_normalised(
        values: &[f32],
        [height, width, channels]: [usize; 3],
        normal: Normalization<'_>,
    ) -> Result<Picture> {
        if channels == 0 || values.len() != height * width * channels {
            return Err(Error::Graph(format!(
                "a picture of {height} x {width} x {channels} was given {} numbers",
                values.len()
            )));
        }
        let taken = if channels == 3 { 3 } else { 1 };
        let byte = |(channel, &value): (usize, &f32)| {
            let mean = normal.mean.get(channel).copied().unwrap_or(0.0);
            let std = normal.std.get(channel).copied().unwrap_or(1.0);
            ((value * std + mean).clamp(0.0, 1.0) * 255.0).round() as u8
        };
        let pixels = values.chunks_exact(channels);
        let bytes = pixels.flat_map(|pixel| pixel[..taken].iter().enumerate().map(byte));
        Ok(Picture {
            height,
            width,
            channels: taken,
            bytes: bytes.collect(),
        })
    }

    /// The pictures of `values`, one after another.
    ///
    /// # Errors
    /// If `shape` is no `[height, width, channels]`.
    pub fn all_of(
        values: &[f32],
        shape: &[usize],
        normal: Normalization<'_>,
    ) -> Result<Vec<Picture>> {
        let &[height, width, channels] = shape else {
            return Err(Error::Config(format!(
                "pictures are [height, width, channels], but the model gives {shape:?} for a sample"
            )));
        };
        let each = (height * width * channels).max(1);
        let pictures = values.chunks_exact(each);
        pictures
            .map(|values| Picture::of_normalised(values, [height, width, channels], normal))
            .collect()
    }

    /// One picture of all `pictures`, which are of one size, in rows of `columns` on black; nothing of none.
    pub fn grid(pictures: &[Picture], columns: usize) -> Option<Picture> {
        let first = pictures.first()?;
        let (height, width, channels) = (first.height, first.width, first.channels);
        let columns = columns.clamp(1, pictures.len());
        let rows = pictures.len().div_ceil(columns);
        let mut grid = Picture {
            height: rows * (height + GAP) + GAP,
            width: columns * (width + GAP) + GAP,
            channels,
            bytes: Vec::new(),
        };
        grid.bytes = vec![0; grid.height * grid.width * channels];
        for (place, picture) in pictures.iter().enumerate() {
            let top = GAP + place / columns * (height + GAP);
            let left = GAP + place % columns * (width + GAP);
            let rows = picture.bytes.chunks_exact(width * channels);
            for (y, row) in rows.take(height).enumerate() {
                let at = ((top + y) * grid.width + left) * channels;
                grid.bytes[at..at + row.len()].copy_from_slice(row);
            }
        }
        Some(grid)
    }

    /// Its PNG file.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn png(&self) -> Result<Vec<u8>> {
        let (width, height) = (self.width as u32, self.height as u32);
        let bytes = self.bytes.clone();
        let image = match self.channels {
            3 => RgbImage::from_raw(width, height, bytes).map(DynamicImage::from),
            _ => GrayImage::from_raw(width, height, bytes).map(DynamicImage::from),
        };
        let image = image.ok_or_else(|| {
            Error::Graph(format!(
                "a picture of {height} x {width} has {} bytes",
                self.bytes.len()
            ))
        })?;
        let mut file = Cursor::new(Vec::new());
        let written = image.write_to(&mut file, ImageFormat::Png);
        written.map_err(|e| Error::Data(format!("a picture can't be made a PNG file: {e}")))?;
        Ok(file.into_inner())
    }
}

/// A PNG file as an address that a page holds in itself (RFC 2397).
pub fn data_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(png))
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..4 {
            match letter <= chunk.len() {
                true => text.push(char::from(LETTERS[(bits >> (18 - 6 * letter) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Normalization<'static> = Normalization {
        mean: &[0.5],
        std: &[0.5],
    };

    #[test]
    fn normalised_numbers_become_bytes_within_black_and_white() {
        let picture = Picture::of_normalised(&[-1.0, 1.0, 0.0, 7.0], [2, 2, 1], HALF).unwrap();
        assert_eq!(picture.bytes, [0, 255, 128, 255]);
        assert!(Picture::of_normalised(&[0.0; 3], [2, 2, 1], HALF).is_err());
    }

    #[test]
    fn a_grid_has_its_pictures_row_by_row_and_is_a_png() {
        let pictures = Picture::all_of(&[1.0, -1.0, 0.0], &[1, 1, 1], HALF).unwrap();
        let grid = Picture::grid(&pictures, 2).unwrap();
        assert_eq!((grid.height, grid.width), (2 * 3 + 2, 2 * 3 + 2));
        let at = |y: usize, x: usize| grid.bytes[y * grid.width + x];
        assert_eq!([at(2, 2), at(2, 5), at(5, 2), at(5, 5)], [255, 0, 128, 0]);
        let png = image::load_from_memory(&grid.png().unwrap()).unwrap();
        assert_eq!(png.into_luma8().into_raw(), grid.bytes);
        assert_eq!(Picture::grid(&[], 2), None);
    }

    /// The examples of RFC 4648, section 10.
    #[test]
    fn base64_is_that_of_the_standard() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (text, expected) in cases {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }
}

//! Image files: decoding within limits, and scaling images to the size that a model takes.

use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageReader, Limits};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Maximum width and height of a decoded image, because a small file can claim to be huge.
const MAX_SIDE: u32 = 16_384;
/// Memory limit for decoding one image, in bytes.
const MAX_DECODED: u64 = 1 << 30;

/// How an image is fitted to another shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureFit {
    /// Scaled until the shorter side fits, then cropped in the middle.
    #[default]
    Crop,
    /// Each side is scaled independently.
    Stretch,
}

/// Target shape of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for grey, 3 for colour.
    pub channels: usize,
    /// How they are fitted to that size.
    pub fit: PictureFit,
}

/// Decodes the image in `path`.
///
/// # Errors
/// The reason, as the rest of a sentence about the file.
pub(super) fn decode(path: &Path) -> Result<DynamicImage, String> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let mut reader = reader.map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED);
    reader.limits(limits);
    reader
        .decode()
        .map_err(|e| e.to_string().replace('\n', " "))
}

/// The bytes of the image in `path` in the requested shape, `[height, width, channels]`. An image of that size is left unchanged;
/// others are scaled with a triangle filter whose width follows from the scale.
///
/// # Errors
/// The reason, as the rest of a sentence about the file.
pub fn read_picture(path: &Path, shape: PictureShape) -> Result<Vec<u8>, String> {
    Ok(fitted(decode(path)?, shape))
}

pub(super) fn fitted(picture: DynamicImage, shape: PictureShape) -> Vec<u8> {
    let (height, width) = (shape.height as u32, shape.width as u32);
    let sized = if (picture.height(), picture.width()) == (height, width) {
        picture
    } else {
        match shape.fit {
            PictureFit::Crop => picture.resize_to_fill(width, height, FilterType::Triangle),
            PictureFit::Stretch => picture.resize_exact(width, height, FilterType::Triangle),
        }
    };
    match shape.channels {
        1 => sized.into_luma8().into_raw(),
        _ => sized.into_rgb8().into_raw(),
    }
}

/// A mask of class indices, scaled to the size of `shape` with the geometry of [`fitted`]. Each pixel is its nearest neighbour, so
/// that no new class appears.
pub(super) fn fitted_mask(mask: GrayImage, shape: PictureShape) -> Vec<u8> {
    let (height, width) = (shape.height as u32, shape.width as u32);
    if (mask.height(), mask.width()) == (height, width) {
        return mask.into_raw();
    }
    let mask = DynamicImage::from(mask);
    let sized = match shape.fit {
        PictureFit::Crop => mask.resize_to_fill(width, height, FilterType::Nearest),
        PictureFit::Stretch => mask.resize_exact(width, height, FilterType::Nearest),
    };
    sized.into_luma8().into_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Luma, Rgb, RgbImage};

    /// Red on the left third, green in the middle, blue on the right.
    fn striped() -> DynamicImage {
        let colors = [[255, 0, 0], [0, 255, 0], [0, 0, 255]];
        RgbImage::from_fn(30, 10, |x, _| Rgb(colors[x as usize / 10])).into()
    }

    fn shape(channels: usize, fit: PictureFit) -> PictureShape {
        PictureShape {
            height: 10,
            width: 10,
            channels,
            fit,
        }
    }

    #[test]
    fn cropping_keeps_the_middle_and_stretching_the_whole() {
        let cropped = fitted(striped(), shape(3, PictureFit::Crop));
        assert!(cropped.chunks(3).all(|pixel| pixel == [0, 255, 0]));
        let stretched = fitted(striped(), shape(3, PictureFit::Stretch));
        assert_eq!(stretched[..3], [255, 0, 0]);
        assert_eq!(stretched[27..30], [0, 0, 255]);
    }

    #[test]
    fn a_mask_is_brought_to_size_as_its_picture_is_and_has_no_new_classes() {
        // Class 1 on the left third, 2 in the middle, 7 on the right.
        let mask = || GrayImage::from_fn(30, 10, |x, _| Luma([[1, 2, 7][x as usize / 10]]));
        let cropped = fitted_mask(mask(), shape(1, PictureFit::Crop));
        assert!(cropped.iter().all(|&class| class == 2));
        let stretched = fitted_mask(mask(), shape(1, PictureFit::Stretch));
        assert_eq!(stretched[..10], [1, 1, 1, 2, 2, 2, 2, 7, 7, 7]);
        assert_eq!(stretched.len(), 100);
    }

    #[test]
    fn grey_is_one_byte_a_pixel() {
        assert_eq!(fitted(striped(), shape(1, PictureFit::Crop)).len(), 100);
    }
}

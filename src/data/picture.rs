//! Image files: decoding within limits, and scaling images to the size that a model takes.

use super::{jpeg, tiff};
use crate::guard::guarded;
use image::imageops::FilterType;
use image::{
    DynamicImage, GrayImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, RgbImage,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::Path;

/// Maximum size of an image file, in bytes.
const MAX_FILE: u64 = 1 << 30;
/// Maximum width and height of a decoded image, because a small file can claim to be huge.
const MAX_SIDE: u32 = 16_384;
/// Maximum number of pixels of a decoded image, that of Pillow.
const MAX_PIXELS: u64 = 178_956_970;
/// Size of pixels in bytes that any file may declare.
const SMALL_DECODED: u64 = 32 << 20;
/// The most bytes of pixels per byte of a larger file: four times what deflate reaches.
const MAX_RATIO: u64 = 4096;
/// Memory limit for decoding one image, in bytes.
const MAX_DECODED: u64 = 1 << 30;

/// How an image is fitted to another shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Where the pixels of an image file lie in the image that a model takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Rows and columns of the model's image per row and column of the file.
    scale: [f64; 2],
    /// Row and column in the file of the corner of the model's first pixel.
    corner: [f64; 2],
    /// Rows and columns of the model's image.
    size: [usize; 2],
}

impl PictureFit {
    /// The placement of a file with `file` rows and columns in an image of `size`.
    pub fn placement(self, file: [usize; 2], size: [usize; 2]) -> Placement {
        let ratio = [0, 1].map(|axis| size[axis] as f64 / file[axis].max(1) as f64);
        let scale = match self {
            PictureFit::Crop => [ratio[0].max(ratio[1]); 2],
            PictureFit::Stretch => ratio,
        };
        let corner = [0, 1].map(|axis| (file[axis] as f64 - size[axis] as f64 / scale[axis]) / 2.0);
        Placement {
            scale,
            corner,
            size,
        }
    }
}

impl Placement {
    /// Row and column of the centre of the file's pixel at `row` and `column`, in pixels of the model's image, relative to the
    /// centre of its first pixel; `None` where the file was cropped.
    pub fn at(&self, row: usize, column: usize) -> Option<[f64; 2]> {
        let place = [row, column];
        let of = |axis: usize| (place[axis] as f64 + 0.5 - self.corner[axis]) * self.scale[axis];
        let [y, x] = [of(0), of(1)];
        let inside = |at: f64, axis: usize| (0.0..=self.size[axis] as f64).contains(&at);
        (inside(y, 0) && inside(x, 1)).then_some([y - 0.5, x - 0.5])
    }
}

/// Decodes the whole image in `path`, in colour.
///
/// # Errors
/// If it can't be read.
pub(crate) fn read_colours(path: &Path) -> Result<RgbImage, String> {
    decode(path).map(DynamicImage::into_rgb8)
}

/// Decodes the image in `path`.
///
/// # Errors
/// The reason, as the rest of a sentence about the file.
pub(super) fn decode(path: &Path) -> Result<DynamicImage, String> {
    let bytes = read(path)?;
    guarded(|| decode_bytes(&bytes, path))
        .unwrap_or_else(|why| Err(format!("its decoder fails: {why}")))
}

/// The bytes of an image file.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| e.to_string())?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    // Of a pipe or device, which has no length, as much is read.
    if length <= MAX_FILE {
        let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
        read.map_err(|e| e.to_string())?;
    }
    match length.max(bytes.len() as u64) > MAX_FILE {
        true => Err(format!("it is over {MAX_FILE} bytes long")),
        false => Ok(bytes),
    }
}

/// Decodes the file `path`, which holds `bytes`. A name counts where the content does not tell the format.
fn decode_bytes(bytes: &[u8], path: &Path) -> Result<DynamicImage, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes));
    if let Ok(format) = ImageFormat::from_path(path) {
        reader.set_format(format);
    }
    let mut reader = reader.with_guessed_format().map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    // The pixels, and as much for the decoder itself.
    let possible = possible_bytes(bytes.len() as u64);
    limits.max_alloc = Some(possible.saturating_mul(2).min(MAX_DECODED));
    reader.limits(limits);
    let format = reader.format();
    if format == Some(ImageFormat::Tiff) {
        tiff::check_counts(bytes)?;
    }
    let in_words = |e: image::ImageError| e.to_string().replace('\n', " ");
    let decoder = reader.into_decoder().map_err(in_words)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes(), bytes.len() as u64)?;
    if format == Some(ImageFormat::Jpeg) {
        jpeg::check_end(bytes)?;
    }
    DynamicImage::from_decoder(decoder).map_err(in_words)
}

/// The most bytes of pixels that a file of this size may declare.
fn possible_bytes(file: u64) -> u64 {
    SMALL_DECODED.max(file.saturating_mul(MAX_RATIO))
}

/// Checks the size that the header of an image declares for its `bytes` of pixels, before memory is allocated for them. `file` is the
/// size of its file.
fn check_size(width: u32, height: u32, bytes: u64, file: u64) -> Result<(), String> {
    match u64::from(width) * u64::from(height) {
        0 => Err(format!("it has no pixels: {width} x {height}")),
        pixels if pixels > MAX_PIXELS || bytes > MAX_DECODED => Err(format!(
            "it declares {width} x {height} pixels, more than {MAX_PIXELS}: scale it down"
        )),
        _ if bytes > possible_bytes(file) => Err(format!(
            "it declares {width} x {height} pixels but is only {file} bytes long: it is damaged"
        )),
        _ => Ok(()),
    }
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
        scaled(picture, shape, FilterType::Triangle)
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
    let sized = scaled(mask, shape, FilterType::Nearest);
    sized.into_luma8().into_raw()
}

/// `picture` in the size of `shape`.
fn scaled(picture: DynamicImage, shape: PictureShape, filter: FilterType) -> DynamicImage {
    let (height, width) = (shape.height as u32, shape.width as u32);
    match shape.fit {
        PictureFit::Crop => middle(picture, shape).resize_to_fill(width, height, filter),
        PictureFit::Stretch => picture.resize_exact(width, height, filter),
    }
}

/// The part of `picture` from which its middle is enlarged, if the whole would become huge: a strip of 1 x 16,384 pixels that is
/// enlarged to 224 rows would have 3.7 million columns.
fn middle(picture: DynamicImage, shape: PictureShape) -> DynamicImage {
    const MOST_PIXELS: f64 = (1 << 26) as f64;
    let have = [picture.height(), picture.width()];
    let want = [shape.height, shape.width];
    let ratio = [0, 1].map(|axis| want[axis] as f64 / f64::from(have[axis]));
    let scale = ratio[0].max(ratio[1]);
    if f64::from(have[0]) * f64::from(have[1]) * scale * scale <= MOST_PIXELS {
        return picture;
    }
    // The pixels of the result and a neighbour at either side; as many are cut off on one side as on the other.
    let kept = [0, 1].map(|axis| {
        let needed = (want[axis] as f64 / scale).ceil() as u32 + 2;
        match needed < have[axis] {
            true => needed + (have[axis] - needed) % 2,
            false => have[axis],
        }
    });
    let [y, x] = [0, 1].map(|axis| (have[axis] - kept[axis]) / 2);
    picture.crop_imm(x, y, kept[1], kept[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Luma, Rgb};

    /// An image that is red in the left third, green in the middle and blue on the right.
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
    fn pixels_of_a_file_are_found_in_the_models_picture() {
        let at = |fit: PictureFit, row, column| fit.placement([20, 40], [10, 10]).at(row, column);
        let [crop, stretch] = [PictureFit::Crop, PictureFit::Stretch];
        // The middle 20 columns of the file become the model's 10.
        assert_eq!(at(crop, 0, 9), None);
        assert_eq!(at(crop, 0, 10), Some([-0.25, -0.25]));
        assert_eq!(at(crop, 19, 29), Some([9.25, 9.25]));
        assert_eq!(at(crop, 19, 30), None);
        assert_eq!(at(stretch, 0, 0), Some([-0.25, -0.375]));
        assert_eq!(at(stretch, 19, 39), Some([9.25, 9.375]));
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
        // Class 1 in the left third, 2 in the middle, 7 on the right.
        let mask = || GrayImage::from_fn(30, 10, |x, _| Luma([[1, 2, 7][x as usize / 10]]));
        let cropped = fitted_mask(mask(), shape(1, PictureFit::Crop));
        assert!(cropped.iter().all(|&class| class == 2));
        let stretched = fitted_mask(mask(), shape(1, PictureFit::Stretch));
        assert_eq!(stretched[..10], [1, 1, 1, 2, 2, 2, 2, 7, 7, 7]);
        assert_eq!(stretched.len(), 100);
    }

    #[test]
    fn a_long_strip_is_enlarged_without_its_ends() {
        let strip = |length: u32| -> DynamicImage {
            RgbImage::from_fn(1, length, |_, y| Rgb([(y / 16 % 256) as u8; 3])).into()
        };
        let shape = PictureShape {
            height: 256,
            width: 256,
            channels: 3,
            fit: PictureFit::Crop,
        };
        for length in [2048, 2049, 16_384] {
            let short = strip(length).crop(0, length / 2 - 8, 1, 16 + length % 2);
            let (whole, part) = (fitted(strip(length), shape), fitted(short, shape));
            assert_eq!(whole, part, "{length}");
        }
    }

    #[test]
    fn pictures_without_pixels_or_with_too_many_are_refused() {
        let pnm = |size: &str| {
            decode_bytes(
                format!("P2\n{size}\n255\n1 2 3 4\n").as_bytes(),
                Path::new("a"),
            )
        };
        for size in ["0 2", "2 0", "0 0"] {
            let message = pnm(size).unwrap_err();
            assert!(
                message.contains("pixels") || message.contains("zero"),
                "{message}"
            );
        }
        assert!(pnm("16000 16000").unwrap_err().contains("16000 x 16000"));
        assert!(pnm("2 2").is_ok());
    }

    #[test]
    fn grey_is_one_byte_a_pixel() {
        assert_eq!(fitted(striped(), shape(1, PictureFit::Crop)).len(), 100);
    }
}

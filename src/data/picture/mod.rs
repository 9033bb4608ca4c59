//! Image files: decoding within limits, and scaling images to the size that a model takes.

mod background;
mod decode;
mod frames;
mod grey;
mod kind;
mod orientation;
mod survey;
mod traits;

pub use background::Background;
pub(super) use decode::decode;
pub(super) use kind::{FileKind, file_kind, has_image_ending, image_endings};
pub use survey::Survey;
pub(super) use traits::Traits;

use self::decode::decode_with_traits;
use self::grey::grey;
use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, RgbImage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The grey around padded images.
const PADDING: u8 = 128;

/// How an image is fitted to another shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PictureFit {
    /// Scaled until the shorter side fits, then cropped in the middle.
    #[default]
    Crop,
    /// Each side is scaled independently.
    Stretch,
    /// Scaled until the longer side fits, and put in the middle of grey ("letterbox").
    Pad,
    /// Not scaled: cut into tiles of that size, with grey beyond the right and lower edges of images that are smaller. For images with
    /// masks.
    Tile,
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
    /// The colour on which transparent images are put.
    pub background: Background,
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
            PictureFit::Pad => [ratio[0].min(ratio[1]); 2],
            PictureFit::Tile => [1.0; 2],
        };
        let middle = |axis: usize| (file[axis] as f64 - size[axis] as f64 / scale[axis]) / 2.0;
        let corner = match self {
            PictureFit::Tile => [0.0; 2],
            _ => [middle(0), middle(1)],
        };
        Placement {
            scale,
            corner,
            size,
        }
    }
}

impl Placement {
    /// A box of the file, `[x0, y0, x1, y1]` in its pixels, in pixels of the model's image, beyond which it may reach.
    pub fn inside(&self, corners: [f64; 4]) -> [f64; 4] {
        let mapped = |at: usize, axis: usize| (corners[at] - self.corner[axis]) * self.scale[axis];
        [mapped(0, 1), mapped(1, 0), mapped(2, 1), mapped(3, 0)]
    }

    /// A box of the model's image in pixels of the file: the inverse of [`Placement::inside`].
    pub fn outside(&self, corners: [f64; 4]) -> [f64; 4] {
        let mapped = |at: usize, axis: usize| corners[at] / self.scale[axis] + self.corner[axis];
        [mapped(0, 1), mapped(1, 0), mapped(2, 1), mapped(3, 0)]
    }

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

/// Decodes the whole image in `path`, in colour, on `background`.
///
/// # Errors
/// If it can't be read.
pub(crate) fn read_colours(path: &Path, background: Background) -> Result<RgbImage, String> {
    decode_opaque(path, background).map(|(picture, _)| picture.into_rgb8())
}

/// The bytes of the image in `path` in the requested shape, `[height, width, channels]`. It is turned by its EXIF orientation and
/// put on the background. An image of that size is left unchanged; others are scaled with a triangle filter whose width follows
/// from the scale. 16 bits per channel become 8 (value / 257, rounded).
///
/// # Errors
/// The reason, as the rest of a sentence about the file.
pub fn read_picture(path: &Path, shape: PictureShape) -> Result<Vec<u8>, String> {
    read_with_traits(path, shape).map(|(bytes, _)| bytes)
}

/// The bytes of the image in `path`, as [`read_picture`] gives them, and what its file is like.
///
/// # Errors
/// The reason, as the rest of a sentence about the file.
pub(super) fn read_with_traits(
    path: &Path,
    shape: PictureShape,
) -> Result<(Vec<u8>, Traits), String> {
    let (picture, traits) = decode_opaque(path, shape.background)?;
    Ok((fitted(picture, shape), traits))
}

/// Decodes the image in `path`, puts it on `background`, and describes its file.
///
/// # Errors
/// The reason, as the rest of a sentence about the file.
pub(super) fn decode_opaque(
    path: &Path,
    background: Background,
) -> Result<(DynamicImage, Traits), String> {
    let (picture, mut traits) = decode_with_traits(path)?;
    Ok((background.under(picture, &mut traits), traits))
}

/// An image of 8 bits per channel, without transparency, in the requested `shape`.
pub(super) fn fitted(picture: DynamicImage, shape: PictureShape) -> Vec<u8> {
    let (height, width) = (shape.height as u32, shape.width as u32);
    let sized = if (picture.height(), picture.width()) == (height, width) {
        picture
    } else {
        scaled(picture, shape, FilterType::Triangle, PADDING)
    };
    match shape.channels {
        1 => grey(sized),
        _ => sized.into_rgb8().into_raw(),
    }
}

/// A mask of class indices, scaled to the size of `shape` with the geometry of [`fitted`]. Each pixel is its nearest neighbour, so
/// that no new class appears, except for 255 around one that is padded, or smaller than a tile.
pub(super) fn fitted_mask(mask: GrayImage, shape: PictureShape) -> Vec<u8> {
    let (height, width) = (shape.height as u32, shape.width as u32);
    if (mask.height(), mask.width()) == (height, width) {
        return mask.into_raw();
    }
    let mask = DynamicImage::from(mask);
    let sized = scaled(mask, shape, FilterType::Nearest, u8::MAX);
    sized.into_luma8().into_raw()
}

/// `picture` in the size of `shape`; `around` is the grey of pixels around a padded one.
fn scaled(
    picture: DynamicImage,
    shape: PictureShape,
    filter: FilterType,
    around: u8,
) -> DynamicImage {
    let (height, width) = (shape.height as u32, shape.width as u32);
    match shape.fit {
        PictureFit::Crop => middle(picture, shape).resize_to_fill(width, height, filter),
        PictureFit::Stretch => picture.resize_exact(width, height, filter),
        PictureFit::Pad => padded(picture, shape, filter, around),
        PictureFit::Tile => on_grey(&picture, shape, [0, 0], around),
    }
}

/// `picture`, scaled until its longer side fits the size of `shape`, in the middle of the grey `around` it.
fn padded(
    picture: DynamicImage,
    shape: PictureShape,
    filter: FilterType,
    around: u8,
) -> DynamicImage {
    let file = [picture.height() as usize, picture.width() as usize];
    let scale = PictureFit::Pad
        .placement(file, [shape.height, shape.width])
        .scale;
    let [height, width] = [0, 1].map(|axis| {
        let most = [shape.height, shape.width][axis] as u32;
        ((file[axis] as f64 * scale[axis]).round() as u32).clamp(1, most)
    });
    let inner = picture.resize_exact(width, height, filter);
    let (rows, columns) = (shape.height as u32, shape.width as u32);
    on_grey(
        &inner,
        shape,
        [(rows - height) / 2, (columns - width) / 2],
        around,
    )
}

/// `inner` with its first pixel at the row `top` and the column `left` of an image of the size of `shape`, which is of the grey `around`
/// elsewhere.
fn on_grey(
    inner: &DynamicImage,
    shape: PictureShape,
    [top, left]: [u32; 2],
    around: u8,
) -> DynamicImage {
    let (rows, columns) = (shape.height as u32, shape.width as u32);
    let mut whole = match inner {
        DynamicImage::ImageLuma8(_) => {
            DynamicImage::from(GrayImage::from_pixel(columns, rows, image::Luma([around])))
        }
        _ => DynamicImage::from(RgbImage::from_pixel(columns, rows, image::Rgb([around; 3]))),
    };
    image::imageops::replace(&mut whole, inner, left.into(), top.into());
    whole
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
mod tests;

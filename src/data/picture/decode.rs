//! Decoding of image files, within limits.

use super::frames::{Frames, frames};
use super::kind::{Kind, kind};
use super::orientation::orientation;
use super::traits::Traits;
use crate::data::{jpeg, tiff};
use crate::guard::guarded;
use image::{ColorType, DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};
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

/// Decodes the image in `path`, upright by its EXIF orientation. Of several frames or pages, it is the first.
///
/// # Errors
/// The reason, as the rest of a sentence about the file.
pub(in crate::data) fn decode(path: &Path) -> Result<DynamicImage, String> {
    decode_with_traits(path).map(|(picture, _)| picture)
}

/// Decodes the image in `path` as [`decode`] does, and describes the file.
///
/// # Errors
/// The reason, as the rest of a sentence about the file.
pub(super) fn decode_with_traits(path: &Path) -> Result<(DynamicImage, Traits), String> {
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
pub(super) fn decode_bytes(bytes: &[u8], path: &Path) -> Result<(DynamicImage, Traits), String> {
    if let Some(Kind::Other(name)) = kind(bytes) {
        return Err(format!("it is {name}; convert it to JPEG or PNG"));
    }
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
    let mut decoder = reader.into_decoder().map_err(in_words)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes(), bytes.len() as u64)?;
    if format == Some(ImageFormat::Jpeg) {
        jpeg::check_end(bytes)?;
    }
    let orientation = orientation(&mut decoder, format, bytes);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(in_words)?;
    picture.apply_orientation(orientation);
    let traits = Traits {
        width: picture.width(),
        height: picture.height(),
        grey: !picture.color().has_color(),
        is_turned: orientation != image::metadata::Orientation::NoTransforms,
        frames: format.map_or(Frames::One, |format| frames(format, bytes)),
        largest: largest(&picture),
        ..Traits::default()
    };
    Ok((picture, traits))
}

/// The largest value of an image with 16 bits per channel.
fn largest(picture: &DynamicImage) -> Option<u16> {
    match picture.color() {
        ColorType::L16 | ColorType::Rgb16 => {
            let values = picture.as_bytes().chunks_exact(2);
            values
                .map(|pair| u16::from_ne_bytes([pair[0], pair[1]]))
                .max()
        }
        ColorType::La16 | ColorType::Rgba16 => Some(u16::MAX),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_format_that_is_not_read_is_named() {
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        let message = decode_bytes(heic, Path::new("photo.jpg")).unwrap_err();
        assert_eq!(message, "it is HEIC; convert it to JPEG or PNG");
    }
}

//! The orientation of an image by its EXIF data, with which every viewer turns it.

use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat};

/// Bytes that some programs write before EXIF data, as JPEG files have them.
const PREFIX: &[u8] = b"Exif\0\0";

/// How the image of `decoder`, whose file of `format` holds `bytes`, is to be turned.
pub(super) fn orientation(
    decoder: &mut impl ImageDecoder,
    format: Option<ImageFormat>,
    bytes: &[u8],
) -> Orientation {
    let found = match format {
        Some(ImageFormat::Tiff) => decoder.orientation().ok(),
        _ => {
            let chunk = decoder.exif_metadata().ok().flatten();
            // A decoder reads only the chunks of a PNG file that come before its pixels.
            let late = || match format {
                Some(ImageFormat::Png) => png_exif(bytes).map(<[u8]>::to_vec),
                _ => None,
            };
            let chunk = chunk.or_else(late);
            chunk.and_then(|chunk| {
                let exif = chunk.strip_prefix(PREFIX).unwrap_or(&chunk);
                Orientation::from_exif_chunk(exif)
            })
        }
    };
    found.unwrap_or(Orientation::NoTransforms)
}

/// The chunk eXIf of a PNG file: each has its length (4 bytes), its name (4), its data and a checksum (4).
fn png_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 8;
    loop {
        let head = bytes.get(at..at + 8)?;
        let (length, name) = head.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let end = (at + 8).checked_add(length)?;
        if name == b"eXIf" {
            return bytes.get(at + 8..end);
        }
        at = end.checked_add(4)?;
    }
}

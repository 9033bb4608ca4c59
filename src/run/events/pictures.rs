//! Images for TensorBoard: the first pictures of a set in a grid, and PNG files.

use super::messages::SummaryImage;
use crate::data::Samples;
use crate::error::{Error, Result};
use image::{ImageDecoder as _, ImageFormat, ImageReader, Rgb, RgbImage};
use std::io::Cursor;

/// Rows and columns of a full grid.
const SIDE: usize = 4;
/// Black pixels between pictures.
const GAP: u32 = 2;

/// The first pictures of `samples` in a grid, as a PNG file; `None` if they have none. Of pictures with two channels or more
/// than three, only the first channel is shown, or the first three.
///
/// # Errors
/// If it can't be encoded.
pub(super) fn first_of(samples: &Samples) -> Result<Option<Vec<u8>>> {
    let Some([height, width, channels]) = samples.picture_shape().filter(|_| !samples.is_empty())
    else {
        return Ok(None);
    };
    let count = samples.len().min(SIDE * SIDE);
    let columns = count.min(SIDE);
    let length = |each: usize, number: usize| number as u32 * (each as u32 + GAP) - GAP;
    let [across, down] = [
        length(width, columns),
        length(height, count.div_ceil(columns)),
    ];
    let mut grid = RgbImage::new(across, down);
    for index in 0..count {
        let pixels = samples.picture(index)?.unwrap_or_default();
        let left = (index % columns) as u32 * (width as u32 + GAP);
        let top = (index / columns) as u32 * (height as u32 + GAP);
        for (place, pixel) in pixels.chunks_exact(channels).enumerate() {
            let colour = match pixel {
                [red, green, blue, ..] => [*red, *green, *blue],
                _ => [pixel[0]; 3],
            };
            let [x, y] = [place % width, place / width].map(|at| at as u32);
            grid.put_pixel(left + x, top + y, Rgb(colour));
        }
    }
    let mut file = Cursor::new(Vec::new());
    grid.write_to(&mut file, ImageFormat::Png)
        .map_err(|e| Error::Data(format!("an image can't be encoded as PNG: {e}")))?;
    Ok(Some(file.into_inner()))
}

/// The message of a PNG file; `None` if it is not one.
pub(super) fn message(file: Vec<u8>) -> Option<SummaryImage> {
    let reader = ImageReader::with_format(Cursor::new(&file), ImageFormat::Png);
    let decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let channels = decoder.color_type().channel_count();
    drop(decoder);
    Some(SummaryImage {
        height: i32::try_from(height).ok()?,
        width: i32::try_from(width).ok()?,
        colorspace: channels.into(),
        encoded_image_string: file,
    })
}

//! Images in reports: normalised pixels as PNG files, and PNG files embedded in HTML.

use super::{Evaluated, Section};
use crate::data::{Fitted, MaskValue};
use crate::error::{Error, Result};
use crate::html::png_address;
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage};
use std::fmt::Write as _;
use std::io::Cursor;

/// An image of normalised pixels, `[height, width, channels]`, as a PNG file; `None` if `shape` is not that of a grey or colour
/// image that fits the normalisation of the data.
///
/// # Errors
/// If it can't be encoded.
pub fn png(shape: &[usize], values: &[f32], fitted: &Fitted) -> Result<Option<Vec<u8>>> {
    match shape {
        &[_, _, channels] if [fitted.mean.len(), fitted.std.len()] == [channels; 2] => {
            let image = image_of(shape, bytes(values, fitted));
            image.map(|image| encoded(&image)).transpose()
        }
        _ => Ok(None),
    }
}

/// An image of bytes, `[height, width, channels]`, reduced to at most `side` pixels in width and height, as a PNG file; `None` if
/// `shape` is not that of a grey or colour image.
///
/// # Errors
/// If it can't be encoded.
pub fn thumbnail(shape: &[usize], bytes: Vec<u8>, side: u32) -> Result<Option<Vec<u8>>> {
    let reduced = |image: DynamicImage| match image.width().max(image.height()) > side {
        true => image.thumbnail(side, side),
        false => image,
    };
    let image = image_of(shape, bytes).map(reduced);
    image.map(|image| encoded(&image)).transpose()
}

/// An image of bytes, `[height, width, channels]`; `None` if `shape` is not that of a grey or colour image.
fn image_of(shape: &[usize], bytes: Vec<u8>) -> Option<DynamicImage> {
    let &[height, width, channels] = shape else {
        return None;
    };
    let (width, height) = (width as u32, height as u32);
    match channels {
        1 => GrayImage::from_raw(width, height, bytes).map(DynamicImage::from),
        3 => RgbImage::from_raw(width, height, bytes).map(DynamicImage::from),
        _ => None,
    }
}

/// The bytes of an image, `[height, width, channels]`, in colour; `None` if there are none, or `shape` is not that of a grey or colour
/// image.
pub(super) fn colours(shape: &[usize], bytes: Option<&[u8]>) -> Option<RgbImage> {
    image_of(shape, bytes?.to_vec()).map(DynamicImage::into_rgb8)
}

/// Normalised pixels as bytes.
pub fn bytes(values: &[f32], fitted: &Fitted) -> Vec<u8> {
    let scale = fitted.mean.iter().zip(&fitted.std).cycle();
    let bytes = values.iter().zip(scale).map(|(value, (mean, std))| {
        let byte = 255.0 * (value * std + mean);
        byte.round().clamp(0.0, 255.0) as u8
    });
    bytes.collect()
}

/// An image as a PNG file.
pub(super) fn encoded(image: &DynamicImage) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    image
        .write_to(&mut file, ImageFormat::Png)
        .map_err(|e| Error::Data(format!("an image can't be encoded as PNG: {e}")))?;
    Ok(file.into_inner())
}

/// A mask with a class for each pixel as a PNG file. Each class has the pixel value that it has in the masks of the data.
///
/// # Errors
/// If it can't be encoded.
pub(super) fn mask_png(
    [height, width]: [usize; 2],
    classes: &[u8],
    values: &[MaskValue],
) -> Result<Vec<u8>> {
    let value = |at: usize| {
        let class = classes.get(at).copied().unwrap_or(0);
        let own = MaskValue::Grey(class.into());
        values.get(usize::from(class)).copied().unwrap_or(own)
    };
    let at = |x: u32, y: u32| y as usize * width + x as usize;
    let (columns, rows) = (width as u32, height as u32);
    let coloured = values
        .iter()
        .any(|value| matches!(value, MaskValue::Colour(_)));
    let deep = values
        .iter()
        .any(|value| matches!(value, MaskValue::Grey(256..)));
    let image: DynamicImage = match (coloured, deep) {
        (true, _) => RgbImage::from_fn(columns, rows, |x, y| {
            Rgb(match value(at(x, y)) {
                MaskValue::Grey(grey) => [grey.min(255) as u8; 3],
                MaskValue::Colour(colour) => colour,
            })
        })
        .into(),
        (false, deep) => {
            let grey = |x, y| match value(at(x, y)) {
                MaskValue::Grey(grey) => grey,
                MaskValue::Colour(_) => 0,
            };
            match deep {
                true => ImageBuffer::from_fn(columns, rows, |x, y| Luma([grey(x, y)])).into(),
                false => GrayImage::from_fn(columns, rows, |x, y| Luma([grey(x, y) as u8])).into(),
            }
        }
    };
    encoded(&image)
}

/// Colours of the classes in an overlay, repeated in turn (Okabe and Ito 2008). The first class has none.
pub(super) const COLOURS: [[u8; 3]; 7] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
];

/// An image of this shape as a PNG file, in which the pixels of all classes but the first are blended half and half with the
/// colour of their class.
///
/// # Errors
/// If it can't be encoded.
pub(super) fn overlay_png(
    [height, width, channels]: [usize; 3],
    picture: &[u8],
    classes: &[u8],
) -> Result<Vec<u8>> {
    let image = RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let at = y as usize * width + x as usize;
        let channel = |c: usize| {
            let byte = picture.get(at * channels + c.min(channels - 1));
            byte.copied().unwrap_or(0)
        };
        let own = [0, 1, 2].map(channel);
        Rgb(match classes.get(at) {
            None | Some(0) => own,
            Some(&class) => {
                let colour = COLOURS[(usize::from(class) - 1) % COLOURS.len()];
                [0, 1, 2].map(|c| own[c] / 2 + colour[c] / 2)
            }
        })
    });
    encoded(&image.into())
}

/// Images `values` of one `shape`, `[height, width, channels]`, in a grid of `columns` columns with black between them, as a PNG
/// file; `None` as in [`png`], or if there are no images.
///
/// # Errors
/// If it can't be encoded.
pub(super) fn grid(
    shape: &[usize],
    values: &[f32],
    columns: usize,
    fitted: &Fitted,
) -> Result<Option<Vec<u8>>> {
    const GAP: usize = 2;
    let (&[height, width, channels], false) = (shape, values.is_empty()) else {
        return Ok(None);
    };
    if fitted.mean.len() != channels || fitted.std.len() != channels {
        return Ok(None);
    }
    let row = width * channels;
    let count = values.len() / (height * row).max(1);
    let columns = columns.clamp(1, count.max(1));
    let (rows, across) = (count.div_ceil(columns), columns * (width + GAP) + GAP);
    let down = rows * (height + GAP) + GAP;
    let black: Vec<f32> = fitted
        .mean
        .iter()
        .zip(&fitted.std)
        .map(|(m, s)| -m / s)
        .collect();
    let mut all: Vec<f32> = black
        .iter()
        .copied()
        .cycle()
        .take(down * across * channels)
        .collect();
    for (line, pixels) in values.chunks_exact(row.max(1)).enumerate() {
        let (picture, y) = (line / height, line % height);
        let top = GAP + picture / columns * (height + GAP) + y;
        let left = GAP + picture % columns * (width + GAP);
        let at = (top * across + left) * channels;
        all[at..at + row].copy_from_slice(pixels);
    }
    png(&[down, across, channels], &all, fitted)
}

/// Number of drawn images that a report shows.
pub(super) const SHOWN_SAMPLES: usize = 64;
/// Drawn images in a row of a grid.
const SAMPLE_COLUMNS: usize = 8;

/// The first drawn images of an evaluation, its output `name`, in a grid as a PNG file; `None` if it has none.
///
/// # Errors
/// If it can't be encoded.
pub(super) fn samples(name: &str, found: &Evaluated<'_>) -> Result<Option<Vec<u8>>> {
    let Some((_, shape, values)) = found.outputs.iter().find(|(known, ..)| known == name) else {
        return Ok(None);
    };
    let each = shape.iter().product::<usize>();
    let shown = &values[..values.len().min(SHOWN_SAMPLES * each)];
    sample_grid(shape, shown, found.fitted)
}

/// Drawn images `values` of one `shape`, `[height, width, channels]`, in a grid of eight columns as a PNG file; `None` as in [`png`].
///
/// # Errors
/// If it can't be encoded.
pub fn sample_grid(shape: &[usize], values: &[f32], fitted: &Fitted) -> Result<Option<Vec<u8>>> {
    grid(shape, values, SAMPLE_COLUMNS, fitted)
}

/// A section of a report with drawn images.
pub(super) fn drawn_samples(file: &[u8]) -> Section {
    whole(
        "Samples",
        "drawn from the same noise after every epoch",
        file,
    )
}

/// A section of a report with one PNG file and a caption.
pub(super) fn whole(title: &str, caption: &str, file: &[u8]) -> Section {
    Section {
        title: title.to_string(),
        html: format!(
            "<figure><img alt=\"\" style=\"width:480px;max-width:100%;image-rendering:pixelated\" src=\"{}\">\
             <figcaption>{caption}</figcaption></figure>",
            png_address(file)
        ),
    }
}

/// A section of a report in which each output is a row of images with a caption: its first `count` samples, normalised pixels.
/// `None` if an output is missing or is not an image.
pub(super) fn output_rows(
    title: &str,
    outputs: &[(&str, &str)],
    found: &Evaluated<'_>,
    count: usize,
) -> Option<Section> {
    let row = |(caption, name): &(&str, &str)| -> Option<(String, Vec<Vec<u8>>)> {
        let (_, shape, values) = found.outputs.iter().find(|(known, ..)| known == name)?;
        let each = shape.iter().product::<usize>().max(1);
        let samples = values.chunks(each).take(count);
        let files: Option<Vec<_>> = samples
            .map(|sample| png(shape, sample, found.fitted).ok()?)
            .collect();
        Some((caption.to_string(), files?))
    };
    let captioned: Option<Vec<_>> = outputs.iter().map(row).collect();
    Some(rows(title, &captioned?))
}

/// A section of a report with pairs of PNG files side by side, under two captions; `None` if there are none.
pub(super) fn pairs(title: &str, captions: [&str; 2], pairs: &[[Vec<u8>; 2]]) -> Option<Section> {
    let [left, right] = captions;
    let mut html = format!("<table><tr><th>{left}</th><th>{right}</th></tr>");
    for pair in pairs {
        html.push_str("<tr>");
        for file in pair {
            let address = png_address(file);
            let _ = write!(
                html,
                "<td><img alt=\"\" style=\"width:360px;max-width:100%\" src=\"{address}\"></td>"
            );
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
    (!pairs.is_empty()).then(|| Section {
        title: title.to_string(),
        html,
    })
}

/// A section of a report with rows of PNG files, each row with a caption.
pub(super) fn rows(title: &str, rows: &[(String, Vec<Vec<u8>>)]) -> Section {
    let mut html = String::from("<table>");
    for (caption, files) in rows {
        let _ = write!(html, "<tr><td>{caption}</td><td>");
        for file in files {
            let _ = write!(
                html,
                "<img alt=\"\" style=\"width:64px;image-rendering:pixelated;margin:1px\" src=\"{}\">",
                png_address(file)
            );
        }
        html.push_str("</td></tr>");
    }
    html.push_str("</table>");
    Section {
        title: title.to_string(),
        html,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_a_grid_have_black_of_two_pixels_around_them() {
        let fitted = Fitted {
            mean: vec![0.5],
            std: vec![0.25],
            ..Fitted::default()
        };
        // Three images of a row of three white pixels, in two columns.
        let file = grid(&[1, 3, 1], &[2.0; 9], 2, &fitted).unwrap().unwrap();
        let read = image::load_from_memory(&file).unwrap().into_luma8();
        assert_eq!(read.dimensions(), (2 * (3 + 2) + 2, 2 * (1 + 2) + 2));
        let white: Vec<(u32, u32)> = read
            .enumerate_pixels()
            .filter(|(_, _, pixel)| pixel.0 == [255])
            .map(|(x, y, _)| (x, y))
            .collect();
        let row = |left: u32, top: u32| [0, 1, 2].map(|x| (left + x, top));
        assert_eq!(white, [row(2, 2), row(7, 2), row(2, 5)].concat());
    }

    #[test]
    fn normalised_pixels_become_the_bytes_that_they_were() {
        let fitted = Fitted {
            mean: vec![0.5],
            std: vec![0.25],
            ..Fitted::default()
        };
        let values = [0.0, 51.0, 255.0, 999.0].map(|byte| (byte / 255.0 - 0.5) / 0.25);
        let file = png(&[2, 2, 1], &values, &fitted).unwrap().unwrap();
        let read = image::load_from_memory(&file).unwrap().into_luma8();
        assert_eq!(read.into_raw(), [0, 51, 255, 255]);
        assert!(png(&[4], &values, &fitted).unwrap().is_none());
        assert!(png(&[1, 1, 4], &values, &fitted).unwrap().is_none());
    }

    #[test]
    fn thumbnails_are_reduced_and_small_images_are_kept() {
        let size = |shape: [usize; 3]| {
            let bytes = vec![7; shape.iter().product()];
            let file = thumbnail(&shape, bytes, 8).unwrap().unwrap();
            let image = image::load_from_memory(&file).unwrap();
            (image.width(), image.height())
        };
        assert_eq!(size([4, 6, 3]), (6, 4));
        assert_eq!(size([20, 40, 1]), (8, 4));
        assert!(thumbnail(&[2, 2, 2], vec![0; 8], 8).unwrap().is_none());
    }

    #[test]
    fn masks_have_the_values_of_their_classes_and_overlays_colour_all_but_the_first() {
        let read = |file: Vec<u8>| image::load_from_memory(&file).unwrap();
        let classes = [0, 1, 1, 0];
        let mask = |values: &[MaskValue]| read(mask_png([1, 4], &classes, values).unwrap());
        let grey = mask(&[MaskValue::Grey(9), MaskValue::Grey(255)]);
        assert_eq!(grey.as_luma8().unwrap().as_raw(), &[9, 255, 255, 9]);
        let deep = mask(&[MaskValue::Grey(9), MaskValue::Grey(300)]);
        assert_eq!(deep.as_luma16().unwrap().as_raw(), &[9, 300, 300, 9]);
        let coloured = mask(&[MaskValue::Grey(9), MaskValue::Colour([1, 2, 3])]);
        assert_eq!(
            coloured.as_rgb8().unwrap().as_raw()[..6],
            [9, 9, 9, 1, 2, 3]
        );
        let overlay = read(overlay_png([1, 4, 1], &[100, 100, 0, 7], &classes).unwrap());
        let overlay = overlay.as_rgb8().unwrap();
        assert_eq!(overlay.get_pixel(0, 0).0, [100; 3]);
        assert_eq!(overlay.get_pixel(1, 0).0, COLOURS[0].map(|c| 50 + c / 2));
        assert_eq!(overlay.get_pixel(3, 0).0, [7; 3]);
    }
}

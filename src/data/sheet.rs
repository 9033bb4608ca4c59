//! A contact sheet: an image with samples of every class, one row per class, as the model will see them.

use super::Samples;
use super::letters::{GLYPH, write_letters};
use crate::error::{Error, Result};
use image::{Rgb, RgbImage};
use std::path::Path;

/// Maximum number of letters of a label.
const MOST_LETTERS: usize = 16;
/// Pixels between images, and around the sheet.
const GAP: u32 = 4;
/// Minimum pixels of the longer side of an image on the sheet; smaller images are enlarged by an integer factor.
const SMALLEST: u32 = 56;
/// Maximum number of classes on a sheet.
const MOST_ROWS: usize = 40;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([30, 30, 30]);

/// Draws a sheet with up to `columns` samples of each class, the first of the set, labelled with the class and its count.
/// Of sets with two or more than four channels, only the first channel is shown. Samples without classes are of the first.
///
/// # Errors
/// If the samples have no images, or the file of one can't be read any more.
pub fn contact_sheet(set: &Samples, classes: &[String], columns: usize) -> Result<RgbImage> {
    let shape = set.picture_shape().ok_or_else(|| {
        Error::Data("a sheet shows images, and these samples have none".to_string())
    })?;
    let [height, width, _] = shape.map(|side| side as u32);
    let factor = SMALLEST.div_ceil(height.max(width).max(1)).max(1);
    let (cell_height, cell_width) = (height * factor, width * factor);
    let rows = classes.len().min(MOST_ROWS) as u32;
    let letters = classes
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let label = GLYPH * letters.clamp(8, MOST_LETTERS) as u32 + 2 * GAP;
    let row_height = cell_height.max(3 * GLYPH) + GAP;
    let sheet_width = label + columns as u32 * (cell_width + GAP) + GAP;
    let mut sheet = RgbImage::from_pixel(sheet_width, rows * row_height + GAP, PAPER);
    for (class, name) in classes.iter().enumerate().take(MOST_ROWS) {
        let members = || (0..set.len()).filter(|&index| set.is_of(index, class));
        let top = GAP + class as u32 * row_height;
        let middle = top + row_height / 2;
        write(&mut sheet, name, [GAP, middle - GLYPH - 2]);
        write(
            &mut sheet,
            &members().count().to_string(),
            [GAP, middle + 2],
        );
        for (column, index) in members().take(columns).enumerate() {
            let left = label + column as u32 * (cell_width + GAP);
            let pixels = set.picture(index)?.unwrap_or_default();
            draw(&mut sheet, &pixels, shape, [left, top], factor);
        }
    }
    Ok(sheet)
}

/// Writes a sheet as a PNG file.
///
/// # Errors
/// If it can't be written.
pub fn save_sheet(sheet: &RgbImage, path: &Path) -> Result<()> {
    let saved = sheet.save_with_format(path, image::ImageFormat::Png);
    saved.map_err(|e| match e {
        image::ImageError::IoError(e) => Error::io("write", path)(e),
        other => Error::Data(format!("cannot write {}: {other}", path.display())),
    })
}

fn draw(
    sheet: &mut RgbImage,
    pixels: &[u8],
    [height, width, channels]: [usize; 3],
    [left, top]: [u32; 2],
    factor: u32,
) {
    for y in 0..height as u32 * factor {
        for x in 0..width as u32 * factor {
            let at = ((y / factor) as usize * width + (x / factor) as usize) * channels;
            let color = match channels {
                3 | 4 => [pixels[at], pixels[at + 1], pixels[at + 2]],
                _ => [pixels[at]; 3],
            };
            sheet.put_pixel(left + x, top + y, Rgb(color));
        }
    }
}

/// Writes `text`, shortened to [`MOST_LETTERS`], with its upper left corner at `place`.
fn write(sheet: &mut RgbImage, text: &str, place: [u32; 2]) {
    let long = text.chars().count() > MOST_LETTERS;
    let most = if long { MOST_LETTERS - 1 } else { MOST_LETTERS };
    let mut shown: String = text.chars().take(most).collect();
    if long {
        shown.push('~');
    }
    write_letters(sheet, &shown, place, INK);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSet;

    #[test]
    fn samples_of_a_class_are_in_its_row_enlarged_by_a_whole_factor() {
        let set = ImageSet {
            images: vec![10, 20, 30, 200, 210, 220],
            labels: vec![1, 0],
            height: 1,
            width: 1,
            channels: 3,
        };
        let classes = ["no".to_string(), "yes".to_string()];
        let sheet = contact_sheet(&set.into(), &classes, 2).unwrap();
        let label = 8 * GLYPH + 2 * GAP;
        let row = SMALLEST + GAP;
        assert_eq!(
            sheet.dimensions(),
            (label + 2 * (SMALLEST + GAP) + GAP, 2 * row + GAP)
        );
        let at = |column: u32, class: u32| {
            sheet[(label + column * (SMALLEST + GAP) + 9, GAP + class * row + 9)]
        };
        assert_eq!(
            [at(0, 0), at(0, 1)],
            [Rgb([200, 210, 220]), Rgb([10, 20, 30])]
        );
        assert_eq!(at(1, 0), PAPER);
        assert!(sheet.pixels().any(|&pixel| pixel == INK));
    }
}

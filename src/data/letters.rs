//! Letters in images.

use font8x8::legacy::BASIC_LEGACY;
use image::{Rgb, RgbImage};

/// Side of a letter in pixels.
pub(crate) const GLYPH: u32 = 8;

/// Writes `text` with its upper left corner at `[x, y]`; letters that the font lacks are drawn as `?`, and those beyond the edges
/// are left out.
pub(crate) fn write_letters(image: &mut RgbImage, text: &str, [x, y]: [u32; 2], ink: Rgb<u8>) {
    for (letter, place) in text.chars().zip(0..) {
        let code = match letter.is_ascii() {
            true => letter as usize,
            false => usize::from(b'?'),
        };
        for (bits, row) in BASIC_LEGACY[code].iter().zip(0..) {
            for column in (0..GLYPH).filter(|column| bits >> column & 1 == 1) {
                let (x, y) = (x + place * GLYPH + column, y + row);
                if x < image.width() && y < image.height() {
                    image.put_pixel(x, y, ink);
                }
            }
        }
    }
}

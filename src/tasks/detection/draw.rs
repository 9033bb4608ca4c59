//! Boxes drawn into images.

use crate::data::{GLYPH, write_letters};
use crate::tasks::figures::COLOURS;
use image::{Rgb, RgbImage};

/// A box to draw, `[x0, y0, x1, y1]` in pixels.
pub(super) struct DrawnBox {
    pub corners: [f64; 4],
    /// Index of its class, which selects its colour.
    pub class: usize,
    /// Written above it; nothing if empty.
    pub text: String,
}

/// Draws `boxes` into `picture`, the last in front.
pub(super) fn draw(picture: &mut RgbImage, boxes: &[DrawnBox]) {
    let (width, height) = picture.dimensions();
    if width == 0 || height == 0 {
        return;
    }
    // Two pixels in an image of 400.
    let thick = (width.min(height) / 200).max(1);
    for each in boxes {
        let colour = Rgb(COLOURS[each.class % COLOURS.len()]);
        let at = |corner: usize, most: u32| {
            each.corners[corner].round().clamp(0.0, f64::from(most - 1)) as u32
        };
        let [x0, y0, x1, y1] = [at(0, width), at(1, height), at(2, width), at(3, height)];
        for y in y0..=y1 {
            for x in x0..=x1 {
                let inner =
                    x >= x0 + thick && x + thick <= x1 && y >= y0 + thick && y + thick <= y1;
                if !inner {
                    picture.put_pixel(x, y, colour);
                }
            }
        }
        if !each.text.is_empty() {
            label(picture, &each.text, [x0, y0], colour);
        }
    }
}

/// Writes `text` on a bar of `colour` whose lower left corner is `[x, y]`, or whose upper left corner is if there is no room above.
fn label(picture: &mut RgbImage, text: &str, [x, y]: [u32; 2], colour: Rgb<u8>) {
    let bar = GLYPH + 2;
    let top = if y >= bar { y - bar } else { y };
    let long = GLYPH * text.chars().count() as u32 + 2;
    for y in top..(top + bar).min(picture.height()) {
        for x in x..(x + long).min(picture.width()) {
            picture.put_pixel(x, y, colour);
        }
    }
    write_letters(picture, text, [x + 1, top + 1], Rgb([0, 0, 0]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_a_frame_within_the_image() {
        let mut picture = RgbImage::new(10, 8);
        let boxes = [DrawnBox {
            corners: [2.0, 3.0, 40.0, 6.0],
            class: 1,
            text: String::new(),
        }];
        draw(&mut picture, &boxes);
        let coloured = |x, y| picture[(x, y)] == Rgb(COLOURS[1]);
        assert!(coloured(2, 3) && coloured(9, 6) && coloured(5, 3) && coloured(2, 5));
        assert!(!coloured(5, 5) && !coloured(1, 3) && !coloured(5, 2));
    }
}

//! Colour to grey, as Pillow, torchvision and OpenCV do it.

use image::{DynamicImage, RgbImage};

/// The grey value of a colour: 0.299 of red, 0.587 of green and 0.114 of blue (ITU-R BT.601), in the integer arithmetic of Pillow.
pub(in crate::data) fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
}

/// The grey values of an image of 8 bits per channel.
pub(super) fn grey(picture: DynamicImage) -> Vec<u8> {
    match picture {
        DynamicImage::ImageLuma8(grey) => grey.into_raw(),
        other => {
            let colours: RgbImage = other.into_rgb8();
            colours.pixels().map(|pixel| luma(pixel.0)).collect()
        }
    }
}

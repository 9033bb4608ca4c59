//! Image files.

use super::{COMPRESSED, Target, write};
use image::{DynamicImage, ImageFormat};
use std::io::Cursor;
use std::path::Path;
use wgrad::data::{Background, PictureFit, PictureShape, read_picture};

/// A small image in colour.
pub fn picture(format: ImageFormat) -> Vec<u8> {
    let image = image::RgbImage::from_fn(12, 9, |x, y| {
        image::Rgb([(x * 20) as u8, (y * 25) as u8, (x * y) as u8])
    });
    encoded(image.into(), format)
}

/// An image of two classes of pixels.
pub fn mask() -> Vec<u8> {
    let mask = image::GrayImage::from_fn(12, 9, |x, _| image::Luma([(x % 2) as u8]));
    encoded(mask.into(), ImageFormat::Png)
}

fn encoded(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// One parser for each format.
pub fn pictures(dir: &Path) -> Vec<Target> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, Qoi, Tga, Tiff, WebP};
    let target = |format: ImageFormat| {
        let ending = format.extensions_str()[0];
        let file = write(&dir.join(format!("picture.{ending}")), picture(format));
        let path = file.clone();
        let read = move || {
            let shape = PictureShape {
                height: 8,
                width: 8,
                channels: 3,
                fit: PictureFit::Crop,
                background: Background::default(),
            };
            read_picture(&path, shape).is_ok()
        };
        Target::new(&format!("picture_{ending}"), file, read).within(COMPRESSED)
    };
    let grey = |target: Target| target.and([mask()]);
    let more = |target: Target| {
        target.and([
            b"P3\n2 1\n255\n1 2 3 4 5 6\n".to_vec(),
            b"P1\n8 2\n1 0 1 0 1 0 1 0\n1 1 1 1 0 0 0 0\n".to_vec(),
            b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\nab".to_vec(),
        ])
    };
    vec![
        grey(target(Png)),
        target(Jpeg),
        target(Bmp),
        target(Gif),
        more(target(Pnm)),
        target(Qoi),
        target(Tga),
        target(Tiff),
        target(WebP),
    ]
}

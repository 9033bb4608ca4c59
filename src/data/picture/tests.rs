//! Tests of image files, with files and pixels that Pillow wrote.

use super::*;
use image::{Luma, Rgb};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// A file of `tests/fixtures/pictures`.
pub(super) fn fixture(name: &str) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.join("tests/fixtures/pictures").join(name)
}

/// An image that is red in the left third, green in the middle and blue on the right.
fn striped() -> DynamicImage {
    let colors = [[255, 0, 0], [0, 255, 0], [0, 0, 255]];
    RgbImage::from_fn(30, 10, |x, _| Rgb(colors[x as usize / 10])).into()
}

fn shape(channels: usize, fit: PictureFit) -> PictureShape {
    PictureShape {
        height: 10,
        width: 10,
        channels,
        fit,
        background: Background::default(),
    }
}

#[test]
fn pixels_of_a_file_are_found_in_the_models_picture() {
    let at = |fit: PictureFit, row, column| fit.placement([20, 40], [10, 10]).at(row, column);
    let [crop, stretch] = [PictureFit::Crop, PictureFit::Stretch];
    // The middle 20 columns of the file become the model's 10.
    assert_eq!(at(crop, 0, 9), None);
    assert_eq!(at(crop, 0, 10), Some([-0.25, -0.25]));
    assert_eq!(at(crop, 19, 29), Some([9.25, 9.25]));
    assert_eq!(at(crop, 19, 30), None);
    assert_eq!(at(stretch, 0, 0), Some([-0.25, -0.375]));
    assert_eq!(at(stretch, 19, 39), Some([9.25, 9.375]));
}

#[test]
fn cropping_keeps_the_middle_and_stretching_the_whole() {
    let cropped = fitted(striped(), shape(3, PictureFit::Crop));
    assert!(cropped.chunks(3).all(|pixel| pixel == [0, 255, 0]));
    let stretched = fitted(striped(), shape(3, PictureFit::Stretch));
    assert_eq!(stretched[..3], [255, 0, 0]);
    assert_eq!(stretched[27..30], [0, 0, 255]);
}

#[test]
fn a_mask_is_brought_to_size_as_its_picture_is_and_has_no_new_classes() {
    // Class 1 in the left third, 2 in the middle, 7 on the right.
    let mask = || GrayImage::from_fn(30, 10, |x, _| Luma([[1, 2, 7][x as usize / 10]]));
    let cropped = fitted_mask(mask(), shape(1, PictureFit::Crop));
    assert!(cropped.iter().all(|&class| class == 2));
    let stretched = fitted_mask(mask(), shape(1, PictureFit::Stretch));
    assert_eq!(stretched[..10], [1, 1, 1, 2, 2, 2, 2, 7, 7, 7]);
    assert_eq!(stretched.len(), 100);
}

#[test]
fn a_long_strip_is_enlarged_without_its_ends() {
    let strip = |length: u32| -> DynamicImage {
        RgbImage::from_fn(1, length, |_, y| Rgb([(y / 16 % 256) as u8; 3])).into()
    };
    let shape = PictureShape {
        height: 256,
        width: 256,
        channels: 3,
        fit: PictureFit::Crop,
        background: Background::default(),
    };
    for length in [2048, 2049, 16_384] {
        let short = strip(length).crop(0, length / 2 - 8, 1, 16 + length % 2);
        let (whole, part) = (fitted(strip(length), shape), fitted(short, shape));
        assert_eq!(whole, part, "{length}");
    }
}

#[test]
fn grey_is_one_byte_a_pixel() {
    assert_eq!(fitted(striped(), shape(1, PictureFit::Crop)).len(), 100);
}

/// The pixels of the fixtures as Pillow reads them.
fn recorded() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(values: &Value) -> Vec<u8> {
    let values = values.as_array().unwrap().iter();
    values.map(|value| value.as_u64().unwrap() as u8).collect()
}

fn own_shape(entry: &Value, channels: usize) -> PictureShape {
    let side = |key: &str| entry[key].as_u64().unwrap() as usize;
    PictureShape {
        height: side("height"),
        width: side("width"),
        channels,
        fit: PictureFit::Crop,
        background: Background::default(),
    }
}

#[test]
fn files_have_the_pixels_that_pillow_reads() {
    let recorded = recorded();
    let files = recorded.as_object().unwrap();
    assert_eq!(files.len(), 34);
    for (name, entry) in files {
        // Decoders of JPEG round in different ways; those of other formats do not.
        let allowed = match name.rsplit_once('.').unwrap().1 {
            "jpg" => 2,
            _ => 0,
        };
        let shape = own_shape(entry, 3);
        let (found, traits) = read_with_traits(&fixture(name), shape).unwrap();
        assert_eq!(
            (traits.width as usize, traits.height as usize),
            (shape.width, shape.height),
            "{name}"
        );
        let want = bytes(&entry["colour"]);
        assert_eq!(found.len(), want.len(), "{name}");
        let far = found.iter().zip(&want).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(far <= Some(allowed), "{name} differs by {far:?}");
    }
}

#[test]
fn grey_is_that_of_pillow_bit_for_bit() {
    let entry = &recorded()["grey.png"];
    let found = read_picture(&fixture("grey.png"), own_shape(entry, 1)).unwrap();
    assert_eq!(found, bytes(&entry["grey"]));
}

#[test]
fn every_orientation_turns_the_corners_as_viewers_do() {
    // Top left, top right, bottom left and bottom right of what a viewer shows; stored as red, green, blue, yellow.
    let shown = [
        "rgby", "gryb", "ybgr", "byrg", "rbgy", "bryg", "ygbr", "gyrb",
    ];
    let recorded = recorded();
    for (value, want) in (1..).zip(shown) {
        let name = format!("turned_{value}.jpg");
        let shape = own_shape(&recorded[&name], 3);
        let pixels = read_picture(&fixture(&name), shape).unwrap();
        let colour = |row: usize, column: usize| {
            let at = (row * shape.width + column) * 3;
            match pixels[at..at + 3]
                .iter()
                .map(|&value| value > 128)
                .collect::<Vec<_>>()[..]
            {
                [true, false, false] => 'r',
                [false, true, false] => 'g',
                [false, false, true] => 'b',
                _ => 'y',
            }
        };
        let (bottom, right) = (shape.height - 2, shape.width - 2);
        let found = [(1, 1), (1, right), (bottom, 1), (bottom, right)];
        let found: String = found
            .map(|(row, column)| colour(row, column))
            .into_iter()
            .collect();
        assert_eq!(found, want, "{name}");
    }
}

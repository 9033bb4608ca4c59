use super::*;
use crate::data::formats::{FORMATS, MARGIN};
use image::{Luma, Rgb, RgbImage};
use std::fs;
use tempfile::TempDir;

/// A grey image of 4 x 4 pixels of one value.
fn picture(dir: &TempDir, path: &str, value: u8) {
    save(
        dir,
        path,
        &GrayImage::from_pixel(4, 4, Luma([value])).into(),
    );
}

/// A mask with one value in its left half and another in its right half.
fn mask(dir: &TempDir, path: &str, [left, right]: [u8; 2]) {
    let mask = GrayImage::from_fn(4, 4, |x, _| Luma([if x < 2 { left } else { right }]));
    save(dir, path, &mask.into());
}

fn save(dir: &TempDir, path: &str, image: &DynamicImage) {
    let path = dir.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

/// Images 1 to `count`, whose pixels have the value of their number, with masks of 0 and 255.
fn numbered(count: u8) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for n in 1..=count {
        picture(&dir, &format!("image/{n}.png"), n);
        mask(&dir, &format!("label/{n}.png"), [0, 255]);
    }
    dir
}

fn loaded(dir: &TempDir, settings: &DataSettings) -> Result<(Dataset<MaskSet>, Fitted), String> {
    let mut fitted = Fitted::default();
    match load_masks(dir.path(), settings, &mut fitted, 1) {
        Ok(set) => Ok((set, fitted)),
        Err(e) => Err(e.to_string()),
    }
}

fn refused_with(dir: &TempDir, settings: &DataSettings, parts: &[&str]) {
    let message = loaded(dir, settings).unwrap_err();
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}

/// The first byte of each image.
fn firsts(set: &MaskSet) -> Vec<u8> {
    let bytes = set.height * set.width * set.channels;
    set.images.iter().step_by(bytes).copied().collect()
}

#[test]
fn pairs_are_taken_in_natural_order_and_their_values_are_classes() {
    let settings = DataSettings {
        parts: Some([7, 0, 3]),
        ..DataSettings::default()
    };
    let (set, fitted) = loaded(&numbered(11), &settings).unwrap();
    assert_eq!(firsts(&set.train), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(firsts(&set.test), [8, 9, 10]);
    assert!(set.validation.is_none());
    let (height, width, channels) = (set.train.height, set.train.width, set.train.channels);
    assert_eq!([height, width, channels], [4, 4, 1]);
    assert_eq!(set.train.masks[..8], [0, 0, 1, 1, 0, 0, 1, 1]);
    assert_eq!((set.train.len(), set.train.masks.len()), (7, 7 * 16));
    assert_eq!(set.classes, ["0", "255"]);
    assert_eq!(fitted.classes, ["0", "255"]);
    assert_eq!(
        fitted.mask_values,
        [MaskValue::Grey(0), MaskValue::Grey(255)]
    );
    assert!((fitted.mean[0] - 4.0 / 255.0).abs() < 1e-6);
}

#[test]
fn a_share_is_held_out_by_the_seed_and_an_evaluation_takes_all() {
    let dir = numbered(10);
    let (set, mut fitted) = loaded(&dir, &DataSettings::default()).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (8, 2));
    let mut all = [firsts(&set.train), firsts(&set.test)].concat();
    all.sort_unstable();
    assert_eq!(all, (1..=10).collect::<Vec<u8>>());
    let unsplit = DataSettings {
        unsplit: true,
        ..DataSettings::default()
    };
    let set = load_masks(dir.path(), &unsplit, &mut fitted, 1).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (0, 10));
}

#[test]
fn parts_lie_in_folders_and_colours_can_be_named() {
    let dir = tempfile::tempdir().unwrap();
    let sky = |x: u32, _| Rgb(if x < 3 { [0, 0, 0] } else { [0, 128, 255] });
    for place in [
        "train/images/a",
        "train/masks/a",
        "test/imgs/b",
        "test/labels/b",
    ] {
        save(
            &dir,
            &format!("{place}.png"),
            &RgbImage::from_fn(4, 2, sky).into(),
        );
    }
    let mut settings = DataSettings {
        mask_classes: vec!["ground".into(), "sky".into()],
        ..DataSettings::default()
    };
    let (set, fitted) = loaded(&dir, &settings).unwrap();
    assert_eq!(
        (set.train.len(), set.test.len(), set.train.channels),
        (1, 1, 3)
    );
    assert_eq!(set.test.masks, [0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(set.classes, ["ground", "sky"]);
    assert_eq!(
        Masks.describe(&fitted),
        ["mask value 0: ground", "mask value #0080ff: sky"]
    );
    // The classes have the order of the setting.
    settings.mask_values = vec![MaskValue::Colour([0, 128, 255]), MaskValue::Grey(0)];
    let (set, _) = loaded(&dir, &settings).unwrap();
    assert_eq!(set.test.masks[..4], [1, 1, 1, 0]);
    settings.mask_classes.push("sea".into());
    refused_with(
        &dir,
        &settings,
        &["data.mask_classes names 3 classes", "2 values (#0080ff, 0)"],
    );
    settings.mask_classes.clear();
    settings.parts = Some([1, 0, 0]);
    refused_with(&dir, &settings, &["has parts of its own", "data.parts"]);
}

#[test]
fn pictures_and_masks_are_brought_to_size_together() {
    let dir = tempfile::tempdir().unwrap();
    // The left and right edges are dark and of class 0, the middle is bright and of class 9.
    let middle = |x: u32, bright: u8| Luma([if (3..17).contains(&x) { bright } else { 0 }]);
    for n in 0..2 {
        let image = GrayImage::from_fn(20, 10, |x, _| middle(x, 200));
        save(&dir, &format!("image/{n}.png"), &image.into());
        let mask = GrayImage::from_fn(20, 10, |x, _| middle(x, 9));
        save(&dir, &format!("mask/{n}.png"), &mask.into());
    }
    let mut settings = DataSettings {
        size: Some([5, 5]),
        ..DataSettings::default()
    };
    let (set, _) = loaded(&dir, &settings).unwrap();
    assert_eq!(set.train.images, [200; 25]);
    assert_eq!(set.train.masks, [1; 25]);
    settings.fit = crate::data::PictureFit::Stretch;
    let (set, _) = loaded(&dir, &settings).unwrap();
    assert_eq!(set.train.masks[..5], [0, 1, 1, 1, 0]);
}

#[test]
fn an_image_is_turned_by_its_orientation_and_its_mask_drawn_on_the_turned_one_fits() {
    let dir = tempfile::tempdir().unwrap();
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    // Stored with 16 columns and 8 rows, shown with 8 columns and 16 rows.
    let mask = |size: [u32; 2]| {
        GrayImage::from_fn(size[0], size[1], |_, y| image::Luma([u8::from(y > 3)]))
    };
    for n in 0..4 {
        save(&dir, &format!("mask/{n}.png"), &mask([8, 16]).into());
        fs::create_dir_all(dir.path().join("image")).unwrap();
        fs::copy(
            fixtures.join("turned_6.jpg"),
            dir.path().join(format!("image/{n}.jpg")),
        )
        .unwrap();
    }
    let (set, _) = loaded(&dir, &DataSettings::default()).unwrap();
    assert_eq!((set.train.height, set.train.width), (16, 8));
    assert!(
        set.found[1].contains("turned by the EXIF orientation"),
        "{:?}",
        set.found
    );
    save(&dir, "mask/0.png", &mask([16, 8]).into());
    refused_with(
        &dir,
        &DataSettings::default(),
        &["turned by its EXIF orientation"],
    );
}

#[test]
fn parts_may_be_called_as_those_of_other_folders() {
    let dir = tempfile::tempdir().unwrap();
    for part in ["Training", "Testing"] {
        picture(&dir, &format!("{part}/image/1.png"), 1);
        mask(&dir, &format!("{part}/mask/1.png"), [0, 1]);
    }
    let (set, _) = loaded(&dir, &DataSettings::default()).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (1, 1));
}

#[test]
fn what_does_not_fit_is_named() {
    let settings = DataSettings::default();
    let dir = numbered(3);
    picture(&dir, "image/12.png", 1);
    refused_with(&dir, &settings, &["image/12.png has no mask", "label"]);
    fs::rename(
        dir.path().join("image/12.png"),
        dir.path().join("label/13.png"),
    )
    .unwrap();
    refused_with(
        &dir,
        &settings,
        &["label/13.png is a mask without an image"],
    );
    fs::remove_file(dir.path().join("label/13.png")).unwrap();
    picture(&dir, "image/2.bmp", 1);
    refused_with(&dir, &settings, &["2.png has the name of", "2.bmp"]);
    fs::remove_file(dir.path().join("image/2.bmp")).unwrap();
    let small = GrayImage::from_pixel(3, 4, Luma([0])).into();
    save(&dir, "label/2.png", &small);
    refused_with(
        &dir,
        &settings,
        &["label/2.png is 4 x 3 pixels", "image/2.png is 4 x 4"],
    );
    mask(&dir, "label/2.png", [0, 7]);
    let two = DataSettings {
        mask_values: vec![MaskValue::Grey(0), MaskValue::Grey(255)],
        ..DataSettings::default()
    };
    refused_with(
        &dir,
        &two,
        &["label/2.png has the value 7 in row 0, column 2", "0, 255"],
    );
    mask(&dir, "label/2.png", [0, 255]);
    let many = DataSettings {
        parts: Some([2, 1, 1]),
        ..DataSettings::default()
    };
    refused_with(&dir, &many, &["has 3 images", "[2, 1, 1]"]);
    fs::remove_dir_all(dir.path().join("label")).unwrap();
    refused_with(&dir, &settings, &["has no folders of images and masks"]);
}

#[test]
fn pixels_of_ignored_values_have_no_class() {
    let dir = numbered(3);
    mask(&dir, "label/2.png", [7, 255]);
    let mut settings = DataSettings {
        parts: Some([2, 0, 1]),
        mask_ignore: vec![MaskValue::Grey(7), MaskValue::Grey(9)],
        ..DataSettings::default()
    };
    let (set, fitted) = loaded(&dir, &settings).unwrap();
    assert_eq!(set.classes, ["0", "255"]);
    assert_eq!(fitted.mask_values.len(), 2);
    assert_eq!(set.train.masks[..4], [0, 0, 1, 1]);
    assert_eq!(set.train.masks[16..20], [IGNORED, IGNORED, 1, 1]);
    settings.mask_values = vec![MaskValue::Grey(0), MaskValue::Grey(7)];
    refused_with(
        &dir,
        &settings,
        &["7 is in data.mask_values", "mask_ignore"],
    );
}

#[test]
fn a_value_of_the_test_part_alone_is_no_class() {
    let dir = numbered(3);
    mask(&dir, "label/3.png", [0, 7]);
    let settings = DataSettings {
        parts: Some([2, 0, 1]),
        ..DataSettings::default()
    };
    refused_with(&dir, &settings, &["label/3.png has the value 7"]);
}

#[test]
fn photographs_are_no_masks() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..2 {
        picture(&dir, &format!("image/{n}.png"), n);
        let photograph = RgbImage::from_fn(20, 20, |x, y| Rgb([x as u8, y as u8, n]));
        save(&dir, &format!("mask/{n}.png"), &photograph.into());
    }
    refused_with(
        &dir,
        &DataSettings::default(),
        &["over 256 different values", "photographs, or JPEG"],
    );
}

#[test]
fn a_file_cut_short_is_named_or_left_out_with_its_other_half() {
    let dir = numbered(4);
    let cut = dir.path().join("label/2.png");
    let whole = fs::read(&cut).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let mut settings = DataSettings {
        parts: Some([3, 0, 1]),
        ..DataSettings::default()
    };
    refused_with(&dir, &settings, &["label/2.png", "skip_bad"]);
    settings.skip_bad = true;
    let (set, _) = loaded(&dir, &settings).unwrap();
    assert_eq!(firsts(&set.train), [1, 3]);
    assert!(set.notes[0].contains("label/2.png"), "{:?}", set.notes);
}

#[test]
fn such_folders_are_detected_in_parts_or_not() {
    let look = |dir: &TempDir| Source::look(&dir.path().display().to_string()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    Masks.sample(dir.path());
    let sure = Masks.detect(&look(&dir)).unwrap().confidence;
    // The source also looks like a folder for each class, but the difference in confidence is too large for a note.
    for other in FORMATS
        .iter()
        .filter(|format| format.name() != Masks.name())
    {
        let other = other.detect(&look(&dir));
        assert!(other.is_none_or(|other| sure - other.confidence > MARGIN));
    }
    let dir = numbered(1);
    assert!(Masks.detect(&look(&dir)).is_some());
    let dir = tempfile::tempdir().unwrap();
    picture(&dir, "train/image/1.png", 1);
    assert!(Masks.detect(&look(&dir)).is_none());
    picture(&dir, "train/mask/1.png", 1);
    assert!(Masks.detect(&look(&dir)).is_some());
}

#[test]
fn the_real_membranes_have_their_counts_and_shares() {
    let Some(dir) = crate::data::real_set("membranes") else {
        return;
    };
    let settings = DataSettings {
        parts: Some([24, 0, 6]),
        mask_classes: vec!["membrane".into(), "inside".into()],
        ..DataSettings::default()
    };
    let mut fitted = Fitted::default();
    let set = load_masks(&dir, &settings, &mut fitted, 1).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (24, 6));
    let (height, width, channels) = (set.train.height, set.train.width, set.train.channels);
    assert_eq!([height, width, channels], [512, 512, 1]);
    assert_eq!(
        fitted.mask_values,
        [MaskValue::Grey(0), MaskValue::Grey(255)]
    );
    let inside = |set: &MaskSet| {
        let inside = set.masks.iter().filter(|&&class| class == 1).count();
        inside as f64 / set.masks.len() as f64
    };
    assert!(
        (inside(&set.train) - 0.78).abs() < 0.02,
        "{}",
        inside(&set.train)
    );
    // Slices 24 to 29 in natural order; in the order of texts, 29 would not be the last.
    let last = image::open(dir.join("image/29.png")).unwrap().into_luma8();
    assert_eq!(set.test.images[5 * 512 * 512..], last.into_raw());
}

/// Tiles of 4 x 4 pixels.
fn in_tiles(overlap: usize) -> DataSettings {
    DataSettings {
        fit: PictureFit::Tile,
        size: Some([4, 4]),
        channels: Some(1),
        overlap: Some(overlap),
        ..DataSettings::default()
    }
}

/// Images 0 to 4 of 6 x 7 pixels, each of which has its own value, with masks of alternating columns.
fn large() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..5_u8 {
        let image = GrayImage::from_fn(7, 6, |x, y| Luma([42 * n + 7 * y as u8 + x as u8]));
        save(&dir, &format!("image/{n}.png"), &image.into());
        let mask = GrayImage::from_fn(7, 6, |x, _| Luma([(x % 2) as u8]));
        save(&dir, &format!("mask/{n}.png"), &mask.into());
    }
    dir
}

#[test]
fn large_images_become_tiles_of_their_own_pixels_and_small_ones_are_padded() {
    let dir = large();
    save(
        &dir,
        "image/9.png",
        &GrayImage::from_pixel(3, 2, Luma([7])).into(),
    );
    save(
        &dir,
        "mask/9.png",
        &GrayImage::from_pixel(3, 2, Luma([1])).into(),
    );
    let settings = DataSettings {
        parts: Some([4, 0, 2]),
        ..in_tiles(1)
    };
    let (set, _) = loaded(&dir, &settings).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (16, 5));
    assert_eq!(
        set.found.last().unwrap(),
        "images are cut into tiles of 4 x 4 with an overlap of 1"
    );
    // The four tiles of image 1, whose last row and column end at its edge.
    assert_eq!(firsts(&set.train)[4..8], [42, 45, 56, 59]);
    let second = &set.train.images[5 * 16..][..16];
    assert_eq!(second[12..], [66, 67, 68, 69]);
    assert_eq!(set.train.masks[5 * 16..][..4], [1, 0, 1, 0]);
    assert_eq!(set.train.names[4..8], ["1.png"; 4]);
    let (image, mask) = (&set.test.images[64..], &set.test.masks[64..]);
    assert_eq!(image[..8], [7, 7, 7, 128, 7, 7, 7, 128]);
    assert_eq!(mask[..8], [1, 1, 1, IGNORED, 1, 1, 1, IGNORED]);
    assert!(image[8..].iter().all(|&byte| byte == 128));
    assert!(mask[8..].iter().all(|&class| class == IGNORED));
    let samples = Samples::from(set.test);
    assert_eq!((samples.noun(), samples.firsts()), ("tiles", vec![0, 4]));
    assert!(samples.check("mine", 2).is_ok());
    let whole = samples.whole_picture(2).unwrap().unwrap();
    assert_eq!(whole.shape, [6, 7, 1]);
    assert_eq!(whole.pixels[..], (168..210).collect::<Vec<u8>>()[..]);
}

#[test]
fn all_tiles_of_an_image_are_in_one_part() {
    let settings = DataSettings {
        validation_share: Some(0.3),
        ..in_tiles(2)
    };
    let (set, _) = loaded(&large(), &settings).unwrap();
    let parts = [Some(&set.train), set.validation.as_ref(), Some(&set.test)];
    let names: Vec<BTreeSet<&String>> = parts
        .into_iter()
        .flatten()
        .map(|part| part.names.iter().collect())
        .collect();
    assert_eq!(names.len(), 3);
    assert_eq!(names.iter().map(BTreeSet::len).sum::<usize>(), 5);
}

#[test]
fn tiles_that_can_not_be_are_refused() {
    let dir = large();
    let refused = |settings: DataSettings, parts: &[&str]| refused_with(&dir, &settings, parts);
    refused(
        in_tiles(4),
        &["data.overlap is 4 pixels", "smaller than a tile"],
    );
    assert!(in_tiles(4).check().is_err() && in_tiles(3).check().is_ok());
    let sizeless = DataSettings {
        size: None,
        ..in_tiles(1)
    };
    refused(sizeless, &["needs data.size"]);
    let little = DataSettings {
        memory_limit: Some(crate::data::ByteCount(500)),
        ..in_tiles(1)
    };
    refused(little, &["tiles of 4 x 4", "over data.memory_limit"]);
    let untiled = DataSettings {
        fit: PictureFit::Crop,
        ..in_tiles(1)
    };
    let message = untiled.check().unwrap_err().to_string();
    assert!(message.contains("set data.fit = \"tile\""), "{message}");
    // Images without masks.
    let plain = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        picture(&plain, &format!("{class}/1.png"), 3);
    }
    let settings = DataSettings {
        source: plain.path().display().to_string(),
        ..in_tiles(1)
    };
    let message = crate::data::load(&settings, &mut Fitted::default(), 1).unwrap_err();
    let message = message.to_string();
    assert!(
        message.contains("images with masks into tiles"),
        "{message}"
    );
}

//! Tests of folders of images.

use super::*;
use crate::data::ImageSet;
use image::{Rgb, RgbImage};
use std::fs;

fn write(path: &Path, size: [u32; 2], color: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(size[0], size[1], Rgb(color))
        .save(path)
        .unwrap();
}

fn settings() -> DataSettings {
    DataSettings {
        size: Some([4, 4]),
        ..DataSettings::default()
    }
}

/// The images of `dir` in memory.
fn loaded(dir: &Path, settings: &DataSettings) -> Result<LabelledImages> {
    loaded_with(dir, settings, &mut Fitted::default())
}

fn loaded_with(dir: &Path, settings: &DataSettings, fitted: &mut Fitted) -> Result<LabelledImages> {
    let source = Source::look(&dir.display().to_string())?;
    let read = load(&source, settings, fitted)?;
    Ok(LabelledImages {
        parts: Parts {
            train: images(&read.parts.train),
            validation: read.parts.validation.as_ref().map(images),
            test: read.parts.test.as_ref().map(images),
        },
        classes: read.classes,
        notes: read.notes,
        found: read.found,
    })
}

fn images(samples: &Samples) -> ImageSet {
    let pictures = samples.pictures().unwrap();
    let [height, width, channels] = pictures.shape;
    ImageSet {
        images: pictures.bytes.to_vec(),
        labels: samples.labels().unwrap().to_vec(),
        height,
        width,
        channels,
    }
}

fn message(result: Result<LabelledImages>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn parts_classes_sizes_and_formats_are_found() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("train/b/1.png"), [8, 4], [0, 0, 255]);
    write(&dir.path().join("train/a/deep/2.bmp"), [4, 4], [255, 0, 0]);
    write(&dir.path().join("val/a/3.png"), [4, 4], [255, 0, 0]);
    write(&dir.path().join("test/b/4.tiff"), [5, 9], [0, 0, 255]);
    let source = Source::look(&dir.path().display().to_string()).unwrap();
    assert!(Folder.detect(&source).is_some());
    let found = loaded(dir.path(), &settings()).unwrap();
    let set = found.parts;
    assert_eq!(found.classes, ["a", "b"]);
    assert_eq!(
        (set.train.labels.clone(), set.train.channels),
        (vec![0, 1], 3)
    );
    assert_eq!(set.train.image(1)[..3], [0, 0, 255]);
    assert_eq!(set.validation.unwrap().labels, [0]);
    assert_eq!(set.test.unwrap().labels, [1]);
    assert_eq!(
        found.notes,
        [
            "the validation part has no image of b",
            "the test part has no image of a"
        ]
    );
}

#[test]
fn a_bad_file_is_named_or_left_out_on_request() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("train/a/1.png"), [4, 4], [0; 3]);
    write(&dir.path().join("test/a/1.png"), [4, 4], [0; 3]);
    let bad = dir.path().join("train/a/2.png");
    let whole = fs::read(dir.path().join("train/a/1.png")).unwrap();
    // A truncated file, a file that is no image, and a header that claims 2^31 columns.
    let mut bomb = whole.clone();
    bomb[16..20].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    for content in [&whole[..40], b"hello", &bomb] {
        fs::write(&bad, content).unwrap();
        let refusal = message(loaded(dir.path(), &settings()));
        assert!(
            refusal.contains("2.png") && refusal.contains("skip_bad"),
            "{refusal}"
        );
        let lenient = DataSettings {
            skip_bad: true,
            ..settings()
        };
        let found = loaded(dir.path(), &lenient).unwrap();
        let (set, skipped) = (found.parts, found.notes);
        assert_eq!((set.train.len(), skipped.len()), (1, 1));
        assert!(skipped[0].contains("2.png"));
    }
}

#[test]
fn a_class_of_the_test_part_alone_and_an_empty_part_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("train/a/1.png"), [4, 4], [0; 3]);
    write(&dir.path().join("test/z/1.png"), [4, 4], [0; 3]);
    let refusal = message(loaded(dir.path(), &settings()));
    assert!(
        refusal.contains("images of z") && refusal.contains("training part"),
        "{refusal}"
    );
    fs::remove_dir_all(dir.path().join("test/z")).unwrap();
    let refusal = message(loaded(dir.path(), &settings()));
    assert!(refusal.contains("has no images"), "{refusal}");
}

/// A folder with copies of the fixtures `files`, each with the path that it has there.
fn with_fixtures(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    for (fixture, to) in files {
        let path = dir.path().join(to);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(fixtures.join(fixture), path).unwrap();
    }
    dir
}

#[test]
fn black_strokes_on_nothing_are_black_on_white() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["horizontal", "vertical"] {
        for n in 0..2 {
            let is_stroke = |x, y| match class {
                "vertical" => x == n,
                _ => y == n,
            };
            let strokes = image::RgbaImage::from_fn(4, 4, |x, y| {
                image::Rgba([0, 0, 0, if is_stroke(x, y) { 255 } else { 0 }])
            });
            let folder = dir.path().join(class);
            fs::create_dir_all(&folder).unwrap();
            strokes.save(folder.join(format!("{n}.png"))).unwrap();
        }
    }
    let grey = DataSettings {
        channels: Some(1),
        ..settings()
    };
    let found = loaded(dir.path(), &grey).unwrap();
    assert_eq!(
        found.parts.train.image(0)[..8],
        [0, 0, 0, 0, 255, 255, 255, 255]
    );
    assert_eq!(
        found.notes,
        ["4 of 4 images are transparent: they are put on white (data.background)"]
    );
    let black = DataSettings {
        background: toml::from_str::<DataSettings>("background = \"black\"")
            .unwrap()
            .background,
        ..grey
    };
    let found = loaded(dir.path(), &black).unwrap();
    assert!(found.parts.train.images.iter().all(|&value| value == 0));
    assert!(
        found.notes[1].contains("a single colour on black"),
        "{:?}",
        found.notes
    );
}

#[test]
fn what_was_found_and_what_was_left_out_are_told() {
    let dir = with_fixtures(&[
        ("turned_1.jpg", "archive/Training/a/1.jpg"),
        ("turned_6.jpg", "archive/Training/a/2"),
        ("grey_16.png", "archive/Training/b/3.png"),
        ("moving.gif", "archive/Testing/a/4.gif"),
        ("green.avif", "archive/Testing/b/5.avif"),
    ]);
    let found = loaded(dir.path(), &settings()).unwrap();
    assert_eq!(
        found.found,
        [
            "4 images, 3 different sizes from 8 x 8 to 16 x 8 pixels, width x height, most often 8 x 8 (2), 3 in colour and 1 grey",
            "1 image is turned by the EXIF orientation",
            "1 image has 16 bits per channel, of which 8 are kept (value / 257)",
            "read from the folder archive",
            "folders: Training is the training part, Testing is the test part",
            "2 classes: a (2), b (1)"
        ]
    );
    assert_eq!(
        found.notes,
        [
            "1 image is left out because it is of a kind that is not read (1 .avif): convert them to JPEG or PNG",
            "the test part has no image of b",
            "1 image is animated: only the first frame is read"
        ]
    );
    // A folder of such images alone says what to do.
    let dir = with_fixtures(&[("green.avif", "a/1.avif"), ("green.avif", "b/2.avif")]);
    let source = Source::look(&dir.path().display().to_string()).unwrap();
    assert!(Folder.detect(&source).is_some());
    let refusal = message(loaded(dir.path(), &settings()));
    assert!(
        refusal.contains("2 .avif") && refusal.contains("convert them"),
        "{refusal}"
    );
}

#[test]
fn classes_in_names_are_recorded_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["cat.0.png", "cat.1.png", "dog.0.png", "dog.1.png"] {
        write(&dir.path().join(name), [4, 4], [name.len() as u8; 3]);
    }
    let source = Source::look(&dir.path().display().to_string()).unwrap();
    assert_eq!(Folder.detect(&source).unwrap().confidence, 75);
    let mut fitted = Fitted::default();
    let found = load(&source, &settings(), &mut fitted).unwrap();
    assert_eq!(
        (found.classes, images(&found.parts.train).labels),
        (vec!["cat".into(), "dog".into()], vec![0, 0, 1, 1])
    );
    assert_eq!(fitted.class_pattern, ClassPattern::new("{class}#*").ok());
    // A single file of a class would not be enough to detect it.
    fs::remove_file(dir.path().join("dog.1.png")).unwrap();
    let source = Source::look(&dir.path().display().to_string()).unwrap();
    let found = load(&source, &settings(), &mut fitted).unwrap();
    assert_eq!(images(&found.parts.train).labels, [0, 0, 1]);
}

use super::*;
use crate::data::{Fitted, PictureFit};
use std::fs;

/// The data of `settings` with its source in `dir`, or the message of an error.
pub(in crate::data::formats) fn loaded(
    dir: &Path,
    settings: DataSettings,
) -> Result<Dataset<Samples>, String> {
    let settings = DataSettings {
        source: dir.display().to_string(),
        ..settings
    };
    crate::data::load(&settings, &mut Fitted::default(), 1).map_err(|e| e.to_string())
}

/// Writes `text` to `file` below `dir`.
pub(in crate::data::formats) fn write(dir: &Path, file: &str, text: impl AsRef<[u8]>) {
    let path = dir.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A grey image of 8 rows and 16 columns, as a PNG file.
pub(in crate::data::formats) fn png() -> Vec<u8> {
    crate::data::formats::tests::Sample::png([16, 8], 99)
}

/// The rows of boxes of a sample, without those that are none.
pub(in crate::data::formats) fn boxes(samples: &Samples, index: usize) -> Vec<Vec<f32>> {
    let (values, _) = samples.numbers(field::BOXES, index).unwrap();
    let rows = values.chunks(6).filter(|row| row[4] >= 0.0);
    rows.map(<[f32]>::to_vec).collect()
}

fn placed(corners: [f64; 4], fit: PictureFit, is_relative: bool) -> Result<[f64; 4], checked::Why> {
    let shape = crate::data::PictureShape {
        height: 10,
        width: 10,
        channels: 1,
        fit,
        background: crate::data::Background::default(),
    };
    let own = NamedBox {
        corners,
        is_relative,
        class: 0,
        is_crowd: false,
        number: 1,
    };
    Room::new(shape, fit).placed(&own, [20, 40])
}

#[test]
fn boxes_follow_the_scale_of_their_image() {
    let corners = [10.0, 4.0, 20.0, 12.0];
    // 20 x 40 becomes 5 x 10 within 10 x 10, or 10 x 10 with other scales, or its middle of 20 x 20.
    let [pad, stretch, crop] = [PictureFit::Pad, PictureFit::Stretch, PictureFit::Crop]
        .map(|fit| placed(corners, fit, false).unwrap());
    assert_eq!(pad, [2.5, 3.5, 5.0, 5.5]);
    assert_eq!(stretch, [2.5, 2.0, 5.0, 6.0]);
    assert_eq!(crop, [0.0, 2.0, 5.0, 6.0]);
    let relative = placed([0.25, 0.2, 0.5, 0.6], PictureFit::Pad, true).unwrap();
    assert_eq!(relative, pad);
}

#[test]
fn boxes_without_area_and_outside_are_left_out() {
    let why = |corners| placed(corners, PictureFit::Crop, false).unwrap_err();
    assert_eq!(why([5.0, 5.0, 5.0, 9.0]), checked::Why::NoArea);
    assert_eq!(why([9.0, 5.0, 5.0, 9.0]), checked::Why::NoArea);
    assert_eq!(why([30.0, 5.0, 45.0, 9.0]), checked::Why::Leaves);
    assert_eq!(why([-4.0, 5.0, 5.0, 9.0]), checked::Why::Leaves);
    assert_eq!(why([f64::NAN, 5.0, 5.0, 9.0]), checked::Why::NotFinite);
    assert_eq!(why([0.0, 5.0, 9.0, 9.0]), checked::Why::Cropped);
    // Corners that count from 1 may be one beyond.
    let edge = placed([30.0, 5.0, 41.0, 21.0], PictureFit::Stretch, false);
    assert_eq!(edge.unwrap(), [7.5, 2.5, 10.0, 10.0]);
}

#[test]
fn images_are_found_by_their_folders_and_without_their_endings() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["train/a.jpg", "test/a.jpg", "test/b.png"] {
        write(dir.path(), file, "");
    }
    let tree = crate::data::source::Tree::of(dir.path());
    let index = PictureIndex::of(&tree, dir.path()).unwrap();
    let find = |name: &str, annotations: &str| {
        let found = index.find(name, &dir.path().join(annotations))?;
        Some(
            found
                .strip_prefix(dir.path())
                .unwrap()
                .display()
                .to_string(),
        )
    };
    assert_eq!(find("a.jpg", "test/a.xml").as_deref(), Some("test/a.jpg"));
    assert_eq!(
        find("test/a.jpg", "all.json").as_deref(),
        Some("test/a.jpg")
    );
    assert_eq!(
        find("train\\a.jpg", "test/a.xml").as_deref(),
        Some("train/a.jpg")
    );
    assert_eq!(find("b", "x.xml").as_deref(), Some("test/b.png"));
    assert_eq!(find("c.jpg", "x.xml"), None);
}

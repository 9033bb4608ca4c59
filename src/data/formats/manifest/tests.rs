//! Tests of tables of images.

use super::*;
use crate::data::load;

/// A folder with a table and grey images, each of the value that is its number.
fn folder(table: &str, images: &[&str]) -> (tempfile::TempDir, DataSettings) {
    let dir = tempfile::tempdir().unwrap();
    let mut sample = Sample::in_folder(dir.path()).with("labels.csv", table);
    for image in images {
        let stem = Path::new(image).file_stem().unwrap().to_string_lossy();
        let value = stem.parse().unwrap();
        sample = sample.with(image, Sample::png([2, 2], value));
    }
    let settings = DataSettings {
        source: dir.path().display().to_string(),
        channels: Some(1),
        ..DataSettings::default()
    };
    (dir, settings)
}

/// The first pixel and the label of every sample.
fn pixels(set: &Samples) -> Vec<(u8, u32)> {
    let pictures = set.pictures().unwrap();
    let firsts = (0..set.len()).map(|index| pictures.picture(index)[0]);
    let labels = set.labels().unwrap().iter().copied();
    firsts.zip(labels).collect()
}

#[test]
fn names_without_endings_are_found_in_a_folder_beside_the_table() {
    let images = ["train/1.png", "train/2.png", "train/3.png", "train/4.png"];
    let table = "id,breed\n1,pug\n2,collie\n3,pug\n4,collie\n";
    let (_dir, settings) = folder(table, &images);
    let mut fitted = Fitted::default();
    let set = load(&settings, &mut fitted, 1).unwrap();
    assert_eq!(fitted.format.unwrap().name(), "manifest");
    assert_eq!(fitted.image.as_deref(), Some("id"));
    assert_eq!(fitted.target.as_deref(), Some("breed"));
    assert_eq!(set.classes, ["collie", "pug"]);
    let mut all = [pixels(&set.train), pixels(&set.test)].concat();
    all.sort();
    assert_eq!(all, [(1, 1), (2, 0), (3, 1), (4, 0)]);
    assert!(set.found[0].starts_with("4 images, all 2 x 2 pixels"));
}

#[test]
fn a_column_names_the_part_of_each_row() {
    let images = ["1.png", "2.png", "3.png", "4.png", "5.png"];
    let rows = "1.png,a,train\n2.png,b,Test\n3.png,b,train\n4.png,a,valid\n5.png,a,test\n";
    for header in ["image,label,split", "filename,category,set"] {
        let (_dir, settings) = folder(&format!("{header}\n{rows}"), &images);
        let mut fitted = Fitted::default();
        let set = load(&settings, &mut fitted, 1).unwrap();
        assert_eq!(pixels(&set.train), [(1, 0), (3, 1)], "{header}");
        assert_eq!(pixels(&set.test), [(2, 1), (5, 0)]);
        assert_eq!(pixels(set.validation.as_ref().unwrap()), [(4, 0)]);
        assert!(fitted.columns.is_empty(), "{:?}", fitted.columns);
        assert!(
            set.found
                .iter()
                .any(|line| line.contains("the part of each row"))
        );
        // Another evaluation of the run gives the same parts, one on other data all rows.
        let again = load(&settings, &mut fitted, 1).unwrap();
        assert_eq!(pixels(&again.test), pixels(&set.test));
        let unsplit = DataSettings {
            unsplit: true,
            ..settings
        };
        let whole = load(&unsplit, &mut fitted, 1).unwrap();
        assert_eq!(whole.test.len(), 5);
    }
}

#[test]
fn a_column_with_other_words_is_no_column_of_parts() {
    let images = ["1.png", "2.png", "3.png", "4.png"];
    let table = "image,set,label\n1.png,train,a\n2.png,tea,b\n3.png,tea,a\n4.png,train,b\n";
    let (_dir, settings) = folder(table, &images);
    let mut fitted = Fitted::default();
    load(&settings, &mut fitted, 1).unwrap();
    assert_eq!(fitted.columns[0].name, "set");
}

#[test]
fn a_form_for_predictions_is_no_table_of_images() {
    let images = [
        "train/1.png",
        "train/2.png",
        "train/3.png",
        "train/4.png",
        "test/5.png",
    ];
    let table = "id,breed\n1,pug\n2,collie\n3,pug\n4,collie\n";
    let (dir, settings) = folder(table, &images);
    let form = dir.path().join("sampleSubmission.csv");
    std::fs::write(form, "id,pug,collie\n5,0.5,0.5\n").unwrap();
    let set = load(&settings, &mut Fitted::default(), 1).unwrap();
    assert_eq!(set.classes, ["collie", "pug"]);
    std::fs::remove_file(dir.path().join("labels.csv")).unwrap();
    let source = Source::look(&settings.source).unwrap();
    assert!(Manifest.detect(&source).is_none());
}

#[test]
fn rows_without_a_label_are_left_out_and_counted() {
    // The image of such a row need not exist.
    let images = ["1.png", "2.png", "4.png", "5.png"];
    let table = "image,label\n1.png,a\n2.png,b\n3.png,\n4.png,b\n5.png,a\n6.png,NA\n";
    let (_dir, settings) = folder(table, &images);
    let set = load(&settings, &mut Fitted::default(), 1).unwrap();
    let mut all = [pixels(&set.train), pixels(&set.test)].concat();
    all.sort();
    assert_eq!(all, [(1, 0), (2, 1), (4, 1), (5, 0)]);
    let line = "labels.csv: 2 of 6 rows have no value in column label, the target, first at line 4: they are left out";
    assert!(
        set.found.iter().any(|found| found == line),
        "{:?}",
        set.found
    );
}

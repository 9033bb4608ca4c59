//! Tests of layouts of folders.

use super::*;
use crate::data::Source;
use std::fs;

/// The layout of a folder with these files, which are not decoded for it.
fn layout_with(files: &[&str], settings: &DataSettings) -> Result<Layout, String> {
    layout_of(files, settings, &Fitted::default())
}

fn layout_of(files: &[&str], settings: &DataSettings, fitted: &Fitted) -> Result<Layout, String> {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        match file.ends_with('/') {
            true => fs::create_dir_all(path).unwrap(),
            false => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "text").unwrap();
            }
        }
    }
    let source = Source::look(&dir.path().display().to_string()).unwrap();
    Layout::of(source.tree(), source.path(), settings, fitted).map_err(|e| e.to_string())
}

fn layout(files: &[&str]) -> Layout {
    layout_with(files, &DataSettings::default()).unwrap()
}

fn message(files: &[&str]) -> String {
    layout_with(files, &DataSettings::default()).unwrap_err()
}

/// The classes of a part with the numbers of their files, such as `a1 b2`.
fn classes(part: &Classed) -> String {
    let counts = part.classes.iter();
    let counts: Vec<String> = counts
        .map(|(class, files)| format!("{class}{}", files.len()))
        .collect();
    counts.join(" ")
}

fn parts(layout: &Layout) -> [String; 3] {
    let own = |part: &Option<Classed>| part.as_ref().map_or("-".to_string(), classes);
    [
        classes(&layout.train),
        own(&layout.validation),
        own(&layout.test),
    ]
}

#[test]
fn parts_have_their_usual_names_in_any_case_and_may_lie_in_another_folder() {
    let own = |train: &str, test: &str| {
        let files = [
            format!("{train}/a/1.png"),
            format!("{train}/b/1.png"),
            format!("{test}/a/1.png"),
        ];
        let files: Vec<&str> = files.iter().map(|file| &**file).collect();
        layout(&files)
    };
    for (train, test) in [
        ("Training", "Testing"),
        ("TRAIN", "TEST"),
        ("train_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("dataset/train", "dataset/test"),
        ("archive/data set/train", "archive/data set/test"),
    ] {
        let found = own(train, test);
        assert_eq!(parts(&found), ["a1 b1", "-", "a1"], "{train}");
        let said = found.found.join("\n");
        assert!(said.contains("is the training part"), "{said}");
        assert!(said.contains("2 classes: a (1), b (1)"), "{said}");
        assert!(found.notes[0].contains("the test part has no image of b"));
    }
}

#[test]
fn what_is_no_part_is_left_out_with_a_note() {
    let found = layout(&[
        "seg_train/a/1.png",
        "seg_train/b/1.png",
        "seg_test/a/1.png",
        "seg_test/b/1.png",
        "seg_pred/7.png",
    ]);
    assert_eq!(parts(&found), ["a1 b1", "-", "a1 b1"]);
    assert_eq!(
        found.notes,
        ["the folder seg_pred is no part: left out with 1 image"]
    );
}

#[test]
fn a_class_may_be_called_train() {
    let found = layout(&["bus/1.png", "plane/1.png", "train/1.png"]);
    assert_eq!(parts(&found), ["bus1 plane1 train1", "-", "-"]);
    assert!(found.notes[0].contains("the folder train is taken for a class"));
}

#[test]
fn a_class_of_the_run_is_no_folder_around_others() {
    let files = ["cat/indoors/1.png", "cat/outdoors/2.png"];
    assert_eq!(parts(&layout(&files)), ["indoors1 outdoors1", "-", "-"]);
    let fitted = Fitted {
        classes: vec!["cat".into(), "dog".into()],
        ..Fitted::default()
    };
    let found = layout_of(&files, &DataSettings::default(), &fitted).unwrap();
    assert_eq!(parts(&found), ["cat2", "-", "-"]);
}

#[test]
fn parts_may_lie_in_the_classes() {
    let files = ["cat/train/1.png", "cat/test/2.png", "dog/train/1.png"];
    let found = layout(&files);
    assert_eq!(parts(&found), ["cat1 dog1", "-", "cat1"]);
    assert!(found.found[0].contains("each class has folders of its parts"));
}

#[test]
fn a_test_part_alone_is_an_error_unless_a_run_is_evaluated_on_it() {
    let files = ["test/a/1.png", "test/b/1.png"];
    let said = message(&files);
    assert!(said.contains("no training part"), "{said}");
    let settings = DataSettings {
        unsplit: true,
        ..DataSettings::default()
    };
    let found = layout_with(&files, &settings).unwrap();
    assert_eq!(parts(&found), ["a1 b1", "-", "-"]);
    let said = message(&["train/a/1.png", "Train/a/1.png"]);
    assert!(said.contains("is the same part as"), "{said}");
}

#[test]
fn empty_folders_and_images_beside_classes_are_noted() {
    let found = layout(&["a/1.png", "b/1.png", "c/", "2.png", "notes.txt", "3.heic"]);
    assert_eq!(parts(&found), ["a1 b1", "-", "-"]);
    let said = found.notes.join("\n");
    for part in [
        "1 image is left out because it is of a kind that is not read (1 .heic)",
        "1 file is not an image and is left out (1 .txt)",
        "no images in the folder c",
        "1 image is directly in",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let one = layout(&["a/1.png", "a/deep/2.png"]);
    assert_eq!(parts(&one), ["a2", "-", "-"]);
    assert!(one.found[0].contains("a single class: a (2)"));
}

#[test]
fn classes_in_the_names_of_files_are_found() {
    let flat = ["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"];
    let found = layout(&flat);
    assert_eq!(parts(&found), ["cat2 dog2", "-", "-"]);
    assert_eq!(found.pattern.unwrap().to_string(), "{class}#*");
    assert!(
        found.found[0].contains("cat.0.jpg is cat"),
        "{:?}",
        found.found
    );
    // As Kaggle has them, with a test part without classes.
    let below = |folder: &str| flat.map(|file| format!("{folder}/{file}"));
    for test in ["test", "test1"] {
        let mut files = below("train").to_vec();
        files.extend([format!("{test}/1.jpg"), format!("{test}/2.jpg")]);
        let files: Vec<&str> = files.iter().map(|file| &**file).collect();
        let found = layout(&files);
        assert_eq!(parts(&found), ["cat2 dog2", "-", "-"], "{test}");
        assert!(found.notes[0].contains("left out"), "{:?}", found.notes);
    }
    let within = below("images");
    let within: Vec<&str> = within.iter().map(|file| &**file).collect();
    assert_eq!(parts(&layout(&within)), ["cat2 dog2", "-", "-"]);
}

#[test]
fn a_pattern_of_the_settings_holds_and_names_without_a_class_are_errors() {
    let settings = DataSettings {
        class_pattern: Some(ClassPattern::new("*-{class}").unwrap()),
        ..DataSettings::default()
    };
    let found = layout_with(&["x/1-a.png", "y/2-b.png", "y/3-a.png"], &settings).unwrap();
    assert_eq!(parts(&found), ["a2 b1", "-", "-"]);
    let said = layout_with(&["1-a.png", "2.png"], &settings).unwrap_err();
    assert!(
        said.contains("2.png has no class in its name by data.class_pattern"),
        "{said}"
    );
    let said = message(&["1.png", "2.png"]);
    assert!(said.contains("2 images without classes"), "{said}");
}

#[test]
fn accents_of_one_or_two_characters_are_one_class() {
    let found = layout(&[
        "train/caf\u{e9}/1.png",
        "train/the/1.png",
        "test/cafe\u{301}/1.png",
        "test/the/1.png",
    ]);
    assert_eq!(parts(&found), ["café1 the1", "-", "café1 the1"]);
}

use super::parsed;
use crate::data::DataSettings;
use crate::data::formats::boxes::tests::{boxes, loaded, png, write};

#[test]
fn a_line_is_a_class_and_a_box_or_a_polygon() {
    assert_eq!(
        parsed("1 0.5 0.5 0.25 0.5"),
        Ok((1, [0.375, 0.25, 0.625, 0.75]))
    );
    assert_eq!(
        parsed("0 0.1 0.2 0.5 0.1 0.3 0.9"),
        Ok((0, [0.1, 0.1, 0.5, 0.9]))
    );
    for (line, problem) in [
        ("cat 0 0 1 1", "no number of a class"),
        ("1.5 0 0 1 1", "no whole number"),
        ("1 0 0 1", "3 numbers after the class"),
        ("1 0 0 1 x", "\"x\", which is no number"),
    ] {
        let message = parsed(line).unwrap_err();
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn the_data_file_names_parts_and_classes() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["images/train/1", "images/train/2", "images/val/3"] {
        write(dir.path(), &format!("{file}.png"), png());
    }
    write(
        dir.path(),
        "labels/train/1.txt",
        "1 0.5 0.5 0.5 1\n0 0.25 0.25 0.25 0.5\n",
    );
    write(dir.path(), "labels/val/3.txt", "0 0.5 0.5 0.5 0.5");
    let yaml =
        "path: ../datasets/x\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n";
    write(dir.path(), "data.yaml", yaml);
    let data = loaded(dir.path(), DataSettings::default()).unwrap();
    assert_eq!(data.classes, ["cat", "dog"]);
    assert_eq!((data.train.len(), data.test.len()), (2, 1));
    assert_eq!(
        boxes(&data.train, 0),
        [
            [4.0, 0.0, 12.0, 8.0, 1.0, 0.0],
            [2.0, 0.0, 6.0, 4.0, 0.0, 0.0]
        ]
    );
    assert!(boxes(&data.train, 1).is_empty());
    assert!(
        data.notes
            .iter()
            .any(|note| note.contains("1 image has no boxes"))
    );
    write(
        dir.path(),
        "labels/val/3.txt",
        "0 0.5 0.5 0.5 0.5\n2 0.5 0.5 0.5 0.5",
    );
    let message = loaded(dir.path(), DataSettings::default()).unwrap_err();
    assert!(
        message.contains("3.txt") && message.contains("class 2 at line 2"),
        "{message}"
    );
}

#[test]
fn classes_without_names_have_numbers() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..6 {
        write(dir.path(), &format!("train/images/{n}.png"), png());
        write(
            dir.path(),
            &format!("train/labels/{n}.txt"),
            format!("{} 0.5 0.5 0.5 0.5", n % 3),
        );
    }
    let data = loaded(dir.path(), DataSettings::default()).unwrap();
    assert_eq!(data.classes, ["0", "1", "2"]);
    write(dir.path(), "classes.txt", "a\nb\nc\n");
    let data = loaded(dir.path(), DataSettings::default()).unwrap();
    assert_eq!(data.classes, ["a", "b", "c"]);
}

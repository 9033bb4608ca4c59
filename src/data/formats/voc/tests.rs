use crate::data::DataSettings;
use crate::data::formats::boxes::tests::{boxes, loaded, png, write};
use std::path::Path;

fn object(class: &str, corners: [i32; 4]) -> String {
    let [x0, y0, x1, y1] = corners;
    format!(
        "<object><name>{class}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
    )
}

fn annotate(dir: &Path, file: &str, objects: &[String]) {
    let name = Path::new(file).file_stem().unwrap().display().to_string();
    let all = objects.concat();
    let xml = format!("<annotation><filename>{name}.png</filename>{all}</annotation>");
    write(dir, file, xml);
}

#[test]
fn lists_name_the_parts_and_broken_boxes_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    for n in 1..=4 {
        write(dir.path(), &format!("JPEGImages/{n}.png"), png());
        let right = if n == 3 { 2 } else { 10 };
        let objects = [object("dog", [2, 1, right, 5]), object("cat", [0, 0, 4, 4])];
        annotate(dir.path(), &format!("Annotations/{n}.xml"), &objects);
    }
    write(dir.path(), "ImageSets/Main/train.txt", "1\n3\n");
    write(dir.path(), "ImageSets/Main/test.txt", "2 1\n\n4 -1\n");
    let data = loaded(dir.path(), DataSettings::default()).unwrap();
    assert_eq!(data.classes, ["cat", "dog"]);
    assert_eq!((data.train.len(), data.test.len()), (2, 2));
    assert_eq!(
        boxes(&data.train, 0),
        [
            [2.0, 1.0, 10.0, 5.0, 1.0, 0.0],
            [0.0, 0.0, 4.0, 4.0, 0.0, 0.0]
        ]
    );
    assert_eq!(boxes(&data.train, 1).len(), 1);
    let notes = data.notes.join("\n");
    assert!(
        notes.contains("1 box is left out, as it has no area"),
        "{notes}"
    );
    assert!(notes.contains("3.xml, object 1"), "{notes}");
}

#[test]
fn folders_are_parts_and_what_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["train/1", "train/2", "valid/3"] {
        write(dir.path(), &format!("{file}.png"), png());
        annotate(
            dir.path(),
            &format!("{file}.xml"),
            &[object("a", [0, 0, 4, 4])],
        );
    }
    let data = loaded(dir.path(), DataSettings::default()).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (2, 1));
    annotate(dir.path(), "train/9.xml", &[]);
    let message = loaded(dir.path(), DataSettings::default()).unwrap_err();
    assert!(
        message.contains("9.xml") && message.contains("is of the image 9.png, which is not there"),
        "{message}"
    );
    write(
        dir.path(),
        "train/9.xml",
        "<annotation><filename>9.png</filename><object>",
    );
    let message = loaded(dir.path(), DataSettings::default()).unwrap_err();
    assert!(
        message.contains("9.xml") && message.contains("truncated"),
        "{message}"
    );
}

use crate::data::DataSettings;
use crate::data::formats::boxes::tests::{boxes, loaded, png, write};
use serde_json::{Value, json};
use std::path::Path;

fn images(dir: &Path, folder: &str, names: &[&str]) {
    for name in names {
        write(dir, &format!("{folder}/{name}"), png());
    }
}

fn file(images: &[(u32, &str)], annotations: Value) -> String {
    let images: Vec<Value> = images
        .iter()
        .map(|(id, name)| json!({"id": id, "file_name": name, "width": 16, "height": 8}))
        .collect();
    let categories = json!([{"id": 7, "name": "dog"}, {"id": 9, "name": "cat"}]);
    json!({"images": images, "annotations": annotations, "categories": categories}).to_string()
}

fn annotation(id: u32, image: u32, category: u32, crowd: u32) -> Value {
    json!({"id": id, "image_id": image, "category_id": category, "bbox": [1, 2, 4, 5], "iscrowd": crowd})
}

#[test]
fn files_of_annotations_are_parts() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), "train2017", &["1.png", "2.png"]);
    images(dir.path(), "val2017", &["1.png"]);
    let both = json!([annotation(1, 10, 9, 0), annotation(2, 10, 7, 1)]);
    let train = file(&[(10, "1.png"), (11, "2.png")], both);
    write(dir.path(), "annotations/instances_train2017.json", train);
    let val = file(&[(20, "1.png")], json!([annotation(3, 20, 7, 0)]));
    write(dir.path(), "annotations/instances_val2017.json", val);
    write(
        dir.path(),
        "annotations/captions_val2017.json",
        file(&[(20, "1.png")], json!([])),
    );
    let data = loaded(dir.path(), DataSettings::default()).unwrap();
    assert_eq!(data.classes, ["dog", "cat"]);
    assert_eq!((data.train.len(), data.test.len()), (2, 1));
    assert_eq!(
        boxes(&data.train, 0),
        [
            [1.0, 2.0, 5.0, 7.0, 1.0, 0.0],
            [1.0, 2.0, 5.0, 7.0, 0.0, 1.0]
        ]
    );
    assert!(
        data.test.name(0).to_string().contains("val2017"),
        "{}",
        data.test.name(0)
    );
}

#[test]
fn ids_that_refer_to_nothing_are_named() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), "images", &["1.png"]);
    let message = |text: String| {
        write(dir.path(), "instances.json", text);
        loaded(dir.path(), DataSettings::default()).unwrap_err()
    };
    let own = [(1, "1.png")];
    let found = message(file(&own, json!([annotation(5, 8, 7, 0)])));
    assert!(
        found.contains("annotation 5 of the image 8, which is not among its images"),
        "{found}"
    );
    let found = message(file(&own, json!([annotation(5, 1, 8, 0)])));
    assert!(
        found.contains("annotation 5 of the category 8, which is not"),
        "{found}"
    );
    let found = message(file(&[(1, "9.png")], json!([])));
    assert!(
        found.contains("names the image 9.png (id 1), which is not there"),
        "{found}"
    );
}

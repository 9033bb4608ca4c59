use crate::data::DataSettings;
use crate::data::formats::boxes::tests::{boxes, loaded, png, write};

#[test]
fn corners_or_sizes_with_a_column_of_parts() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        write(dir.path(), &format!("img/{name}.png"), png());
    }
    let rows = "image,x,y,w,h,label,split\na.png,1,2,4,5,cat,train\na.png,0,0,16,8,dog,train\nb.png,,,,,,train\nc.png,1,1,2,2,cat,test\n";
    write(dir.path(), "boxes.csv", rows);
    let data = loaded(dir.path(), DataSettings::default()).unwrap();
    assert_eq!(data.classes, ["cat", "dog"]);
    assert_eq!((data.train.len(), data.test.len()), (2, 1));
    assert_eq!(
        boxes(&data.train, 0),
        [
            [1.0, 2.0, 5.0, 7.0, 0.0, 0.0],
            [0.0, 0.0, 16.0, 8.0, 1.0, 0.0]
        ]
    );
    assert!(boxes(&data.train, 1).is_empty());
}

#[test]
fn cells_that_are_no_numbers_are_named_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..4 {
        write(dir.path(), &format!("{n}.png"), png());
    }
    let header =
        "filename,xmin,ymin,xmax,ymax,class\n0.png,0,0,4,4,a\n1.png,0,0,4,4,a\n2.png,0,0,4,4,a\n";
    let message = |row: &str| {
        write(dir.path(), "boxes.csv", format!("{header}{row}\n"));
        loaded(dir.path(), DataSettings::default()).unwrap_err()
    };
    let found = message("3.png,0,x,4,4,a");
    assert!(
        found.contains("has \"x\" in column ymin, which is no number, at line 5"),
        "{found}"
    );
    let found = message("3.png,0,0,4,4,");
    assert!(found.contains("names no class at line 5"), "{found}");
    let found = message("9.png,0,0,4,4,a");
    assert!(found.contains("9.png"), "{found}");
}

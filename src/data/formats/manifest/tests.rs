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

/// The labels of every sample, by the first pixel of its image.
fn labels(set: &Samples) -> Vec<(u8, Vec<f32>)> {
    let pictures = set.pictures().unwrap();
    let of = |index| set.numbers(field::LABELS, index).unwrap().0.to_vec();
    let pairs = (0..set.len()).map(|index| (pictures.picture(index)[0], of(index)));
    let mut pairs: Vec<(u8, Vec<f32>)> = pairs.collect();
    pairs.sort_by_key(|(pixel, _)| *pixel);
    pairs
}

const FIVE: [&str; 5] = ["1.png", "2.png", "3.png", "4.png", "5.png"];

#[test]
fn columns_of_ones_and_zeros_are_labels() {
    let rows =
        "1.png,1,0,train\n2.png,0,1.0,train\n3.png,true,,train\n4.png,0,0,test\n5.png,1,1,test\n";
    let table = format!("image,sick,tired,split\n{rows}");
    let (dir, settings) = folder(&table, &FIVE);
    let settings = DataSettings {
        targets: vec!["tired".to_string(), "sick".to_string()],
        ..settings
    };
    let mut fitted = Fitted::default();
    let set = load(&settings, &mut fitted, 1).unwrap();
    assert_eq!(set.classes, ["tired", "sick"]);
    assert_eq!(
        labels(&set.train),
        [
            (1, vec![0.0, 1.0]),
            (2, vec![1.0, 0.0]),
            (3, vec![field::NOT_KNOWN, 1.0])
        ]
    );
    assert_eq!(
        labels(&set.test),
        [(4, vec![0.0, 0.0]), (5, vec![1.0, 1.0])]
    );
    assert_eq!(set.train.field(field::LABELS).unwrap().shape(), [2]);
    assert_eq!(set.train.class_counts(3), Some(vec![1, 2, 0]));
    assert!(set.train.field(field::ROW).is_none() && fitted.columns.is_empty());
    assert!(
        set.found
            .contains(&"to predict: 2 labels: tired, sick".to_string())
    );
    // The same again, with what was fitted.
    let mut again: Fitted = toml::from_str(&toml::to_string(&fitted).unwrap()).unwrap();
    assert_eq!(
        labels(&load(&settings, &mut again, 1).unwrap().test),
        labels(&set.test)
    );
    // Images alone are inputs, too.
    let cx = InputContext {
        settings: &settings,
        fitted: &fitted,
        model: "m",
        image: Some([2, 2, 1]),
        invert: false,
    };
    let read = |file: &str| Manifest.read_inputs(&[PredictInput::Path(dir.path().join(file))], &cx);
    assert_eq!(read("4.png").unwrap().set.len(), 1);
    let table = read("labels.csv").unwrap().set;
    assert_eq!(
        (table.len(), table.field(field::LABELS).unwrap().shape()),
        (5, vec![2])
    );
}

#[test]
fn a_column_lists_the_labels_of_a_row() {
    for (rows, predict, separator) in [
        (
            "1.png,b|c d\n2.png,a\n3.png,\n4.png,a|b\n5.png,c d\n",
            None,
            '|',
        ),
        (
            "1.png,b; c d\n2.png,a\n3.png,NA\n4.png,a;b\n5.png,c d\n",
            Some(super::super::TargetKind::Labels),
            ';',
        ),
    ] {
        let (_dir, settings) = folder(&format!("image,findings\n{rows}"), &FIVE);
        let settings = DataSettings {
            predict,
            target: Some("findings".to_string()),
            ..settings
        };
        let mut fitted = Fitted::default();
        let set = load(&settings, &mut fitted, 1).unwrap();
        assert_eq!(set.classes, ["a", "b", "c d"]);
        assert_eq!(fitted.separator, Some(separator));
        let mut all = [labels(&set.train), labels(&set.test)].concat();
        all.sort_by_key(|(pixel, _)| *pixel);
        let wanted = [[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 0, 1]];
        for ((_, found), wanted) in all.iter().zip(wanted) {
            assert_eq!(*found, wanted.map(|x: u8| f32::from(x)));
        }
        std::fs::write(
            Path::new(&settings.source).join("labels.csv"),
            "image,findings\n1.png,a\n2.png,e\n",
        )
        .unwrap();
        let message = load(
            &DataSettings {
                unsplit: true,
                ..settings
            },
            &mut fitted,
            1,
        )
        .unwrap_err()
        .to_string();
        assert!(
            message.contains("has the label e at line 3 in column findings, which did not occur"),
            "{message}"
        );
    }
}

#[test]
fn several_numbers_are_scaled_by_the_training_part() {
    let rows =
        "1.png,1,10,train\n2.png,3,30,train\n3.png,,20,train\n4.png,5,20,test\n5.png,2.5,0,test\n";
    let (_dir, settings) = folder(&format!("image,x,y,split\n{rows}"), &FIVE);
    let settings = DataSettings {
        targets: vec!["x".to_string(), "y".to_string()],
        ..settings
    };
    let mut fitted = Fitted::default();
    let set = load(&settings, &mut fitted, 1).unwrap();
    assert_eq!(
        fitted
            .numbers()
            .iter()
            .map(|(name, scale)| (*name, scale.mean, scale.std))
            .collect::<Vec<_>>(),
        [("x", 2.0, 1.0), ("y", 20.0, 10.0)]
    );
    let numbers = |set: &Samples, index| set.numbers(field::VALUE, index).unwrap().0.to_vec();
    assert_eq!((set.train.len(), set.test.len()), (2, 2));
    let mut test = [numbers(&set.test, 0), numbers(&set.test, 1)];
    test.sort_by(|a, b| b[0].total_cmp(&a[0]));
    assert_eq!(test, [vec![3.0, 0.0], vec![0.5, -2.0]]);
    let left_out = "labels.csv: 1 of 3 rows have no value in column x, one of the targets, first at line 4: they are left out";
    assert!(
        set.found.iter().any(|line| line == left_out),
        "{:?}",
        set.found
    );
    assert!(set.classes.is_empty());
}

#[test]
fn targets_that_are_not_there_or_no_labels_are_named() {
    let (_dir, settings) = folder(
        "image,x,y\n1.png,1,2\n2.png,0,1\n3.png,1,a\n4.png,1,0\n",
        &FIVE,
    );
    let message = |targets: &[&str], change: fn(&mut DataSettings)| {
        let mut settings = settings.clone();
        settings.targets = targets.iter().map(|name| name.to_string()).collect();
        change(&mut settings);
        load(&settings, &mut Fitted::default(), 1)
            .unwrap_err()
            .to_string()
    };
    let found = message(&["x", "z"], |_| {});
    assert!(found.contains("has no target column z: it has"), "{found}");
    let found = message(&["x", "x"], |_| {});
    assert!(found.contains("has the column x twice"), "{found}");
    let found = message(&["x", "y"], |_| {});
    assert!(
        found.contains("has \"a\" at line 4 in column y, but the target is a number"),
        "{found}"
    );
    let found = message(&["x", "y"], |s| {
        s.predict = Some(super::super::TargetKind::Labels)
    });
    assert!(
        found.contains("has \"2\" at line 2 in column y, where a label is 1 or 0"),
        "{found}"
    );
    let found = message(&["x", "y"], |s| {
        s.predict = Some(super::super::TargetKind::Class)
    });
    assert!(
        found.contains("set data.predict to \"labels\" or \"number\""),
        "{found}"
    );
    let found = message(&["x", "y"], |s| s.target = Some("x".to_string()));
    assert!(found.contains("leave out one of the two"), "{found}");
}

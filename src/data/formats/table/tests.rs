use super::*;
use crate::data::field;
use std::fs;
use tempfile::TempDir;

const TRAIN: &str = "age,city,label\n10,Rome,no\n20,Oslo,yes\n30,?,no\n,Rome,yes\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn loaded(files: &[(&str, &str)], settings: &DataSettings) -> Result<Dataset<Samples>, String> {
    fitted(files, settings, &mut Fitted::default())
}

fn fitted(
    files: &[(&str, &str)],
    settings: &DataSettings,
    fitted: &mut Fitted,
) -> Result<Dataset<Samples>, String> {
    let dir = folder(files);
    let source = Source::look(&dir.path().display().to_string()).unwrap();
    load(&source, settings, fitted, 1).map_err(|e| e.to_string())
}

fn rows(samples: &Samples) -> (Vec<f32>, Vec<u32>) {
    let WindowRows::Floats { values, .. } = samples.rows_of(field::ROW) else {
        panic!("a table gives numbers");
    };
    (
        values.clone(),
        samples.labels().unwrap_or_default().to_vec(),
    )
}

#[test]
fn numbers_are_scaled_and_categories_become_one_number_each() {
    let settings = DataSettings::default();
    let test = "city,label,age\nRome,yes,20\nParis,no,40\n";
    let set = loaded(&[("train.csv", TRAIN), ("test.csv", test)], &settings).unwrap();
    assert_eq!(set.classes, ["no", "yes"]);
    assert_eq!(set.train.shape(), [5]);
    let deviation = (200.0_f64 / 3.0).sqrt();
    let far = (10.0 / deviation) as f32;
    // The columns are: age, whether age is missing, and for city missing, Oslo and Rome.
    let want = [
        [-far, 0.0, 0.0, 0.0, 1.0],
        [0.0, 0.0, 0.0, 1.0, 0.0],
        [far, 0.0, 1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 1.0],
    ];
    assert_eq!(rows(&set.train), (want.concat(), vec![0, 1, 0, 1]));
    // Columns are found by name, and Paris is not among the cities of the training part.
    let want = [[0.0, 0.0, 0.0, 0.0, 1.0], [2.0 * far, 0.0, 0.0, 0.0, 0.0]].concat();
    assert_eq!(rows(&set.test), (want, vec![1, 0]));
    assert!(
        set.notes[0].contains("1 cells of column city") && set.notes[0].contains("Paris"),
        "{:?}",
        set.notes
    );
}

#[test]
fn what_was_learned_is_kept_for_other_tables() {
    let (settings, mut learned) = (DataSettings::default(), Fitted::default());
    let files = [("train.csv", TRAIN), ("test.csv", TRAIN)];
    let set = fitted(&files, &settings, &mut learned).unwrap();
    // This is what a new run does.
    learned.take(&settings, &set).unwrap();
    let text = toml::to_string(&learned).unwrap();
    let mut again: Fitted = toml::from_str(&text).unwrap();
    assert_eq!(again, learned);
    let other = "age,city,label\n20,Oslo,yes\n20,Oslo,yes\n";
    let files = [("train.csv", other), ("test.csv", other)];
    let set = fitted(&files, &settings, &mut again).unwrap();
    assert_eq!(rows(&set.test).0[..5], [0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(rows(&set.test).1, [1, 1]);
    assert_eq!(again, learned);
    // Without the target, for predictions.
    let dir = folder(&[("new.csv", "city,age\nOslo,20\n")]);
    let (set, notes) = read_rows(&dir.path().join("new.csv"), &settings, &learned).unwrap();
    assert_eq!(
        (rows(&set.into()).0, notes.len()),
        (vec![0.0, 0.0, 0.0, 1.0, 0.0], 0)
    );
}

#[test]
fn a_number_is_predicted_in_units_of_its_deviation() {
    let settings = DataSettings {
        target: Some("price".to_string()),
        ..DataSettings::default()
    };
    let table = "price;rooms\n1.5;1\n2.5;2\n";
    let mut learned = Fitted::default();
    let files = [("train.tsv", table), ("test.tsv", table)];
    let set = fitted(&files, &settings, &mut learned).unwrap();
    assert_eq!(
        learned.scale,
        Some(Scale {
            mean: 2.0,
            std: 0.5
        })
    );
    assert_eq!(set.classes.len(), 0);
    let WindowRows::Floats { values, columns: 1 } = set.train.rows_of(field::VALUE) else {
        panic!("one number is predicted");
    };
    assert_eq!(values[..], [-1.0, 1.0]);
}

#[test]
fn a_header_is_found_or_missed() {
    let names = |text: &str, header| {
        let dir = folder(&[("a.csv", text)]);
        let settings = DataSettings {
            header,
            ..DataSettings::default()
        };
        CsvTable::read(&dir.path().join("a.csv"), &settings, &[])
            .unwrap()
            .names
    };
    assert_eq!(names("a,b\n1,2\n", None), ["a", "b"]);
    assert_eq!(names("a,2\n1,2\n", None), ["a", "2"]);
    assert_eq!(
        names(",a,a\n0,1,2\n1,3,4\n", None),
        ["Unnamed: 0", "a", "a.1"]
    );
    // A delimiter at the end of the header or of rows, and a header without the name of the first column.
    assert_eq!(names("a,b,\n1,2\n", None), ["a", "b"]);
    assert_eq!(names("a,b\n1,2,\n3,4\n", None), ["a", "b"]);
    assert_eq!(names("a,b,\n1,2,\n3,4,\n", None), ["a", "b"]);
    assert_eq!(
        names("a b\nr1 1 2\nr2 3 4\n", None),
        ["Unnamed: 0", "a", "b"]
    );
    // As NumPy writes it, and between comments.
    assert_eq!(names("# a b\n1.5 2\n3.5 4\n", None), ["a", "b"]);
    assert_eq!(names("# x, y\na,b\n1,2\n#\n3,4\n", None), ["a", "b"]);
    assert_eq!(names("a, \"b, c\"\n1, 2\n", None), ["a", "b, c"]);
    assert_eq!(names("a,a\nb,c\n", None), ["column_1", "column_2"]);
    assert_eq!(names("1,2\n3,4\n", Some(true)), ["1", "2"]);
    assert_eq!(names("\u{feff}\"a\",b\r\n1,2", None), ["a", "b"]);
    // Quotes within a cell, doubled or in an unquoted cell, are part of the text.
    assert_eq!(
        names("\"a \"\"b\"\"\",5\"\nx,\"y\nz\"\n", None),
        ["a \"b\"", "5\""]
    );
}

#[test]
fn rows_without_a_target_are_left_out_and_counted() {
    let rows = |rows: &str| format!("a,label\n{rows}");
    let train = rows("1,yes\n2,\n3,no\n4,n/a\n5,yes\n");
    let files = [
        ("train.csv", &*train),
        ("test.csv", "a,label\n1,yes\n,no\n"),
    ];
    let set = loaded(&files, &DataSettings::default()).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (3, 2));
    assert_eq!(set.classes, ["no", "yes"]);
    let line = "train.csv: 2 of 5 rows have no value in column label, the target, first at line 3: they are left out";
    assert!(set.found.contains(&line.to_string()), "{:?}", set.found);
}

#[test]
fn rows_that_can_not_be_are_named_by_line() {
    for (text, complaints) in [
        (
            "a,label\n1,2\n1,2,3\n",
            vec!["train.csv has 3 cells in the row at line 3", "have 2"],
        ),
        (
            "a,label\n1,\n2,\n",
            vec!["no value in column label", "in any row"],
        ),
        (
            "a,label\r\n1,yes\r\n2,no\r\n3,no,4\r\n",
            vec!["3 cells in the row at line 4"],
        ),
        (
            "a,label\n1,yes\n\"2,no\n3,\"\"\n4,yes\n",
            vec!["a quote at line 3", "never closed"],
        ),
        ("a,label\n", vec!["no rows"]),
        ("", vec!["no rows"]),
    ] {
        let message = loaded(
            &[("train.csv", text), ("test.csv", "a,label\n1,yes\n")],
            &DataSettings::default(),
        );
        let message = message.unwrap_err();
        assert!(
            complaints.iter().all(|part| message.contains(part)),
            "{message}"
        );
    }
    for (test, complaint) in [
        (
            "a,label\nx,yes\n",
            "has \"x\" at line 2 in column a, which is numeric",
        ),
        ("a,label\n1,maybe\n", "the class maybe at line 2"),
        (
            "b,label\n1,yes\n",
            "test.csv has no column a: it has b, label",
        ),
    ] {
        let train = "a,label\n1,yes\n2,no\n";
        let message = loaded(
            &[("train.csv", train), ("test.csv", test)],
            &DataSettings::default(),
        );
        let message = message.unwrap_err();
        assert!(message.contains(complaint), "{message}");
    }
    let settings = DataSettings {
        target: Some("z".to_string()),
        ..DataSettings::default()
    };
    let message = loaded(&[("train.csv", TRAIN)], &settings).unwrap_err();
    assert!(
        message.contains("no target column z: it has age, city, label"),
        "{message}"
    );
}

#[test]
fn folds_hold_every_row_out_once() {
    let mut text = "x,label\n".to_string();
    (0..20).for_each(|i| text += &format!("{i},{}\n", if i % 4 == 0 { "rare" } else { "often" }));
    let mut total = 0;
    for fold in 1..=5 {
        let settings = DataSettings {
            folds: Some(5),
            fold,
            ..DataSettings::default()
        };
        let set = loaded(&[("all.csv", &text)], &settings).unwrap();
        let labels = set.test.labels().unwrap();
        assert_eq!(
            (labels.len(), labels.iter().filter(|&&l| l == 1).count()),
            (4, 1)
        );
        assert_eq!(set.train.len(), 16);
        total += labels.len();
    }
    assert_eq!(total, 20);
}

#[test]
fn the_real_adult_has_its_counts() {
    let Some(dir) = crate::data::real_set("adult") else {
        return;
    };
    let source = Source::look(&dir.display().to_string()).unwrap();
    let (settings, mut learned) = (DataSettings::default(), Fitted::default());
    let set = load(&source, &settings, &mut learned, 1).unwrap();
    let rich = |samples: &Samples| {
        samples
            .labels()
            .unwrap()
            .iter()
            .filter(|&&l| l == 1)
            .count()
    };
    assert_eq!((set.train.len(), rich(&set.train)), (32_561, 7_841));
    assert_eq!((set.test.len(), rich(&set.test)), (16_281, 3_846));
    assert_eq!(set.classes, ["<=50K", ">50K"]);
    assert_eq!(set.train.shape(), [108]);
}

#[test]
fn a_validation_part_is_drawn_and_nothing_is_learned_of_it() {
    // City n only occurs in row n, so the categories show which rows the encoding was fitted to.
    let row = |n: usize| format!("{},city{n},{}\n", n + 18, ["no", "yes"][n % 2]);
    let text = format!(
        "age,city,label\n{}",
        (0..40).map(row).collect::<Vec<_>>().concat()
    );
    let settings = DataSettings {
        validation_share: Some(0.25),
        // Not left out as names of the rows.
        categories: vec!["city".to_string()],
        ..DataSettings::default()
    };
    let files = [("train.csv", text.as_str()), ("test.csv", TRAIN)];
    let set = loaded(&files, &settings).unwrap();
    let validation = set.validation.unwrap();
    assert_eq!(
        [set.train.len(), validation.len(), set.test.len()],
        [30, 10, 4]
    );
    let count = |class| {
        validation
            .labels()
            .unwrap()
            .iter()
            .filter(|&&l| l == class)
            .count()
    };
    assert_eq!([count(0), count(1)], [5, 5]);
    // The features are age and 30 cities; a note reports the other cities.
    assert_eq!(validation.shape(), [31]);
    assert!(
        set.notes
            .iter()
            .any(|note| note.contains("cells of column city")),
        "{:?}",
        set.notes
    );
}

#[test]
fn a_stray_text_in_a_numeric_column_is_reported() {
    let row = |n: usize| format!("{n},{}\n", ["no", "yes"][n % 2]);
    let rows: String = (0..30).map(row).collect();
    let read = |text: &str, settings: &DataSettings| {
        let text = format!("age,label\n{}", rows.replace("\n7,", &format!("\n{text},")));
        loaded(&[("train.csv", &text), ("test.csv", &text)], settings).map(|set| set.notes)
    };
    let settings = DataSettings::default();
    for stray in ["oops", "inf", "1e400", "7.5x"] {
        let message = read(stray, &settings).unwrap_err();
        let wanted = format!("train.csv has \"{stray}\" at line 9 in column age");
        assert!(
            message.contains(&wanted) && message.contains("29 of 30"),
            "{message}"
        );
    }
    assert_eq!(read("7", &settings).unwrap().len(), 0);
    let categories = DataSettings {
        categories: vec!["age".to_string()],
        ..settings.clone()
    };
    assert!(read("oops", &categories).is_ok());
    // Few different numbers may be codes.
    let few = rows.lines().enumerate().map(|(i, line)| match i {
        7 => "M,yes\n".to_string(),
        _ => format!("{},{}\n", i % 3, line.split(',').next_back().unwrap()),
    });
    let few = format!("sex,label\n{}", few.collect::<String>());
    let files = [("train.csv", &*few), ("test.csv", &*few)];
    let notes = loaded(&files, &settings).unwrap().notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("\"M\" at line 9: of its 30 cells 29")),
        "{notes:?}"
    );
}

/// The numbers that a column named a gets of `cells`, and how it was read.
fn column(cells: &[&str]) -> (Vec<f32>, Vec<String>) {
    let rows = cells
        .iter()
        .map(|cell| format!("{cell};{}\n", ["x", "y"][cell.len() % 2]));
    let text = format!("a;label\n{}", rows.collect::<String>());
    let set = loaded(
        &[("train.csv", &text), ("test.csv", &text)],
        &DataSettings::default(),
    );
    let set = set.unwrap();
    (rows_of(&set.train), set.found)
}

fn rows_of(samples: &Samples) -> Vec<f32> {
    rows(samples).0
}

#[test]
fn numbers_are_numbers_however_they_are_written() {
    let plain = column(&["1234.5", "-7.25", "1000000"]).0;
    for cells in [
        ["1234,5", "-7,25", "1000000"],
        ["1.234,5", "-7,25", "1.000.000"],
        ["1,234.5", "-7.25", "1,000,000"],
        ["1 234.5", "-7.25", "1 000 000"],
        ["$1,234.5", "-$7.25", "$1,000,000"],
        ["1234.5 %", "-7.25%", "1000000 %"],
    ] {
        let (values, found) = column(&cells);
        assert_eq!(values, plain, "{cells:?}");
        assert!(
            found
                .iter()
                .any(|line| line.contains("column a is read with")),
            "{found:?}"
        );
    }
    let missing = column(&["1234.5", "n/a", "-7.25", "<NA>", "1000000"]);
    assert_eq!(missing.0[..4], [plain[0], 0.0, 0.0, 1.0]);
    let said = "column a: 2 of 5 cells are missing (\"<NA>\" 1, \"n/a\" 1)";
    assert!(
        missing.1.iter().any(|line| line.contains(said)),
        "{:?}",
        missing.1
    );
}

#[test]
fn another_file_may_write_numbers_and_classes_in_another_way() {
    let train = "a;label\n1,5;1\n2,5;0\n3,25;1\n";
    let test = "a,label\n2.5,1.0\n3.25,0\n";
    let set = loaded(
        &[("train.csv", train), ("test.csv", test)],
        &DataSettings::default(),
    )
    .unwrap();
    assert_eq!(set.classes, ["0", "1"]);
    assert_eq!(rows(&set.test).1, [1, 0]);
    assert_eq!(rows_of(&set.test), rows_of(&set.train)[1..]);
    let bad = "a,label\n2.5,1.0\n3 or 4,0\n";
    let message = loaded(
        &[("train.csv", train), ("test.csv", bad)],
        &DataSettings::default(),
    );
    assert!(
        message
            .unwrap_err()
            .contains("\"3 or 4\" at line 3 in column a")
    );
}

#[test]
fn a_number_to_predict_has_the_form_of_its_column() {
    let table = "x;price\n4;1.234,50 €\n5;1.235,50 €\n4;1.236,50 €\n";
    let mut learned = Fitted::default();
    let files = [
        ("train.csv", table),
        ("test.csv", "x;price\n4;1.235,50 €\n"),
    ];
    let set = fitted(&files, &DataSettings::default(), &mut learned).unwrap();
    let scale = learned.scale.unwrap();
    assert_eq!((scale.mean, scale.std), (1235.5, (2.0_f64 / 3.0).sqrt()));
    let WindowRows::Floats { values, .. } = set.test.rows_of(field::VALUE) else {
        panic!("one number is predicted");
    };
    assert_eq!(values[..], [0.0]);
    let text = toml::to_string(&learned).unwrap();
    assert_eq!(toml::from_str::<Fitted>(&text).unwrap(), learned);
}

#[test]
fn dates_become_year_month_day_of_the_week_and_hour() {
    let table = "when;label\n31.12.2020 06:00;no\n;yes\n31.12.2022 06:00;no\n";
    let files = [
        ("train.csv", table),
        ("test.csv", "when,label\n2022-12-31 06:00,no\n"),
    ];
    let mut learned = Fitted::default();
    let set = fitted(&files, &DataSettings::default(), &mut learned).unwrap();
    assert_eq!(set.train.shape(), [8]);
    let values = rows_of(&set.train);
    // Year, month, day of the week, hour, and whether the date is missing.
    assert_eq!((values[0], values[16]), (-1.0, 1.0));
    assert!(
        (values[5] - 1.0).abs() < 1e-6 && values[6].abs() < 1e-6,
        "{values:?}"
    );
    assert_eq!(values[8..16], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    // The test part writes dates in another way, which the notes say only if it is another order of day and month.
    assert_eq!(rows_of(&set.test), values[16..]);
    assert!(
        set.found
            .iter()
            .any(|line| line == "1 column of dates: when"),
        "{:?}",
        set.found
    );
    let text = toml::to_string(&learned).unwrap();
    assert_eq!(toml::from_str::<Fitted>(&text).unwrap(), learned);
    let stray = [
        ("train.csv", table),
        ("test.csv", "when,label\nlater,no\n2020-01-01,no\n"),
    ];
    let message = loaded(&stray, &DataSettings::default()).unwrap_err();
    assert!(
        message.contains("has \"later\" at line 2 in column when, which holds dates"),
        "{message}"
    );
}

#[test]
fn codes_and_names_that_are_taken_for_categories_are_noted() {
    let notes = |cell: &dyn Fn(usize) -> String| {
        let row = |i: usize| format!("{},{}\n", cell(i), ["no", "yes"][i % 2]);
        let text = format!("a,label\n{}", (0..60).map(row).collect::<String>());
        let files = [("train.csv", &*text), ("test.csv", &*text)];
        loaded(&files, &DataSettings::default()).unwrap().notes
    };
    assert_eq!(notes(&|i| format!("A{}", 10 + i % 4)).len(), 0);
    let codes = notes(&|i| format!("A{}", 10 + i % 25));
    assert!(
        codes[0].contains(
            "25 categories, because of \"A10\" at line 2: 60 of its 60 cells are mostly digits"
        ),
        "{codes:?}"
    );
    let names = notes(&|i| format!("Mr {}", char::from(b'A' + i as u8 % 26)).repeat(1 + i % 3));
    assert!(
        names[0].contains("in 60 cells: leave it out with drop = [\"a\"]"),
        "{names:?}"
    );
}

#[test]
fn names_of_the_rows_are_left_out_unless_there_is_nothing_else() {
    let row = |i: usize| format!("Mr {i},{},{}\n", i % 3, ["no", "yes"][i % 2]);
    let rows: String = (0..60).map(row).collect();
    let both = format!("name,a,label\n{rows}");
    let set = loaded(
        &[("train.csv", &*both), ("test.csv", &*both)],
        &DataSettings::default(),
    );
    let set = set.unwrap();
    assert_eq!(set.train.shape(), [1]);
    assert!(
        set.notes[0].contains("column name is left out"),
        "{:?}",
        set.notes
    );
    let drop = DataSettings {
        drop: vec!["a".to_string()],
        ..DataSettings::default()
    };
    let set = loaded(&[("train.csv", &*both), ("test.csv", &*both)], &drop).unwrap();
    assert_eq!(set.train.shape(), [60]);
    assert!(
        set.notes[0].contains("taken for 60 categories"),
        "{:?}",
        set.notes
    );
}

#[test]
fn blank_lines_and_a_declared_delimiter_are_no_rows() {
    let text = "sep=;\r\na;label\r\n1;yes\r\n   \r\n2;no\r\n;\r\n3;yes\r\n4;no\r\n";
    let files = [("train.csv", text), ("test.csv", "a,label\n1,yes\n")];
    let set = loaded(&files, &DataSettings::default()).unwrap();
    assert_eq!((set.train.len(), set.train.shape()), (4, vec![1]));
    let damaged = text.replace("3;yes", "3;yes;5");
    let files = [("train.csv", &*damaged), ("test.csv", "a,label\n1,yes\n")];
    let message = loaded(&files, &DataSettings::default()).unwrap_err();
    assert!(
        message.contains("3 cells in the row at line 7"),
        "{message}"
    );
}

#[test]
fn a_date_is_no_target_by_accident() {
    let rows: String = (1..=20)
        .map(|day| format!("{},2020-01-{day:02}\n", day % 3))
        .collect();
    let text = format!("a,sold\n{rows}");
    let message = loaded(&[("train.csv", &text)], &DataSettings::default()).unwrap_err();
    assert!(
        message.contains("holds dates in column sold") && message.contains("data.target"),
        "{message}"
    );
}

#[test]
fn an_index_of_the_rows_is_left_out_unless_it_is_kept() {
    let row = |n: usize| format!("{n},{},{}\n", n % 3, ["no", "yes"][n % 2]);
    let rows: String = (0..20).map(row).collect();
    for header in [",a,label", "id,a,label", "a,a,label"] {
        let text = format!("{header}\n{rows}");
        let set = loaded(&[("train.csv", &text)], &DataSettings::default()).unwrap();
        assert_eq!(set.train.shape(), [1], "{header}");
        let said = "is left out as an index of the rows: it counts the 20 rows from 0";
        assert!(
            set.found.iter().any(|line| line.contains(said)),
            "{:?}",
            set.found
        );
    }
    let settings = DataSettings {
        keep: vec!["id".to_string()],
        ..DataSettings::default()
    };
    let text = format!("id,a,label\n{rows}");
    let set = loaded(&[("train.csv", &text)], &settings).unwrap();
    assert_eq!(set.train.shape(), [2]);
}

#[test]
fn a_name_that_repeats_is_never_the_wrong_column() {
    let settings = |target: &str| DataSettings {
        target: Some(target.to_string()),
        ..DataSettings::default()
    };
    let text = "label,x,label\n1.5,1,no\n2.5,2,yes\n3.5,4,no\n";
    let files = [("train.csv", text), ("test.csv", text)];
    let message = loaded(&files, &DataSettings::default()).unwrap_err();
    assert!(
        message.contains("2 columns called label: set data.target to one of label, label.1"),
        "{message}"
    );
    assert_eq!(
        loaded(&files, &settings("label.1")).unwrap().classes,
        ["no", "yes"]
    );
    assert_eq!(loaded(&files, &settings("label")).unwrap().classes.len(), 0);
    let train = "x,label\n1,no\n2,yes\n";
    let test = "x,x,label\n1,2,no\n2,3,yes\n";
    let message = loaded(
        &[("train.csv", train), ("test.csv", test)],
        &DataSettings::default(),
    );
    let message = message.unwrap_err();
    assert!(
        message.contains("test.csv has 2 columns called x"),
        "{message}"
    );
}

#[test]
fn other_parts_have_a_header_where_the_training_part_has_one() {
    let train = "2019,2020,outcome\n1.5,2,10.5\n2.5,4,11.5\n";
    let files = [
        ("train.csv", train),
        ("test.csv", "2020,2019,outcome\n4,2.5,10.5\n"),
    ];
    let settings = DataSettings {
        header: Some(true),
        ..DataSettings::default()
    };
    let mut learned = Fitted::default();
    fitted(&files, &settings, &mut learned).unwrap();
    let dir = folder(&[("new.csv", "2020,2019\n4,2.5\n")]);
    let (set, _) = read_rows(
        &dir.path().join("new.csv"),
        &DataSettings::default(),
        &learned,
    )
    .unwrap();
    assert_eq!(rows_of(&set.into()), [1.0, 1.0]);
}

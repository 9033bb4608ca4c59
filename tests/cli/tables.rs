//! Tables on the command line: how they are read, trained on, measured and predicted.

use super::sandbox::Sandbox;

/// Eight people, of whom the older ones pay.
pub const PEOPLE: &str = "age,city,paid\n20,Rome,no\n21,Rome,no\n22,Oslo,no\n?,Oslo,no\n60,Rome,yes\n61,Oslo,yes\n62,Rome,yes\n63,Oslo,yes\n";

/// A run with one dense layer of UNITS units.
pub const DENSE: &str = "epochs = 30\nbatch = 4\noptimizer = { name = \"adam\", lr = 0.05 }\n[model]\nname = \"dense\"\ninput = \"auto\"\n[[model.layer]]\ntype = \"dense\"\nunits = UNITS\n";

#[test]
fn a_table_is_trained_measured_and_predicted_with_the_columns_that_were_learned() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("people")).unwrap();
    sandbox.write("people/train.csv", PEOPLE);
    // A row without a target is left out.
    sandbox.write(
        "people/test.csv",
        PEOPLE.replace("paid\n", "paid\n19,Rome,\n"),
    );
    sandbox.write("dense.toml", DENSE.replace("UNITS", "2"));
    let message = sandbox.wgrad("data show people --json").succeeds();
    assert_eq!(message.json()[0]["target"], "paid");
    assert_eq!(
        message.json()[0]["columns"][1]["values"],
        serde_json::json!(["Oslo", "Rome"])
    );
    let train = "train dense.toml --data people --device cpu --out run --json";
    let message = sandbox.wgrad(train).succeeds();
    assert_eq!(message.json().last().unwrap()["test_accuracy"], 1.0);
    // The table has an additional column, another order, a city that did not occur in training, and no target column.
    sandbox.write("new.csv", "city,shoe,age\nParis,44,64\nRome,39,19\n");
    let message = sandbox.wgrad("predict run new.csv --json").succeeds();
    let classes: Vec<_> = message
        .json()
        .iter()
        .map(|line| line["top"][0]["class"].clone())
        .collect();
    assert_eq!(classes, ["yes", "no"]);
    assert!(
        message.err.contains("note: 1 cells of column city") && message.err.contains("Paris"),
        "{}",
        message.err
    );
    // A part of the run's own data is predicted with the numbers of the rows in their file and the targets.
    let message = sandbox
        .wgrad("predict run --part test --csv test.csv --top 1")
        .succeeds();
    assert!(message.out.starts_with("row 2: no "), "{}", message.out);
    assert!(
        message.out.contains("%; label no\nrow 3: "),
        "{}",
        message.out
    );
    let table = std::fs::read_to_string(sandbox.path("test.csv")).unwrap();
    let (head, rows) = table.split_once('\n').unwrap();
    assert_eq!(head, "row,label,prediction,probability_no,probability_yes");
    assert!(
        rows.starts_with("2,no,no,") && rows.contains("\n9,yes,yes,"),
        "{table}"
    );
    // A table without parts is evaluated as a whole.
    let message = sandbox
        .wgrad("eval run --data people/test.csv --json")
        .succeeds();
    assert_eq!(message.json()[0]["count"], 8);
    sandbox.write("ragged.csv", "age,city,paid\n1,Rome\n");
    sandbox
        .wgrad("eval run --data ragged.csv")
        .fails(1, &["ragged.csv has 2 cells", "line 2", "have 3"]);
}

#[test]
fn classes_are_weighted_or_distinguished_by_one_logit() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("people")).unwrap();
    // Only two of the four samples of the class `yes` are left for training.
    let rare = PEOPLE.replace("61,Oslo,yes\n62,Rome,yes\n", "");
    sandbox.write("people/train.csv", rare);
    sandbox.write("people/test.csv", PEOPLE);
    let weighted = "loss = { name = \"cross_entropy\", class_weights = \"balanced\" }\n";
    let message = [
        ("weighted", weighted, "2"),
        ("one", "loss = \"bce\"\n", "1"),
    ]
    .map(|(run, loss, units)| {
        sandbox.write(
            "dense.toml",
            loss.to_string() + &DENSE.replace("UNITS", units),
        );
        let train = format!("train dense.toml --data people --device cpu --out {run} --json");
        sandbox.wgrad(&train).succeeds();
        let message = sandbox.wgrad(&format!("eval {run} --json")).succeeds();
        let line = message.json().pop().unwrap();
        assert_eq!(line["test_accuracy"], 1.0, "{line}");
        assert_eq!(line["auc"], 1.0, "{line}");
        assert_eq!(line["confusion"], serde_json::json!([[4, 0], [0, 4]]));
        sandbox.write("new.csv", "age,city\n64,Rome\n19,Rome\n");
        let predicted = sandbox
            .wgrad(&format!("predict {run} new.csv --json"))
            .succeeds();
        predicted
            .json()
            .iter()
            .map(|line| line["top"][0]["class"].clone())
            .collect::<Vec<_>>()
    });
    assert_eq!(message, [["yes", "no"], ["yes", "no"]]);
    let settings = std::fs::read_to_string(sandbox.path("weighted/run.toml")).unwrap();
    assert!(
        settings.contains("class_weights = [0.75, 1.5]"),
        "{settings}"
    );
    sandbox
        .wgrad("train dense.toml --data people --model mlp --out no")
        .fails(2, &["takes"]);
}

#[test]
fn a_number_is_predicted_by_any_of_its_losses() {
    let sandbox = Sandbox::new();
    let row = |i: usize| format!("{i},{}\n", 3 * i + 1);
    sandbox.write(
        "line.csv",
        format!("a,b\n{}", (0..60).map(row).collect::<String>()),
    );
    for loss in ["\"mse\"", "\"l1\"", "{ name = \"huber\", delta = 0.5 }"] {
        let dense = DENSE.replace("UNITS", "1");
        sandbox.write("dense.toml", format!("loss = {loss}\n{dense}"));
        let run = format!("run{}", loss.len());
        let train = format!("train dense.toml --data line.csv --device cpu --out {run}");
        sandbox.wgrad(&train).succeeds();
        let message = sandbox.wgrad(&format!("eval {run} --json")).succeeds();
        let line = message.json().pop().unwrap();
        let number = |key: &str| line[key].as_f64().unwrap();
        assert!(number("mse") < 0.01 && number("test_mae") < 0.1, "{line}");
        let of = match loss {
            "\"mse\"" => number("mse"),
            "\"l1\"" => number("test_mae"),
            // All errors are below delta.
            _ => number("mse") / 2.0,
        };
        assert!((number("test_loss") - of).abs() < 1e-6, "{line}");
    }
}

#[test]
fn folds_are_trained_one_by_one_and_summed_up() {
    let sandbox = Sandbox::new();
    sandbox.write("people.csv", PEOPLE);
    sandbox.write("dense.toml", DENSE.replace("UNITS", "2"));
    let message = sandbox
        .wgrad(
            "train dense.toml --data people.csv --device cpu --out runs --folds 4 --batch 2 --json",
        )
        .succeeds();
    let last = message.json().pop().unwrap();
    assert_eq!(
        (&last["event"], &last["folds"]),
        (&"folds".into(), &4.into())
    );
    assert!(last["mean_test_accuracy"].as_f64().unwrap() > 0.5);
    let held_out = std::fs::read_to_string(sandbox.path("runs/fold-4/run.toml")).unwrap();
    assert!(held_out.contains("folds = 4\nfold = 4\n"), "{held_out}");
    let message = sandbox.wgrad("train --folds 1");
    assert!(
        message.code == Some(2) && message.err.contains("--folds"),
        "{}",
        message.err
    );
}

#[test]
fn a_number_is_predicted_in_its_own_units() {
    let sandbox = Sandbox::new();
    let rows = (0..40).map(|i| format!("{i},{}\n", 100.0 + 2.5 * f64::from(i)));
    sandbox.write("line.csv", format!("x,y\n{}", rows.collect::<String>()));
    sandbox.write("dense.toml", DENSE.replace("UNITS", "1"));
    let message = sandbox
        .wgrad("train dense.toml --data line.csv --device cpu --out run --json --epochs 40")
        .succeeds();
    assert!(message.json().last().unwrap()["test_mae"].as_f64().unwrap() < 0.05);
    sandbox.write("new.csv", "x\n20\n");
    let message = sandbox.wgrad("predict run new.csv --json").succeeds();
    assert!(
        (message.json()[0]["value"].as_f64().unwrap() - 150.0).abs() < 3.0,
        "{}",
        message.out
    );
    let lines = sandbox
        .wgrad("predict run --part test --json")
        .succeeds()
        .json();
    assert!(!lines.is_empty());
    for line in lines {
        let known = 100.0 + 2.5 * (line["row"].as_f64().unwrap() - 1.0);
        let near = |key: &str, by: f64| (line[key].as_f64().unwrap() - known).abs() < by;
        assert!(near("target", 1e-3) && near("value", 3.0), "{line}");
    }
    sandbox.write("two.toml", DENSE.replace("UNITS", "2"));
    sandbox
        .wgrad("train two.toml --data line.csv --device cpu --out other")
        .fails(2, &["target values per sample is 1", "set units = 1"]);
}

#[test]
fn a_table_as_others_write_it_is_read_and_what_was_found_is_printed() {
    let sandbox = Sandbox::new();
    let row = |i: usize| {
        let paid = if i < 20 { "no" } else { "yes" };
        format!(
            "{i};{},5 €;n/a;2020-01-{:02};{paid};\n",
            1000 + i,
            i % 28 + 1
        )
    };
    let rows: String = (0..40).map(row).collect();
    sandbox.write("people.csv", format!(";income;shoe;since;paid;\n{rows}"));
    let message = sandbox.wgrad("data show people.csv").succeeds();
    for line in [
        "people.csv: 40 rows of 5 columns between semicolons, and a header, because \"income\" stands above numbers",
        "people.csv: 40 rows end in a delimiter, which is left out",
        "column Unnamed: 0 is left out as an index of the rows: it counts the 40 rows from 0 (data.keep keeps it)",
        "column income is read with a decimal comma and the sign €",
        "column shoe is left out: all of its 32 cells are missing",
        "1 column of dates: since",
        "to predict: paid, 2 classes: no, yes",
    ] {
        assert!(message.out.contains(line), "{line}: {}", message.out);
    }
    sandbox.write("dense.toml", DENSE.replace("UNITS", "2"));
    let message = sandbox
        .wgrad("train dense.toml --data people.csv --device cpu --out run")
        .succeeds();
    assert!(
        message.out.starts_with("people.csv: 40 rows of 5 columns"),
        "{}",
        message.out
    );
    // Another program writes the same columns in another way.
    sandbox.write(
        "new.csv",
        "since,income\n01/15/2020,1000.5\n01/16/2020,1039.5\n",
    );
    let message = sandbox.wgrad("predict run new.csv --json").succeeds();
    let of = |line: usize| message.json()[line]["top"][0]["class"].clone();
    assert_eq!((of(0), of(1)), ("no".into(), "yes".into()));
    assert!(
        message
            .err
            .contains("column income is written in another way than in training"),
        "{}",
        message.err
    );
}

#[test]
fn a_cell_that_is_no_number_does_not_turn_a_regression_into_classes() {
    let sandbox = Sandbox::new();
    let write = |cell: &str| {
        let row = |i: usize| match i {
            7 => format!("{},{cell}\n", i % 5),
            _ => format!("{},{}\n", i % 5, i as f64 * 0.5 + 0.25),
        };
        let rows: String = (0..60).map(row).collect();
        sandbox.write("t.csv", format!("a,y\n{rows}"));
    };
    for cell in ["inf", "1e400", "\"1,5\"", "unknown"] {
        write(cell);
        sandbox
            .wgrad("data show t.csv")
            .fails(1, &["t.csv has", "line 9 in column y"]);
    }
    write("n.a.");
    let shown = sandbox.wgrad("data show t.csv").succeeds();
    for part in ["1 of 60 rows have no value in column y", "y, a number"] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
}

#[test]
fn numbers_that_may_be_classes_are_answered_with_the_setting_that_makes_them_classes() {
    let sandbox = Sandbox::new();
    let row = |i: usize| format!("{},{},{}\n", i % 7, i % 5, i % 26);
    sandbox.write(
        "letters.csv",
        format!("a,b,letter\n{}", (0..260).map(row).collect::<String>()),
    );
    sandbox.write(
        "dense.toml",
        DENSE
            .replace("UNITS", "26")
            .replace("epochs = 30", "epochs = 1"),
    );
    sandbox
        .wgrad("train dense.toml --data letters.csv --device cpu --out run")
        .fails(2, &["data.predict = \"class\""]);
    sandbox
        .wgrad(
            "train dense.toml --data letters.csv --device cpu --out run --set data.predict=class",
        )
        .succeeds();
}

#[test]
fn classes_that_are_numbers_keep_the_names_of_their_file() {
    let sandbox = Sandbox::new();
    sandbox.write("dense.toml", DENSE.replace("UNITS", "2"));
    let numbered = PEOPLE.replace(",no", ",1").replace(",yes", ",2");
    std::fs::create_dir(sandbox.path("people")).unwrap();
    sandbox.write("people/train.csv", &numbered);
    sandbox.write("people/test.csv", &numbered);
    sandbox.write("people/classes.txt", "poor\nrich\n");
    sandbox
        .wgrad("train dense.toml --data people --target paid --device cpu --out run")
        .succeeds();
    std::fs::remove_file(sandbox.path("people/classes.txt")).unwrap();
    sandbox.write("new.csv", "age,city\n20,Rome\n63,Oslo\n");
    let message = sandbox
        .wgrad("predict run new.csv --device cpu --json")
        .succeeds();
    let of = |line: usize| message.json()[line]["top"][0]["class"].clone();
    assert_eq!((of(0), of(1)), ("poor".into(), "rich".into()));
    sandbox.write("other.csv", &numbered);
    let message = sandbox
        .wgrad("eval run --data other.csv --device cpu --json")
        .succeeds();
    assert_eq!(message.json()[0]["test_accuracy"], 1.0);
    sandbox
        .wgrad("train --resume run --epochs 31 --device cpu")
        .succeeds();
}

#[test]
fn a_workbook_is_read_by_the_sheet_that_is_named() {
    let sandbox = Sandbox::new();
    let book = include_bytes!("../fixtures/workbooks/people.xls");
    std::fs::write(sandbox.path("people.xls"), book).unwrap();
    let show = "data show people.xls --target age";
    let shown = sandbox
        .wgrad(&format!("{show} --set data.sheet=People"))
        .succeeds();
    let line = "people.xls: sheet People is read, because data.sheet says so";
    assert!(shown.out.contains(line), "{}", shown.out);
    assert!(!shown.err.contains("sheet"), "{}", shown.err);
    // An error about the columns says which sheet they are of.
    sandbox.wgrad(show).fails(
        1,
        &[
            "no target column age",
            "and not People: data.sheet names another",
        ],
    );
    sandbox
        .wgrad(&format!("{show} --set data.sheet=Places"))
        .fails(
            1,
            &["people.xls has no sheet Places", "it has About, People"],
        );
    sandbox
        .wgrad(&format!("{show} --set data.sheet=0"))
        .fails(2, &["data.sheet counts the sheets from 1"]);
}

#[test]
fn parquet_is_read_by_a_build_for_it_and_others_say_so() {
    let sandbox = Sandbox::new();
    let file = include_bytes!("../fixtures/columnar/people.parquet");
    std::fs::create_dir(sandbox.path("people")).unwrap();
    for part in ["train", "test"] {
        std::fs::write(sandbox.path(&format!("people/{part}.parquet")), file).unwrap();
    }
    let shown = sandbox.wgrad("data show people --target whole");
    if !cfg!(feature = "parquet") {
        shown.fails(1, &["train.parquet is a Parquet", "--features parquet"]);
        return;
    }
    let shown = shown.succeeds();
    for line in [
        "train: 3 rows of 27 numbers",
        "train.parquet: 1 of 4 rows have no value in column whole",
        "2 columns of dates: day, when",
    ] {
        assert!(shown.out.contains(line), "{line}: {}", shown.out);
    }
}

#[test]
fn data_show_profiles_a_table_and_reads_it_by_any_settings_file() {
    let sandbox = Sandbox::new();
    let row = |i: usize| {
        let age = if i.is_multiple_of(10) {
            String::new()
        } else {
            (20 + i % 13).to_string()
        };
        let (city, paid) = (["<Oslo>", "Rome"][i % 2], ["no", "yes"][i % 3 / 2]);
        format!("{},{age},{city},{paid}\n", 1000 + i * 7 % 40)
    };
    let rows: String = (0..40).map(row).collect();
    sandbox.write("people.csv", "key,age,city,paid\n".to_string() + &rows);
    let message = sandbox
        .wgrad("data show people.csv --html people.html")
        .succeeds();
    for line in [
        "profile of the 40 rows of people.csv, with the target paid",
        "column age: numbers, 13 distinct, some missing (4, 10.0%), correlation ratio ",
        "column city: categories, 2 distinct, none missing, Cramér's V ",
        "  <Oslo> 50.0%, Rome 50.0%",
        "column paid: the target, categories, 2 distinct, none missing",
        "suspect: column key has another integer in nearly every row (40 distinct in 40): leave it out with drop = [\"key\"]",
    ] {
        assert!(
            message.out.contains(line),
            "{line} is not in\n{}",
            message.out
        );
    }
    let page = std::fs::read_to_string(sandbox.path("people.html")).unwrap();
    assert!(page.contains("&lt;Oslo&gt;") && !page.contains("<Oslo>"));
    assert_eq!(page.matches("<svg").count(), 4);
    sandbox
        .wgrad("data show people.csv --html people.html")
        .fails(2, &["people.html already exists", "--overwrite"]);
    let settings =
        DENSE.replace("UNITS", "2") + "[data]\nsource = \"nowhere.csv\"\ndrop = [\"key\"]\n";
    sandbox.write("run.toml", settings);
    let message = sandbox
        .wgrad("data show run.toml --data people.csv --json")
        .succeeds();
    let profile = &message.json()[0]["profile"];
    assert_eq!(profile["columns"][0]["role"], "left_out");
    assert_eq!(profile["suspects"], serde_json::json!([]));
    sandbox
        .wgrad("data show good --html good.html")
        .fails(2, &["--html writes the profile of a table, and good is"]);
}

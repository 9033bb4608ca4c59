//! Membership inference: what runs reveal about the samples that they were trained on.

use super::sandbox::Sandbox;
use serde_json::Value;
use std::fs;

/// A table whose classes are drawn by lot, so that they can only be learned by heart.
fn lots(sandbox: &Sandbox, file: &str, rows: u32, seed: u32) {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let mut text = "a,b,c,d,class\n".to_string();
    for _ in 0..rows {
        let cells = [(); 4].map(|()| format!("{:.3}", f64::from(next() % 2001) / 1000.0 - 1.0));
        text += &format!(
            "{},{}\n",
            cells.join(","),
            ["no", "yes"][next() as usize % 2]
        );
    }
    sandbox.write(file, text);
}

/// The data, and a network that can learn them by heart.
fn prepared() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("lots")).unwrap();
    lots(&sandbox, "lots/train.csv", 60, 1);
    lots(&sandbox, "lots/test.csv", 60, 2);
    sandbox.write(
        "lots.toml",
        r#"
batch = 20
epochs = 1
device = "cpu"
optimizer = { name = "adam", lr = 0.02 }
data = { source = "lots", target = "class" }
[model]
name = "wide"
input = "auto"
layer = [{ type = "dense", units = 64, activation = "relu" }, { type = "dense", units = 2 }]
"#,
    );
    sandbox
}

fn number(line: &Value, key: &str) -> f64 {
    line[key]
        .as_f64()
        .unwrap_or_else(|| panic!("no {key} in {line}"))
}

#[test]
fn a_run_that_learned_by_heart_reveals_more_than_one_of_an_epoch() {
    let sandbox = prepared();
    sandbox.wgrad("train lots.toml --out short").succeeds();
    sandbox
        .wgrad("train lots.toml --epochs 150 --out long")
        .succeeds();
    let command = "membership long --with short --last --shadows 4 --html page.html --json";
    let lines = sandbox.wgrad(command).succeeds().json();
    assert_eq!(lines.len(), 4);
    let wanted = [
        ("loss", "long", 0),
        ("lira", "long", 4),
        ("loss", "short", 0),
        ("lira", "short", 4),
    ];
    for (line, (attack, run, shadows)) in lines.iter().zip(wanted) {
        assert_eq!(line["event"], "membership");
        assert_eq!(
            (&line["attack"], &line["run"]),
            (&attack.into(), &run.into())
        );
        assert_eq!(line["shadows"], shadows);
        assert_eq!(
            (&line["members"], &line["others"]),
            (&60.into(), &60.into())
        );
        assert!(number(line, "auc_low") <= number(line, "auc"));
        assert!(number(line, "auc") <= number(line, "auc_high"));
        assert!(number(line, "tpr_at_0_1_percent") <= number(line, "tpr_at_1_percent"));
    }
    for (long, short) in [(&lines[0], &lines[2]), (&lines[1], &lines[3])] {
        assert!(number(long, "auc") > 0.75, "{long}");
        assert!(number(short, "auc") < 0.7, "{short}");
        assert!(number(long, "accuracy") > number(short, "accuracy"));
    }
    assert!(number(&lines[0], "loss_members") < number(&lines[0], "loss_others"));
    let page = fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.contains("ROC curves") && page.contains("LiRA of long"));
    // The same numbers every time, whatever is beside them, and nothing is left behind.
    let again = sandbox.wgrad("membership long --last --shadows 4 --json");
    assert_eq!(again.succeeds().json(), lines[..2]);
    assert!(!sandbox.path("runs").exists());
    let said = sandbox.wgrad("membership long --samples 30").succeeds();
    assert!(
        said.out.contains("long: 30 rows of its training part")
            && said.out.contains("loss threshold"),
        "{}",
        said.out
    );
}

#[test]
fn texts_and_images_can_be_judged() {
    let sandbox = Sandbox::new();
    let rows = |of: &str| {
        let row = |n: u32| format!("good,\"a fine {of} {n}\"\nbad,\"a dull {of} {n}\"\n");
        format!("label,text\n{}", (0..10).map(row).collect::<String>())
    };
    fs::create_dir(sandbox.path("films")).unwrap();
    sandbox.write("films/train.csv", rows("film"));
    sandbox.write("films/test.csv", rows("book"));
    sandbox
        .wgrad("train films --epochs 1 --batch 8 --out texts --device cpu")
        .succeeds();
    let lines = sandbox
        .wgrad("membership texts --shadows 4 --json --device cpu")
        .succeeds()
        .json();
    assert_eq!((lines.len(), &lines[1]["members"]), (2, &20.into()));
    // The sandbox has 9 test images.
    sandbox
        .trained()
        .wgrad("membership run")
        .fails(1, &["24 training and 9 test images"]);
}

#[test]
fn what_can_not_be_judged_is_refused() {
    let sandbox = prepared();
    sandbox.wgrad("train lots.toml --out run").succeeds();
    for (options, why) in [
        ("--shadows 0", "an even number of at least 4"),
        ("--shadows 5", "an even number of at least 4"),
        ("--samples 9", "--samples must be at least 10"),
        ("--samples 12 --shadows 4", "fewer than its batch of 20"),
        ("--html run/run.toml", "already exists"),
        ("--with nothing", "nothing"),
    ] {
        sandbox
            .wgrad(&format!("membership run {options}"))
            .fails(2, &[why]);
    }
    let other = "train lots.toml --set task=regression --set data.target=a --set model.layer[2].units=1 --out numbers";
    sandbox.wgrad(other).succeeds();
    sandbox
        .wgrad("membership numbers")
        .fails(2, &["is a run of the task regression"]);
    lots(&sandbox, "lots/train.csv", 60, 3);
    sandbox.wgrad("membership run").fails(
        1,
        &["the train part", "is not the one with which the run began"],
    );
    fs::remove_dir_all(sandbox.path("lots")).unwrap();
    sandbox.wgrad("membership run").fails(
        1,
        &["among which its members are looked for, can't be read"],
    );
}

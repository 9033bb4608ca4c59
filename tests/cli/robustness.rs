//! Attacks on classifiers, training against them, and corruptions.

use super::sandbox::Sandbox;

/// A network of the 8 x 8 images of the sandbox with a convolution.
const MODEL: &str = r#"
batch = 6
device = "cpu"
epochs = 3

[optimizer]
name = "adam"
lr = 0.01

[model]
name = "small"
input = [8, 8, 1]
layer = [
    { type = "conv2d", name = "seen", filters = 4, kernel = 3, activation = "relu" },
    { type = "flatten" },
    { type = "dense", name = "head", units = "classes" },
]
"#;

pub fn trained(task: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("run.toml", format!("{task}\n{MODEL}"));
    sandbox
        .wgrad("train run.toml --data good --out run")
        .succeeds();
    sandbox
}

#[test]
fn a_classifier_is_attacked_and_its_images_corrupted() {
    let sandbox = trained("task = \"classification\"");
    let attack = "attack run --epsilon 0.001,4/255,0.5 --steps 5 --html attack.html --json";
    let lines = sandbox.wgrad(attack).succeeds().json();
    assert_eq!(lines.len(), 3);
    let number = |at: usize, key: &str| lines[at][key].as_f64().unwrap();
    assert!(lines.iter().all(|line| line["event"] == "attack"
        && line["attack"] == "pgd"
        && line["norm"] == "linf"
        && line["samples"] == 9));
    assert_eq!(number(1, "epsilon"), 4.0 / 255.0);
    assert!(number(2, "robust_accuracy") <= number(0, "robust_accuracy"));
    assert!(number(0, "robust_accuracy") <= number(0, "clean_accuracy"));
    let page = std::fs::read_to_string(sandbox.path("attack.html")).unwrap();
    assert!(page.contains("accuracy under attack"));
    // The same numbers every time.
    let again = sandbox
        .wgrad(&format!("{attack} --overwrite"))
        .succeeds()
        .json();
    assert_eq!(lines, again);
    for attack in [
        "--attack fgsm",
        "--attack fgsm --norm l2 --target 1",
        "--attack deepfool --norm l2 --epsilon 2",
        "--attack square --steps 20",
    ] {
        let said = sandbox.wgrad(&format!("attack run {attack}")).succeeds();
        assert!(
            said.out.contains("of 9 images without an attack"),
            "{}",
            said.out
        );
    }
    let lines = sandbox
        .wgrad("eval run --corrupt=noise,blur --json")
        .succeeds()
        .json();
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| line["corruption"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["noise", "blur"]);
    assert_eq!(lines[0]["accuracy"].as_array().unwrap().len(), 5);
    let said = sandbox.wgrad("eval run --corrupt").succeeds();
    assert!(
        said.out.contains("rotation") && said.out.contains("mean accuracy"),
        "{}",
        said.out
    );

    let refused = [
        ("attack run --epsilon 0", "above 0"),
        ("attack run --epsilon inf", "above 0 and finite"),
        ("attack run --epsilon 8", "whole range of a pixel"),
        ("attack run --attack deepfool", "add --norm l2"),
        (
            "attack run --attack square --norm l2",
            "square is for --norm linf",
        ),
        ("attack run --target zebra", "no class of the run"),
    ];
    for (command, why) in refused {
        sandbox.wgrad(command).fails(2, &[why]);
    }
}

#[test]
fn a_run_of_text_can_not_be_attacked() {
    let sandbox = Sandbox::new();
    let rows = "good,\"what a fine film\"\nbad,\"so dull and so long\"\n".repeat(10);
    sandbox.write("films.csv", format!("label,text\n{rows}"));
    sandbox
        .wgrad("train films.csv --epochs 1 --out run --device cpu")
        .succeeds();
    sandbox
        .wgrad("attack run --device cpu")
        .fails(2, &["this is for classifiers of images"]);
}

#[test]
fn training_against_attacks_reports_the_accuracy_under_them() {
    let task = "task = { name = \"adversarial\", method = \"trades\", epsilon = 0.05, steps = 2 }";
    let sandbox = trained(task);
    let line = sandbox.wgrad("eval run --json").succeeds().json();
    assert!((0.0..=1.0).contains(&line[0]["test_robust_accuracy"].as_f64().unwrap()));
    sandbox
        .wgrad("attack run --epsilon 0.05 --steps 3")
        .succeeds();
    sandbox.write(
        "bad.toml",
        format!("task = {{ name = \"adversarial\", epsilon = 0.0 }}\n{MODEL}"),
    );
    sandbox
        .wgrad("train bad.toml --data good")
        .fails(2, &["task.epsilon must be above 0"]);
}

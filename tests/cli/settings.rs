//! Settings files and options.

use super::sandbox::{Sandbox, TINY, names};

const MODEL: &str = r#"
[model]
name = "m"
input = [8, 8, 1]
[[model.layer]]
type = "flatten"
[[model.layer]]
type = "dense"
units = 3
"#;

/// Settings of a valid run, with the model in its own table.
fn settings(head: &str) -> String {
    format!("batch = 8\nepochs = 1\n{head}\n{MODEL}")
}

#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", text);
    sandbox
        .wgrad("train s.toml --device cpu --out run")
        .fails(2, parts);
    sandbox.holds_no_run();
}

#[test]
fn an_unknown_key_is_answered_with_its_line_and_the_nearest_key_at_every_level() {
    let cases = [
        ("epoch = 3", "line 3", "did you mean `epochs`?"),
        (
            "[data]\nsorce = \"good\"",
            "line 4",
            "did you mean `source`?",
        ),
        (
            "[optimizer]\nname = \"adam\"\n\nbeta_1 = 0.9",
            "line 6",
            "did you mean `beta1`?",
        ),
        (
            "[schedule]\nname = \"cosine\"\nwarmup = 3",
            "line 5",
            "did you mean `warmup_steps`?",
        ),
    ];
    for (head, line, nearest) in cases {
        refused(&settings(head), &["s.toml", line, nearest]);
    }
    let head = settings("");
    refused(
        &head.replace("input =", "inptu ="),
        &["line 7", "did you mean `input`?"],
    );
    refused(
        &head.replace("input =", "inputs ="),
        &["line 7", "expected a table"],
    );
    refused(
        &head.replace("units", "unit"),
        &["line 12", "did you mean `units`?"],
    );
}

#[test]
fn values_of_a_wrong_type_are_reported_with_their_line() {
    for (head, parts) in [
        ("seed = \"x\"", ["line 3", "a whole number"]),
        ("steps = 1.5", ["line 3", "a whole number"]),
        ("steps = -1", ["line 3", "a whole number"]),
        ("shuffle = \"yes\"", ["line 3", "a boolean"]),
        ("data = 3", ["line 3", "a table or a name"]),
        ("device = \"tpu\"", ["line 3", "did you mean `cpu`?"]),
        ("label_smoothing = \"a\"", ["line 3", "a number"]),
        ("[data]\nmean = 0.5", ["line 4", "a list"]),
        (
            "optimizer = \"adagrab\"",
            ["line 3", "there are sgd, adam, adamw"],
        ),
        (
            "schedule = \"cosin\"",
            ["line 3", "there are constant, cosine"],
        ),
    ] {
        refused(&settings(head), &parts);
    }
}

#[test]
fn invalid_toml_is_reported_with_file_and_line() {
    refused("seed = 1\nbatch = = 3\n", &["s.toml, line 2"]);
    refused("seed = 1\nseed = 2\n", &["s.toml, line 2", "duplicate"]);
    refused("seed = 1\n[data\n", &["s.toml, line 2"]);
}

#[test]
fn settings_out_of_range_are_named() {
    for (head, name) in [
        ("clip_norm = -1", "clip_norm"),
        ("label_smoothing = 1.0", "label_smoothing"),
        ("steps = 0", "steps"),
        (
            "loss = { name = \"cross_entropy\", class_weights = [1.0, -1.0, 1.0] }",
            "class_weights",
        ),
        (
            "loss = { name = \"cross_entropy\", class_weights = [1.0, nan, 1.0] }",
            "class_weights",
        ),
        (
            "loss = { name = \"cross_entropy\", class_weights = [0, 0, 0] }",
            "class_weights",
        ),
        (
            "loss = { name = \"cross_entropy\", class_weights = \"even\" }",
            "\"balanced\"",
        ),
        ("loss = { name = \"huber\", delta = -1 }", "loss.delta"),
        ("loss = { name = \"huber\", gamma = 1 }", "expected `delta`"),
        ("loss = \"hubber\"", "mse, l1 and huber"),
        ("[data]\ntrain = 1000000000000", "data.train"),
        ("[data]\nsource = \"good\"\nmean = [nan]", "data.mean"),
        ("[data]\nsource = \"good\"\nmean = [0.1, 0.2]", "data.mean"),
        ("[data]\nsource = \"good\"\nstd = [0.0]", "data.std"),
        (
            "[schedule]\nname = \"step\"\nevery_steps = 0",
            "every_steps",
        ),
    ] {
        refused(&settings(head), &[name]);
    }
}

#[test]
fn a_loss_that_does_not_fit_data_or_model_is_reported_with_one_that_does() {
    let sandbox = Sandbox::new();
    for (loss, parts) in [
        ("\"mse\"", ["for numbers", "cross_entropy"]),
        ("\"bce\"", ["3 classes", "for two"]),
        (
            "{ name = \"cross_entropy\", class_weights = [1, 2] }",
            ["2 numbers", "3 units"],
        ),
    ] {
        sandbox.write(
            "s.toml",
            settings(&format!("data = \"good\"\nloss = {loss}")),
        );
        sandbox
            .wgrad("train s.toml --device cpu --out run")
            .fails(2, &parts);
        sandbox.holds_no_run();
    }
}

#[test]
fn options_out_of_range_are_named() {
    let sandbox = Sandbox::new();
    for (option, name) in [
        ("--epochs 0", "epochs"),
        ("--steps 0", "steps"),
        ("--lr -1", "lr"),
        ("--lr nan", "lr"),
        ("--lr inf", "lr"),
        ("--seed 18446744073709551615", "seed"),
        ("--optimizer adagrab", "adagrab"),
    ] {
        sandbox.train(option).fails(2, &[name]);
    }
    let batch = |n: &str| sandbox.wgrad(&format!("train tiny.toml --device cpu --batch {n}"));
    batch("0").fails(2, &["batch must be at least 1"]);
    batch("4000000000").fails(2, &["batch must be at most"]);
    sandbox
        .wgrad("train nosuch --out run")
        .fails(2, &["no model \"nosuch\"", "mnist-cnn"]);
    sandbox
        .wgrad("train tiny.toml --model nosuch --out run")
        .fails(2, &["no model \"nosuch\"", "lenet5"]);
    sandbox
        .wgrad("train nosuch.toml --out run")
        .fails(2, &["nosuch.toml does not exist"]);
    sandbox.holds_no_run();
}

#[test]
fn options_that_do_not_exist_are_usage_errors() {
    let sandbox = Sandbox::new();
    for args in [
        "train --epoch 3",
        "foo",
        "predict run",
        "predict run a.csv --part test",
        "train --batch -3",
    ] {
        let message = sandbox.wgrad(args);
        assert_eq!(message.code, Some(2), "{args}");
        assert!(message.err.starts_with("error: "), "{}", message.err);
    }
}

#[test]
fn paths_in_a_settings_file_are_relative_to_it() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("set")).unwrap();
    std::fs::rename(sandbox.path("good"), sandbox.path("set/good")).unwrap();
    sandbox.write("set/tiny.toml", TINY);
    sandbox.write(
        "set/s.toml",
        "batch = 8\nepochs = 1\ndata = \"good\"\nmodel = \"tiny.toml\"\noptimizer = \"sgd\"\nschedule = \"cosine\"\nout = \"run\"\n",
    );
    sandbox.wgrad("train set/s.toml --device cpu").succeeds();
    assert!(sandbox.path("set/run/model.safetensors").is_file());
}

#[test]
fn a_model_can_be_a_table_or_a_file_or_a_name() {
    let sandbox = Sandbox::new();
    sandbox.write("table.toml", settings("data = \"good\"\nout = \"table\""));
    sandbox.wgrad("train table.toml --device cpu").succeeds();
    sandbox.write("lenet.toml", "model = \"lenet5\"\n");
    let message = sandbox.wgrad("plan lenet.toml --json").succeeds();
    assert_eq!(message.json()[0]["model"], "lenet5");
    let message = sandbox.wgrad("plan tiny.toml --json").succeeds();
    assert_eq!(message.json()[0]["model"], "tiny");
}

#[test]
fn the_settings_that_a_run_wrote_train_the_same_again_in_a_folder_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    sandbox.wgrad("train run/run.toml").succeeds();
    assert_eq!(names(&sandbox.path("runs")), ["tiny-good-1"]);
    let weights = |run: &str| std::fs::read(sandbox.path(run).join("model.safetensors")).unwrap();
    assert!(weights("run") == weights("runs/tiny-good-1"));
}

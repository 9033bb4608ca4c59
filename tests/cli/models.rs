//! Models whose layers do not fit.

use super::sandbox::Sandbox;

/// What `wgrad` says to a model of 8 x 8 images with these layers, one to a line of `layers`, attributes after semicolons.
#[track_caller]
fn refused(layers: &str, code: i32, parts: &[&str]) {
    let mut text = "name = \"m\"\ninput = [8, 8, 1]\n".to_string();
    for layer in layers.lines() {
        text.push_str("[[layer]]\n");
        for attribute in layer.split(';') {
            text.push_str(attribute.trim());
            text.push('\n');
        }
    }
    let sandbox = Sandbox::new();
    sandbox.write("tiny.toml", text);
    sandbox.train("").fails(code, parts);
    sandbox.holds_no_run();
}

const FLATTEN: &str = "type = \"flatten\"";
const DENSE: &str = "type = \"dense\"; units = 3";

#[test]
fn both_layers_and_shapes_are_named_where_two_do_not_fit() {
    let conv = "type = \"conv2d\"; filters = 4; kernel = 3";
    refused(
        &format!("{FLATTEN}\n{conv}"),
        2,
        &[
            "layer conv1",
            "layer flatten1",
            "[64]",
            "[height, width, channels]",
        ],
    );
    refused(
        &format!("{conv}\n{DENSE}"),
        2,
        &["layer dense1", "layer conv1", "[6,6,4]", "flatten"],
    );
    refused(
        &format!("{conv}\ntype = \"conv2d\"; filters = 6; kernel = 3; groups = 3"),
        2,
        &["layer conv2", "3 groups", "4 channels", "6 filters"],
    );
    refused(
        "type = \"conv2d\"; filters = 4; kernel = 11",
        2,
        &["layer conv1", "the input", "[8,8,1]", "11"],
    );
    refused(
        "type = \"max_pool2d\"; size = 9",
        2,
        &["layer pool1", "window of 9", "8"],
    );
    refused(conv, 2, &["last layer gives [6,6,4]", "dense layer"]);
}

#[test]
fn attributes_that_can_not_be_are_named() {
    for (layer, name) in [
        ("type = \"conv2d\"; filters = 0; kernel = 3", "filters"),
        (
            "type = \"conv2d\"; filters = 1; kernel = 0; padding = \"same\"",
            "kernel",
        ),
        (
            "type = \"conv2d\"; filters = 1; kernel = 3; stride = 0",
            "stride",
        ),
        (
            "type = \"conv2d\"; filters = 1; kernel = 3; groups = 0",
            "groups",
        ),
        (
            "type = \"max_pool2d\"; size = 0; padding = \"same\"",
            "size",
        ),
        (
            "type = \"max_pool2d\"; size = 2; padding = 9223372036854775807",
            "padding",
        ),
        (
            "type = \"conv2d\"; filters = 1; kernel = 4611686018427387904",
            "kernel",
        ),
        ("type = \"conv2d\"; filters = 1; kernel = \"3\"", "[y, x]"),
        ("type = \"dropout\"; rate = 1.0", "rate"),
        ("type = \"flat\"", "did you mean `flatten`?"),
        ("units = 3", "missing field `type`"),
    ] {
        refused(&format!("{layer}\n{FLATTEN}\n{DENSE}"), 2, &[name]);
    }
}

#[test]
fn two_layers_of_one_name_are_refused() {
    let named = |layer: &str| format!("name = \"a\"; {layer}");
    refused(
        &format!("{}\n{}", named(FLATTEN), named(DENSE)),
        2,
        &["two layers are called a"],
    );
}

#[test]
fn a_model_that_nothing_can_hold_is_refused_before_memory_is_asked_for() {
    for units in ["1000000000", "9223372036854775807"] {
        refused(
            &format!("{FLATTEN}\ntype = \"dense\"; units = {units}\n{DENSE}"),
            2,
            &["layer dense1", "units", units],
        );
    }
    let wide = "type = \"dense\"; units = 16000000";
    refused(
        &format!("{FLATTEN}\n{wide}\n{wide}\n{DENSE}"),
        2,
        &["dense2.weight", "2^31"],
    );
    let sandbox = Sandbox::new();
    sandbox.write(
        "tiny.toml",
        "name = \"m\"\ninput = [4294967296, 4294967296, 2]\n[[layer]]\ntype = \"flatten\"\n",
    );
    sandbox.train("").fails(2, &["input", "2^31"]);
}

#[test]
fn a_plan_of_a_batch_that_no_kernel_can_index_is_refused() {
    let sandbox = Sandbox::new();
    sandbox
        .wgrad("plan --batch 100000")
        .fails(1, &["2^31 elements", "smaller batch"]);
    let told = sandbox.wgrad("plan --batch 2000000000");
    assert!(
        told.err.starts_with("error: ") && !told.err.contains(".rs:"),
        "{}",
        told.err
    );
}

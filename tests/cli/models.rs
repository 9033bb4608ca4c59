//! Models whose layers do not fit.

use super::sandbox::Sandbox;

/// Checks that `wgrad` refuses a model of 8 x 8 images with these `layers`, one per line, with attributes separated by
/// semicolons.
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
fn every_graph_of_a_step_is_planned() {
    let steps = |arguments: &str| -> Vec<String> {
        let lines = Sandbox::new().wgrad(arguments).succeeds().json();
        let step = |line: &serde_json::Value| line["step"].as_str().unwrap().to_string();
        lines.iter().map(step).collect()
    };
    assert_eq!(steps("plan lenet5 --json"), ["gradients and update"]);
    assert_eq!(
        steps("plan lenet5 --set accumulate=2 --json"),
        ["gradients of a batch", "update"]
    );
    assert_eq!(steps("plan lenet5 --eval --json"), ["evaluation"]);
    assert_eq!(
        steps(
            "plan --data digits --set task=gan --set models.generator=dcgan-generator --set models.discriminator=dcgan-discriminator --json"
        ),
        [
            "discriminator: gradients and update",
            "generator: gradients and update"
        ]
    );
}

#[test]
fn a_plan_of_a_batch_that_no_kernel_can_index_is_refused() {
    let sandbox = Sandbox::new();
    sandbox
        .wgrad("plan --batch 100000")
        .fails(1, &["2^31 elements", "smaller batch"]);
    let message = sandbox.wgrad("plan --batch 2000000000");
    assert!(
        message.err.starts_with("error: ") && !message.err.contains(".rs:"),
        "{}",
        message.err
    );
}

#[test]
fn references_that_lead_nowhere_are_named() {
    let conv = "type = \"conv2d\"; filters = 4; kernel = 3; padding = 1";
    let named = |name: &str, layer: &str| format!("name = \"{name}\"; {layer}");
    let sum = |inputs: &str| format!("type = \"add\"; inputs = [{inputs}]\n{FLATTEN}\n{DENSE}");
    let stem = named("stem", conv);
    let unknown = format!("{stem}\n{}", sum("\"stem\", \"stam\""));
    refused(&unknown, 2, &["layer add1", "stam", "did you mean `stem`?"]);
    let later = format!(
        "{stem}\n{}\n{}",
        sum("\"stem\", \"late\""),
        named("late", conv)
    );
    refused(&later, 2, &["layer add1", "late", "comes later"]);
    let itself = format!(
        "{stem}\n{}",
        named("a", "type = \"flatten\"; input = \"a\"")
    );
    refused(&itself, 2, &["layer a", "is itself"]);
    let branch = format!(
        "{stem}\n{}\n{FLATTEN}\n{DENSE}",
        named("b", &format!("{conv}; input = \"input\""))
    );
    refused(&branch, 2, &["the output of layer stem is not used"]);
    refused(
        &format!("{stem}\n{}", sum("\"stem\"")),
        2,
        &["layer add1", "two or more inputs"],
    );
    let shapes = format!("{stem}\n{}", sum("\"stem\", \"input\""));
    refused(
        &shapes,
        2,
        &[
            "layer add1",
            "layer stem ([8,8,4])",
            "the input ([8,8,1])",
            "the same shape",
        ],
    );
    refused(
        &format!("{}\n{FLATTEN}\n{DENSE}", named("input", conv)),
        2,
        &["called \"input\""],
    );
}

/// Checks that `wgrad plan` refuses a model with this block `b` and these layers.
#[track_caller]
fn block_refused(block: &str, layers: &str, parts: &[&str]) {
    let sandbox = Sandbox::new();
    let text = format!(
        "name = \"m\"\ninput = [8, 8, 1]\n{block}\n{layers}\n[[layer]]\ntype = \"flatten\"\n[[layer]]\n{}",
        DENSE.replace("; ", "\n")
    );
    sandbox.write("m.toml", text);
    sandbox.wgrad("plan m.toml").fails(2, parts);
}

#[test]
fn invalid_blocks_are_refused_with_a_reason() {
    let block =
        "[[block.b.layer]]\ntype = \"conv2d\"\nfilters = \"$filters\"\nkernel = 3\npadding = 1";
    let used =
        |rest: &str| format!("[[layer]]\nname = \"x\"\ntype = \"block\"\nblock = \"b\"\n{rest}");
    block_refused(
        block,
        &used(""),
        &["layer x", "block b", "parameter filters"],
    );
    block_refused(
        block,
        &used("with = { filter = 3 }"),
        &["no parameter filter", "it has filters"],
    );
    block_refused(
        block,
        &used("with = { filters = \"many\" }"),
        &["layer number 1", "whole number"],
    );
    block_refused(
        block,
        &used("repeat = 0\nwith = { filters = 3 }"),
        &["repeat must be at least 1"],
    );
    let unknown = used("").replace("\"b\"", "\"bb\"");
    block_refused(block, &unknown, &["no block bb", "did you mean `b`?"]);
    let itself = "[[block.b.layer]]\ntype = \"block\"\nblock = \"b\"";
    block_refused(itself, &used(""), &["contains itself"]);
    let typo = block.replace("kernel", "kernle");
    block_refused(
        &typo,
        &used("with = { filters = 3 }"),
        &["did you mean `kernel`?"],
    );
}

#[test]
fn a_model_is_shown_and_its_weights_are_written() {
    let sandbox = Sandbox::new();
    let shown = sandbox.wgrad("models show resnet20").succeeds();
    sandbox.write("mine.toml", &shown.out);
    sandbox
        .wgrad("models init mine.toml --out w.safetensors --seed 3")
        .succeeds();
    let bytes = std::fs::read(sandbox.path("w.safetensors")).unwrap();
    let weights = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let names = weights.names();
    for name in [
        "layer1.0.conv1.weight",
        "layer3.2.bn2.running_var",
        "bn1.num_batches_tracked",
        "fc.bias",
    ] {
        assert!(names.contains(&name), "{name} is missing");
    }
    sandbox
        .wgrad("models init mine.toml --out w.safetensors")
        .fails(2, &["already exists"]);
    sandbox
        .wgrad("models show resnet19")
        .fails(2, &["resnet19", "resnet20"]);
}

/// Checks that `wgrad plan` refuses a model of sequences of 8 positions and 2 channels, with one layer and a flatten.
#[track_caller]
fn sequence_refused(layer: &str, parts: &[&str]) {
    let sandbox = Sandbox::new();
    let text = format!(
        "name = \"m\"\ninput = [8, 2]\nlayer = [{{ {layer} }}, {{ type = \"flatten\" }}]\n"
    );
    sandbox.write("s.toml", text);
    sandbox.wgrad("plan s.toml").fails(2, parts);
}

#[test]
fn layers_of_sequences_that_can_not_be_are_named() {
    for (layer, parts) in [
        (
            "type = \"conv1d\", filters = 4, kernel = 9",
            ["layer conv1", "[8,2]", "9"],
        ),
        (
            "type = \"conv1d\", filters = 4, kernel = 3, dilation = 4",
            ["layer conv1", "[8,2]", "9"],
        ),
        (
            "type = \"conv1d\", filters = 4, kernel = 0, padding = \"causal\"",
            ["layer conv1", "kernel", "0"],
        ),
        (
            "type = \"conv1d\", filters = 4, kernel = 3, stride = 0",
            ["layer conv1", "stride", "0"],
        ),
        (
            "type = \"conv1d\", filters = 3, kernel = 3, groups = 2",
            ["layer conv1", "2 groups", "3 filters"],
        ),
        (
            "type = \"conv1d\", filters = 4, kernel = 3, padding = 999999999",
            ["layer conv1", "padding", "999999999"],
        ),
        (
            "type = \"conv1d\", filters = 4, kernel = 3, padding = \"full\"",
            ["padding is", "\"causal\"", "[before, after]"],
        ),
        (
            "type = \"max_pool1d\", size = 9",
            ["layer pool1", "window of 9", "8"],
        ),
        (
            "type = \"max_pool1d\", size = 2, padding = 2",
            ["layer pool1", "wholly outside", "8"],
        ),
        (
            "type = \"avg_pool1d\", size = 0, padding = \"causal\"",
            ["layer pool1", "size", "0"],
        ),
        (
            "type = \"conv2d\", filters = 4, kernel = 3",
            ["layer conv1", "[8,2]", "[height, width, channels]"],
        ),
        (
            "type = \"adaptive_avg_pool2d\", size = 2",
            ["layer pool1", "[8,2]", "[height, width, channels]"],
        ),
    ] {
        sequence_refused(layer, &parts);
    }
    refused(
        "type = \"conv1d\"; filters = 4; kernel = 3",
        2,
        &["layer conv1", "[8,8,1]", "[time, features]"],
    );
    refused(
        "type = \"adaptive_avg_pool2d\"; size = 0",
        2,
        &["layer pool1", "size", "0"],
    );
    refused(
        "type = \"upsample\"; factor = 2; mode = \"cubic\"",
        2,
        &["bilinear", "cubic"],
    );
    refused(
        "type = \"upsample\"; factor = 16000000; mode = \"bilinear\"",
        2,
        &["layer upsample1", "can't bring 8 x 8"],
    );
}

//! Models of tokens: from a text to a run, and inputs and layers that do not fit.

use super::sandbox::{CommandOutput, Sandbox};

const INPUT: &str = "{ tokens = 6, vocabulary = 40, auto = true }";
const LAYERS: &str = "type = \"embedding\"; width = 8\ntype = \"gru\"; units = 5\ntype = \"dense\"; units = \"vocabulary\"";

/// A model of `input` with these layers, one per line, with attributes separated by semicolons.
fn model(input: &str, layers: &str) -> String {
    let mut text = format!("name = \"m\"\ninput = {input}\n");
    for layer in layers.lines() {
        text.push_str("[[layer]]\n");
        for attribute in layer.split(';') {
            text.push_str(attribute.trim());
            text.push('\n');
        }
    }
    text
}

/// A sandbox with a poem, a table of texts, and the model `m.toml`.
fn sandbox(input: &str, layers: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let poem = "so much depends upon a red wheel barrow. ";
    sandbox.write("poem.txt", poem.repeat(40));
    let rows = "1,glazed with rain\n0,beside the white\n1,chickens\n";
    sandbox.write("texts.csv", format!("label,text\n{}", rows.repeat(6)));
    sandbox.write("m.toml", model(input, layers));
    sandbox
}

fn train(sandbox: &Sandbox, data: &str) -> CommandOutput {
    sandbox.wgrad(&format!(
        "train m.toml --data {data} --device cpu --batch 4 --epochs 1 --out run"
    ))
}

#[track_caller]
fn refused(input: &str, layers: &str, data: &str, parts: &[&str]) {
    let sandbox = sandbox(input, layers);
    train(&sandbox, data).fails(2, parts);
    sandbox.holds_no_run();
}

#[test]
fn a_language_model_takes_vocabulary_and_context_from_its_text_and_the_run_keeps_them() {
    let sandbox = sandbox(INPUT, LAYERS);
    train(&sandbox, "poem.txt").succeeds();
    let settings = std::fs::read_to_string(sandbox.path("run/run.toml")).unwrap();
    // There are 17 characters, padding and the unknown token.
    for line in ["tokens = 6", "vocabulary = 19", "context = 6"] {
        assert!(settings.lines().any(|l| l == line), "{line} in\n{settings}");
    }
    sandbox.wgrad("eval run --device cpu").succeeds();
    let run = "source = \"poem.txt\"\ncontext = 9";
    let own = model(INPUT, LAYERS).replace("[[layer]]", "[[model.layer]]");
    sandbox.write(
        "longer.toml",
        format!("batch = 4\nepochs = 1\n[data]\n{run}\n[model]\n{own}"),
    );
    sandbox
        .wgrad("train longer.toml --device cpu --out longer")
        .succeeds();
    let settings = std::fs::read_to_string(sandbox.path("longer/run.toml")).unwrap();
    assert!(settings.contains("\ntokens = 9\n"), "{settings}");
    sandbox.write(
        "fixed.toml",
        format!("batch = 4\n[data]\n{run}\n[model]\n{own}").replace(", auto = true", ""),
    );
    sandbox
        .wgrad("train fixed.toml --device cpu --out fixed")
        .fails(2, &["model m takes 6 tokens", "data.context is 9"]);
}

#[test]
fn files_hold_tied_weights_under_both_names_and_no_tables_of_positions() {
    let sandbox = sandbox(INPUT, LAYERS);
    for model in ["gpt-nano", "text-encoder"] {
        let init = format!("models init {model} --out {model}.safetensors");
        sandbox.wgrad(&init).succeeds();
    }
    let bytes = ["gpt-nano", "text-encoder"]
        .map(|model| std::fs::read(sandbox.path(&format!("{model}.safetensors"))).unwrap());
    let [gpt, encoder] = bytes
        .each_ref()
        .map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
    let embedding = gpt.tensor("transformer.wte.weight").unwrap();
    let output = gpt.tensor("lm_head.weight").unwrap();
    assert_eq!(output.shape(), [65, 128]);
    assert!(embedding.data() == output.data());
    let name = "encoder.layers.0.self_attn.in_proj_weight";
    assert_eq!(encoder.tensor(name).unwrap().shape(), [384, 128]);
    assert!(
        !encoder
            .names()
            .iter()
            .any(|name| name.contains("positions"))
    );
}

#[test]
fn texts_by_class_are_learned_with_padding_left_out() {
    let layers = "type = \"embedding\"; width = 8\ntype = \"self_attention\"; heads = 2\ntype = \"time_pool\"; by = \"mean\"\n\
                  type = \"dense\"; units = 2";
    let sandbox = sandbox("\"auto\"", layers);
    train(&sandbox, "texts.csv").succeeds();
    let settings = std::fs::read_to_string(sandbox.path("run/run.toml")).unwrap();
    assert!(settings.contains("\npadded = true\n"), "{settings}");
}

#[test]
fn data_that_a_model_of_tokens_can_not_take_are_refused() {
    refused(
        INPUT,
        LAYERS,
        "good",
        &["model m takes tokens", "images", "[8, 8, 1]"],
    );
    let few = "{ tokens = 6, vocabulary = 18 }";
    refused(
        few,
        LAYERS,
        "poem.txt",
        &["a vocabulary of 19 tokens", "one of 18", "vocabulary = 19"],
    );
    let long = "{ tokens = 2000, vocabulary = 40, auto = true }";
    let sandbox = sandbox(long, LAYERS);
    train(&sandbox, "poem.txt").fails(1, &["poem.txt gives", "a window takes 2000"]);
    let pooled = LAYERS.replace(
        "type = \"dense\"",
        "type = \"time_pool\"; by = \"last\"\ntype = \"dense\"",
    );
    refused(
        INPUT,
        &pooled,
        "poem.txt",
        &["one prediction per token", "units = \"vocabulary\""],
    );
    refused(
        INPUT,
        LAYERS,
        "texts.csv",
        &["one prediction per sample", "pool over time"],
    );
    let images = "type = \"flatten\"\ntype = \"dense\"; units = 3";
    refused(
        "[8, 8, 1]",
        images,
        "poem.txt",
        &["model m takes [8, 8, 1]", "texts", "embedding"],
    );
}

#[test]
fn invalid_layers_of_sequences_are_refused_with_a_reason() {
    let embedding = "type = \"embedding\"; width = 6";
    let dense = "type = \"dense\"; units = \"vocabulary\"";
    let after = |layer: &str| format!("{embedding}\n{layer}\n{dense}");
    for (layers, parts) in [
        (
            dense.to_string(),
            ["layer dense1", "put an embedding layer before it"],
        ),
        (
            format!("type = \"embedding\"; width = 0\n{dense}"),
            ["layer embedding1", "width"],
        ),
        (
            after("type = \"embedding\"; width = 3"),
            ["layer embedding2", "it takes tokens"],
        ),
        (
            after("type = \"self_attention\"; heads = 4"),
            ["layer attention1", "4 heads must divide the width, 6"],
        ),
        (
            after("type = \"self_attention\"; heads = 0"),
            ["layer attention1", "heads"],
        ),
        (
            after("type = \"self_attention\"; heads = 2; rotary = 10000"),
            ["layer attention1", "each of its 2 heads has 3"],
        ),
        (
            after("type = \"self_attention\"; heads = 1; rotary = 0"),
            ["layer attention1", "rotary must be above 1"],
        ),
        (
            after("type = \"attention\"; heads = 4"),
            ["layer attention1", "4 heads must divide the width, 2"],
        ),
        (
            after("type = \"dense\"; units = 7\ntype = \"attention\"; heads = 1"),
            ["layer attention1", "not a multiple of 3"],
        ),
        (
            after("type = \"dense\"; units = 600\ntype = \"attention\"; heads = 1"),
            ["layer attention1", "use more heads"],
        ),
        (
            after("type = \"lstm\"; units = 0"),
            ["layer lstm1", "units"],
        ),
        (
            after("type = \"gru\"; units = 1; layers = 0"),
            ["layer gru1", "layers"],
        ),
        (
            after("type = \"gru\"; units = 1; layers = 100000"),
            ["layer gru1", "65536 steps"],
        ),
        (
            after("type = \"lstm\"; units = 2; layers = 2; dropout = 1"),
            ["layer lstm1", "dropout must be at least 0"],
        ),
        (
            after("type = \"conv2d\"; filters = 1; kernel = 1"),
            ["layer conv1", "[height, width, channels]"],
        ),
        (
            after("type = \"time_pool\"; by = \"middle\""),
            ["middle", "mean"],
        ),
        (
            after("type = \"positions\"; kind = \"none\""),
            ["none", "learned"],
        ),
        (
            format!("{embedding}\ntype = \"dense\"; units = 3; tied = \"embedding1\""),
            ["layer dense1", "[40,6]"],
        ),
        (
            format!("{embedding}\n{dense}; tied = \"other\""),
            ["layer dense1", "no layer above"],
        ),
        (
            format!("{embedding}\ntype = \"dense\"; units = \"words\""),
            ["units", "vocabulary"],
        ),
    ] {
        refused(INPUT, &layers, "poem.txt", &parts);
    }
    for (input, part) in [
        (
            "{ tokens = 0, vocabulary = 5 }",
            "input.tokens must be from 1",
        ),
        (
            "{ tokens = 5, vocabulary = 0 }",
            "input.vocabulary must be from 1",
        ),
        (
            "{ tokens = 5, vocabulary = 99999999999 }",
            "input.vocabulary must be from 1",
        ),
        ("{ tokens = 5 }", "vocabulary"),
        (
            "{ tokens = 5, vocabulary = 5, paded = true }",
            "did you mean `padded`?",
        ),
        ("\"data\"", "auto"),
    ] {
        refused(input, LAYERS, "poem.txt", &[part]);
    }
    let images = "type = \"flatten\"\ntype = \"dense\"; units = \"vocabulary\"";
    refused(
        "[8, 8, 1]",
        images,
        "good",
        &["layer dense1", "not come from tokens"],
    );
}

/// A masked language model over the lines of a file, in `run`.
fn masked(sandbox: &Sandbox) -> CommandOutput {
    let lines: String = (0..24)
        .map(|n| {
            format!(
                "the {} wheel barrow depends\n",
                ["red", "white", "glazed"][n % 3]
            )
        })
        .collect();
    sandbox.write("lines.txt", lines);
    sandbox.write(
        "mlm.toml",
        model(&INPUT.replace("40", "40, padded = true"), LAYERS),
    );
    sandbox.wgrad(
        "train mlm.toml --task masked_language_model --data lines.txt --device cpu --batch 4 --epochs 1 --out run \
         --set data.format=text_lines",
    )
}

#[test]
fn a_masked_language_model_fills_masks_and_hands_its_vocabulary_and_weights_on() {
    let sandbox = sandbox(INPUT, LAYERS);
    masked(&sandbox).succeeds();
    let settings = std::fs::read_to_string(sandbox.path("run/run.toml")).unwrap();
    // Seven words, padding, the unknown token and the mask.
    for line in ["mask_token = true", "vocabulary = 10"] {
        assert!(settings.lines().any(|l| l == line), "{line} in\n{settings}");
    }
    sandbox.write("in.txt", "the [MASK] wheel");
    let lines = sandbox
        .wgrad("predict run in.txt --device cpu --json")
        .succeeds()
        .json();
    assert_eq!(lines[0]["position"], 1);
    assert!(lines[0]["top"][0]["token"].is_string(), "{}", lines[0]);
    // A classifier with the vocabulary of that run takes its weights, but for the head.
    let layers = "type = \"embedding\"; width = 8\ntype = \"gru\"; units = 5\ntype = \"time_pool\"; by = \"mean\"\n\
                  name = \"head\"; type = \"dense\"; units = 2";
    sandbox.write(
        "classes.toml",
        model(&INPUT.replace("40", "40, padded = true"), layers),
    );
    let fine = "train classes.toml --data texts.csv --device cpu --batch 4 --epochs 1 --init run/best.safetensors --out fine";
    sandbox
        .wgrad(fine)
        .fails(2, &["best.safetensors", "another one of", "data.tokenizer"]);
    let lines = sandbox.wgrad(&format!("{fine} --json --set data.tokenizer=run"));
    let lines = lines.succeeds().json();
    let init = lines.iter().find(|line| line["event"] == "init").unwrap();
    let matched = init["matched"].as_array().unwrap();
    assert!(
        matched.iter().any(|name| name == "embedding1.weight"),
        "{init}"
    );
    sandbox.wgrad("eval fine --device cpu").succeeds();
}

#[test]
fn tokenizers_that_do_not_fit_and_empty_texts_are_refused() {
    let sandbox = sandbox(INPUT, LAYERS);
    let refused = |code: i32, options: &str, parts: &[&str]| {
        let command =
            format!("train m.toml --device cpu --batch 4 --epochs 1 --out other {options}");
        sandbox.wgrad(&command).fails(code, parts);
    };
    refused(
        1,
        "--data texts.csv --set data.tokenizer=nowhere",
        &["nowhere", "has no tokenizer.json"],
    );
    train(&sandbox, "poem.txt").succeeds();
    refused(
        2,
        "--data texts.csv --set data.tokenizer=run --set data.tokens=words",
        &["data.tokens is \"words\"", "characters"],
    );
    refused(
        2,
        "--data poem.txt --task masked_language_model --set data.tokenizer=run",
        &["data.mask_token", "has none"],
    );
    sandbox.write("empty.txt", "\n");
    refused(
        1,
        "--data empty.txt --task masked_language_model --set data.format=text_lines",
        &["empty.txt has no text: put a sentence in each line"],
    );
}

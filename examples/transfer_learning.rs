//! Transfer learning: a classifier of ten digits becomes one of odd and even digits. Its convolutions keep their weights, and only
//! a new last layer is trained.

use std::path::Path;
use wgrad::data::{Dataset, digits};
use wgrad::device::{DeviceChoice, Engine};
use wgrad::run::Silent;
use wgrad::settings::Settings;
use wgrad::toml_text::parse;

/// Settings of a run whose model ends in the layer `head`.
fn settings(head: &str) -> wgrad::Result<Settings> {
    let text = format!(
        r#"
        batch = 64
        epochs = 2
        optimizer = {{ name = "adam", lr = 0.003 }}
        model = {{ name = "small", input = [28, 28, 1], layer = [
            {{ name = "conv1", type = "conv2d", filters = 8, kernel = 5, stride = 2, activation = "relu" }},
            {{ name = "conv2", type = "conv2d", filters = 16, kernel = 3, stride = 2, activation = "relu" }},
            {{ type = "flatten" }},
            {head},
        ] }}
        "#
    );
    parse(&text, "the run")
}

fn main() -> wgrad::Result<()> {
    let (engine, note) = Engine::open(DeviceChoice::Auto, None, None)?;
    note.iter().for_each(|note| eprintln!("{note}"));
    let folder = tempfile::tempdir().map_err(wgrad::Error::io("create", Path::new("a folder")))?;
    let weights = folder.path().join("ten.safetensors");

    // The first network. A file written from PyTorch, with the same names and shapes, works as well.
    let mut ten = settings(r#"{ name = "ten", type = "dense", units = 10 }"#)?
        .start(&engine, digits(1, 1280, 256))?;
    let result = ten.fit(&mut Silent, None)?;
    println!("ten digits: {}", shown(&result));
    ten.save_model(&weights)?;

    // The second uses the tensors of the file that fit by name and shape. Groups select the frozen parameters.
    let mut odd = settings(r#"{ name = "odd", type = "dense", units = 2 }"#)?;
    odd.init = Some(weights);
    odd.groups = vec![parse("match = \"conv*\"\nfreeze = true", "a group")?];
    let mut run = odd.start(&engine, odd_or_even(digits(2, 320, 256))?)?;
    println!("odd or even, before: {}", shown(&run.evaluate()?));
    println!("after: {}", shown(&run.fit(&mut Silent, None)?));
    Ok(())
}

fn shown(result: &wgrad::run::Evaluation) -> String {
    result
        .score()
        .map_or_else(String::new, |score| score.show())
}

/// The same images with two classes.
fn odd_or_even(mut set: Dataset) -> wgrad::Result<Dataset> {
    for part in [&mut set.train, &mut set.test] {
        part.labels.iter_mut().for_each(|label| *label %= 2);
    }
    let classes = vec!["even".to_string(), "odd".to_string()];
    Ok(Dataset::new(
        "odd or even digits",
        set.train,
        set.test,
        classes,
    )?)
}

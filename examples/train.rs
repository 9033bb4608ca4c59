//! Trains a network in a program, on a data set in memory. README shows this program.

use wgrad::data::digits;
use wgrad::device::{DeviceChoice, Engine};
use wgrad::run::Silent;
use wgrad::settings::Settings;
use wgrad::toml_text::parse;

const RUN: &str = r#"
batch = 64
epochs = 3
optimizer = { name = "adam", lr = 0.003 }
model = { name = "small", input = [28, 28, 1], layer = [
    { type = "conv2d", filters = 8, kernel = 5, stride = 2, activation = "relu" },
    { type = "max_pool2d", size = 2 },
    { type = "flatten" },
    { type = "dense", units = 10 },
] }
"#;

fn main() -> wgrad::Result<()> {
    let (engine, _) = Engine::open(DeviceChoice::Auto, None, None)?;
    let settings: Settings = parse(RUN, "the run")?;
    let mut run = settings.start(&engine, digits(1, 1280, 256))?;
    let result = run.fit(&mut Silent, None)?;
    for figure in &result.figures {
        println!("{}", figure.show());
    }
    run.save_model(&std::env::temp_dir().join("digits.safetensors"))
}

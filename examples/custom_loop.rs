//! A custom training loop: data generated in memory, a custom loss, and batches that are fed one by one.
//!
//! A small network learns the 90% quantile of noisy measurements with the quantile loss (Koenker and Bassett 1978).

use std::sync::Arc;
use wgrad::cpu::Tensor;
use wgrad::device::{DeviceChoice, Engine};
use wgrad::nn::Network;
use wgrad::random::Stream;
use wgrad::tasks::{Custom, Models, Objective};
use wgrad::tensor::TensorType;
use wgrad::toml_text::parse;
use wgrad::train::{BatchSource, Predictor, Recipe, Trainer};

const MODEL: &str = r#"
name = "bound"
input = [1]
layer = [
    { type = "dense", units = 32, activation = "tanh" },
    { type = "dense", units = 1 },
]
"#;
const BATCH: usize = 64;
const QUANTILE: f64 = 0.9;

fn main() -> wgrad::Result<()> {
    let (engine, note) = Engine::open(DeviceChoice::Auto, None, None)?;
    note.iter().for_each(|note| eprintln!("{note}"));
    let network = Network::new(parse(MODEL, "the model")?)?;
    let models = Models::one(network.clone());
    let values = models.initial_state(1);

    // The loss is built once, as nodes of a graph. The engine derives gradients and optimizer from it.
    let task = Custom::new(|step| {
        let x = step.batch.field("x")?;
        let above = step.batch.field("y")?.sub(step.run_first(&[x])?)?;
        let losses = above
            .scale(QUANTILE)?
            .maximum(above.scale(QUANTILE - 1.0)?)?;
        Objective::mean_of(losses.mask_rows(step.batch.valid())?)
    });
    let column = TensorType::f32([BATCH, 1]);
    let source = BatchSource::Fed {
        size: BATCH,
        fields: vec![("x".to_string(), column.clone()), ("y".to_string(), column)],
    };
    let recipe = Recipe {
        optimizer: parse("name = \"adam\"\nlr = 0.01", "the optimizer")?,
        ..Recipe::default()
    };
    let mut trainer = Trainer::new(
        engine.device(),
        Arc::new(task),
        models,
        recipe,
        source,
        values,
    )?;

    let mut random = Stream::new(1, 0);
    for step in 1..=400 {
        let (x, y) = measurements(&mut random);
        trainer.step(&[("x", &x), ("y", &y)], BATCH)?;
        if step % 100 == 0 {
            let loss = trainer
                .counters(100 * BATCH as u64)?
                .loss()
                .unwrap_or(f64::NAN);
            println!("step {step}: loss {loss:.4}");
            trainer.reset_counters()?;
        }
    }

    let mut predictor = Predictor::new(engine.device(), &network, &trainer.values()?, BATCH)?;
    let (x, y) = measurements(&mut random);
    let bound = predictor.run(&[("input", &x)])?.swap_remove(0).1;
    let below = y
        .reals()
        .iter()
        .zip(bound.reals())
        .filter(|(y, bound)| y < bound);
    println!(
        "{} of {BATCH} new measurements lie below the bound",
        below.count()
    );
    Ok(())
}

/// A batch of `x` from -1 to 1, and `y = sin(3 x)` with noise that grows with x.
fn measurements(random: &mut Stream) -> (Tensor<f32>, Tensor<f32>) {
    let x: Vec<f32> = (0..BATCH).map(|_| random.range(-1.0, 1.0)).collect();
    let measured = |&x: &f32| (3.0 * x).sin() + (1.2 + x) * random.range(-0.5, 0.5);
    let y = x.iter().map(measured).collect();
    (Tensor::real([BATCH, 1], x), Tensor::real([BATCH, 1], y))
}

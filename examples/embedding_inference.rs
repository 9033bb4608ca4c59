//! Inference in a program: a model with weights from a file computes embeddings of images, and the program finds the nearest
//! neighbour of each image.
//!
//!     cargo run --release --example embedding_inference [RUN]
//!
//! RUN is the run folder of a `wgrad train` on the built-in digits. Without it, the model has its initial weights.

use std::path::Path;
use wgrad::cpu::Tensor;
use wgrad::data::{ImageSet, digits};
use wgrad::device::{DeviceChoice, Engine};
use wgrad::nn::{Model, ModelSpec, Network, weights};
use wgrad::settings::Settings;
use wgrad::train::Predictor;

const PICTURES: usize = 40;

fn main() -> wgrad::Result<()> {
    let (engine, note) = Engine::open(DeviceChoice::Auto, None, None)?;
    note.iter().for_each(|note| eprintln!("{note}"));
    let (network, values) = match std::env::args().nth(1) {
        Some(run) => trained(Path::new(&run))?,
        None => starting()?,
    };
    let set = digits(7, PICTURES, 1).train;
    let mut predictor = Predictor::new(engine.device(), &network, &values, PICTURES)?;
    let outputs = predictor.run(&[("input", &normalised(&set))])?;
    let (name, vectors) = &outputs[0];
    println!("{name}: {}", vectors.ty());

    let width = vectors.reals().len() / PICTURES;
    let vectors: Vec<&[f32]> = vectors.reals().chunks(width).collect();
    let nearest = |from: usize| {
        let others = (0..PICTURES).filter(|&other| other != from);
        let closest = others.max_by(|&a, &b| {
            cosine(vectors[from], vectors[a]).total_cmp(&cosine(vectors[from], vectors[b]))
        });
        closest.unwrap_or(from)
    };
    let alike = (0..PICTURES).filter(|&index| set.labels[index] == set.labels[nearest(index)]);
    println!(
        "{} of {PICTURES} pictures lie nearest to one of the same digit",
        alike.count()
    );
    Ok(())
}

/// The trained model of a run.
fn trained(run: &Path) -> wgrad::Result<(Network, Vec<Tensor<f32>>)> {
    let (folder, settings) = Settings::open_run(run)?;
    let network = features(settings.model)?;
    let values = weights::load(&folder.model_path(), &network)?;
    Ok((network, values))
}

/// A built-in model with its initial weights.
fn starting() -> wgrad::Result<(Network, Vec<Tensor<f32>>)> {
    let network = features(ModelSpec::preset("mnist-cnn")?)?;
    let values = network.initial_state(1);
    Ok((network, values))
}

/// The network without its last layer, which outputs an embedding instead of classes.
fn features(mut spec: ModelSpec) -> wgrad::Result<Network> {
    spec.layers.pop();
    Network::new(spec)
}

/// Normalised images: `(byte / 255 - mean) / std`, as in the `[fitted]` table of a run.
fn normalised(set: &ImageSet) -> Tensor<f32> {
    let (mean, std) = (0.13, 0.31);
    let pixels = set
        .images
        .iter()
        .map(|&byte| (f32::from(byte) / 255.0 - mean) / std);
    Tensor::real(
        [PICTURES, set.height, set.width, set.channels],
        pixels.collect(),
    )
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

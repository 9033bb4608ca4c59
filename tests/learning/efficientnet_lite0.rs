//! EfficientNet-Lite0 with its published weights gives the same logits as PyTorch and ONNX Runtime.
//!
//! The weights are not in the repository: see `support::real_set`. tests/pytorch/models.rs compares the network
//! with PyTorch without them.

use crate::support;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use wgrad::cpu::{Tensor, Variables, interpret};
use wgrad::gpu::{Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::nn::{Forward, Model, ModelSpec, Network, weights};
use wgrad::plan::Plan;

/// Tolerance for logits of up to 3.5; the record has five decimals.
const ALLOWED: f32 = 1e-4;

struct Published {
    network: Network,
    values: Vec<Tensor<f32>>,
    expected: Value,
}

impl Published {
    fn find() -> Option<Published> {
        let folder = support::real_set("efficientnet_lite0")?;
        let network = Network::new(ModelSpec::preset("efficientnet-lite0").unwrap()).unwrap();
        let file = folder.join("efficientnet-lite0.safetensors");
        // Strict: every tensor is used, and every parameter has a tensor.
        let taken = weights::init(&file, &network, true).unwrap();
        assert_eq!(taken.prefix, None);
        let values = taken.values.into_iter().flatten().collect();
        let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        Some(Published {
            network,
            values,
            expected: serde_json::from_str(&text).unwrap(),
        })
    }

    /// `linspace(-1, 1, 3 * 224 * 224)` in PyTorch's order, channels first.
    fn image() -> Tensor<f32> {
        const SIDE: usize = 224;
        let last = (3 * SIDE * SIDE - 1) as f64;
        let value = |at: usize| {
            let (pixel, channel) = (at / 3, at % 3);
            (-1.0 + 2.0 * (channel * SIDE * SIDE + pixel) as f64 / last) as f32
        };
        let values = (0..3 * SIDE * SIDE).map(value).collect();
        Tensor::real([1, SIDE, SIDE, 3], values)
    }

    fn variables(&self) -> impl Iterator<Item = (String, Tensor<f32>)> {
        let names = self.network.state().map(|part| part.name.clone());
        let x = ("x".to_string(), Published::image());
        names.zip(self.values.iter().cloned()).chain([x])
    }

    fn graph(&self) -> Graph {
        let builder = Builder::new();
        let x = builder
            .variable("x", self.network.spec.input.ty(1))
            .unwrap();
        let mut forward = Forward::evaluation(&builder);
        let logits = self.network.forward_one(&mut forward, x).unwrap();
        forward.finish().unwrap();
        builder.output("logits", logits);
        builder.finish().unwrap()
    }

    fn hold(&self, logits: &[f32]) {
        assert_eq!(logits.len(), 1000);
        let number = |key: &str| self.expected[key].as_f64().unwrap();
        let first = self.expected["logits_first_20"].as_array().unwrap();
        let pairs = first
            .iter()
            .zip(logits)
            .map(|(want, got)| (want.as_f64().unwrap() as f32, *got));
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        let pairs = pairs.chain([(number("logits_max") as f32, largest)]);
        let worst = pairs
            .map(|(want, got)| (want - got).abs())
            .fold(0.0, f32::max);
        println!("worst {worst:.1e}");
        assert!(worst < ALLOWED, "{worst}");
        let likeliest = logits.iter().position(|&x| x == largest).unwrap();
        assert_eq!(likeliest, number("argmax") as usize);
        // The differences of a thousand logits have either sign and partly cancel.
        let sum: f64 = logits.iter().map(|&x| f64::from(x)).sum();
        let off = (sum - number("logits_sum")).abs();
        assert!(off < 0.02, "the sum is off by {off}");
    }
}

#[test]
fn published_weights_give_the_published_logits_in_the_reference() {
    let Some(published) = Published::find() else {
        return;
    };
    let variables = published.variables();
    let mut variables: Variables<f32> = variables
        .map(|(name, value)| (name, Arc::new(value)))
        .collect();
    let outputs = interpret(&published.graph(), &mut variables, &HashMap::new()).unwrap();
    published.hold(outputs[0].reals());
}

#[test]
fn published_weights_give_the_published_logits_on_the_adapter() {
    let Some(gpu) = support::gpu() else { return };
    let Some(published) = Published::find() else {
        return;
    };
    let mut store = Store::new();
    for (name, value) in published.variables() {
        store.set(gpu, &name, &value).unwrap();
    }
    let plan = Plan::new(&published.graph(), &gpu.target).unwrap();
    let mut program = Program::new(gpu, &plan, &store).unwrap();
    program.poison(gpu).unwrap();
    program.run(gpu, 1, &[]).unwrap();
    published.hold(program.read(gpu, "logits").unwrap().reals());
}

#[test]
fn it_takes_pictures_as_its_weights_were_trained_on_them() {
    let spec = ModelSpec::preset("efficientnet-lite0").unwrap();
    let preprocess = spec.preprocess.unwrap();
    assert_eq!(preprocess.mean, [0.498; 3]);
    assert_eq!(preprocess.std, [0.502; 3]);
}

//! GPT-2 as the `transformers` package saves it: a small random model gives the same logits here. See tests/fixtures/make_gpt2.py.

use serde_json::Value;
use std::path::Path;
use wgrad::cpu::Tensor;
use wgrad::device::Engine;
use wgrad::nn::{ModelSpec, Network, weights};
use wgrad::train::Predictor;

#[test]
fn published_weights_give_the_logits_of_the_transformers_package() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let text = std::fs::read_to_string(fixtures.join("gpt2.toml")).unwrap();
    let spec: ModelSpec = toml::from_str(&text).unwrap();
    let network = Network::new(spec).unwrap();
    let values = weights::load(&fixtures.join("gpt2.safetensors"), &network).unwrap();
    let record = std::fs::read_to_string(fixtures.join("gpt2.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let rows = |name: &str| record[name].as_array().unwrap().clone();
    let tokens: Vec<u32> = rows("tokens")
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|token| token.as_u64().unwrap() as u32)
        .collect();
    let wanted: Vec<f64> = rows("logits")
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|x| x.as_f64().unwrap())
        .collect();
    let mut predictor = Predictor::new(Engine::Cpu.device(), &network, &values, 2).unwrap();
    let name = predictor.inputs()[0].0.clone();
    let outputs = predictor
        .run(&[(&name, &Tensor::index([2, 12], tokens))])
        .unwrap();
    let got = outputs[0].1.reals();
    assert_eq!(got.len(), wanted.len());
    let largest = wanted.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    for (got, wanted) in got.iter().zip(&wanted) {
        let error = (f64::from(*got) - wanted).abs();
        assert!(error < 1e-5 * largest, "{got} is not {wanted}");
    }
}

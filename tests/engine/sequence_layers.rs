//! Sequence layers at odd sizes: adapter and reference agree, padding changes nothing, and causal layers don't see the future.

use crate::support;
use std::collections::HashMap;
use std::sync::Arc;
use wgrad::autodiff::gradients;
use wgrad::cpu::{Tensor, Variables, interpret};
use wgrad::gpu::{Gpu, Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::nn::{Forward, Model, ModelSpec, Network};
use wgrad::plan::Plan;
use wgrad::random::Stream;
use wgrad::toml_text;

/// The middle layers of models of 3 classes, each with the width of the layer before it.
const MIDDLES: [(&str, usize); 7] = [
    ("type = \"self_attention\"\nheads = 3", 6),
    (
        "type = \"self_attention\"\nheads = 1\ncausal = true\nrotary = 100.0",
        10,
    ),
    (
        "type = \"lstm\"\nunits = 3\nlayers = 2\nbidirectional = true",
        5,
    ),
    ("type = \"gru\"\nunits = 4\nbidirectional = true", 1),
    ("type = \"positions\"\nkind = \"sinusoidal\"", 7),
    ("type = \"positions\"", 3),
    ("type = \"layer_norm\"\nbias = false", 9),
];

fn network(middle: &str, width: usize, tokens: usize, pool: Option<&str>) -> Network {
    let pooled = pool.map_or(String::new(), |by| {
        format!("[[layer]]\ntype = \"time_pool\"\nby = \"{by}\"\n")
    });
    let padded = pool.is_some();
    let text = format!(
        "name = \"m\"\ninput = {{ tokens = {tokens}, vocabulary = 9, padded = {padded} }}\n[[layer]]\ntype = \"embedding\"\n\
         width = {width}\n[[layer]]\n{middle}\n{pooled}[[layer]]\ntype = \"dense\"\nunits = 3\n"
    );
    let spec: ModelSpec = toml_text::parse(&text, "m.toml").unwrap();
    Network::new(spec).unwrap()
}

/// The logits, and the gradients of a sum in which they have different weights.
fn graph(network: &Network, batch: usize) -> Graph {
    let builder = Builder::new();
    let x = builder.variable("x", network.spec.input.ty(batch)).unwrap();
    let logits = network
        .forward_one(&mut Forward::evaluation(&builder), x)
        .unwrap();
    builder.output("logits", logits);
    let squares = logits.mul(logits).unwrap();
    let loss = squares.add(logits).unwrap().sum_all().unwrap();
    let weights = network.parameters().iter();
    let weights: Vec<_> = weights
        .map(|p| builder.variable(&p.name, p.ty.clone()).unwrap())
        .collect();
    let grads = gradients(loss, &weights).unwrap();
    for (parameter, grad) in network.parameters().iter().zip(grads) {
        builder.output(&parameter.name, grad);
    }
    builder.finish().unwrap()
}

fn variables(network: &Network, tokens: Vec<u32>, batch: usize) -> Vec<(String, Tensor<f32>)> {
    let x = Tensor::index([batch, tokens.len() / batch], tokens);
    let names = network.state().map(|part| part.name.clone());
    names
        .zip(network.initial_state(5))
        .chain([("x".to_string(), x)])
        .collect()
}

/// The outputs in double precision, in the order of the graph.
fn on_cpu(network: &Network, tokens: Vec<u32>, batch: usize) -> Vec<Vec<f64>> {
    let all = variables(network, tokens, batch).into_iter();
    let all = all.map(|(name, value)| (name, Arc::new(value.to_f64())));
    let mut all: Variables<f64> = all.collect();
    let outputs = interpret(&graph(network, batch), &mut all, &HashMap::new()).unwrap();
    outputs.iter().map(|y| y.reals().to_vec()).collect()
}

fn on_gpu(gpu: &Gpu, network: &Network, tokens: Vec<u32>, batch: usize) -> Vec<Vec<f32>> {
    let mut store = Store::new();
    for (name, value) in variables(network, tokens, batch) {
        store.set(gpu, &name, &value).unwrap();
    }
    let graph = graph(network, batch);
    let plan = Plan::new(&graph, &gpu.target).unwrap();
    let mut program = Program::new(gpu, &plan, &store).unwrap();
    program.poison(gpu).unwrap();
    program.run(gpu, 1, &[]).unwrap();
    let read = |name: &str| program.read(gpu, name).unwrap().reals().to_vec();
    graph.outputs.iter().map(|o| read(&o.name)).collect()
}

/// `batch` samples of `length` tokens; sample i has `ends[i]` tokens before its padding.
fn padded(stream: &mut Stream, length: usize, ends: &[usize]) -> Vec<u32> {
    let mut tokens = Vec::new();
    for end in ends {
        tokens.extend((0..length).map(|t| if t < *end { 1 + stream.below(8) } else { 0 }));
    }
    tokens
}

#[test]
fn adapter_and_reference_agree_over_odd_sizes() {
    let Some(gpu) = support::gpu() else { return };
    let mut stream = Stream::new(3, 0);
    // Samples without tokens, with one token, and without padding.
    let cases = [
        (1, vec![1], None),
        (1, vec![0, 1], Some("last")),
        (5, vec![5, 2, 0], Some("mean")),
        (7, vec![3], Some("first")),
    ];
    for (middle, width) in MIDDLES {
        for (length, ends, pool) in &cases {
            let network = network(middle, width, *length, *pool);
            let tokens = padded(&mut stream, *length, ends);
            let want = on_cpu(&network, tokens.clone(), ends.len());
            let got = on_gpu(gpu, &network, tokens, ends.len());
            for (n, (want, got)) in want.iter().zip(&got).enumerate() {
                let size = want.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
                let pairs = want.iter().zip(got);
                let worst = pairs.fold(0.0, |m: f64, (w, g)| m.max((w - f64::from(*g)).abs()));
                assert!(
                    worst <= 2e-5 * (1.0 + size),
                    "{middle}, {length} tokens, {ends:?}, {pool:?}, output {n}: {worst:e} of {size:e}"
                );
            }
        }
    }
}

#[test]
fn a_longer_context_full_of_padding_changes_nothing() {
    // The tables of learned positions depend on the context.
    let middles = MIDDLES
        .into_iter()
        .filter(|(m, _)| *m != "type = \"positions\"");
    for (middle, width) in middles {
        for pool in ["mean", "last", "first"] {
            let mut stream = Stream::new(4, 0);
            let short = padded(&mut stream, 4, &[4, 2]);
            let mut long = Vec::new();
            for sample in short.chunks(4) {
                long.extend_from_slice(sample);
                long.extend([0; 5]);
            }
            let (a, b) = (
                network(middle, width, 4, Some(pool)),
                network(middle, width, 9, Some(pool)),
            );
            let (a, b) = (on_cpu(&a, short, 2), on_cpu(&b, long, 2));
            for (n, (a, b)) in a.iter().zip(&b).enumerate() {
                // The row of padding in the table of the embedding affects no output, so it has no gradient either.
                for (a, b) in a.iter().zip(b) {
                    assert!(
                        (a - b).abs() < 1e-9 * (1.0 + a.abs()),
                        "{middle}, {pool}, output {n}: {a} and {b}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_comes_later_changes_nothing_before_it() {
    let causal = [
        ("type = \"self_attention\"\nheads = 2\ncausal = true", 6),
        (
            "type = \"self_attention\"\nheads = 2\ncausal = true\nrotary = 10000.0",
            8,
        ),
        ("type = \"lstm\"\nunits = 5\nlayers = 2", 4),
        ("type = \"gru\"\nunits = 5", 4),
    ];
    for (middle, width) in causal {
        let network = network(middle, width, 6, None);
        let logits = |tokens: [u32; 6]| on_cpu(&network, tokens.to_vec(), 1).swap_remove(0);
        let (a, b) = (logits([1, 2, 3, 4, 5, 6]), logits([1, 2, 3, 4, 8, 7]));
        assert_eq!(a[..12], b[..12], "{middle}");
        assert_ne!(a[12..], b[12..], "{middle}");
    }
}

//! Properties of losses beyond their values: padding rows do not count, and invalid labels stop the training.

use crate::support;
use std::collections::HashMap;
use std::sync::Arc;
use wgrad::autodiff::gradients;
use wgrad::cpu::{Tensor, Variables, interpret};
use wgrad::gpu::{Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::plan::Plan;
use wgrad::tensor::TensorType;

const ROWS: usize = 4;
const CLASSES: usize = 3;

/// Losses of four rows and the gradient of their sum.
fn graph() -> Graph {
    let builder = Builder::new();
    let logits = builder
        .variable("logits", TensorType::f32([ROWS, CLASSES]))
        .unwrap();
    let labels = builder.variable("labels", TensorType::u32([ROWS])).unwrap();
    let valid = builder.variable("valid", TensorType::u32([])).unwrap();
    let losses = logits.softmax_cross_entropy(labels, valid, 0.1).unwrap();
    builder.output("losses", losses);
    let grads = gradients(losses.sum_all().unwrap(), &[logits]).unwrap();
    builder.output("gradient", grads[0]);
    builder.finish().unwrap()
}

/// Row 1 has a label that is not a class, row 2 is the last valid one, and row 3 is padding whose numbers must not affect the
/// result.
fn values() -> Vec<(String, Tensor<f32>)> {
    let mut logits: Vec<f32> = (0..ROWS * CLASSES)
        .map(|i| (i as f32 * 0.7).sin())
        .collect();
    logits[9..].fill(f32::NAN);
    vec![
        ("logits".to_string(), Tensor::real([ROWS, CLASSES], logits)),
        (
            "labels".to_string(),
            Tensor::index([ROWS], vec![2, 3, 0, u32::MAX]),
        ),
        ("valid".to_string(), Tensor::index([], vec![3])),
    ]
}

fn assert_promises(losses: &[f32], gradient: &[f32]) {
    assert!(losses[0] > 0.0 && losses[2] > 0.0, "{losses:?}");
    assert!(losses[1].is_nan(), "{losses:?}");
    assert_eq!(losses[3], 0.0);
    assert!(
        gradient[0..3]
            .iter()
            .chain(&gradient[6..9])
            .all(|g| g.abs() > 1e-3),
        "{gradient:?}"
    );
    assert!(
        gradient[3..6]
            .iter()
            .chain(&gradient[9..12])
            .all(|&g| g == 0.0),
        "{gradient:?}"
    );
}

#[test]
fn a_label_that_is_no_class_gives_no_number_and_padding_gives_nothing() {
    let mut variables: Variables<f32> = values()
        .into_iter()
        .map(|(name, value)| (name, Arc::new(value)))
        .collect();
    let outputs = interpret(&graph(), &mut variables, &HashMap::new()).unwrap();
    assert_promises(outputs[0].reals(), outputs[1].reals());
}

#[test]
fn the_kernels_keep_the_same_promises() {
    let Some(gpu) = support::gpu() else { return };
    let mut store = Store::new();
    for (name, value) in values() {
        store.set(gpu, &name, &value).unwrap();
    }
    for variant in ["row per invocation", "row per workgroup"] {
        let plan = Plan::with_variant(&graph(), &gpu.target, Some(variant)).unwrap();
        let mut program = Program::new(gpu, &plan, &store).unwrap();
        program.run(gpu, 1, &[]).unwrap();
        let losses = program.read(gpu, "losses").unwrap();
        let gradient = program.read(gpu, "gradient").unwrap();
        assert_promises(losses.reals(), gradient.reals());
    }
}

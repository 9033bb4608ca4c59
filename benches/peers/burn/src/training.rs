//! Whole training steps: from a batch on the device to the updated weights.

use crate::bench::{Bench, indices, uniform};
use crate::models::{Cnn, Gpt, Lstm, ResNet18, cross_entropy};
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::prelude::*;

pub fn run(bench: &Bench) {
    classes(
        bench,
        "lstm_train_b64",
        [64, 28, 28],
        Lstm::new,
        Lstm::logits,
    );
    gpt(bench);
    for batch in [32, 128] {
        let (name, shape) = (format!("cnn_train_b{batch}"), [batch, 1, 28, 28]);
        classes(bench, &name, shape, Cnn::new, Cnn::logits);
    }
    let name = "resnet18_train_b8";
    classes(bench, name, [8, 3, 32, 32], ResNet18::new, ResNet18::logits);
}

/// Times a step in which `model` minimises the mean cross-entropy of `logits` against `labels`.
fn train<M: Module>(
    bench: &Bench,
    name: &str,
    model: M,
    mut optimizer: ModuleOptimizer,
    labels: Tensor<1, Int>,
    logits: impl Fn(&M) -> Tensor<2>,
) {
    let mut model = Some(model);
    bench.measure(name, || {
        let current = model.take()?;
        let loss = cross_entropy(logits(&current), labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &current);
        model = Some(optimizer.step(1e-3, current, gradients));
        Some(loss)
    });
}

/// Times the training step of a network that classifies inputs of `shape` into 10 classes.
fn classes<M: Module, const D: usize>(
    bench: &Bench,
    name: &str,
    shape: [usize; D],
    new: impl Fn(&Device) -> M,
    logits: impl Fn(&M, Tensor<D>) -> Tensor<2>,
) {
    if bench.wanted(name) {
        let device = &bench.autodiff;
        let inputs = uniform(shape, device);
        let labels = indices([shape[0]], 10, device);
        let (model, optimizer) = (new(device), AdamConfig::new().init());
        train(bench, name, model, optimizer, labels, |model| {
            logits(model, inputs.clone())
        });
    }
}

fn gpt(bench: &Bench) {
    let (name, device) = ("gpt_train_b8", &bench.autodiff);
    if bench.wanted(name) {
        let letters = indices([8, Gpt::CONTEXT], Gpt::LETTERS as i32, device);
        let labels = indices([8 * Gpt::CONTEXT], Gpt::LETTERS as i32, device);
        let (model, optimizer) = (Gpt::new(device), AdamWConfig::new().init());
        train(bench, name, model, optimizer, labels, |model| {
            model.logits(letters.clone())
        });
    }
}

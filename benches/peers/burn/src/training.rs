//! Whole training steps: from a finished batch on the device to the updated weights.

use crate::bench::{Bench, indices, uniform};
use crate::models::{Cnn, Gpt, Lstm, ResNet18, cross_entropy};
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::prelude::*;

pub fn run(bench: &Bench) {
    lstm(bench);
    gpt(bench);
    for batch in [32, 128] {
        cnn(bench, batch);
    }
    resnet(bench);
}

/// Times the step that takes `model` towards a lower mean cross-entropy of `logits` against `labels`.
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

fn cnn(bench: &Bench, batch: usize) {
    let (name, device) = (format!("cnn_train_b{batch}"), &bench.autodiff);
    if bench.wanted(&name) {
        let images = uniform([batch, 1, 28, 28], device);
        let labels = indices([batch], 10, device);
        let (model, optimizer) = (Cnn::new(device), AdamConfig::new().init());
        train(bench, &name, model, optimizer, labels, |model| {
            model.logits(images.clone())
        });
    }
}

fn resnet(bench: &Bench) {
    let (name, device) = ("resnet18_train_b8", &bench.autodiff);
    if bench.wanted(name) {
        let images = uniform([8, 3, 32, 32], device);
        let labels = indices([8], 10, device);
        let (model, optimizer) = (ResNet18::new(device), AdamConfig::new().init());
        train(bench, name, model, optimizer, labels, |model| {
            model.logits(images.clone())
        });
    }
}

fn lstm(bench: &Bench) {
    let (name, device) = ("lstm_train_b64", &bench.autodiff);
    if bench.wanted(name) {
        let images = uniform([64, 28, 28], device);
        let labels = indices([64], 10, device);
        let (model, optimizer) = (Lstm::new(device), AdamConfig::new().init());
        train(bench, name, model, optimizer, labels, |model| {
            model.logits(images.clone())
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

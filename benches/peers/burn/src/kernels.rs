//! Memory-bound workloads: one operation or a few, no contractions.

use crate::bench::{Bench, indices, uniform};
use burn::optim::{AdamConfig, Optimizer};
use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};

/// Elements of the large tensors: 64 MiB, more than any cache holds.
const MANY: usize = 16 << 20;

pub fn run(bench: &Bench) {
    let images = [32, 32, 26, 26];
    bench.with_gradient("maxpool2x2_fwdbwd_32x32x26x26", images, |x: Tensor<4>| {
        max_pool2d(x, MaxPoolOptions::new([2, 2]))
    });
    bench.with_gradient("avgpool2x2_fwdbwd_32x32x26x26", images, |x: Tensor<4>| {
        avg_pool2d(x, AvgPoolOptions::new([2, 2]))
    });
    let rows = [4096, 1024];
    bench.with_gradient("softmax_fwdbwd_4096x1024", rows, |x: Tensor<2>| {
        softmax(x, 1)
    });
    let labels = indices([128, 1], 10, &bench.autodiff);
    let name = "softmax_cross_entropy_128x10";
    bench.with_gradient(name, [128, 10], |x: Tensor<2>| {
        -log_softmax(x, 1).gather(1, labels.clone())
    });
    if bench.wanted("add_16m") {
        let a: Tensor<1> = uniform([MANY], &bench.device);
        let b: Tensor<1> = uniform([MANY], &bench.device);
        bench.measure("add_16m", || a.clone() + b.clone());
    }
    if bench.wanted("sum_16m") {
        let x: Tensor<1> = uniform([MANY], &bench.device);
        bench.measure("sum_16m", || x.clone().sum());
    }
    adam(bench);
}

/// Adam's update of a million weights.
fn adam(bench: &Bench) {
    let name = "adam_1m";
    if bench.wanted(name) {
        let weights: Tensor<1> = uniform([1 << 20], &bench.device);
        let gradient: Tensor<1> = uniform([1 << 20], &bench.device);
        let optimizer = AdamConfig::new().build();
        let mut current = Some((weights, None));
        bench.measure(name, || {
            let Some((weights, state)) = current.take() else {
                return;
            };
            current = Some(optimizer.step(1e-3, weights, gradient.clone(), state));
        });
    }
}

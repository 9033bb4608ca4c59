//! Every variant of every kernel, forward and backward, and every case, against the reference.

mod support;

use wgrad::check::{Checks, Extent, check_kernels};
use wgrad::graph::Precision;
use wgrad::plan::Target;

/// Cases of a variant. `wgrad check` runs all with every variant, which takes several times as long.
const CASES: usize = 10;

#[test]
fn every_kernel_agrees_with_the_reference() {
    let Some(gpu) = support::gpu() else { return };
    agree(&gpu.target, 1, |_| true);
}

/// Launches are divided in other ways for an adapter that needs many invocations.
#[test]
fn kernels_divided_as_for_a_gpu_agree_on_any_adapter() {
    let Some(gpu) = support::gpu() else { return };
    let target = Target {
        software: false,
        ..gpu.target.clone()
    };
    let divided = [
        "conv2d_max_pool",
        "gather",
        "gru",
        "layer_norm",
        "lstm",
        "moments",
        "normalize",
        "reduce_max",
        "sum",
    ];
    agree(&target, 1, |name| divided.contains(&name));
}

#[test]
fn products_of_16_bit_floats_agree() {
    let Some(gpu) = support::gpu() else { return };
    let few = ["recurrent_weight_grad"];
    agree_in(Precision::Mixed, &gpu.target, 3, |name| few.contains(&name));
}

/// Fails unless the kernels of all operations whose names `wanted` accepts agree with the reference.
fn agree(target: &Target, seed: u64, wanted: impl Fn(&str) -> bool) {
    agree_in(Precision::Float32, target, seed, wanted);
}

fn agree_in(precision: Precision, target: &Target, seed: u64, wanted: impl Fn(&str) -> bool) {
    let Some(gpus) = support::gpus() else { return };
    let mut failures = Vec::new();
    let mut groups = 0;
    let checks = Checks {
        precision,
        seed,
        extent: Extent::Shared(CASES),
    };
    check_kernels(gpus, target, checks, wanted, |group| {
        groups += 1;
        if !group.ok {
            failures.push(format!("{group:?}"));
        }
    })
    .expect("the device works");
    assert!(groups > 0);
    assert!(
        failures.is_empty(),
        "{} of {groups} groups:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

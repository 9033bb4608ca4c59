//! Every variant of every kernel, forward and backward, and every case, against the reference.

use crate::support;
use wgrad::check::{Checks, Extent, check_kernels};
use wgrad::cpu::Tensor;
use wgrad::gpu::{Program, Store};
use wgrad::graph::{Builder, Precision, Var};
use wgrad::plan::{Plan, Target};
use wgrad::tensor::{Half, TensorType};

/// Cases of a variant. `wgrad check` runs all with every variant, which takes several times as long.
const CASES: usize = 6;

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
fn products_and_values_of_16_bits_agree() {
    let Some(gpu) = support::gpu() else { return };
    // Of the ways to access operands.
    let few = [
        "concat",
        "exp",
        "gather",
        "max_pool2d",
        "moments",
        "recurrent_weight_grad",
    ];
    agree_in(Precision::Mixed, &gpu.target, 3, |name| few.contains(&name));
    let few = ["exp", "recurrent_weight_grad"];
    agree_in(Precision::MixedBfloat16, &gpu.target, 3, |name| {
        few.contains(&name)
    });
}

#[test]
fn what_is_stored_in_16_bits_is_the_nearest_number_of_the_format() {
    let Some(gpu) = support::gpu() else { return };
    // Around the middle between two numbers of either format.
    let lower = [
        0, 1, 0xfff, 0x1000, 0x1001, 0x3000, 0x7fff, 0x8000, 0x8001, 0xffff,
    ];
    let values: Vec<f32> = (0..=0xffff_u32)
        .map(|upper| f32::from_bits((upper << 16) | lower[upper as usize % lower.len()]))
        // Adapters may take the smallest for 0.
        .map(|x| if x.is_subnormal() { 0.0 } else { x })
        .collect();
    for (precision, half) in [
        (Precision::Mixed, Half::F16),
        (Precision::MixedBfloat16, Half::Bf16),
    ] {
        let builder = Builder::new();
        builder.set_precision(precision);
        let x = builder
            .variable("x", TensorType::f32([values.len()]))
            .unwrap();
        let stored = x.neg().unwrap();
        builder.output("y", Var::concat(&[stored, stored], 0).unwrap());
        let plan = Plan::new(&builder.finish().unwrap(), &gpu.target).unwrap();
        let formats = plan.values.iter().filter_map(|value| value.half);
        assert_eq!(formats.collect::<Vec<_>>(), [half]);
        let mut store = Store::new();
        let variable = Tensor::real([values.len()], values.clone());
        store.set(gpu, "x", &variable).unwrap();
        let mut program = Program::new(gpu, &plan, &store).unwrap();
        program.run(gpu, 1, &[]).unwrap();
        let found = program.read(gpu, "y").unwrap();
        for (x, found) in values.iter().zip(found.reals()) {
            let wanted = half.rounded(-f64::from(*x)) as f32;
            let same = wanted == *found || wanted.is_nan() && found.is_nan();
            assert!(
                same || wanted.is_subnormal() && *found == 0.0,
                "{half}: {x:e} is {found:e}, not {wanted:e}"
            );
        }
    }
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
        extent: match precision {
            Precision::Float32 => Extent::Shared(CASES),
            _ => Extent::Quick,
        },
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

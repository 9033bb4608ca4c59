//! Dropout has the same mask on every device, and its gradient has the mask of the forward pass.

use crate::support;
use std::collections::HashMap;
use std::sync::Arc;
use wgrad::Result;
use wgrad::autodiff::gradients;
use wgrad::check::worst_error;
use wgrad::cpu::{Tensor, interpret};
use wgrad::gpu::{Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::plan::{Plan, Scalar};
use wgrad::tensor::TensorType;

/// Dropout of ones, and the gradient of its sum: both are the mask times the scale.
fn masks(shape: &[usize]) -> Result<Graph> {
    let builder = Builder::new();
    let x = builder.variable("x", TensorType::f32(shape))?;
    let step = builder.input("step", TensorType::u32([]));
    let y = x.dropout(step, 0.3, 0x0123_4567_89ab_cdef, 5)?;
    builder.output("y", y);
    builder.output("grad", gradients(y.sum_all()?, &[x])?[0]);
    builder.finish()
}

#[test]
fn the_gpu_drops_exactly_what_the_cpu_drops_and_so_does_the_gradient() -> Result<()> {
    let Some(gpu) = support::gpu() else {
        return Ok(());
    };
    for shape in [&[1000, 64][..], &[333, 7]] {
        let graph = masks(shape)?;
        let ones = Tensor::real(shape, vec![1.0f32; shape.iter().product()]);
        let mut store = Store::new();
        store.set(gpu, "x", &ones)?;
        let mut program = Program::new(gpu, &Plan::new(&graph, &gpu.target)?, &store)?;
        for step in [0, 1, u32::MAX] {
            program.run(gpu, 1, &[Scalar::U32(step)])?;
            let mut variables = HashMap::from([("x".to_string(), Arc::new(ones.to_f64()))]);
            let inputs =
                HashMap::from([("step".to_string(), Arc::new(Tensor::index([], vec![step])))]);
            let want = interpret(&graph, &mut variables, &inputs)?;
            assert_eq!(
                worst_error(&program.read(gpu, "y")?, &want[0]),
                0.0,
                "{shape:?}, step {step}"
            );
            assert_eq!(want[0], want[1], "the gradient has another mask");
            assert_eq!(program.read(gpu, "y")?, program.read(gpu, "grad")?);
        }
    }
    Ok(())
}

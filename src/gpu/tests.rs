//! Steps divided into submissions. The test is left out, and says so, where there is no adapter.

use super::*;
use crate::cpu::Tensor;
use crate::graph::{Builder, Graph};
use crate::plan::{Plan, Scalar};
use crate::tensor::TensorType;

const SIZE: [usize; 2] = [1050, 1051];

/// `y = relu(rate x) w` and `x <- rate x`, in more than 2 billion floating-point operations.
fn graph() -> Graph {
    let builder = Builder::new();
    let rate = builder.input("rate", TensorType::f32([]));
    let x = builder.variable("x", TensorType::f32(SIZE)).unwrap();
    let w = builder.variable("w", TensorType::f32([SIZE[1], SIZE[0]]));
    let scaled = x.mul(rate).unwrap();
    builder.update(x, scaled).unwrap();
    let y = scaled.relu().unwrap().matmul(w.unwrap()).unwrap();
    builder.output("y", y);
    builder.finish().unwrap()
}

fn noise(shape: [usize; 2], seed: u32) -> Tensor<f32> {
    let value =
        |at: u32| (at.wrapping_mul(2_654_435_769).wrapping_add(seed) >> 8) as f32 / 8e6 - 1.0;
    Tensor::real(
        shape,
        (0..(shape[0] * shape[1]) as u32).map(value).collect(),
    )
}

/// `y` and `x` after three steps whose submissions take up to `seconds`, or are not divided, and the numbers of submissions and
/// dispatches of a step.
fn steps(gpu: &Gpu, plan: &Plan, seconds: Option<f64>) -> ([Tensor<f32>; 2], [usize; 2]) {
    let mut store = Store::new();
    store.set(gpu, "x", &noise(SIZE, 1)).unwrap();
    store.set(gpu, "w", &noise([SIZE[1], SIZE[0]], 2)).unwrap();
    let mut program = Program::new(gpu, plan, &store).unwrap();
    program.divide_by(seconds);
    let rates = [1.5, -0.5, 2.0].map(Scalar::F32);
    program.run(gpu, 1, &rates[..1]).unwrap();
    program.run(gpu, 2, &rates[1..]).unwrap();
    let values = [
        program.read(gpu, "y").unwrap(),
        store.read(gpu, "x").unwrap(),
    ];
    (values, program.division_sizes())
}

#[test]
fn a_step_in_many_submissions_computes_the_same() {
    let gpu = Gpu::open(&AdapterChoice::Software).or_else(|_| Gpu::open(&AdapterChoice::Best));
    let gpu = match gpu {
        Ok(gpu) => gpu,
        Err(e) if std::env::var_os("WGRAD_REQUIRE_GPU").is_some_and(|v| v == "1") => {
            panic!("WGRAD_REQUIRE_GPU=1, but {e}")
        }
        Err(e) => return eprintln!("skipped: {e}"),
    };
    // Software adapters have no watchdog, and their steps are never divided.
    let target = Target {
        software: false,
        ..gpu.target.clone()
    };
    let plan = Plan::new(&graph(), &target).unwrap();
    let (whole, undivided) = steps(&gpu, &plan, None);
    assert_eq!(undivided[0], 1);
    let (divided, most) = steps(&gpu, &plan, Some(0.0));
    assert!(most[0] >= 3 && most[1] >= undivided[1] + 2, "{most:?}");
    assert_eq!(divided, whole);
    let (together, least) = steps(&gpu, &plan, Some(f64::INFINITY));
    assert_eq!(least, undivided);
    assert_eq!(together, whole);
}

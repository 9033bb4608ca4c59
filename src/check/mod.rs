//! Proving that the parts agree: gradient rules against differences, kernels against the reference.

mod gradients;
mod kernels;

pub use gradients::{GradientError, check_gradients};
pub use kernels::{Group, check_kernels, graphs_of, tolerance};

use crate::cpu::{Data, Tensor};

/// Largest error of `got` against `want`, element by element: `|got - want| / (|want| + rms(want))`, so that neither
/// small elements nor small tensors are judged by rounding alone. Infinite if a value is missing, extra or not a
/// number where the other is. Integers must be equal.
pub fn worst_error(got: &Tensor<f32>, want: &Tensor<f64>) -> f64 {
    if got.ty() != want.ty() {
        return f64::INFINITY;
    }
    match (&got.data, &want.data) {
        (Data::Index(a), Data::Index(b)) if a == b => 0.0,
        (Data::Index(_), Data::Index(_)) => f64::INFINITY,
        (Data::Real(got), Data::Real(want)) => {
            let squares: f64 = want.iter().map(|x| x * x).sum();
            let rms = (squares / want.len().max(1) as f64).sqrt().max(1e-12);
            let error = |(&g, &w): (&f32, &f64)| {
                let e = (f64::from(g) - w).abs() / (w.abs() + rms);
                if e.is_nan() { f64::INFINITY } else { e }
            };
            got.iter().zip(want).map(error).fold(0.0, f64::max)
        }
        _ => f64::INFINITY,
    }
}

//! Consistency checks: gradient rules against differences, kernels against the reference.

mod gradients;
mod kernels;
mod self_test;

pub use gradients::check_gradient_rules;
pub(crate) use kernels::worst_of_run;
pub use kernels::{Checks, Extent, check_kernels, graphs_of, open_for_checks, tolerance};
pub use self_test::{SelfTest, repeats, self_test};

use crate::cpu::{Data, Tensor};

/// Outcome of the cases of one operation, pass and variant.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Name of the operation.
    pub op: &'static str,
    /// `gradient` (the rule), `forward` or `backward` (kernels).
    pub pass: &'static str,
    /// Kernel variant.
    pub variant: &'static str,
    /// Seconds that the cases took.
    pub seconds: f64,
    /// Cases run.
    pub cases: usize,
    /// The largest error.
    pub worst_error: f64,
    /// The tolerance of the case with the largest ratio of error to tolerance.
    pub tolerance: f64,
    /// Whether every case was within its tolerance.
    pub ok: bool,
    /// Message on the first failure.
    pub failure: Option<String>,
}

impl Group {
    fn new(op: &'static str, pass: &'static str, variant: &'static str, tolerance: f64) -> Self {
        Group {
            op,
            pass,
            variant,
            seconds: 0.0,
            cases: 0,
            worst_error: 0.0,
            tolerance,
            ok: true,
            failure: None,
        }
    }

    /// Adds a case with its error and tolerance; `what` describes the failure if the error is larger.
    fn add(&mut self, error: f64, allowed: f64, what: impl FnOnce() -> String) {
        self.cases += 1;
        if error / allowed >= self.worst_error / self.tolerance {
            (self.worst_error, self.tolerance) = (error, allowed);
        }
        if error > allowed {
            self.ok = false;
            self.failure.get_or_insert_with(what);
        }
    }
}

/// What an error is divided by where all terms cancel: it allows 4e-7, a few roundings of a term of order 1.
const CANCELLED: f64 = 0.02;

/// Largest error of `got` compared with `want`, element by element: `|got - want| / (|want| + rms(want))`, so that
/// rounding alone does not dominate for small elements or small tensors. If all of `want` is 0, as where terms of order 1
/// cancel, [`CANCELLED`] is in the place of that sum. Infinite if a value is missing, extra, or NaN
/// where the other is not. Integers must be equal.
pub fn worst_error(got: &Tensor<f32>, want: &Tensor<f64>) -> f64 {
    if got.ty() != want.ty() {
        return f64::INFINITY;
    }
    match (&got.data, &want.data) {
        (Data::Index(a), Data::Index(b)) if a == b => 0.0,
        (Data::Index(_), Data::Index(_)) => f64::INFINITY,
        (Data::Real(got), Data::Real(want)) => {
            let squares: f64 = want.iter().map(|x| x * x).sum();
            let rms = (squares / want.len().max(1) as f64).sqrt();
            let rms = if rms < 1e-12 { CANCELLED } else { rms };
            let error = |(&g, &w): (&f32, &f64)| {
                let e = (f64::from(g) - w).abs() / (w.abs() + rms);
                if e.is_nan() { f64::INFINITY } else { e }
            };
            got.iter().zip(want).map(error).fold(0.0, f64::max)
        }
        _ => f64::INFINITY,
    }
}

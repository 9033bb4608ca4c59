//! The error function, `2 / sqrt(pi)` times the integral of `e^(-t^2)` from 0 to x. PyTorch `torch.erf`, ONNX `Erf`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;
use std::f64::consts::FRAC_2_SQRT_PI;

/// See the module.
#[derive(Debug)]
pub struct Erf;

impl Pointwise for Erf {
    const NAME: &'static str = "erf";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Erf", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].erf()
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let density = x[0].mul(x[0])?.neg()?.exp()?.scale(FRAC_2_SQRT_PI)?;
        Ok(vec![Some(dy.mul(density)?)])
    }
}

impl<'g> Var<'g> {
    /// The error function, element by element.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn erf(self) -> Result<Var<'g>> {
        self.apply(Erf)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    vec![
        Case::new(Erf, [Operand::real([3, 7], Values::Uniform(-3.0, 3.0))]),
        Case::new(Erf, [Operand::real([2, 4, 8], Values::Uniform(-0.6, 0.6))]),
        Case::new(Erf, [Operand::real([5], Values::Uniform(-1e-3, 1e-3))]),
        Case::new(Erf, [Operand::real([6], Values::Uniform(3.0, 9.0))]),
    ]
}

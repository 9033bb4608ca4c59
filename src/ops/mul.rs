//! `a * b`, broadcasting. PyTorch `torch.mul`, ONNX `Mul`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Mul;

impl Pointwise for Mul {
    const NAME: &'static str = "mul";
    const ARITY: usize = 2;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Mul", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0] * x[1]
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(dy.mul(x[1])?), Some(dy.mul(x[0])?)])
    }
}

impl<'g> Var<'g> {
    /// `self * other`, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn mul(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(Mul, &[self, other])
    }

    /// `self * factor`.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn scale(self, factor: f64) -> Result<Var<'g>> {
        self.mul(self.builder().constant(factor))
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    vec![
        Case::new(Mul, [Operand::uniform([7, 3]), Operand::uniform([7, 3])]),
        Case::new(Mul, [Operand::uniform([3, 1, 8]), Operand::uniform([2, 1])]),
        Case::new(Mul, [Operand::uniform([]), Operand::uniform([5])]),
    ]
}

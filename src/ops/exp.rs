//! `e^x`. PyTorch `torch.exp`, ONNX `Exp`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Exp;

impl Pointwise for Exp {
    const NAME: &'static str = "exp";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Exp", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].exp()
    }

    fn vjp<'g>(&self, _x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(dy.mul(y)?)])
    }
}

impl<'g> Var<'g> {
    /// `e^self`, element by element; infinite above about 88.7.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn exp(self) -> Result<Var<'g>> {
        self.apply(Exp)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    vec![
        Case::new(Exp, [Operand::real([3, 7], Values::Uniform(-3.0, 3.0))]),
        Case::new(Exp, [Operand::real([2, 5, 8], Values::Uniform(-3.0, 3.0))]),
        Case::new(Exp, [Operand::real([], Values::Uniform(-3.0, 3.0))]),
        Case::new(Exp, [Operand::real([9], Values::Uniform(-90.0, -60.0))]),
        Case::new(
            Exp,
            [Operand::real([12], Values::Uniform(60.0, 80.0)).constant()],
        ),
    ]
}

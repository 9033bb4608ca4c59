//! Square root. PyTorch `torch.sqrt`, ONNX `Sqrt`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Sqrt;

impl Pointwise for Sqrt {
    const NAME: &'static str = "sqrt";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Sqrt", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].sqrt()
    }

    /// The gradient at 0 is infinite, as in PyTorch.
    fn vjp<'g>(&self, _x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(dy.div(y.scale(2.0)?)?)])
    }
}

impl<'g> Var<'g> {
    /// Square root, element by element; NaN below 0.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn sqrt(self) -> Result<Var<'g>> {
        self.apply(Sqrt)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    vec![
        Case::new(Sqrt, [Operand::real([3, 7], Values::Uniform(0.05, 4.0))]),
        Case::new(Sqrt, [Operand::real([2, 5, 8], Values::Uniform(0.05, 4.0))]),
        Case::new(Sqrt, [Operand::real([], Values::Uniform(0.05, 4.0))]),
        Case::new(
            Sqrt,
            [
                Operand::real([6], Values::Fixed(vec![0.0, 1e-30, 1e-6, 1.0, 1e20, 3e38]))
                    .constant(),
            ],
        ),
    ]
}

//! Natural logarithm. PyTorch `torch.log`, ONNX `Log`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Log;

impl Pointwise for Log {
    const NAME: &'static str = "log";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Log", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].ln()
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(dy.div(x[0])?)])
    }
}

impl<'g> Var<'g> {
    /// Natural logarithm, element by element; minus infinity at 0, NaN below.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn log(self) -> Result<Var<'g>> {
        self.apply(Log)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    vec![
        Case::new(Log, [Operand::real([3, 7], Values::Uniform(0.05, 4.0))]),
        Case::new(Log, [Operand::real([2, 5, 8], Values::Uniform(0.05, 4.0))]),
        Case::new(Log, [Operand::real([], Values::Uniform(0.05, 4.0))]),
        Case::new(Log, [Operand::real([3, 11], Values::Uniform(0.95, 1.05))]),
        Case::new(Log, [Operand::real([12], Values::Uniform(1e9, 1e10))]),
        Case::new(
            Log,
            [Operand::real(
                [6],
                Values::Fixed(vec![1e-30, 1e-20, 1e-6, 1.0, 1e20, 3e38]),
            )
            .constant()],
        ),
    ]
}

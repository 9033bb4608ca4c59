//! `a / b`, broadcasting. PyTorch `torch.div`, ONNX `Div`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Div;

impl Pointwise for Div {
    const NAME: &'static str = "div";
    const ARITY: usize = 2;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Div", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0] / x[1]
    }

    fn vjp<'g>(&self, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let da = dy.div(x[1])?;
        Ok(vec![Some(da), Some(da.mul(y)?.neg()?)])
    }
}

impl<'g> Var<'g> {
    /// `self / other`, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn div(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(Div, &[self, other])
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let away = || Values::Away(-2.0, 2.0, vec![-0.2, -0.1, 0.0, 0.1, 0.2]);
    vec![
        Case::new(
            Div,
            [Operand::uniform([3, 5]), Operand::real([3, 5], away())],
        ),
        Case::new(
            Div,
            [Operand::uniform([2, 3, 8]), Operand::real([8], away())],
        ),
        Case::new(
            Div,
            [Operand::uniform([5, 1]), Operand::real([2, 1, 3], away())],
        ),
        Case::new(
            Div,
            [
                Operand::uniform([]).constant(),
                Operand::real([4, 4], away()),
            ],
        ),
    ]
}

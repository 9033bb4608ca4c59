//! `a` where `mask` is not 0, `b` elsewhere, broadcasting. PyTorch `torch.where`, ONNX `Where`. Elements that are not
//! selected do not affect the result or a gradient, even if they are infinite or NaN.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module. Operands: mask, a, b.
#[derive(Debug)]
pub struct Select;

impl Pointwise for Select {
    const NAME: &'static str = "select";
    const ARITY: usize = 3;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let (mask, a, b) = (form.input(0), form.input(1), form.input(2));
        let mask = form.truths(&mask);
        Ok(form.node("Where", &[&mask, &a, &b], Vec::new()))
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        if x[0] != T::ZERO { x[1] } else { x[2] }
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let zero = dy.builder().constant(0.0);
        Ok(vec![
            None,
            Some(x[0].select(dy, zero)?),
            Some(x[0].select(zero, dy)?),
        ])
    }
}

impl<'g> Var<'g> {
    /// `a` where `self`, a mask of floats, is not 0, `b` elsewhere, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn select(self, a: Var<'g>, b: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(Select, &[self, a, b])
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let mask = |shape: &[usize]| Operand::real(shape, Values::Ties).constant();
    vec![
        Case::new(
            Select,
            [
                mask(&[3, 5]),
                Operand::uniform([3, 5]),
                Operand::uniform([3, 5]),
            ],
        ),
        Case::new(
            Select,
            [
                mask(&[8]),
                Operand::uniform([2, 3, 8]),
                Operand::uniform([3, 1]),
            ],
        ),
        Case::new(
            Select,
            [
                mask(&[2, 3, 4]),
                Operand::uniform([]).constant(),
                Operand::uniform([3, 4]),
            ],
        ),
        Case::new(
            Select,
            [
                mask(&[7, 1]),
                Operand::uniform([3]),
                Operand::uniform([]).constant(),
            ],
        ),
    ]
}

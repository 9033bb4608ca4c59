//! `a + b`, broadcasting. PyTorch `torch.add`, ONNX `Add`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Add;

impl Pointwise for Add {
    const NAME: &'static str = "add";
    const ARITY: usize = 2;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Add", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0] + x[1]
    }

    fn vjp<'g>(&self, _x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(dy), Some(dy)])
    }
}

impl<'g> Var<'g> {
    /// `self + other`, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn add(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(Add, &[self, other])
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    vec![
        Case::new(Add, [Operand::uniform([3, 5]), Operand::uniform([3, 5])]),
        Case::new(Add, [Operand::uniform([2, 3, 8]), Operand::uniform([8])]),
        Case::new(Add, [Operand::uniform([2, 1, 3]), Operand::uniform([5, 1])]),
        Case::new(Add, [Operand::uniform([4, 4]), Operand::uniform([])]),
    ]
}

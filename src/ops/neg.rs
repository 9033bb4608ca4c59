//! `-x`. PyTorch `torch.neg`, ONNX `Neg`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Neg;

impl Pointwise for Neg {
    const NAME: &'static str = "neg";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Neg", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        -x[0]
    }

    fn vjp<'g>(&self, _x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(dy.neg()?)])
    }
}

impl<'g> Var<'g> {
    /// `-self`.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn neg(self) -> Result<Var<'g>> {
        self.apply(Neg)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    vec![
        Case::new(Neg, [Operand::uniform([3, 7])]),
        Case::new(Neg, [Operand::uniform([4, 8])]),
        Case::new(Neg, [Operand::uniform([])]),
    ]
}

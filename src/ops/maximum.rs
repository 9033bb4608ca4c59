//! The larger of `a` and `b`, broadcasting; at a tie each gets half of the gradient. PyTorch `torch.maximum`, ONNX `Max`.

use super::extremum;
use super::onnx_form::{OnnxForm, Written};
use super::{Case, Pointwise};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Maximum;

impl Pointwise for Maximum {
    const NAME: &'static str = "maximum";
    const ARITY: usize = 2;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Max", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].max(x[1])
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        extremum::vjp(x, dy, Var::gt, Var::ge)
    }
}

impl<'g> Var<'g> {
    /// The larger of `self` and `other`, element by element, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn maximum(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(Maximum, &[self, other])
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    extremum::cases(Maximum)
}

//! The smaller of `a` and `b`, broadcasting; at a tie each gets half of the gradient. PyTorch `torch.minimum`, ONNX `Min`.

use super::extremum;
use super::onnx_form::{OnnxForm, Written};
use super::{Case, Pointwise};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Minimum;

impl Pointwise for Minimum {
    const NAME: &'static str = "minimum";
    const ARITY: usize = 2;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Min", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].min(x[1])
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        extremum::vjp(x, dy, Var::lt, Var::le)
    }
}

impl<'g> Var<'g> {
    /// The smaller of `self` and `other`, element by element, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn minimum(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(Minimum, &[self, other])
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    extremum::cases(Minimum)
}

//! The nearest integer; of two that are equally near, the even one. PyTorch `torch.round`, ONNX `Round`. There is no gradient, as
//! the result is constant almost everywhere.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Round;

impl Pointwise for Round {
    const NAME: &'static str = "round";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Round", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        T::of(x[0].to_f64().round_ties_even())
    }

    fn vjp<'g>(&self, _x: &[Var<'g>], _y: Var<'g>, _dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None])
    }
}

impl<'g> Var<'g> {
    /// The nearest integers, ties to even.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn round(self) -> Result<Var<'g>> {
        self.apply(Round)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let case = |shape: &[usize], values: Values| {
        Case::new(Round, [Operand::real(shape, values).constant()])
    };
    vec![
        case(&[3, 7], Values::Uniform(-3.0, 3.0)),
        case(&[2, 8], Values::Uniform(-900.0, 900.0)),
        case(&[6], Values::Fixed(vec![-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])),
    ]
}

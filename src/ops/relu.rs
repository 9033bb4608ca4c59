//! `max(x, 0)`; the gradient at 0 is 0. PyTorch `torch.relu`, ONNX `Relu`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Relu;

/// The gradient of [`Relu`] from its result: `dy` where `y > 0`, else 0. It needs only the result, which the next layer
/// keeps anyway.
#[derive(Debug)]
pub struct ReluGrad;

impl Pointwise for Relu {
    const NAME: &'static str = "relu";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Relu", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].max(T::ZERO)
    }

    fn vjp<'g>(&self, _x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(y.builder().op(ReluGrad, &[y, dy])?)])
    }
}

impl Pointwise for ReluGrad {
    const NAME: &'static str = "relu_grad";
    const FOLDER: &'static str = "relu";
    const ARITY: usize = 2;

    fn eval<T: Real>(&self, x: &[T]) -> T {
        if x[0] > T::ZERO { x[1] } else { T::ZERO }
    }

    /// The derivative with respect to `y` is 0 almost everywhere.
    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None, Some(dy.builder().op(ReluGrad, &[x[0], dy])?)])
    }
}

impl<'g> Var<'g> {
    /// `max(self, 0)`, element by element.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn relu(self) -> Result<Var<'g>> {
        self.apply(Relu)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let away = || Values::Away(-1.0, 1.0, vec![0.0]);
    vec![
        Case::new(Relu, [Operand::real([3, 7], away())]),
        Case::new(Relu, [Operand::real([4, 8], away())]),
        Case::new(
            ReluGrad,
            [
                Operand::real([3, 7], away()).constant(),
                Operand::uniform([3, 7]),
            ],
        ),
    ]
}

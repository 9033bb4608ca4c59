//! `1 / (1 + e^-x)`. PyTorch `torch.sigmoid`, ONNX `Sigmoid`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Sigmoid;

impl Pointwise for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Sigmoid", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        sigmoid(x[0])
    }

    /// `dy y (1 - y)`
    fn vjp<'g>(&self, _x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let one = y.builder().constant(1.0);
        Ok(vec![Some(dy.mul(y)?.mul(one.sub(y)?)?)])
    }
}

/// The sigmoid of one number; the exponential never overflows.
pub(super) fn sigmoid<T: Real>(x: T) -> T {
    let small = (-x.abs()).exp();
    let above = if x < T::ZERO { small } else { T::ONE };
    above / (T::ONE + small)
}

impl<'g> Var<'g> {
    /// `1 / (1 + e^-self)`, element by element.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn sigmoid(self) -> Result<Var<'g>> {
        self.apply(Sigmoid)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let far = Values::Fixed(vec![
        -100.0, -89.0, -30.0, -10.0, -5.0, 0.0, 5.0, 10.0, 30.0, 89.0, 100.0,
    ]);
    vec![
        Case::new(Sigmoid, [Operand::real([3, 7], Values::Uniform(-3.0, 3.0))]),
        Case::new(
            Sigmoid,
            [Operand::real([2, 5, 8], Values::Uniform(-6.0, 6.0))],
        ),
        Case::new(Sigmoid, [Operand::real([13], Values::Uniform(-1e-3, 1e-3))]),
        Case::new(Sigmoid, [Operand::real([11], far)]),
        Case::new(Sigmoid, [Operand::uniform([])]),
    ]
}

//! Hyperbolic tangent. PyTorch `torch.tanh`, ONNX `Tanh`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Tanh;

impl Pointwise for Tanh {
    const NAME: &'static str = "tanh";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Tanh", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].tanh()
    }

    /// `dy (1 - y^2)`
    fn vjp<'g>(&self, _x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let one = y.builder().constant(1.0);
        Ok(vec![Some(dy.mul(one.sub(y.mul(y)?)?)?)])
    }
}

impl<'g> Var<'g> {
    /// Hyperbolic tangent, element by element.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn tanh(self) -> Result<Var<'g>> {
        self.apply(Tanh)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let far = Values::Fixed(vec![
        -100.0, -30.0, -10.0, -5.0, -1.0, -0.5, 0.0, 0.25, 0.75, 9.0, 100.0,
    ]);
    vec![
        Case::new(Tanh, [Operand::real([3, 7], Values::Uniform(-3.0, 3.0))]),
        Case::new(Tanh, [Operand::real([2, 5, 8], Values::Uniform(-6.0, 6.0))]),
        Case::new(Tanh, [Operand::real([13], Values::Uniform(-1e-3, 1e-3))]),
        Case::new(Tanh, [Operand::real([11], far)]),
        Case::new(Tanh, [Operand::uniform([])]),
    ]
}

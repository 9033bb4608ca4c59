//! `x sigmoid(x)`, also called swish. PyTorch `torch.nn.functional.silu`, ONNX `Swish`.

use super::onnx_form::{OnnxForm, Written};
use super::sigmoid::sigmoid;
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Silu;

impl Pointwise for Silu {
    const NAME: &'static str = "silu";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        let gate = form.node("Sigmoid", &[&x], Vec::new());
        Ok(form.node("Mul", &[&x, &gate], Vec::new()))
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0] * sigmoid(x[0])
    }

    /// `dy s (1 + x (1 - s))` with `s = sigmoid(x)`
    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let one = dy.builder().constant(1.0);
        let s = x[0].sigmoid()?;
        let slope = one.add(x[0].mul(one.sub(s)?)?)?;
        Ok(vec![Some(dy.mul(s)?.mul(slope)?)])
    }
}

impl<'g> Var<'g> {
    /// `self * sigmoid(self)`, element by element.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn silu(self) -> Result<Var<'g>> {
        self.apply(Silu)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let far = Values::Fixed(vec![
        -100.0, -89.0, -30.0, -10.0, -5.0, 0.0, 5.0, 10.0, 30.0, 89.0, 100.0,
    ]);
    vec![
        Case::new(Silu, [Operand::real([3, 7], Values::Uniform(-3.0, 3.0))]),
        Case::new(Silu, [Operand::real([2, 5, 8], Values::Uniform(-6.0, 6.0))]),
        Case::new(Silu, [Operand::real([13], Values::Uniform(-1e-3, 1e-3))]),
        Case::new(Silu, [Operand::real([11], far)]),
        Case::new(Silu, [Operand::uniform([])]),
    ]
}

//! The approximate Gaussian error linear unit, `x (1 + tanh(u)) / 2` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`, which is
//! `x sigmoid(2 u)` (Hendrycks and Gimpel 2016). PyTorch `torch.nn.functional.gelu(approximate="tanh")`, ONNX `Gelu`.

use super::onnx_form::{OnnxForm, Written};
use super::sigmoid::sigmoid;
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

use std::f64::consts::SQRT_2;
use std::f64::consts::{FRAC_2_PI, FRAC_2_SQRT_PI};

/// See the module.
#[derive(Debug)]
pub struct GeluTanh;

/// `2 u = x (LINEAR + CUBIC x^2)`
const LINEAR: f64 = SQRT_2 * FRAC_2_SQRT_PI;
const CUBIC: f64 = 0.044715 * LINEAR;
/// Beyond this the sigmoid is 0 or 1 in `f32`.
const FAR: f64 = 10.0;

impl Pointwise for GeluTanh {
    const NAME: &'static str = "gelu_tanh";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        let (half, one) = (form.number(0.5), form.number(1.0));
        let (cubic, root) = (form.number(0.044_715), form.number(FRAC_2_PI.sqrt()));
        let square = form.node("Mul", &[&x, &x], Vec::new());
        let square = form.node("Mul", &[&square, &cubic], Vec::new());
        let factor = form.node("Add", &[&square, &one], Vec::new());
        let inner = form.node("Mul", &[&x, &factor], Vec::new());
        let inner = form.node("Mul", &[&inner, &root], Vec::new());
        let tanh = form.node("Tanh", &[&inner], Vec::new());
        let above = form.node("Add", &[&tanh, &one], Vec::new());
        let twice = form.node("Mul", &[&x, &above], Vec::new());
        Ok(form.node("Mul", &[&twice, &half], Vec::new()))
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        let x = x[0];
        x * sigmoid(x * (T::of(LINEAR) + T::of(CUBIC) * x * x))
    }

    /// `dy (s + x s (1 - s) d(2 u)/dx)` with `s = sigmoid(2 u)`
    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = dy.builder();
        let x = x[0].clamp(-FAR, FAR)?;
        let (linear, square) = (builder.constant(LINEAR), x.mul(x)?);
        let s = x.mul(linear.add(square.scale(CUBIC)?)?)?.sigmoid()?;
        let inner = linear.add(square.scale(3.0 * CUBIC)?)?;
        let slope = s.mul(builder.constant(1.0).sub(s)?)?;
        let slope = s.add(x.mul(inner)?.mul(slope)?)?;
        Ok(vec![Some(dy.mul(slope)?)])
    }
}

impl<'g> Var<'g> {
    /// The Gaussian error linear unit, approximated by `tanh`, element by element.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn gelu_tanh(self) -> Result<Var<'g>> {
        self.apply(GeluTanh)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let far = Values::Fixed(vec![
        -100.0, -89.0, -30.0, -10.0, -5.0, 0.0, 5.0, 10.0, 30.0, 89.0, 100.0,
    ]);
    vec![
        Case::new(
            GeluTanh,
            [Operand::real([3, 7], Values::Uniform(-3.0, 3.0))],
        ),
        Case::new(
            GeluTanh,
            [Operand::real([2, 5, 8], Values::Uniform(-6.0, 6.0))],
        ),
        Case::new(
            GeluTanh,
            [Operand::real([13], Values::Uniform(-1e-3, 1e-3))],
        ),
        Case::new(GeluTanh, [Operand::real([11], far)]),
        Case::new(GeluTanh, [Operand::uniform([])]),
    ]
}

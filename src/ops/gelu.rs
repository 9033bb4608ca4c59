//! Gaussian error linear unit: `x P(x)`, where `P` is the normal distribution's cumulative function,
//! `(1 + erf(x / sqrt 2)) / 2` (Hendrycks and Gimpel 2016). PyTorch `torch.nn.functional.gelu`, ONNX `Gelu`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// See the module.
#[derive(Debug)]
pub struct Gelu;

/// The gradient of [`Gelu`]: `dy (P(x) + x p(x))` with the normal density `p`. Operands: x, dy.
#[derive(Debug)]
pub struct GeluGrad;

impl Pointwise for Gelu {
    const NAME: &'static str = "gelu";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        let (root, half, one) = (
            form.number(2.0_f64.sqrt()),
            form.number(0.5),
            form.number(1.0),
        );
        let scaled = form.node("Div", &[&x, &root], Vec::new());
        let erf = form.node("Erf", &[&scaled], Vec::new());
        let above = form.node("Add", &[&erf, &one], Vec::new());
        let twice = form.node("Mul", &[&x, &above], Vec::new());
        Ok(form.node("Mul", &[&twice, &half], Vec::new()))
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0] * cumulative(x[0])
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(dy.builder().op(GeluGrad, &[x[0], dy])?)])
    }
}

impl Pointwise for GeluGrad {
    const NAME: &'static str = "gelu_grad";
    const FOLDER: &'static str = "gelu";
    const ARITY: usize = 2;

    fn eval<T: Real>(&self, x: &[T]) -> T {
        let density = T::of((2.0 * PI).sqrt().recip()) * (T::of(-0.5) * x[0] * x[0]).exp();
        x[1] * (cumulative(x[0]) + x[0] * density)
    }

    /// `p(x) (2 - x^2)` is the derivative of `P(x) + x p(x)`.
    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = dy.builder();
        let square = x[0].mul(x[0])?;
        let density = square
            .scale(-0.5)?
            .exp()?
            .scale((2.0 * PI).sqrt().recip())?;
        let slope = density.mul(builder.constant(2.0).sub(square)?)?;
        let dx = dy.mul(x[1])?.mul(slope)?;
        Ok(vec![Some(dx), Some(builder.op(GeluGrad, &[x[0], dy])?)])
    }
}

/// Probability that a standard normal variable is below `x`.
fn cumulative<T: Real>(x: T) -> T {
    T::of(0.5) * (T::ONE + (x * T::of(FRAC_1_SQRT_2)).erf())
}

impl<'g> Var<'g> {
    /// Gaussian error linear unit, exact, element by element.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn gelu(self) -> Result<Var<'g>> {
        self.apply(Gelu)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let far = Values::Fixed(vec![
        -100.0, -89.0, -30.0, -10.0, -5.0, 0.0, 5.0, 10.0, 30.0, 89.0, 100.0,
    ]);
    vec![
        Case::new(Gelu, [Operand::real([3, 7], Values::Uniform(-3.0, 3.0))]),
        Case::new(Gelu, [Operand::real([2, 5, 8], Values::Uniform(-6.0, 6.0))]),
        Case::new(Gelu, [Operand::real([13], Values::Uniform(-1e-3, 1e-3))]),
        Case::new(Gelu, [Operand::real([11], far)]),
        Case::new(Gelu, [Operand::uniform([])]),
        Case::new(
            GeluGrad,
            [
                Operand::real([5, 3], Values::Uniform(-4.0, 4.0)),
                Operand::uniform([5, 3]),
            ],
        ),
        Case::new(
            GeluGrad,
            [
                Operand::real([2, 8], Values::Uniform(-4.0, 4.0)),
                Operand::uniform([2, 8]),
            ],
        ),
    ]
}

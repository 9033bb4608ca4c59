//! `x` limited to a range: `min(max(x, low), high)`. PyTorch `torch.clamp`, ONNX `Clip`.
//!
//! The gradient is 1 inside the range and 0 on the bounds and outside, as PyTorch has it for `clamp` with two bounds.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Clamp {
    /// Lower bound; minus infinity for none.
    pub min: f64,
    /// Upper bound; infinity for none. It takes precedence if it is below the lower bound.
    pub max: f64,
}

impl Pointwise for Clamp {
    const NAME: &'static str = "clamp";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let (x, min, max) = (form.input(0), form.number(self.min), form.number(self.max));
        Ok(form.node("Clip", &[&x, &min, &max], Vec::new()))
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].max(T::of(self.min)).min(T::of(self.max))
    }

    /// Computed from the result, which equals a bound exactly where `x` is on it or outside.
    fn vjp<'g>(&self, _x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = dy.builder();
        let (min, max) = (builder.constant(self.min), builder.constant(self.max));
        let inside = y.gt(min)?.mul(y.lt(max)?)?;
        Ok(vec![Some(inside.select(dy, builder.constant(0.0))?)])
    }

    fn literals(&self) -> Vec<f64> {
        vec![self.min, self.max]
    }
}

impl<'g> Var<'g> {
    /// `self` limited to the range from `min` to `max`, either of which may be infinite.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn clamp(self, min: f64, max: f64) -> Result<Var<'g>> {
        self.apply(Clamp { min, max })
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let away = |kinks: &[f64]| Values::Away(-1.0, 1.0, kinks.to_vec());
    vec![
        Case::new(
            Clamp {
                min: -0.5,
                max: 0.75,
            },
            [Operand::real([3, 7], away(&[-0.5, 0.75]))],
        ),
        Case::new(
            Clamp {
                min: -0.25,
                max: 0.25,
            },
            [Operand::real([4, 8], away(&[-0.25, 0.25]))],
        ),
        Case::new(
            Clamp {
                min: 0.0,
                max: f64::INFINITY,
            },
            [Operand::real([2, 8], away(&[0.0]))],
        ),
        Case::new(
            Clamp {
                min: f64::NEG_INFINITY,
                max: 0.1,
            },
            [Operand::real([11], away(&[0.1]))],
        ),
        Case::new(
            Clamp {
                min: 0.5,
                max: -0.5,
            },
            [Operand::real([5], away(&[-0.5, 0.5]))],
        ),
        Case::new(
            Clamp {
                min: -1.0,
                max: 0.0,
            },
            [Operand::real([6], Values::Ties).constant()],
        ),
    ]
}

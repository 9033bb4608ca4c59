//! `x` where `x > 0`, `alpha (exp(x) - 1)` elsewhere; the gradient at 0 is `alpha`. PyTorch `torch.nn.functional.elu`,
//! ONNX `Elu`.

use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Elu {
    /// Minus the limit of the result for large negative inputs.
    pub alpha: f64,
}

impl Pointwise for Elu {
    const NAME: &'static str = "elu";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Elu", vec![("alpha", OnnxAttribute::Float(self.alpha))])
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        if x[0] > T::ZERO {
            x[0]
        } else {
            T::of(self.alpha) * (x[0].exp() - T::ONE)
        }
    }

    /// Below 0 the slope is `alpha exp(x)`, which is `y + alpha`. The sign is taken from the result if it is that of
    /// `x`.
    fn vjp<'g>(&self, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = dy.builder();
        let sign = if self.alpha >= 0.0 { y } else { x[0] };
        let positive = sign.gt(builder.constant(0.0))?;
        let slope = y.add(builder.constant(self.alpha))?;
        Ok(vec![Some(positive.select(dy, dy.mul(slope)?)?)])
    }

    fn literals(&self) -> Vec<f64> {
        vec![self.alpha]
    }
}

impl<'g> Var<'g> {
    /// `self` where it is positive, `alpha * (exp(self) - 1)` elsewhere.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn elu(self, alpha: f64) -> Result<Var<'g>> {
        self.apply(Elu { alpha })
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let away = |limit: f64| Values::Away(-limit, limit, vec![0.0]);
    let mut odd = || 2 + stream.below(7) as usize;
    vec![
        Case::new(
            Elu { alpha: 1.0 },
            [Operand::real([odd(), odd()], away(2.0))],
        ),
        Case::new(Elu { alpha: 0.3 }, [Operand::real([odd(), 8], away(2.0))]),
        Case::new(Elu { alpha: 1.0 }, [Operand::real([4, 8], away(90.0))]),
        Case::new(Elu { alpha: 0.0 }, [Operand::real([5, 1], away(90.0))]),
        Case::new(Elu { alpha: -0.5 }, [Operand::real([9], away(2.0))]),
        Case::new(Elu { alpha: 2.0 }, [Operand::real([], away(2.0))]),
        Case::new(
            Elu { alpha: 0.7 },
            [Operand::real([6], Values::Ties).constant()],
        ),
    ]
}

//! `x` where `x > 0`, `alpha x` elsewhere; the gradient at 0 is `alpha`. PyTorch `torch.nn.functional.leaky_relu`, ONNX
//! `LeakyRelu`.

use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct LeakyRelu {
    /// Slope below 0.
    pub alpha: f64,
}

impl Pointwise for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same(
            "LeakyRelu",
            vec![("alpha", OnnxAttribute::Float(self.alpha))],
        )
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        if x[0] > T::ZERO {
            x[0]
        } else {
            T::of(self.alpha) * x[0]
        }
    }

    /// Computed from the result if its sign is that of `x`: the next layer keeps the result anyway.
    fn vjp<'g>(&self, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let sign = if self.alpha >= 0.0 { y } else { x[0] };
        let positive = sign.gt(dy.builder().constant(0.0))?;
        Ok(vec![Some(positive.select(dy, dy.scale(self.alpha)?)?)])
    }

    fn literals(&self) -> Vec<f64> {
        vec![self.alpha]
    }
}

impl<'g> Var<'g> {
    /// `self` where it is positive, `alpha * self` elsewhere.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn leaky_relu(self, alpha: f64) -> Result<Var<'g>> {
        self.apply(LeakyRelu { alpha })
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let away = || Values::Away(-1.0, 1.0, vec![0.0]);
    vec![
        Case::new(LeakyRelu { alpha: 0.01 }, [Operand::real([3, 7], away())]),
        Case::new(LeakyRelu { alpha: 0.2 }, [Operand::real([4, 8], away())]),
        Case::new(LeakyRelu { alpha: 0.0 }, [Operand::real([5], away())]),
        Case::new(LeakyRelu { alpha: -0.5 }, [Operand::real([9], away())]),
        Case::new(
            LeakyRelu { alpha: 0.1 },
            [Operand::real([6], Values::Ties).constant()],
        ),
    ]
}

//! Huber loss (Huber 1964), element by element: with d = a - b, `d^2 / 2` where `|d| <= delta`,
//! `delta (|d| - delta / 2)`
//! elsewhere. PyTorch `torch.nn.functional.huber_loss(reduction="none")`; with delta 1 it is `smooth_l1_loss`.

use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Huber {
    /// The largest `|d|` for which the loss is quadratic; above 0.
    pub delta: f64,
}

impl Pointwise for Huber {
    const NAME: &'static str = "huber";
    const ARITY: usize = 2;

    fn eval<T: Real>(&self, x: &[T]) -> T {
        let (d, delta, half) = ((x[0] - x[1]).abs(), T::of(self.delta), T::of(0.5));
        if d <= delta {
            half * d * d
        } else {
            delta * (d - half * delta)
        }
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let slope = x[0].sub(x[1])?.clamp(-self.delta, self.delta)?;
        let grad = dy.mul(slope)?;
        Ok(vec![Some(grad), Some(grad.scale(-1.0)?)])
    }

    fn literals(&self) -> Vec<f64> {
        vec![self.delta]
    }
}

impl<'g> Var<'g> {
    /// Huber loss of the prediction `self` against `target`, element by element, without reduction.
    ///
    /// # Errors
    /// If `delta` is not above 0, or the shapes do not broadcast.
    #[track_caller]
    pub fn huber(self, target: Var<'g>, delta: f64) -> Result<Var<'g>> {
        if !(delta > 0.0 && delta.is_finite()) {
            return Err(Error::Graph(format!(
                "huber takes a delta above 0, was given {delta}"
            )));
        }
        self.builder().op(Huber { delta }, &[self, target])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 2 + stream.below(7) as usize;
    let (a, b) = (odd(), odd());
    let zeros = |n: usize| Operand::real([n], Values::Fixed(vec![0.0; n])).constant();
    vec![
        Case::new(
            Huber { delta: 10.0 },
            [Operand::uniform([a, b]), Operand::uniform([a, b])],
        ),
        Case::new(
            Huber { delta: 1e-3 },
            [
                Operand::real([a, 8], Values::Uniform(1.0, 2.0)),
                Operand::uniform([a, 8]),
            ],
        ),
        Case::new(
            Huber { delta: 0.5 },
            [
                Operand::real([40], Values::Away(-2.0, 2.0, vec![0.5, -0.5])),
                zeros(40),
            ],
        ),
        Case::new(
            Huber { delta: 2.0 },
            [Operand::uniform([a, 3]), Operand::uniform([3])],
        ),
    ]
}

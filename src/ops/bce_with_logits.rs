//! Binary cross-entropy of sigmoid(x) with the target t, element by element:
//! `-t log(sigmoid(x)) - (1 - t) log(1 - sigmoid(x))`, written so that it can't overflow. PyTorch
//! `torch.nn.functional.binary_cross_entropy_with_logits(reduction="none")`.

use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module. Operands: logits, and targets between 0 and 1.
#[derive(Debug)]
pub struct BceWithLogits;

impl Pointwise for BceWithLogits {
    const NAME: &'static str = "bce_with_logits";
    const ARITY: usize = 2;

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].max(T::ZERO) - x[0] * x[1] + (T::ONE + (-x[0].abs()).exp()).ln()
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let slope = x[0].sigmoid()?.sub(x[1])?;
        Ok(vec![Some(dy.mul(slope)?), Some(dy.mul(x[0])?.scale(-1.0)?)])
    }
}

impl<'g> Var<'g> {
    /// Binary cross-entropy of sigmoid(`self`) with `targets` between 0 and 1, element by element, without reduction.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn bce_with_logits(self, targets: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(BceWithLogits, &[self, targets])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 2 + stream.below(7) as usize;
    let targets = |shape: Vec<usize>| Operand::real(shape, Values::Uniform(0.0, 1.0));
    let (a, b) = (odd(), odd());
    vec![
        Case::new(
            BceWithLogits,
            [Operand::uniform([a, b]), targets(vec![a, b])],
        ),
        Case::new(
            BceWithLogits,
            [
                Operand::real([a, 8], Values::Uniform(-30.0, 30.0)),
                targets(vec![a, 8]),
            ],
        ),
        Case::new(BceWithLogits, [Operand::uniform([a, 4]), targets(vec![4])]),
        Case::new(
            BceWithLogits,
            [
                Operand::real([6], Values::Uniform(-90.0, 90.0)),
                targets(vec![6]),
            ],
        ),
    ]
}

//! The smaller of `a` and `b`, broadcasting; at a tie each gets half of the gradient. PyTorch `torch.minimum`, ONNX `Min`.

use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Minimum;

impl Pointwise for Minimum {
    const NAME: &'static str = "minimum";
    const ARITY: usize = 2;

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].min(x[1])
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let half = dy.scale(0.5)?;
        let share = |own: Var<'g>, other: Var<'g>| {
            let wins = own.lt(other)?;
            half.mul(wins.add(own.le(other)?)?)
        };
        Ok(vec![Some(share(x[0], x[1])?), Some(share(x[1], x[0])?)])
    }
}

impl<'g> Var<'g> {
    /// The smaller of `self` and `other`, element by element, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn minimum(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(Minimum, &[self, other])
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    // Neighbouring multiples of 0.0625, one operand between those of the other: no ties, no kink within a step.
    let between = |n: usize| {
        Values::Fixed(
            (0..n)
                .map(|i| ((i * 7 % 11) as f64 - 5.0) * 0.0625 + 0.03)
                .collect(),
        )
    };
    vec![
        Case::new(
            Minimum,
            [
                Operand::real([3, 5], Values::Distinct),
                Operand::real([3, 5], between(15)),
            ],
        ),
        Case::new(
            Minimum,
            [
                Operand::real([2, 3, 8], Values::Distinct),
                Operand::real([8], between(8)),
            ],
        ),
        Case::new(
            Minimum,
            [
                Operand::real([2, 1, 3], Values::Distinct),
                Operand::real([5, 1], between(5)),
            ],
        ),
        Case::new(
            Minimum,
            [
                Operand::real([], between(1)).constant(),
                Operand::real([4, 4], Values::Distinct),
            ],
        ),
        Case::new(
            Minimum,
            [
                Operand::real([6, 3], Values::Ties).constant(),
                Operand::real([6, 3], Values::Ties).constant(),
            ],
        ),
    ]
}

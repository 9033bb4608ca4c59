//! Shared code of `maximum` and `minimum`: the gradient, of which equal operands get half each, and the cases.

use super::{Case, Op, Operand, Values};
use crate::error::Result;
use crate::graph::Var;

/// The gradients of the operands `x` of an extremum. `beats` is 1 where its first operand wins, `ties` where its first
/// operand wins or is equal.
///
/// # Errors
/// If a node can't be built.
pub(super) fn vjp<'g>(
    x: &[Var<'g>],
    dy: Var<'g>,
    beats: impl Fn(Var<'g>, Var<'g>) -> Result<Var<'g>>,
    ties: impl Fn(Var<'g>, Var<'g>) -> Result<Var<'g>>,
) -> Result<Vec<Option<Var<'g>>>> {
    let half = dy.scale(0.5)?;
    let share = |own: Var<'g>, other: Var<'g>| {
        let wins = beats(own, other)?;
        half.mul(wins.add(ties(own, other)?)?)
    };
    Ok(vec![Some(share(x[0], x[1])?), Some(share(x[1], x[0])?)])
}

/// Sample cases of `op`.
pub(super) fn cases(op: impl Op + Copy) -> Vec<Case> {
    // Neighbouring multiples of 0.0625, with the two operands interleaved: no ties, and no kink within a step of
    // differences.
    let between = |n: usize| {
        Values::Fixed(
            (0..n)
                .map(|i| ((i * 7 % 11) as f64 - 5.0) * 0.0625 + 0.03)
                .collect(),
        )
    };
    vec![
        Case::new(
            op,
            [
                Operand::real([3, 5], Values::Distinct),
                Operand::real([3, 5], between(15)),
            ],
        ),
        Case::new(
            op,
            [
                Operand::real([2, 3, 8], Values::Distinct),
                Operand::real([8], between(8)),
            ],
        ),
        Case::new(
            op,
            [
                Operand::real([2, 1, 3], Values::Distinct),
                Operand::real([5, 1], between(5)),
            ],
        ),
        Case::new(
            op,
            [
                Operand::real([], between(1)).constant(),
                Operand::real([4, 4], Values::Distinct),
            ],
        ),
        Case::new(
            op,
            [
                Operand::real([6, 3], Values::Ties).constant(),
                Operand::real([6, 3], Values::Ties).constant(),
            ],
        ),
    ]
}

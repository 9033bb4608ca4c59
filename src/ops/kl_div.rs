//! Kullback-Leibler divergence of the distribution with log-probabilities x from the distribution t, element by
//! element: `t (log t - x)`, 0 where t is 0. PyTorch `torch.nn.functional.kl_div(reduction="none")`.

use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module. Operands: log-probabilities, and probabilities.
#[derive(Debug)]
pub struct KlDiv;

impl Pointwise for KlDiv {
    const NAME: &'static str = "kl_div";
    const ARITY: usize = 2;

    fn eval<T: Real>(&self, x: &[T]) -> T {
        if x[1] > T::ZERO {
            x[1] * (x[1].ln() - x[0])
        } else {
            T::ZERO
        }
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = dy.builder();
        let zero = builder.constant(0.0);
        let positive = x[1].gt(zero)?;
        let slope = x[1].log()?.add(builder.constant(1.0))?.sub(x[0])?;
        let for_target = positive.select(dy.mul(slope)?, zero)?;
        Ok(vec![Some(dy.mul(x[1])?.scale(-1.0)?), Some(for_target)])
    }
}

impl<'g> Var<'g> {
    /// Divergence of the distribution with log-probabilities `self` ([`Var::log_softmax`]) from the probabilities
    /// `target`, element by element, without reduction.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn kl_div(self, target: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(KlDiv, &[self, target])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 2 + stream.below(7) as usize;
    let (a, b) = (odd(), odd());
    let logs = |shape: Vec<usize>| Operand::real(shape, Values::Uniform(-3.0, -0.5));
    let shares = |shape: Vec<usize>| Operand::real(shape, Values::Uniform(0.1, 1.0));
    vec![
        Case::new(KlDiv, [logs(vec![a, b]), shares(vec![a, b])]),
        Case::new(KlDiv, [logs(vec![a, 8]), shares(vec![a, 8])]),
        Case::new(
            KlDiv,
            [
                logs(vec![4]),
                Operand::real([4], Values::Fixed(vec![0.0, 0.5, 0.0, 0.5])).constant(),
            ],
        ),
    ]
}

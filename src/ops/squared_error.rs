//! `(a - b)^2`, element by element; its mean over all elements is PyTorch's `torch.nn.functional.mse_loss`.

use super::{Case, Operand, Pointwise};
use crate::cpu::Real;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct SquaredError;

/// The gradient of [`SquaredError`] with respect to its first operand: `2 (a - b) dy`.
#[derive(Debug)]
pub struct SquaredErrorGrad;

impl Pointwise for SquaredError {
    const NAME: &'static str = "squared_error";
    const ARITY: usize = 2;

    fn eval<T: Real>(&self, x: &[T]) -> T {
        let difference = x[0] - x[1];
        difference * difference
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let grad = dy.builder().op(SquaredErrorGrad, &[x[0], x[1], dy])?;
        Ok(vec![Some(grad), Some(grad.scale(-1.0)?)])
    }
}

impl Pointwise for SquaredErrorGrad {
    const NAME: &'static str = "squared_error_grad";
    const FOLDER: &'static str = "squared_error";
    const ARITY: usize = 3;

    fn eval<T: Real>(&self, x: &[T]) -> T {
        T::of(2.0) * (x[0] - x[1]) * x[2]
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let slope = x[2].mul(dy)?.scale(2.0)?;
        let upstream = dy.builder().op(SquaredErrorGrad, &[x[0], x[1], dy])?;
        Ok(vec![Some(slope), Some(slope.scale(-1.0)?), Some(upstream)])
    }
}

impl<'g> Var<'g> {
    /// Mean squared error of the prediction `self` against `target`: a scalar.
    ///
    /// # Errors
    /// If the two are not float tensors of one shape: broadcasting here is nearly always a mistake.
    #[track_caller]
    pub fn mse(self, target: Var<'g>) -> Result<Var<'g>> {
        let (a, b) = (self.ty(), target.ty());
        if a != b {
            return Err(Error::Graph(format!(
                "mse takes a prediction and a target of one shape, was given {a} and {b}"
            )));
        }
        let errors = self.builder().op(SquaredError, &[self, target])?;
        errors.mean(&(0..a.shape.rank()).collect::<Vec<_>>())
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let three = |shape: [usize; 2]| [(); 3].map(|()| Operand::uniform(shape));
    vec![
        Case::new(
            SquaredError,
            [Operand::uniform([3, 5]), Operand::uniform([3, 5])],
        ),
        Case::new(
            SquaredError,
            [Operand::uniform([2, 1, 8]), Operand::uniform([3, 8])],
        ),
        Case::new(SquaredErrorGrad, three([3, 7])),
        Case::new(SquaredErrorGrad, three([4, 8])),
    ]
}

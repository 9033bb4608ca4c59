//! `|x|`; the gradient at 0 is 0. PyTorch `torch.abs`, ONNX `Abs`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Abs;

impl Pointwise for Abs {
    const NAME: &'static str = "abs";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Abs", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].abs()
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let zero = dy.builder().constant(0.0);
        let sign = x[0].gt(zero)?.sub(x[0].lt(zero)?)?;
        Ok(vec![Some(dy.mul(sign)?)])
    }
}

impl<'g> Var<'g> {
    /// `|self|`, element by element.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn abs(self) -> Result<Var<'g>> {
        self.apply(Abs)
    }

    /// Mean absolute error of the prediction `self` against `target`: a scalar. PyTorch `torch.nn.functional.l1_loss`.
    ///
    /// # Errors
    /// If the two are not float tensors of one shape: broadcasting here is nearly always a mistake.
    #[track_caller]
    pub fn l1(self, target: Var<'g>) -> Result<Var<'g>> {
        let (a, b) = (self.ty(), target.ty());
        if a != b {
            return Err(Error::Graph(format!(
                "l1 takes a prediction and a target of one shape, was given {a} and {b}"
            )));
        }
        self.sub(target)?
            .abs()?
            .mean(&(0..a.shape.rank()).collect::<Vec<_>>())
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let away = || Values::Away(-1.0, 1.0, vec![0.0]);
    vec![
        Case::new(Abs, [Operand::real([3, 7], away())]),
        Case::new(Abs, [Operand::real([4, 8], away())]),
        Case::new(Abs, [Operand::real([5], Values::Ties).constant()]),
    ]
}

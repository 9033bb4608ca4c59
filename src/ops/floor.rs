//! The largest integer not above x. PyTorch `torch.floor`, ONNX `Floor`. There is no gradient, as the result is constant almost
//! everywhere.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Floor;

impl Pointwise for Floor {
    const NAME: &'static str = "floor";
    const ARITY: usize = 1;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Floor", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        T::of(x[0].to_f64().floor())
    }

    fn vjp<'g>(&self, _x: &[Var<'g>], _y: Var<'g>, _dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None])
    }
}

impl<'g> Var<'g> {
    /// The largest integers not above the elements.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn floor(self) -> Result<Var<'g>> {
        self.apply(Floor)
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let case = |shape: &[usize], values: Values| {
        Case::new(Floor, [Operand::real(shape, values).constant()])
    };
    vec![
        case(&[3, 7], Values::Uniform(-3.0, 3.0)),
        case(&[2, 8], Values::Uniform(-900.0, 900.0)),
        case(
            &[6],
            Values::Fixed(vec![-2.0, -1.5, -0.0, 0.5, 1.0, 16_777_216.0]),
        ),
    ]
}

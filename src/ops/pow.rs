//! `a^b`, broadcasting. PyTorch `torch.pow`, ONNX `Pow`. As in IEEE 754, `a^0` is 1 even for `a = 0`, and a negative
//! base gives NaN unless the exponent is an integer.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Pow;

impl Pointwise for Pow {
    const NAME: &'static str = "pow";
    const ARITY: usize = 2;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Pow", Vec::new())
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        x[0].powf(x[1])
    }

    /// `b a^(b - 1)`, and 0 for `b = 0`; `y log(a)`, and 0 for `a = 0` unless `b < 0`.
    fn vjp<'g>(&self, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = dy.builder();
        let (a, b) = (x[0], x[1]);
        let (zero, one) = (builder.constant(0.0), builder.constant(1.0));
        let da = dy.mul(b)?.mul(a.pow(b.sub(one)?)?)?;
        let db = dy.mul(y)?.mul(a.log()?)?;
        let flat = a.eq(zero)?.mul(b.ge(zero)?)?;
        Ok(vec![
            Some(b.eq(zero)?.select(zero, da)?),
            Some(flat.select(zero, db)?),
        ])
    }
}

impl<'g> Var<'g> {
    /// `self` to the power of `exponent`, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn pow(self, exponent: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(Pow, &[self, exponent])
    }

    /// `self` to the power of a number.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn powf(self, exponent: f64) -> Result<Var<'g>> {
        match exponent {
            2.0 => self.mul(self),
            0.5 => self.sqrt(),
            _ => self.pow(self.builder().constant(exponent)),
        }
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let positive = || Values::Uniform(0.2, 3.0);
    let signed = || Values::Away(-2.0, 2.0, vec![-0.2, -0.1, 0.0, 0.1, 0.2]);
    let whole =
        |shape: &[usize], b: &[f64]| Operand::real(shape, Values::Fixed(b.to_vec())).constant();
    let zeros = || Operand::real([6], Values::Fixed(vec![0.0; 6])).constant();
    vec![
        Case::new(
            Pow,
            [Operand::real([3, 5], positive()), Operand::uniform([3, 5])],
        ),
        Case::new(
            Pow,
            [
                Operand::real([2, 3, 8], positive()),
                Operand::real([8], Values::Uniform(-4.0, 4.0)),
            ],
        ),
        Case::new(
            Pow,
            [
                Operand::real([5, 1], positive()),
                Operand::uniform([2, 1, 3]),
            ],
        ),
        Case::new(
            Pow,
            [
                Operand::real([4, 7], signed()),
                whole(&[7], &[-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0]),
            ],
        ),
        Case::new(Pow, [Operand::real([4, 4], signed()), whole(&[], &[3.0])]),
        Case::new(
            Pow,
            [zeros(), whole(&[6], &[0.0, 0.5, 1.0, 2.0, 3.0, 40.0])],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use crate::autodiff::gradients;
    use crate::cpu::{Tensor, interpret};
    use crate::graph::Builder;
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    #[test]
    fn the_gradients_at_base_zero_are_pytorchs() {
        let builder = Builder::new();
        let a = builder.variable("a", TensorType::f32([4])).unwrap();
        let b = builder.variable("b", TensorType::f32([4])).unwrap();
        let loss = a.pow(b).unwrap().sum_all().unwrap();
        for (name, grad) in ["da", "db"].iter().zip(gradients(loss, &[a, b]).unwrap()) {
            builder.output(name, grad);
        }
        let graph = builder.finish().unwrap();
        let value = |x: &[f64]| Arc::new(Tensor::<f64>::real([4], x.to_vec()));
        let mut variables = HashMap::from([
            ("a".to_string(), value(&[0.0; 4])),
            ("b".to_string(), value(&[0.0, 1.0, 2.0, 3.5])),
        ]);
        let outputs = interpret(&graph, &mut variables, &HashMap::new()).unwrap();
        assert_eq!(outputs[0].reals(), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(outputs[1].reals(), [0.0; 4]);
    }
}

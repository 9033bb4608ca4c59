//! `exp(x) / sum exp(x)` over the last axis. PyTorch `torch.softmax(dim=-1)`, ONNX `Softmax`.

use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::rows::{self, RowShape};
use super::samples;
use super::{Case, Op, Operand, Values, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, Target};
use crate::random::Stream;
use crate::tensor::TensorType;

/// See the module.
#[derive(Debug)]
pub struct Softmax;

/// The gradient of [`Softmax`] from its result: `y (dy - sum(y dy))`.
#[derive(Debug)]
pub struct SoftmaxGrad;

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        rows::infer::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let grad = cx.grad.builder().op(SoftmaxGrad, &[cx.output, cx.grad])?;
        Ok(vec![Some(grad)])
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn sample_axis(
        &self,
        inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        samples::of_first(own).filter(|_| inputs[0].shape.rank() > 1)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        rows::reference([inputs[0]], |[x], y| {
            let (maximum, sum) = rows::statistics(x);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - maximum).exp() / sum;
            }
        })
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same("Softmax", vec![("axis", OnnxAttribute::Int(-1))])
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        rows::lower(cx, "softmax/softmax", &["x"])
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        RowShape::of(inputs[0]).variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }
}

impl Op for SoftmaxGrad {
    fn name(&self) -> &'static str {
        "softmax_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        rows::infer::<2>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of softmax")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        rows::reference([inputs[0], inputs[1]], |[y, dy], dx| {
            let sum: T = y.iter().zip(dy).map(|(&y, &dy)| y * dy).sum();
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = y * (dy - sum);
            }
        })
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        rows::lower(cx, "softmax/softmax_grad", &["x", "dy"])
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        RowShape::of(inputs[0]).variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }
}

impl<'g> Var<'g> {
    /// Softmax over the last axis.
    ///
    /// # Errors
    /// If `self` is not a float tensor of at least one axis.
    #[track_caller]
    pub fn softmax(self) -> Result<Var<'g>> {
        self.apply(Softmax)
    }

    /// Softmax along `axis`.
    ///
    /// # Errors
    /// If `self` is not a float tensor with such an axis.
    #[track_caller]
    pub fn softmax_along(self, axis: usize) -> Result<Var<'g>> {
        let last = self.shape().rank().saturating_sub(1);
        if axis == last {
            return self.softmax();
        }
        self.transpose(axis, last)?.softmax()?.transpose(axis, last)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let forward = rows::cases(stream)
        .into_iter()
        .map(|(shape, values)| Case::new(Softmax, [Operand::real(shape, values)]));
    let backward = rows::cases(stream).into_iter().map(|(shape, _)| {
        let y = Operand::real(shape.clone(), Values::Uniform(0.0, 1.0));
        Case::new(
            SoftmaxGrad,
            [y.constant(), Operand::uniform(shape).constant()],
        )
    });
    forward.chain(backward).collect()
}

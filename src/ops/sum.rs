//! Sum over any axes. PyTorch `torch.sum`, ONNX `ReduceSum`. `mean` is a sum and a scale.

use super::onnx_form::{OnnxForm, Written};
use super::reduce::{self, Reduction};
use super::{Case, Op, Operand, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, Target};
use crate::random::Stream;
use crate::tensor::{Shape, TensorType};

/// See the module.
#[derive(Debug)]
pub struct Sum {
    /// Axes, and whether they are kept with extent 1.
    pub over: Reduction,
}

impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        self.over.infer(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let shape = cx.inputs[0].shape();
        let grad = cx.grad.reshape(self.over.kept_shape(&shape))?;
        Ok(vec![Some(grad.broadcast_to(&shape)?)])
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        self.over.sample_axis(own[0]?)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        reduce::reference(&self.over, inputs[0], output, T::ZERO, |sum, x| sum + x)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        Ok(form.reduced("ReduceSum", &x, &self.over.axes, self.over.keep_dims))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        reduce::lower(&self.over, cx, "sum/sum")
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        reduce::variants(&self.over, target, inputs[0])
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        self.over.length(&inputs[0].shape)
    }
}

impl<'g> Var<'g> {
    /// Sum over `axes`, which are removed.
    ///
    /// # Errors
    /// If an axis does not exist or is given twice.
    #[track_caller]
    pub fn sum(self, axes: &[usize]) -> Result<Var<'g>> {
        self.apply(Sum {
            over: Reduction {
                axes: axes.to_vec(),
                keep_dims: false,
            },
        })
    }

    /// Sum over `axes`, which are kept with extent 1.
    ///
    /// # Errors
    /// If an axis does not exist or is given twice.
    #[track_caller]
    pub fn sum_keep(self, axes: &[usize]) -> Result<Var<'g>> {
        self.apply(Sum {
            over: Reduction {
                axes: axes.to_vec(),
                keep_dims: true,
            },
        })
    }

    /// Mean over `axes`, which are removed.
    ///
    /// # Errors
    /// If an axis does not exist or is given twice.
    #[track_caller]
    pub fn mean(self, axes: &[usize]) -> Result<Var<'g>> {
        let sum = self.sum(axes)?;
        sum.scale(sum.ty().elements() as f64 / self.ty().elements() as f64)
    }

    /// Sum over all axes: a scalar.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn sum_all(self) -> Result<Var<'g>> {
        self.sum(&(0..self.shape().rank()).collect::<Vec<_>>())
    }

    /// Reverses broadcasting: sums `self` to `shape`, which must broadcast to the shape of `self`.
    ///
    /// # Errors
    /// If `shape` does not broadcast to the shape of `self`.
    #[track_caller]
    pub fn sum_to(self, shape: &Shape) -> Result<Var<'g>> {
        let own = self.shape();
        if own == *shape {
            return Ok(self);
        }
        let missing = own.rank() - shape.rank().min(own.rank());
        let axes: Vec<usize> = (0..own.rank())
            .filter(|&a| a < missing || (shape.dims()[a - missing] == 1 && own.dims()[a] != 1))
            .collect();
        let sum = if axes.is_empty() {
            self
        } else {
            self.sum(&axes)?
        };
        sum.reshape(shape.clone())
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    reduce::cases(stream)
        .into_iter()
        .map(|(over, shape)| Case::new(Sum { over }, [Operand::uniform(shape)]))
        .collect()
}

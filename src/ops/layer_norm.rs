//! `(x - mean) / sqrt(variance + epsilon)` over the last axis, without weight and bias (Ba, Kiros and Hinton 2016). PyTorch
//! `torch.nn.functional.layer_norm`, ONNX `LayerNormalization`.

use super::rows::{self, Rows};
use super::{Case, Op, Operand, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, Target};
use crate::random::Stream;
use crate::tensor::TensorType;

/// See the module.
#[derive(Debug)]
pub struct LayerNorm {
    /// Keeps rows of equal elements finite.
    pub epsilon: f64,
}

/// The gradient of [`LayerNorm`] from its operand: `r (dy - mean(dy) - y mean(y dy))`, `y` the result and
/// `r = 1 / sqrt(variance + epsilon)`.
#[derive(Debug)]
pub struct LayerNormGrad {
    /// As in [`LayerNorm`].
    pub epsilon: f64,
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        rows::infer::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let op = LayerNormGrad {
            epsilon: self.epsilon,
        };
        Ok(vec![Some(
            cx.grad.builder().op(op, &[cx.inputs[0], cx.grad])?,
        )])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        rows::reference([inputs[0]], |[x], y| {
            let (mean, r) = statistics(x, self.epsilon);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - mean) * r;
            }
        })
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, out) = (cx.input(0), cx.output()?);
        let launch = Rows::of(&x.ty).launch("layer_norm/layer_norm", cx.variant())?;
        // The kernel walks every row three times.
        let launch = launch
            .read("x", x.value, 3 * x.vec4s())
            .write("out", out.value);
        cx.launch(launch.constant("EPSILON", self.epsilon))
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        Rows::of(inputs[0]).variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }
}

impl Op for LayerNormGrad {
    fn name(&self) -> &'static str {
        "layer_norm_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        rows::infer::<2>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of layer_norm")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        rows::reference([inputs[0], inputs[1]], |[x, dy], dx| {
            let (mean, r) = statistics(x, self.epsilon);
            let n = T::of(x.len() as f64);
            let mean_dy = dy.iter().copied().sum::<T>() / n;
            let dot: T = x.iter().zip(dy).map(|(&x, &dy)| (x - mean) * r * dy).sum();
            for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                *dx = r * (dy - mean_dy - (x - mean) * r * (dot / n));
            }
        })
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, dy, out) = (cx.input(0), cx.input(1), cx.output()?);
        let launch = Rows::of(&x.ty).launch("layer_norm/layer_norm_grad", cx.variant())?;
        let launch = launch
            .read("x", x.value, 3 * x.vec4s())
            .read("dy", dy.value, 3 * dy.vec4s())
            .write("out", out.value);
        cx.launch(launch.constant("EPSILON", self.epsilon))
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        Rows::of(inputs[0]).variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }
}

/// Mean, and what distances from it are multiplied by.
fn statistics<T: Real>(x: &[T], epsilon: f64) -> (T, T) {
    let n = T::of(x.len() as f64);
    let mean = x.iter().copied().sum::<T>() / n;
    let squares: T = x.iter().map(|&x| (x - mean) * (x - mean)).sum();
    (mean, T::ONE / (squares / n + T::of(epsilon)).sqrt())
}

impl<'g> Var<'g> {
    /// Rows of mean 0 and variance 1 along the last axis; `epsilon` is added to the variance.
    ///
    /// # Errors
    /// If `self` is not a float tensor of at least one axis.
    #[track_caller]
    pub fn layer_norm(self, epsilon: f64) -> Result<Var<'g>> {
        self.apply(LayerNorm { epsilon })
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut cases = Vec::new();
    for epsilon in [0.1, 0.5] {
        for (shape, _) in rows::cases(stream) {
            let operand = Operand::uniform(shape.clone());
            cases.push(Case::new(LayerNorm { epsilon }, [operand]));
            let operand = || Operand::uniform(shape.clone()).constant();
            cases.push(Case::new(LayerNormGrad { epsilon }, [operand(), operand()]));
        }
    }
    cases
}

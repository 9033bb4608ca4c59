//! `x / sqrt(mean(x^2) + epsilon)` over the last axis, without a weight. PyTorch `torch.nn.functional.rms_norm`, ONNX
//! `RMSNormalization`.

use super::onnx_form::{OnnxForm, Written};
use super::rows::{self, RowShape};
use super::samples;
use super::{Case, Op, Operand, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, Target};
use crate::random::Stream;
use crate::tensor::TensorType;

/// See the module.
#[derive(Debug)]
pub struct RmsNorm {
    /// Added to the mean square; keeps rows of zeros finite.
    pub epsilon: f64,
}

/// The gradient of [`RmsNorm`] with respect to x: `r dy - x r^3 mean(x dy)`, `r = 1 / sqrt(mean(x^2) + epsilon)`.
#[derive(Debug)]
pub struct RmsNormGrad {
    /// As in [`RmsNorm`].
    pub epsilon: f64,
}

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        rows::infer::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let op = RmsNormGrad {
            epsilon: self.epsilon,
        };
        Ok(vec![Some(
            cx.grad.builder().op(op, &[cx.inputs[0], cx.grad])?,
        )])
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
            let r = scale(x, self.epsilon);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x * r;
            }
        })
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        let last = form.types[0].shape.rank() - 1;
        let epsilon = form.number(self.epsilon);
        let square = form.node("Mul", &[&x, &x], Vec::new());
        let mean = form.reduced("ReduceMean", &square, &[last], true);
        let sum = form.node("Add", &[&mean, &epsilon], Vec::new());
        let root = form.node("Sqrt", &[&sum], Vec::new());
        Ok(form.node("Div", &[&x, &root], Vec::new()))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, out) = (cx.input(0), cx.output()?);
        let launch = RowShape::of(&x.ty).launch("rms_norm/rms_norm", cx.variant())?;
        // The kernel reads every row twice.
        let launch = launch
            .read("x", x.value, 2 * x.vec4s())
            .write("out", out.value);
        cx.launch(launch.constant("EPSILON", self.epsilon))
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        RowShape::of(inputs[0]).variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }
}

impl Op for RmsNormGrad {
    fn name(&self) -> &'static str {
        "rms_norm_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        rows::infer::<2>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of rms_norm")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        rows::reference([inputs[0], inputs[1]], |[x, dy], dx| {
            let r = scale(x, self.epsilon);
            let products = x.iter().zip(dy).map(|(&x, &dy)| x * dy);
            let mean = products.sum::<T>() / T::of(x.len() as f64);
            for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                *dx = r * dy - x * r * r * r * mean;
            }
        })
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, dy, out) = (cx.input(0), cx.input(1), cx.output()?);
        let launch = RowShape::of(&x.ty).launch("rms_norm/rms_norm_grad", cx.variant())?;
        let launch = launch
            .read("x", x.value, 2 * x.vec4s())
            .read("dy", dy.value, 2 * dy.vec4s())
            .write("out", out.value);
        cx.launch(launch.constant("EPSILON", self.epsilon))
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        RowShape::of(inputs[0]).variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }
}

fn scale<T: Real>(x: &[T], epsilon: f64) -> T {
    let squares: T = x.iter().map(|&x| x * x).sum();
    T::ONE / (squares / T::of(x.len() as f64) + T::of(epsilon)).sqrt()
}

impl<'g> Var<'g> {
    /// Scales rows along the last axis to root mean square 1; `epsilon` is added to the mean square.
    ///
    /// # Errors
    /// If `self` is not a float tensor of at least one axis.
    #[track_caller]
    pub fn rms_norm(self, epsilon: f64) -> Result<Var<'g>> {
        self.apply(RmsNorm { epsilon })
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut cases = Vec::new();
    for epsilon in [0.1, 0.5] {
        for (shape, _) in rows::cases(stream) {
            let operand = Operand::uniform(shape.clone());
            cases.push(Case::new(RmsNorm { epsilon }, [operand]));
            let operand = || Operand::uniform(shape.clone()).constant();
            cases.push(Case::new(RmsNormGrad { epsilon }, [operand(), operand()]));
        }
    }
    cases
}

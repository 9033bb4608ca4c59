//! Softmax and cross-entropy in one operation, row by row: with p = softmax(logits),
//! loss = -(1 - e) log p\[label\] - (e / C) sum log p, where e is the label smoothing.
//!
//! Logits are `[N, C]`, labels `u32 [N]`, and the losses `[N]`, without reduction. Rows from the scalar `u32` operand
//! `valid` on are padding of the last batch: their loss and gradient are 0. A label that is not a class gives the loss
//! NaN, so that training stops, and the gradient 0. PyTorch `torch.nn.functional.cross_entropy(reduction="none")`.

use super::rows::{RowShape, statistics};
use super::samples;
use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering, Target};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// See the module. Operands: logits, labels, valid.
#[derive(Debug)]
pub struct SoftmaxCrossEntropy {
    /// Fraction of the target that is distributed evenly over the classes, in 0..=1.
    pub label_smoothing: f64,
}

/// The gradient of [`SoftmaxCrossEntropy`] with respect to the logits. Operands: logits, labels, valid, and the
/// gradient `[N]` of the losses.
#[derive(Debug)]
pub struct SoftmaxCrossEntropyGrad {
    /// As in the forward operation.
    pub label_smoothing: f64,
}

/// The shape rule shared by both operations.
fn check(
    label_smoothing: f64,
    logits: &TensorType,
    labels: &TensorType,
    valid: &TensorType,
) -> Result<(), String> {
    let &[rows, classes] = logits.dims() else {
        return Err(format!("takes logits f32[N,C], was given {logits}"));
    };
    if logits.dtype != DType::F32 || classes == 0 {
        return Err(format!("takes logits f32[N,C], was given {logits}"));
    }
    if *labels != TensorType::u32([rows]) {
        return Err(format!(
            "takes labels u32[{rows}] for {logits}, was given {labels}"
        ));
    }
    if *valid != TensorType::u32([]) {
        return Err(format!(
            "takes the number of valid rows as u32[], was given {valid}"
        ));
    }
    if !(0.0..=1.0).contains(&label_smoothing) {
        return Err(format!(
            "label_smoothing must be in 0..=1, was given {label_smoothing}"
        ));
    }
    Ok(())
}

impl Op for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [logits, labels, valid] = operands(inputs)?;
        check(self.label_smoothing, logits, labels, valid)?;
        Ok(TensorType::f32([logits.dims()[0]]))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let grad = SoftmaxCrossEntropyGrad {
            label_smoothing: self.label_smoothing,
        };
        let [logits, labels, valid] = [cx.inputs[0], cx.inputs[1], cx.inputs[2]];
        let grad = cx
            .grad
            .builder()
            .op(grad, &[logits, labels, valid, cx.grad])?;
        Ok(vec![Some(grad), None, None])
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
        samples::of_all_first(own)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (labels, valid) = (inputs[1].indices(), inputs[2].indices()[0] as usize);
        let classes = inputs[0].dims()[1];
        let e = T::of(self.label_smoothing);
        let loss = |(i, row): (usize, &[T])| {
            if i >= valid {
                return T::ZERO;
            }
            let Some(&own) = row.get(labels[i] as usize) else {
                return T::of(f64::NAN);
            };
            let (maximum, sum) = statistics(row);
            let below: T = row.iter().map(|&x| x - maximum).sum();
            sum.ln() - (T::ONE - e) * (own - maximum) - e * (below / T::of(classes as f64))
        };
        let rows = inputs[0].reals().par_chunks(classes).enumerate();
        Tensor::real(output.shape.clone(), rows.map(loss).collect())
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let rows = RowShape::of(&cx.input(0).ty);
        let output = cx.output()?;
        let launch = launch(cx, "softmax_cross_entropy/loss", rows, self.label_smoothing)?
            .param("not_a_number", f32::NAN)
            .write("out", output.value);
        cx.launch(launch)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        RowShape::of(inputs[0]).variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }

    fn trial_operands(&self, inputs: &[&TensorType]) -> Vec<Operand> {
        trial_operands(inputs)
    }
}

impl Op for SoftmaxCrossEntropyGrad {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [logits, labels, valid, dy] = operands(inputs)?;
        check(self.label_smoothing, logits, labels, valid)?;
        if *dy != TensorType::f32([logits.dims()[0]]) {
            return Err(format!(
                "takes one gradient for each row of {logits}, was given {dy}"
            ));
        }
        Ok(logits.clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of softmax_cross_entropy")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (labels, valid) = (inputs[1].indices(), inputs[2].indices()[0] as usize);
        let (logits, dy) = (inputs[0].reals(), inputs[3].reals());
        let classes = output.dims()[1];
        let e = T::of(self.label_smoothing);
        let even = e / T::of(classes as f64);
        let mut grads = vec![T::ZERO; output.elements()];
        let rows = grads
            .par_chunks_mut(classes)
            .zip(logits.par_chunks(classes));
        rows.enumerate().for_each(|(i, (grad, row))| {
            let label = labels[i] as usize;
            if i >= valid || label >= classes {
                return;
            }
            let (maximum, sum) = statistics(row);
            for (k, (g, &x)) in grad.iter_mut().zip(row).enumerate() {
                let p = (x - maximum).exp() / sum;
                *g = dy[i] * (p - (T::ONE - e) * T::truth(k == label) - even);
            }
        });
        Tensor::real(output.shape.clone(), grads)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let rows = RowShape::of(&cx.input(0).ty);
        let (dy, output) = (cx.input(3), cx.output()?);
        let launch = launch(cx, "softmax_cross_entropy/grad", rows, self.label_smoothing)?
            .read("dy", dy.value, rows.rows as u64)
            .write("out", output.value);
        cx.launch(launch)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        RowShape::of(inputs[0]).variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }

    fn trial_operands(&self, inputs: &[&TensorType]) -> Vec<Operand> {
        trial_operands(inputs)
    }
}

/// The launch, without what is specific to one of the kernels.
fn launch(cx: &Lowering<'_>, shader: &str, rows: RowShape, smoothing: f64) -> Result<Launch> {
    let (logits, labels, valid) = (cx.input(0), cx.input(1), cx.input(2));
    Ok(rows
        .launch(shader, cx.variant())?
        .read("x", logits.value, 3 * logits.vec4s())
        .read("labels", labels.value, rows.rows as u64)
        .read("valid", valid.value, rows.rows as u64)
        .param("classes", rows.length)
        .param("smoothing", smoothing as f32))
}

/// Operands with valid labels, in which every row counts.
fn trial_operands(inputs: &[&TensorType]) -> Vec<Operand> {
    let rows = RowShape::of(inputs[0]);
    let of = |(i, ty): (usize, &&TensorType)| match i {
        1 => Operand::index(ty.shape.clone(), Values::Below(rows.length as u32)),
        2 => Operand::index([], Values::Fixed(vec![rows.rows as f64])),
        _ => Operand::uniform(ty.shape.clone()),
    };
    inputs.iter().enumerate().map(of).collect()
}

impl<'g> Var<'g> {
    /// Cross-entropy of softmax(`self`), logits `[N, C]`, with `labels`, `u32 [N]`: losses `[N]`, 0 from row `valid`
    /// (`u32 []`) on.
    ///
    /// # Errors
    /// If the shapes don't fit, or `label_smoothing` is not in 0..=1.
    #[track_caller]
    pub fn softmax_cross_entropy(
        self,
        labels: Var<'g>,
        valid: Var<'g>,
        label_smoothing: f64,
    ) -> Result<Var<'g>> {
        let op = SoftmaxCrossEntropy { label_smoothing };
        self.builder().op(op, &[self, labels, valid])
    }

    /// The same with a weight for each class, `weights` `f32 [C]`. The results are the weighted losses `[N]` and the
    /// weight of each row's label `[N]`, both 0 from row `valid` on. The sum of the first divided by that of the second
    /// is the weighted mean: PyTorch `F.cross_entropy(weight=weights)`.
    ///
    /// # Errors
    /// As [`Var::softmax_cross_entropy`], or if there is not one weight for each class.
    #[track_caller]
    pub fn weighted_cross_entropy(
        self,
        labels: Var<'g>,
        valid: Var<'g>,
        weights: Var<'g>,
        label_smoothing: f64,
    ) -> Result<[Var<'g>; 2]> {
        let (rows, classes) = (labels.shape().elements(), self.shape().last());
        let own = weights.reshape([classes, 1])?.gather(labels)?;
        let own = own.reshape([rows])?.mask_rows(valid)?;
        let mut losses = self.softmax_cross_entropy(labels, valid, 0.0)?.mul(own)?;
        if label_smoothing > 0.0 {
            // In the evenly distributed part of the target each class has its own weight, whatever the label.
            let even = self.log_softmax()?.mul(weights)?.sum(&[1])?;
            let even = even
                .scale(-label_smoothing / classes as f64)?
                .mask_rows(valid)?;
            losses = losses.scale(1.0 - label_smoothing)?.add(even)?;
        }
        Ok([losses, own])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let odd = 2 + stream.below(7) as usize;
    let shapes = [
        // rows, classes, valid rows, smoothing, range of the logits
        (3, 5, 3.0, 0.0, -1.0..1.0),
        (odd, 10, 2.0, 0.0, -1.0..1.0),
        (odd, 12, 100.0, 0.1, -1.0..1.0),
        (5, 8, 0.0, 0.1, -1.0..1.0),
        (1, 1, 1.0, 0.0, -1.0..1.0),
        (2, 131, 2.0, 0.1, -2.0..2.0),
        (67, 64 + odd, 66.0, 0.0, -2.0..2.0),
        (3, 260, 3.0, 1.0, 196.0..200.0),
    ];
    shapes
        .into_iter()
        .flat_map(|(rows, classes, valid, label_smoothing, range)| {
            let common = [
                Operand::real([rows, classes], Values::Uniform(range.start, range.end)),
                Operand::index([rows], Values::Below(classes as u32)),
                Operand::index([], Values::Fixed(vec![valid])),
            ];
            let mut grad = common.to_vec();
            grad[0] = grad[0].clone().constant();
            grad.push(Operand::uniform([rows]).constant());
            [
                Case::new(SoftmaxCrossEntropy { label_smoothing }, common),
                Case::new(SoftmaxCrossEntropyGrad { label_smoothing }, grad),
            ]
        })
        .collect()
}

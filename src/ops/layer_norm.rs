//! `(x - mean) / sqrt(variance + epsilon)` over the last axis, optionally scaled by a weight and shifted by a bias per
//! column (Ba, Kiros and Hinton 2016). PyTorch `torch.nn.functional.layer_norm`, ONNX `LayerNormalization`.

use super::columns::{Columns, Whole};
use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::rows::{self, RowShape};
use super::samples;
use super::{Case, ErasedOp, Op, Operand, Role, Vjp, reduce};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Arg, Lowering, Target};
use crate::random::Stream;
use crate::tensor::TensorType;
use rayon::prelude::*;
use std::sync::Arc;

/// See the module. Operands: x, or x `[.., C]`, weight `[C]` and bias `[C]`.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm {
    /// Added to the variance; keeps rows of equal elements finite.
    pub epsilon: f64,
}

/// The statistics that the gradient of [`LayerNorm`] needs, `[.., 4]`: for each row the mean,
/// `1 / sqrt(variance + epsilon)` and two zeros, so that a row is a `vec4`.
#[derive(Debug)]
pub struct LayerNormStatistics(pub LayerNorm);

/// The gradient of [`LayerNorm`] with respect to x. Operands: x, [`LayerNormStatistics`], the gradient dy of the result
/// and the weight, if there is one. With g = dy weight: `r (g - mean(g) - y mean(y g))`, `y = (x - mean) r`, `r` from
/// the statistics.
#[derive(Debug)]
pub struct LayerNormGrad;

/// The gradients of weight and bias, `[2, C]`: the sums over all rows of `dy y` and of `dy`. Operands: x,
/// [`LayerNormStatistics`], dy.
#[derive(Debug)]
pub struct LayerNormSums;

const STATISTICS: usize = 4;

/// The type of the statistics of `x`.
fn statistics_of(x: &TensorType) -> TensorType {
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = STATISTICS;
    }
    TensorType::f32(dims)
}

/// Checks that `operand` has one element for each column of `x`.
fn check_columns(name: &str, operand: &TensorType, x: &TensorType) -> Result<(), String> {
    let expected = TensorType::f32([x.shape.last()]);
    if *operand == expected {
        return Ok(());
    }
    Err(format!(
        "takes a {name} {expected} for {x}, was given {operand}"
    ))
}

impl LayerNorm {
    fn check(inputs: &[&TensorType]) -> Result<TensorType, String> {
        let x = rows::infer::<1>(&inputs[..inputs.len().min(1)])?;
        match inputs {
            [_] => Ok(x),
            [_, weight, bias] => {
                check_columns("weight", weight, &x)?;
                check_columns("bias", bias, &x)?;
                Ok(x)
            }
            _ => Err(format!(
                "takes x, or x, weight and bias, was given {} operands",
                inputs.len()
            )),
        }
    }

    fn launch(self, cx: &mut Lowering<'_>, out: &Arg, statistics: &Arg) -> Result<()> {
        let x = cx.input(0);
        let mut launch = RowShape::of(&x.ty).launch("layer_norm/layer_norm", cx.variant())?;
        // The kernel reads every row three times.
        launch = launch
            .read("x", x.value, 3 * x.vec4s())
            .write("out", out.value)
            .write("statistics", statistics.value)
            .constant("EPSILON", self.epsilon);
        if cx.inputs() > 1 {
            launch = launch
                .swap("layer_norm/unweighted", "layer_norm/weighted")
                .swap("layer_norm/unshifted", "layer_norm/shifted")
                .read("weight", cx.input(1).value, x.vec4s())
                .read("bias", cx.input(2).value, x.vec4s());
        }
        cx.launch(launch)
    }
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        LayerNorm::check(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let (builder, x) = (cx.grad.builder(), cx.inputs[0]);
        let statistics = builder.op(LayerNormStatistics(*self), &cx.inputs)?;
        let mut operands = vec![x, statistics, cx.grad];
        if cx.inputs.len() == 1 {
            return Ok(vec![Some(builder.op(LayerNormGrad, &operands)?)]);
        }
        let sums = builder.op(LayerNormSums, &operands)?;
        let part = |i: usize| sums.slice_axis(0, i..i + 1)?.reshape([x.shape().last()]);
        operands.push(cx.inputs[1]);
        Ok(vec![
            Some(builder.op(LayerNormGrad, &operands)?),
            Some(part(0)?),
            Some(part(1)?),
        ])
    }

    fn sample_axis(
        &self,
        inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        samples::of_first(own).filter(|_| inputs[0].shape.rank() > 1)
    }

    fn sample_norms<'g>(
        &self,
        cx: &Vjp<'g>,
        operand: usize,
        samples: usize,
    ) -> Result<Option<Var<'g>>> {
        let grad = match operand {
            1 => cx.grad.mul(cx.grad.builder().op(*self, &cx.inputs[..1])?)?,
            _ => cx.grad,
        };
        grad.norms_of_broadcast(&cx.inputs[operand].shape(), samples)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        let affine = inputs
            .get(1)
            .map(|weight| (weight.reals(), inputs[2].reals()));
        rows::reference([inputs[0]], |[x], y| {
            let (mean, r) = statistics(x, self.epsilon);
            for (column, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                *y = (x - mean) * r;
                if let Some((weight, bias)) = affine {
                    *y = *y * weight[column] + bias[column];
                }
            }
        })
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        let columns = form.types[0].shape.last();
        let last = form.types[0].shape.rank() - 1;
        if form.nodes.opset() >= 17 {
            let scale = match form.inputs.get(1) {
                Some(scale) => scale.clone(),
                None => form.nodes.floats(&[columns], &vec![1.0; columns]),
            };
            let attributes = vec![
                ("axis", OnnxAttribute::Int(-1)),
                ("epsilon", OnnxAttribute::Float(self.epsilon)),
            ];
            return Ok(match form.inputs.get(2).cloned() {
                Some(bias) => form.node("LayerNormalization", &[&x, &scale, &bias], attributes),
                None => form.node("LayerNormalization", &[&x, &scale], attributes),
            });
        }
        let epsilon = form.number(self.epsilon);
        let mean = form.reduced("ReduceMean", &x, &[last], true);
        let distance = form.node("Sub", &[&x, &mean], Vec::new());
        let square = form.node("Mul", &[&distance, &distance], Vec::new());
        let variance = form.reduced("ReduceMean", &square, &[last], true);
        let sum = form.node("Add", &[&variance, &epsilon], Vec::new());
        let deviation = form.node("Sqrt", &[&sum], Vec::new());
        let mut y = form.node("Div", &[&distance, &deviation], Vec::new());
        if let (Some(scale), Some(bias)) =
            (form.inputs.get(1).cloned(), form.inputs.get(2).cloned())
        {
            y = form.node("Mul", &[&y, &scale], Vec::new());
            y = form.node("Add", &[&y, &bias], Vec::new());
        }
        Ok(y)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let out = cx.output()?;
        let statistics = cx.by_product();
        let statistics = statistics.unwrap_or_else(|| cx.scratch(statistics_of(&out.ty)));
        self.launch(cx, &out, &statistics)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        RowShape::of(inputs[0]).variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }
}

impl Op for LayerNormStatistics {
    fn name(&self) -> &'static str {
        "layer_norm_statistics"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(statistics_of(&LayerNorm::check(inputs)?))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the statistics of layer_norm")
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let of_row = |x: &[T]| {
            let (mean, r) = statistics(x, self.0.epsilon);
            [mean, r, T::ZERO, T::ZERO]
        };
        let rows = inputs[0].reals().par_chunks(inputs[0].shape.last());
        Tensor::real(output.shape.clone(), rows.flat_map_iter(of_row).collect())
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let statistics = cx.output()?;
        let out = cx.scratch(cx.input(0).ty);
        self.0.launch(cx, &out, &statistics)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        Op::variants(&self.0, target, inputs)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }

    fn by_product_of(&self) -> Option<Arc<dyn ErasedOp>> {
        Some(Arc::new(self.0))
    }
}

/// Checks x, statistics and dy, and returns x.
fn gradient_operands<'a>(inputs: &[&'a TensorType]) -> Result<&'a TensorType, String> {
    let [x, statistics, dy, ..] = inputs else {
        return Err(format!(
            "takes x, statistics and gradient, was given {} operands",
            inputs.len()
        ));
    };
    rows::infer::<2>(&[x, dy])?;
    if **statistics != statistics_of(x) {
        return Err(format!(
            "takes statistics {} for {x}, was given {statistics}",
            statistics_of(x)
        ));
    }
    Ok(x)
}

impl Op for LayerNormGrad {
    fn name(&self) -> &'static str {
        "layer_norm_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let x = gradient_operands(inputs)?;
        if let Some(weight) = inputs.get(3) {
            check_columns("weight", weight, x)?;
        }
        Ok(x.clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of layer_norm")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let length = inputs[0].shape.last();
        let [x, statistics, dy] = [0, 1, 2].map(|i| inputs[i].reals());
        let weight = inputs.get(3).map(|weight| weight.reals());
        let mut dx = vec![T::ZERO; output.elements()];
        dx.par_chunks_mut(length).enumerate().for_each(|(row, dx)| {
            let range = row * length..(row + 1) * length;
            let (mean, r) = (
                statistics[STATISTICS * row],
                statistics[STATISTICS * row + 1],
            );
            let y: Vec<T> = x[range.clone()].iter().map(|&x| (x - mean) * r).collect();
            let weighted = |(column, &dy): (usize, &T)| weight.map_or(dy, |w| dy * w[column]);
            let g: Vec<T> = dy[range].iter().enumerate().map(weighted).collect();
            let n = T::of(length as f64);
            let mean_g = g.iter().copied().sum::<T>() / n;
            let slope = y.iter().zip(&g).map(|(&y, &g)| y * g).sum::<T>() / n;
            for ((dx, y), g) in dx.iter_mut().zip(y).zip(g) {
                *dx = r * (g - mean_g - y * slope);
            }
        });
        Tensor::real(output.shape.clone(), dx)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, statistics, dy, out) = (cx.input(0), cx.input(1), cx.input(2), cx.output()?);
        let mut launch = RowShape::of(&x.ty).launch("layer_norm/layer_norm_grad", cx.variant())?;
        launch = launch
            .read("x", x.value, 2 * x.vec4s())
            .read("dy", dy.value, 2 * dy.vec4s())
            .read("statistics", statistics.value, statistics.vec4s())
            .write("out", out.value);
        if cx.inputs() > 3 {
            launch = launch
                .swap("layer_norm/unweighted", "layer_norm/weighted")
                .read("weight", cx.input(3).value, 2 * x.vec4s());
        }
        cx.launch_with_epilogue(launch)
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        RowShape::of(inputs[0]).variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].shape.last()
    }
}

impl Op for LayerNormSums {
    fn name(&self) -> &'static str {
        "layer_norm_sums"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let x = gradient_operands(inputs)?;
        Ok(TensorType::f32([2, x.shape.last()]))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of layer_norm")
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let length = inputs[0].shape.last();
        let [x, statistics, dy] = [0, 1, 2].map(|i| inputs[i].reals());
        let (mut products, mut sums) = (vec![T::ZERO; length], vec![T::ZERO; length]);
        for (row, (x, dy)) in x
            .chunks_exact(length)
            .zip(dy.chunks_exact(length))
            .enumerate()
        {
            let (mean, r) = (
                statistics[STATISTICS * row],
                statistics[STATISTICS * row + 1],
            );
            for (column, (&x, &dy)) in x.iter().zip(dy).enumerate() {
                products[column] += dy * (x - mean) * r;
                sums[column] += dy;
            }
        }
        products.extend(sums);
        Tensor::real(output.shape.clone(), products)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, statistics, dy, out) = (cx.input(0), cx.input(1), cx.input(2), cx.output()?);
        let RowShape { rows, length } = RowShape::of(&x.ty);
        let columns = Columns {
            outer: 1,
            length: rows,
            inner: length,
        };
        let variant = cx.variant();
        let splits = columns.splits(variant);
        let to = match splits {
            1 => out.clone(),
            _ => cx.scratch(TensorType::f32([splits, 2 * length])),
        };
        let whole = Whole {
            span: 1,
            rows,
            sample: 1,
        };
        let launch = columns
            .launch("layer_norm/sums", variant, splits, whole)
            .read("dy", dy.value, dy.vec4s())
            .read("x", x.value, x.vec4s())
            .read("statistics", statistics.value, x.vec4s())
            .write("out", to.value);
        cx.launch(launch)?;
        match splits {
            1 => Ok(()),
            _ => reduce::stage(cx, "sum/sum", &to, &out, [1, splits, 2 * length], 1),
        }
    }

    fn variants(&self, target: &Target, _inputs: &[&TensorType]) -> Vec<&'static str> {
        Columns::variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        RowShape::of(inputs[0]).rows
    }
}

/// The mean, and the factor of deviations from it.
fn statistics<T: Real>(x: &[T], epsilon: f64) -> (T, T) {
    let n = T::of(x.len() as f64);
    let mean = x.iter().copied().sum::<T>() / n;
    let squares: T = x.iter().map(|&x| (x - mean) * (x - mean)).sum();
    (mean, T::ONE / (squares / n + T::of(epsilon)).sqrt())
}

impl<'g> Var<'g> {
    /// Normalises rows along the last axis to mean 0 and variance 1; `epsilon` is added to the variance.
    ///
    /// # Errors
    /// If `self` is not a float tensor of at least one axis.
    #[track_caller]
    pub fn layer_norm(self, epsilon: f64) -> Result<Var<'g>> {
        self.apply(LayerNorm { epsilon })
    }

    /// [`Var::layer_norm`], then scales every column by its element of `weight [C]` and adds that of `bias [C]`.
    ///
    /// # Errors
    /// If `self` is not a float tensor of at least one axis, or weight and bias don't have one element per column.
    #[track_caller]
    pub fn layer_norm_affine(
        self,
        weight: Var<'g>,
        bias: Var<'g>,
        epsilon: f64,
    ) -> Result<Var<'g>> {
        self.builder()
            .op(LayerNorm { epsilon }, &[self, weight, bias])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut cases = Vec::new();
    for epsilon in [0.1, 0.5] {
        for (shape, _) in rows::cases(stream) {
            let length = shape.last();
            let x = || Operand::uniform(shape.clone());
            let columns = || Operand::uniform([length]);
            cases.push(Case::new(LayerNorm { epsilon }, [x()]));
            cases.push(Case::new(
                LayerNorm { epsilon },
                [x(), columns(), columns()],
            ));
            let mut rows = shape.dims().to_vec();
            rows.pop();
            rows.push(STATISTICS);
            let operands = [x(), Operand::uniform(rows), x()].map(Operand::constant);
            cases.push(Case::new(LayerNormSums, operands.clone()));
            let weighted = operands.iter().cloned().chain([columns().constant()]);
            cases.push(Case::new(LayerNormGrad, weighted.collect::<Vec<_>>()));
            cases.push(Case::new(LayerNormGrad, operands));
        }
    }
    cases
}

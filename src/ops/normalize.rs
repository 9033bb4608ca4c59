//! `(x - mean) scale + shift` with one mean, scale and shift per channel: the normalisation step of batch and group
//! normalization, given their statistics. ONNX `BatchNormalization`, `GroupNormalization`.
//!
//! `x` is `[..., C]`; mean, scale and shift are `[C]` or, with values per sample, `[N, 1, ..., C]`. The operation is
//! pointwise, so it fuses with its neighbours. Its gradient sums `dy` and `dy (x - mean)` in one pass.

use super::columns::{Columns, Whole};
use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::{Case, Op, Operand, Pointwise, Values, Vjp, operands, reduce, same_float};
use crate::cpu::{Real, Tensor};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::plan::{Lowering, Target};
use crate::random::Stream;
use crate::tensor::{Shape, TensorType};
use rayon::prelude::*;

/// See the module. Operands: x, mean, scale, shift.
#[derive(Debug)]
pub struct Normalize;

/// The sum of `dy` and that of `dy (x - mean)` over all axes but the first `kept` and the last, as `[2, ..., C]`.
/// Operands: dy, x, mean.
#[derive(Debug)]
pub struct NormalizeSums {
    /// Number of leading axes that are kept.
    pub kept: usize,
}

/// Number of leading axes that an operand of x keeps: 0 if it has one element per channel, 1 if per sample and channel.
fn kept(operand: &Shape, x: &Shape) -> Result<usize> {
    let (own, all) = (operand.dims(), x.dims());
    let channels = all.last();
    if own.last() == channels && own.iter().rev().skip(1).all(|&d| d == 1) {
        return Ok(0);
    }
    let inner = 1..own.len().saturating_sub(1);
    if own.len() == all.len()
        && own[0] == all[0]
        && own.last() == channels
        && own[inner].iter().all(|&d| d == 1)
    {
        return Ok(1);
    }
    Err(Error::Graph(format!(
        "normalize takes one number for each channel of {x}, or of each sample's, was given {operand}"
    )))
}

impl Pointwise for Normalize {
    const NAME: &'static str = "normalize";
    const ARITY: usize = 4;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let [x, mean, scale, shift] = [0, 1, 2, 3].map(|at| form.input(at));
        let rank = form.types[0].shape.rank();
        if form.types[1..].iter().any(|ty| ty.shape.rank() != 1) {
            let distance = form.node("Sub", &[&x, &mean], Vec::new());
            let scaled = form.node("Mul", &[&distance, &scale], Vec::new());
            return Ok(form.node("Add", &[&scaled, &shift], Vec::new()));
        }
        // A batch normalization whose variance, in the scale already, is 1.
        let channels = form.types[0].shape.last();
        let ones = form.nodes.floats(&[channels], &vec![1.0; channels]);
        let first: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        let last: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        let turned = form.transposed(&x, &first);
        let epsilon = vec![("epsilon", OnnxAttribute::Float(0.0))];
        let inputs = [turned.as_str(), &scale, &shift, &mean, &ones];
        let y = form.node("BatchNormalization", &inputs, epsilon);
        Ok(form.transposed(&y, &last))
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        (x[0] - x[1]) * x[2] + x[3]
    }

    fn unsummed_vjp<'g>(
        &self,
        x: &[Var<'g>],
        _y: Var<'g>,
        dy: Var<'g>,
    ) -> Result<Vec<Option<Var<'g>>>> {
        let [x, mean, scale] = [x[0], x[1], x[2]];
        let dx = dy.mul(scale)?;
        Ok(vec![
            Some(dx),
            Some(dx.neg()?),
            Some(dy.mul(x.sub(mean)?)?),
            Some(dy),
        ])
    }

    fn vjp<'g>(&self, x: &[Var<'g>], _y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let [x, mean, scale, shift] = [x[0], x[1], x[2], x[3]];
        let shape = x.shape();
        let kept_by = |v: Var<'g>| kept(&v.shape(), &shape);
        let most = kept_by(mean)?.max(kept_by(scale)?).max(kept_by(shift)?);
        // One mean for each column that is summed.
        let dims = shape.dims();
        let of_columns: Shape = [&dims[..most], &dims[dims.len() - 1..]].concat().into();
        let means = match kept_by(mean)? == most {
            true => mean,
            false => mean
                .reshape([1, mean.ty().elements()])?
                .broadcast_to(&of_columns)?,
        };
        let sums = dy.builder().op(
            NormalizeSums { kept: most },
            &[dy, x, means.reshape(of_columns.clone())?],
        )?;
        // Reduces and reshapes a sum to the shape of an operand.
        let to = |sum: Var<'g>, operand: Var<'g>| -> Result<Var<'g>> {
            let sum = match kept_by(operand)? == most {
                true => sum,
                false => sum.sum(&[0])?,
            };
            sum.reshape(operand.shape())
        };
        let part = |i: usize| sums.slice_axis(0, i..i + 1)?.reshape(of_columns.clone());
        let (sum, product) = (part(0)?, part(1)?);
        let spread = |v: Var<'g>| -> Result<Var<'g>> {
            let v = v.reshape(match kept_by(v)? {
                0 => Shape::from([v.ty().elements()]),
                _ => of_columns.clone(),
            })?;
            Ok(v)
        };
        let dmean = sum.mul(spread(scale)?)?.scale(-1.0)?;
        Ok(vec![
            Some(dy.mul(scale)?),
            Some(to(dmean, mean)?),
            Some(to(product, scale)?),
            Some(to(sum, shift)?),
        ])
    }
}

impl Op for NormalizeSums {
    fn name(&self) -> &'static str {
        "normalize_sums"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [dy, x, mean] = operands(inputs)?;
        let rank = same_float(&[dy, x])?.shape.rank();
        if rank < self.kept + 2 {
            return Err(format!(
                "takes at least {} axes, was given {x}",
                self.kept + 2
            ));
        }
        let of_columns = [&x.dims()[..self.kept], &x.dims()[rank - 1..]].concat();
        if *mean != TensorType::f32(of_columns.clone()) {
            return Err(format!(
                "takes one mean for each column of {x}, was given {mean}"
            ));
        }
        Ok(TensorType::f32([&[2], &of_columns[..]].concat()))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of normalize")
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let columns = Columns::of(inputs[0].dims(), self.kept);
        let (dy, x, mean) = (inputs[0].reals(), inputs[1].reals(), inputs[2].reals());
        let column = |i: usize| {
            let (outer, channel) = (i / columns.inner, i % columns.inner);
            let at = |row: usize| (outer * columns.length + row) * columns.inner + channel;
            let rows = 0..columns.length;
            let sum: T = rows.clone().map(|row| dy[at(row)]).sum();
            let product: T = rows.map(|row| dy[at(row)] * (x[at(row)] - mean[i])).sum();
            (sum, product)
        };
        let sums: Vec<(T, T)> = (0..columns.outer * columns.inner)
            .into_par_iter()
            .map(column)
            .collect();
        let first = sums.iter().map(|&(sum, _)| sum);
        let second = sums.iter().map(|&(_, product)| product);
        Tensor::real(output.shape.clone(), first.chain(second).collect())
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (dy, x, mean, out) = (cx.input(0), cx.input(1), cx.input(2), cx.output()?);
        let columns = Columns::of(x.dims(), self.kept);
        let variant = cx.variant();
        let splits = columns.splits(variant);
        let results = 2 * columns.outer * columns.inner;
        let to = match splits {
            1 => out.clone(),
            _ => cx.scratch(TensorType::f32([splits, results])),
        };
        let whole = Whole {
            span: 1,
            rows: columns.length,
            sample: 1,
        };
        let launch = columns.launch("normalize/sums", variant, splits, whole);
        cx.launch(
            launch
                .read("dy", dy.value, dy.vec4s())
                .read("x", x.value, x.vec4s())
                .read("mean", mean.value, splits as u64 * mean.vec4s())
                .write("out", to.value),
        )?;
        match splits {
            1 => Ok(()),
            _ => reduce::stage(cx, "sum/sum", &to, &out, [1, splits, results], 1),
        }
    }

    fn variants(&self, target: &Target, _inputs: &[&TensorType]) -> Vec<&'static str> {
        Columns::variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        Columns::of(inputs[0].dims(), self.kept).length
    }
}

impl<'g> Var<'g> {
    /// `(self - mean) scale + shift` for `self [..., C]` of at least two axes; the others are `[C]` or, with values per
    /// sample, `[N, 1, ..., C]`.
    ///
    /// # Errors
    /// If the shapes don't fit.
    #[track_caller]
    pub fn normalize(self, mean: Var<'g>, scale: Var<'g>, shift: Var<'g>) -> Result<Var<'g>> {
        for operand in [mean, scale, shift] {
            kept(&operand.shape(), &self.shape())?;
        }
        self.builder().op(Normalize, &[self, mean, scale, shift])
    }

    /// Normalises each of `groups` groups of channels in every sample of `self [N, ..., C]` to mean 0 and variance 1,
    /// then scales by `weight [C]` and adds `bias [C]`. PyTorch `torch.nn.functional.group_norm`.
    ///
    /// # Errors
    /// If `groups` does not divide the channels, or the shapes don't fit.
    #[track_caller]
    pub fn group_norm(
        self,
        groups: usize,
        weight: Var<'g>,
        bias: Var<'g>,
        epsilon: f64,
    ) -> Result<Var<'g>> {
        let (builder, shape) = (self.builder(), self.shape());
        let (samples, channels) = (shape.dims()[0], shape.last());
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(Error::Graph(format!(
                "{groups} groups do not divide {channels} channels"
            )));
        }
        let x = match shape.rank() {
            2 => self.reshape([samples, 1, channels])?,
            _ => self,
        };
        let moments = x.moments(1, None)?;
        let grouped = [samples, groups, channels / groups];
        let part = |i: usize| moments.slice_axis(0, i..i + 1)?.reshape(grouped);
        let (means, variances) = (part(0)?, part(1)?);
        let mean = means.mean(&[2])?.reshape([samples, groups, 1])?;
        let distance = means.sub(mean)?;
        let variance = variances
            .add(distance.mul(distance)?)?
            .mean(&[2])?
            .reshape([samples, groups, 1])?;
        let mut dims = vec![1; x.shape().rank()];
        (dims[0], dims[x.shape().rank() - 1]) = (samples, channels);
        let spread = |v: Var<'g>| v.broadcast_to(&grouped.into())?.reshape(dims.clone());
        let deviation = variance.add(builder.constant(epsilon))?.sqrt()?;
        let scale = weight.div(spread(deviation)?)?;
        x.normalize(spread(mean)?, scale, bias)?.reshape(shape)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 2 + stream.below(7) as usize;
    let (a, b, c) = (odd(), odd(), odd());
    let mut cases = Vec::new();
    for (shape, kept) in [
        (vec![a, b], 0),
        (vec![a, 8], 0),
        (vec![2, a, b, 12], 0),
        (vec![a, b, c, 3], 0),
        (vec![1, 1], 0),
        (vec![700 + a, 5], 0),
        (vec![17, 20, 20, 20], 0),
        (vec![a, b, c, 4], 1),
        (vec![3, 200, b], 1),
    ] {
        let last = shape.len() - 1;
        let mut of_sample = vec![1; shape.len()];
        (of_sample[0], of_sample[last]) = (shape[0], shape[last]);
        let of_channel = vec![shape[last]];
        let own = if kept == 1 { &of_sample } else { &of_channel };
        // Finite differences of a large tensor take long.
        let large = shape.iter().product::<usize>() > 2000;
        let operand = |dims: &Vec<usize>| match large {
            true => Operand::uniform(dims.clone()).constant(),
            false => Operand::uniform(dims.clone()),
        };
        cases.push(Case::new(
            Normalize,
            [
                operand(&shape),
                operand(own),
                operand(own),
                operand(&of_channel),
            ],
        ));
        let columns = [&shape[..kept], &shape[last..]].concat();
        let of_one_sign = Operand::real(shape.clone(), Values::Uniform(0.25, 1.25)).constant();
        cases.push(Case::new(
            NormalizeSums { kept },
            [
                of_one_sign.clone(),
                of_one_sign,
                Operand::real(columns, Values::Uniform(-1.0, 0.0)).constant(),
            ],
        ));
    }
    cases
}

//! Mean and variance of every channel. PyTorch `torch.var_mean(correction=0)`; the statistics of batch normalization.
//!
//! `x[..., C]` is reduced over all axes but the first `kept` and the last. The result is `[2, ..., C]`: means, then
//! variances (divided by n, not n - 1). With the scalar `u32` operand `valid` only the first `valid` samples along the
//! first axis count; the others are padding of the last batch and get no gradient.

use super::columns::{Columns, Whole};
use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::{Case, Op, Operand, Role, Values, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering, Target};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// See the module. Operands: x, and `valid` if no axis is kept.
#[derive(Debug, Clone, Copy)]
pub struct Moments {
    /// Number of leading axes that are kept.
    pub kept: usize,
}

/// The gradient of [`Moments`] with respect to x: `(g_mean + 2 g_variance (x - mean)) / n`, 0 for padding. Operands: x,
/// the moments, the gradient of the moments, and `valid` as in [`Moments`].
#[derive(Debug, Clone, Copy)]
pub struct MomentsGrad {
    /// As in [`Moments`].
    pub kept: usize,
}

impl Moments {
    fn check(self, x: &TensorType, valid: Option<&&TensorType>) -> Result<TensorType, String> {
        let rank = x.shape.rank();
        if x.dtype != DType::F32 || rank < self.kept + 2 {
            let least = self.kept + 2;
            return Err(format!(
                "takes floats of at least {least} axes, was given {x}"
            ));
        }
        if let Some(valid) = valid
            && (**valid != TensorType::u32([]) || self.kept > 0)
        {
            return Err(format!(
                "takes the number of valid samples as u32[] where no axis is kept, was given {valid} and {} kept",
                self.kept
            ));
        }
        Ok(TensorType::f32(
            [&[2], &x.dims()[..self.kept], &x.dims()[rank - 1..]].concat(),
        ))
    }
}

/// Number of rows of each outer part that count.
fn counted<T: Real>(dims: &[usize], columns: Columns, valid: Option<&&Tensor<T>>) -> usize {
    match valid {
        Some(valid) => {
            (valid.indices()[0] as usize).min(dims[0]) * (columns.length / dims[0].max(1))
        }
        None => columns.length,
    }
}

fn whole(dims: &[usize], columns: Columns) -> Whole {
    Whole {
        span: 1,
        rows: columns.length,
        sample: columns.length / dims[0].max(1),
    }
}

/// Binds `valid` if it is an operand.
fn with_valid(launch: Launch, cx: &Lowering<'_>, at: usize) -> Launch {
    if at < cx.inputs() {
        let valid = cx.input(at);
        launch
            .swap("shared/rows_all", "shared/rows_valid")
            .read("valid", valid.value, 1)
    } else {
        launch
    }
}

impl Op for Moments {
    fn name(&self) -> &'static str {
        "moments"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        match inputs {
            [x, rest @ ..] if rest.len() <= 1 => self.check(x, rest.first()),
            _ => Err(format!(
                "takes x and perhaps valid, was given {} operands",
                inputs.len()
            )),
        }
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let mut operands = vec![cx.inputs[0], cx.output, cx.grad];
        operands.extend(cx.inputs.get(1));
        let grad = cx
            .grad
            .builder()
            .op(MomentsGrad { kept: self.kept }, &operands)?;
        let mut grads = vec![Some(grad)];
        grads.resize(cx.inputs.len(), None);
        Ok(grads)
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
        (own[0]? < self.kept && own[0]? == 0).then_some(1)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let x = inputs[0];
        let columns = Columns::of(x.dims(), self.kept);
        let rows = counted(x.dims(), columns, inputs.get(1));
        let (inner, values) = (columns.inner, x.reals());
        let n = T::of(rows.max(1) as f64);
        let column = |i: usize| {
            let (outer, channel) = (i / inner, i % inner);
            let at = |row: usize| values[(outer * columns.length + row) * inner + channel];
            let mean = (0..rows).map(at).sum::<T>() / n;
            let squares: T = (0..rows)
                .map(|row| (at(row) - mean) * (at(row) - mean))
                .sum();
            (mean, squares / n)
        };
        let of_columns: Vec<(T, T)> = (0..columns.outer * inner)
            .into_par_iter()
            .map(column)
            .collect();
        let means = of_columns.iter().map(|&(mean, _)| mean);
        let variances = of_columns.iter().map(|&(_, variance)| variance);
        Tensor::real(output.shape.clone(), means.chain(variances).collect())
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        if form.inputs.len() > 1 {
            return Err("has the statistics of a batch".to_string());
        }
        let x = form.input(0);
        let axes: Vec<usize> = (self.kept..form.types[0].shape.rank() - 1).collect();
        let mean = form.reduced("ReduceMean", &x, &axes, true);
        let distance = form.node("Sub", &[&x, &mean], Vec::new());
        let square = form.node("Mul", &[&distance, &distance], Vec::new());
        let first = vec![("axis", OnnxAttribute::Int(0))];
        let mut parts = Vec::new();
        for value in [&x, &square] {
            let mean = form.reduced("ReduceMean", value, &axes, false);
            let mut extents = vec![Some(1)];
            extents.extend(&form.output[1..]);
            parts.push(form.reshaped(&mean, &extents)?);
        }
        Ok(form.node("Concat", &[&parts[0], &parts[1]], first))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, out) = (cx.input(0), cx.output()?);
        let columns = Columns::of(x.dims(), self.kept);
        let variant = cx.variant();
        let splits = columns.splits(variant);
        let partial = cx.scratch(TensorType::f32([splits, 2, columns.outer, columns.inner]));
        let whole = whole(x.dims(), columns);
        let launch = columns.launch("moments/partial", variant, splits, whole);
        let launch = with_valid(launch, cx, 1);
        cx.launch(
            launch
                .read("x", x.value, x.vec4s())
                .write("out", partial.value),
        )?;
        // Treat the splits as the rows of one long tensor.
        let rows = Columns {
            outer: 1,
            length: splits,
            inner: columns.outer * columns.inner,
        };
        let span = columns.length.div_ceil(splits);
        let launch = rows.launch("moments/combine", variant, 1, Whole { span, ..whole });
        let launch = with_valid(launch, cx, 1);
        cx.launch(
            launch
                .read("x", partial.value, partial.vec4s())
                .write("out", out.value),
        )
    }

    fn variants(&self, target: &Target, _inputs: &[&TensorType]) -> Vec<&'static str> {
        Columns::variants(target)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        Columns::of(inputs[0].dims(), self.kept).length
    }
}

/// Rows of one column that an invocation of the gradient processes.
const BLOCK: usize = 4;
const WORKGROUP: usize = 64;

impl Op for MomentsGrad {
    fn name(&self) -> &'static str {
        "moments_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, moments, grad, rest @ ..] = inputs else {
            return Err(format!(
                "takes x, moments, their gradient and perhaps valid, was given {} operands",
                inputs.len()
            ));
        };
        let want = Moments { kept: self.kept }.check(x, rest.first())?;
        if **moments != want || **grad != want || rest.len() > 1 {
            return Err(format!(
                "takes moments and their gradient as {want}, was given {moments} and {grad}"
            ));
        }
        Ok((*x).clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of moments")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (x, moments, grad) = (inputs[0], inputs[1].reals(), inputs[2].reals());
        let columns = Columns::of(x.dims(), self.kept);
        let rows = counted(x.dims(), columns, inputs.get(3));
        let (inner, all) = (columns.inner, columns.outer * columns.inner);
        let n = T::of(rows.max(1) as f64);
        let mut dx = vec![T::ZERO; output.elements()];
        dx.par_chunks_mut(inner)
            .zip(x.reals().par_chunks(inner))
            .enumerate()
            .for_each(|(i, (dx, x))| {
                let (outer, row) = (i / columns.length, i % columns.length);
                if row >= rows {
                    return;
                }
                for (channel, (dx, &x)) in dx.iter_mut().zip(x).enumerate() {
                    let at = outer * inner + channel;
                    *dx = (grad[at] + T::of(2.0) * grad[all + at] * (x - moments[at])) / n;
                }
            });
        Tensor::real(output.shape.clone(), dx)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, moments, grad, out) = (cx.input(0), cx.input(1), cx.input(2), cx.output()?);
        let columns = Columns::of(x.dims(), self.kept);
        let inner = columns.inner / columns.unit();
        let blocks = columns.length.div_ceil(BLOCK);
        let invocations = columns.outer * blocks * inner;
        let mut launch = Launch::new("moments/grad");
        if columns.unit() == 1 {
            launch = launch.swap("shared/lanes_vec4", "shared/lanes_scalar");
        }
        let whole = whole(x.dims(), columns);
        let launch = with_valid(launch, cx, 3)
            .read("x", x.value, x.vec4s())
            .read("moments", moments.value, invocations as u64)
            .read("dy", grad.value, 2 * invocations as u64)
            .write("out", out.value)
            .param("invocations", invocations)
            .param("inner", inner)
            .param("blocks", blocks)
            .param("rows", whole.rows)
            .param("sample", whole.sample)
            .param("columns", columns.outer * inner)
            .invocations(invocations, WORKGROUP);
        cx.launch_with_epilogue(launch)
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }
}

impl<'g> Var<'g> {
    /// Mean and variance (divided by n) of `self [..., C]` over all axes but the first `kept` and the last: `[2, ..., C]`.
    /// With `valid`, `u32 []`, only the first `valid` samples count; then no axis may be kept.
    ///
    /// # Errors
    /// If `self` has too few axes, or an axis is kept where `valid` is given.
    #[track_caller]
    pub fn moments(self, kept: usize, valid: Option<Var<'g>>) -> Result<Var<'g>> {
        let mut operands = vec![self];
        operands.extend(valid);
        self.builder().op(Moments { kept }, &operands)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 2 + stream.below(7) as usize;
    let (a, b, c) = (odd(), odd(), odd());
    let shapes: Vec<(Vec<usize>, usize, Option<usize>, f64)> = vec![
        // shape, kept, valid, mean
        (vec![a, b], 0, None, 0.0),
        (vec![a, 8], 0, Some(a - 1), 0.0),
        (vec![a, b, 3, c], 0, Some(2), 1.0),
        (vec![2, a, b, 16], 0, Some(2), 0.0),
        (vec![3, 5, 5, 4], 0, Some(100), 20.0),
        (vec![3, 4], 0, Some(0), 0.0),
        (vec![1, 1], 0, Some(1), 0.0),
        (vec![700 + a, 5], 0, None, 0.0),
        (vec![41, 20, 20, 12], 0, Some(37), 0.0),
        (vec![9, 30, 30, 68], 0, None, 0.0),
        (vec![a, b, c, 4], 1, None, 0.0),
        (vec![3, 150, b], 1, None, 0.0),
        (vec![2, 1, 8], 1, None, 0.0),
    ];
    let mut cases = Vec::new();
    for (shape, kept, valid, mean) in shapes {
        let values = Values::Uniform(mean - 1.0, mean + 1.0);
        let valid = valid.map(|n| Operand::index([], Values::Fixed(vec![n as f64])));
        let x = Operand::real(shape.clone(), values.clone());
        // Finite differences of a large tensor take long.
        let large = shape.iter().product::<usize>() > 2000;
        let mut operands = vec![if large { x.constant() } else { x }];
        operands.extend(valid.clone());
        cases.push(Case::new(Moments { kept }, operands));
        let of_columns = [&[2], &shape[..kept], &shape[shape.len() - 1..]].concat();
        let moments = || Operand::uniform(of_columns.clone()).constant();
        let mut operands = vec![
            Operand::real(shape, values).constant(),
            moments(),
            moments(),
        ];
        operands.extend(valid);
        cases.push(Case::new(MomentsGrad { kept }, operands));
    }
    cases
}

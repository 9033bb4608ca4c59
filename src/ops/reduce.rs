//! Shared code of reductions: axes, shape rule, reference loop, and the two-stage launches.
//!
//! On the GPU a reduction over neighbouring axes is a reduction of `[outer, length, inner]` to `[outer, inner]`. Axes
//! that are not neighbours are reduced one run of neighbours at a time, innermost first. Long reductions are divided
//! into splits whose results are reduced again in a fixed order: there are no atomics, and the result is bitwise
//! reproducible.

use super::columns::{self, INVOCATION, WORKGROUP};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::plan::{Arg, Launch, Lowering, Target};
use crate::random::Stream;
use crate::tensor::{DType, Shape, TensorType};
use rayon::prelude::*;

/// Axes of a reduction.
#[derive(Clone, Debug)]
pub struct Reduction {
    /// Axes to reduce, in any order.
    pub axes: Vec<usize>,
    /// Whether they are kept with extent 1.
    pub keep_dims: bool,
}

impl Reduction {
    /// The shape rule.
    ///
    /// # Errors
    /// A sentence that says which axis is wrong.
    pub fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = super::operands(inputs)?;
        if x.dtype != DType::F32 {
            return Err(format!("works on f32, was given {x}"));
        }
        for (n, axis) in self.axes.iter().enumerate() {
            if *axis >= x.shape.rank() {
                return Err(format!("{} has no axis {axis}", x.shape));
            }
            if self.axes[..n].contains(axis) {
                return Err(format!("axis {axis} is named twice"));
            }
        }
        if self.keep_dims {
            return Ok(TensorType::f32(self.kept_shape(&x.shape)));
        }
        let kept = (0..x.shape.rank())
            .filter(|a| !self.axes.contains(a))
            .map(|a| x.dims()[a]);
        Ok(TensorType::f32(kept.collect::<Vec<_>>()))
    }

    /// The axis of the result along which the samples lie that lie along `own`, unless that is reduced.
    pub(super) fn sample_axis(&self, own: usize) -> Option<usize> {
        let before = self.axes.iter().filter(|&&axis| axis < own).count();
        let removed = if self.keep_dims { 0 } else { before };
        (!self.axes.contains(&own)).then_some(own - removed)
    }

    /// `shape` with extent 1 along the reduced axes.
    pub fn kept_shape(&self, shape: &Shape) -> Shape {
        let extent = |(a, &d): (usize, &usize)| if self.axes.contains(&a) { 1 } else { d };
        shape
            .dims()
            .iter()
            .enumerate()
            .map(extent)
            .collect::<Vec<_>>()
            .into()
    }

    /// Number of elements reduced to one result.
    pub fn length(&self, shape: &Shape) -> usize {
        self.axes.iter().map(|&a| shape.dims()[a]).product()
    }

    /// Runs of neighbouring reduced axes, innermost first, as `(outer, length, inner)` of the tensor that remains after
    /// the previous runs.
    fn runs(&self, shape: &Shape) -> Vec<(usize, usize, usize)> {
        let mut dims: Vec<(usize, bool)> = shape
            .dims()
            .iter()
            .enumerate()
            .map(|(a, &d)| (d, self.axes.contains(&a)))
            .collect();
        let mut runs = Vec::new();
        while let Some(end) = dims.iter().rposition(|(d, reduced)| *reduced && *d > 1) {
            let start = dims[..end]
                .iter()
                .rposition(|(_, reduced)| !reduced)
                .map_or(0, |p| p + 1);
            let product = |range: &[(usize, bool)]| range.iter().map(|(d, _)| d).product::<usize>();
            runs.push((
                product(&dims[..start]),
                product(&dims[start..=end]),
                product(&dims[end + 1..]),
            ));
            dims[start..=end].iter_mut().for_each(|(d, _)| *d = 1);
        }
        runs
    }
}

/// Reduces `x` in plain loops: every result visits its elements in row-major order.
pub(super) fn reference<T: Real>(
    over: &Reduction,
    x: &Tensor<T>,
    output: &TensorType,
    identity: T,
    combine: impl Fn(T, T) -> T + Sync,
) -> Tensor<T> {
    let values = x.reals();
    let strides = x.shape.strides();
    let walk = |kept: bool| {
        let axes: Vec<usize> = (0..x.shape.rank())
            .filter(|a| over.axes.contains(a) != kept)
            .collect();
        offsets(&axes, x.dims(), &strides)
    };
    let (starts, steps) = (walk(true), walk(false));
    let reduce = |&start: &usize| {
        steps
            .iter()
            .fold(identity, |acc, step| combine(acc, values[start + step]))
    };
    let results = starts.par_iter().with_min_len(64).map(reduce).collect();
    Tensor::real(output.shape.clone(), results)
}

/// Offsets of all positions along `axes`, in row-major order.
fn offsets(axes: &[usize], dims: &[usize], strides: &[usize]) -> Vec<usize> {
    axes.iter().fold(vec![0], |outer, &axis| {
        outer
            .iter()
            .flat_map(|o| (0..dims[axis]).map(move |i| o + i * strides[axis]))
            .collect()
    })
}

/// The kernel variants of a reduction of `x` on `target`, the better one first.
pub(super) fn variants(over: &Reduction, target: &Target, x: &TensorType) -> Vec<&'static str> {
    let longest = over
        .runs(&x.shape)
        .into_iter()
        .map(|(_, length, inner)| length / per_load(length, inner))
        .max();
    if columns::suits_workgroups(target, longest.unwrap_or(1)) {
        vec![WORKGROUP, INVOCATION]
    } else {
        vec![INVOCATION, WORKGROUP]
    }
}

/// Elements along the length that are read together.
fn per_load(length: usize, inner: usize) -> usize {
    if inner == 1 && length.is_multiple_of(4) {
        4
    } else {
        1
    }
}

/// Adds the launches of a reduction with `kernel`, a file that imports `shared/reduce` and defines how to combine two
/// elements.
pub(super) fn lower(over: &Reduction, cx: &mut Lowering<'_>, kernel: &str) -> Result<()> {
    let variant = cx.variant();
    let x = cx.input(0);
    let mut runs = over.runs(&x.ty.shape);
    if runs.is_empty() {
        // Every reduced axis has extent 1: a single pass copies the tensor.
        runs.push((x.ty.elements(), 1, 1));
    }
    let last = runs.len() - 1;
    let mut from = x;
    for (n, (outer, length, inner)) in runs.into_iter().enumerate() {
        let splits = match variant {
            WORKGROUP => {
                let each = per_load(length, inner);
                let splits = columns::workgroup_splits(outer, length / each, lanes(inner));
                // Rows are cut between loads.
                length.div_ceil(length.div_ceil(splits).next_multiple_of(each))
            }
            _ => splits(cx.target(), outer * inner, length),
        };
        let result = |cx: &mut Lowering<'_>| {
            if n == last {
                cx.output()
            } else {
                Ok(cx.scratch(TensorType::f32([outer, inner])))
            }
        };
        from = if splits == 1 {
            let to = result(cx)?;
            stage(cx, kernel, &from, &to, [outer, length, inner], 1)?;
            to
        } else {
            let partial = cx.scratch(TensorType::f32([splits, outer, inner]));
            stage(cx, kernel, &from, &partial, [outer, length, inner], splits)?;
            let to = result(cx)?;
            stage(cx, kernel, &partial, &to, [1, splits, outer * inner], 1)?;
            to
        };
    }
    Ok(())
}

/// Number of splits of a reduction of `length` elements to each of `results`.
pub(super) fn splits(target: &Target, results: usize, length: usize) -> usize {
    const SHORTEST: usize = 64;
    const LONGEST: usize = 16_384;
    let busy = if target.software { 512 } else { 16_384 };
    let wanted = busy / results.max(1);
    wanted
        .min(length / SHORTEST)
        .max(length.div_ceil(LONGEST))
        .max(1)
}

/// Columns of `inner` elements in units of one load.
fn lanes(inner: usize) -> usize {
    if inner.is_multiple_of(4) {
        inner / 4
    } else {
        inner
    }
}

/// One stage, with the variant of the operation: `[outer, length, inner]` to `[splits, outer, inner]`.
pub(super) fn stage(
    cx: &mut Lowering<'_>,
    kernel: &str,
    from: &Arg,
    to: &Arg,
    [outer, length, inner]: [usize; 3],
    splits: usize,
) -> Result<()> {
    let chunk = length.div_ceil(splits);
    let each = per_load(length, inner);
    let rows = each == 4 && chunk.is_multiple_of(4);
    let each = if rows { each } else { 1 };
    let launch = Launch::new(kernel);
    let launch = if rows {
        launch.swap("shared/reduce_vec4", "shared/reduce_rows")
    } else if inner.is_multiple_of(4) {
        launch
    } else {
        launch.swap("shared/reduce_vec4", "shared/reduce_scalar")
    };
    // Other operations, with other variants, end in a stage too.
    let variant = if length / each < columns::FEWEST_ROWS {
        INVOCATION
    } else {
        cx.variant()
    };
    let launch = launch
        .read("x", from.value, from.vec4s())
        .write("out", to.value)
        .param("outer", outer)
        .param("length", length / each)
        .param("inner", lanes(inner))
        .param("chunk", chunk / each)
        .param("splits", splits);
    cx.launch(columns::divided(
        launch,
        variant,
        splits * outer,
        lanes(inner),
    ))
}

/// Reductions and shapes shared by the cases of all reductions: any axes, long and short, with stages and splits.
pub(super) fn cases(stream: &mut Stream) -> Vec<(Reduction, Shape)> {
    let odd = |stream: &mut Stream| 2 + stream.below(7) as usize;
    let keep = |axes: &[usize], keep_dims| Reduction {
        axes: axes.to_vec(),
        keep_dims,
    };
    let (a, b, c) = (odd(stream), odd(stream), odd(stream));
    vec![
        (keep(&[0], false), [a, b].into()),
        (keep(&[1], true), [a, 8].into()),
        (keep(&[1], false), [a, b, c].into()),
        (keep(&[0, 2], true), [a, b, c].into()),
        (keep(&[0, 1, 2], false), [a, b, 4].into()),
        (keep(&[2, 0], false), [a, 3, b, 8].into()),
        (keep(&[0], false), [300 + a, 12].into()),
        (keep(&[0], false), [700].into()),
        (keep(&[1], false), [b, 1, c].into()),
        (keep(&[], false), [a].into()),
        // Long enough for splits of workgroups.
        (keep(&[0], false), [9000 + a, 3].into()),
        (keep(&[0], false), [36_000 + 4 * a].into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_axes_are_reduced_together_and_others_run_by_run() {
        let over = Reduction {
            axes: vec![3, 0, 1],
            keep_dims: false,
        };
        assert_eq!(over.runs(&[2, 3, 5, 7].into()), vec![(30, 7, 1), (1, 6, 5)]);
    }
}

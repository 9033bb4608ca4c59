//! Shared code of operations along the last axis: the two ways to process rows on the GPU, and which one is the
//! default.
//!
//! Kernels import `shared/row_vec4` for their operand and `shared/row_invocation` for the loop over a row; the launch
//! swaps these imports where others fit better.

use super::{Values, operands, same_float};
use crate::cpu::{Real, Tensor};
use crate::error::{Error, Result};
use crate::plan::{Launch, Lowering, Target};
use crate::random::Stream;
use crate::tensor::{Shape, TensorType};
use rayon::prelude::*;

/// One invocation per row.
const INVOCATION: &str = "row per invocation";
/// One workgroup per row.
const WORKGROUP: &str = "row per workgroup";

/// Invocations in a workgroup of either.
const LANES: usize = 64;
/// Maximum number of times that a kernel reads its row.
const WALKS: usize = 3;
/// Maximum iterations per invocation: software adapters stop a shader there.
const MAX_ITERATIONS: usize = 65_000;

/// A tensor as a matrix: its last axis, and all others combined.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowShape {
    /// Number of rows.
    pub rows: usize,
    /// Elements in a row.
    pub length: usize,
}

impl RowShape {
    /// The rows of a tensor of type `ty`.
    pub fn of(ty: &TensorType) -> Self {
        let length = ty.shape.last();
        RowShape {
            rows: ty.elements() / length.max(1),
            length,
        }
    }

    /// Elements per step along a row.
    fn unit(self) -> usize {
        if self.length.is_multiple_of(4) { 4 } else { 1 }
    }

    /// The kernel variants for these rows on `target`, the better one first.
    pub fn variants(self, target: &Target) -> Vec<&'static str> {
        if self.length / self.unit() > MAX_ITERATIONS / WALKS {
            return vec![WORKGROUP];
        }
        // A GPU needs thousands of invocations, and neighbours that read neighbouring elements. On a software adapter
        // workgroup memory costs more than it could save.
        let long = !target.software && self.length >= 64;
        if long {
            vec![WORKGROUP, INVOCATION]
        } else {
            vec![INVOCATION, WORKGROUP]
        }
    }

    /// A launch of `shader` over these rows with the variant `variant`.
    ///
    /// # Errors
    /// If a row is longer than one workgroup can process.
    pub fn launch(self, shader: &str, variant: &str) -> Result<Launch> {
        let steps = self.length / self.unit();
        if steps.div_ceil(LANES) > MAX_ITERATIONS / WALKS {
            return Err(Error::Graph(format!(
                "{shader} walks rows of at most {} elements, was given {}",
                self.unit() * LANES * (MAX_ITERATIONS / WALKS),
                self.length
            )));
        }
        let launch = Launch::new(shader)
            .param("rows", self.rows)
            .param("length", steps);
        let launch = if variant == WORKGROUP {
            launch
                .swap("shared/row_invocation", "shared/row_workgroup")
                .workgroups(self.rows as u64)
        } else {
            launch.invocations(self.rows, LANES)
        };
        Ok(if self.unit() == 4 {
            launch
        } else {
            launch
                .swap("shared/row_vec4", "shared/row_scalar")
                .swap("shared/row_pair_vec4", "shared/row_pair_scalar")
        })
    }
}

/// The shape rule of operations that map `N` tensors of the same shape, row by row, to one of that shape.
///
/// # Errors
/// A sentence that says what does not fit.
pub(super) fn infer<const N: usize>(inputs: &[&TensorType]) -> Result<TensorType, String> {
    let first = operands::<N>(inputs)?[0];
    if first.shape.rank() == 0 || first.shape.last() == 0 {
        return Err(format!("works along the last axis, and {first} has none"));
    }
    same_float(inputs)
}

/// The largest element m of a row, and the sum of the exponentials of all elements minus m.
pub(super) fn statistics<T: Real>(row: &[T]) -> (T, T) {
    let maximum = row.iter().fold(row[0], |m, &x| m.max(x));
    let sum = row.iter().map(|&x| (x - maximum).exp()).sum();
    (maximum, sum)
}

/// Computes every row of the result from the corresponding rows of the operands.
pub(super) fn reference<T: Real, const N: usize>(
    inputs: [&Tensor<T>; N],
    row: impl Fn([&[T]; N], &mut [T]) + Sync,
) -> Tensor<T> {
    let length = inputs[0].shape.last();
    let mut values = vec![T::ZERO; inputs[0].shape.elements()];
    values
        .par_chunks_mut(length)
        .enumerate()
        .for_each(|(i, result)| {
            let rows = inputs.map(|input| &input.reals()[i * length..(i + 1) * length]);
            row(rows, result);
        });
    Tensor::real(inputs[0].shape.clone(), values)
}

/// Adds the launch of `shader` from operands with the given names to `out`, all of the same shape.
pub(super) fn lower(cx: &mut Lowering<'_>, shader: &str, names: &[&str]) -> Result<()> {
    let output = cx.output()?;
    let mut launch = RowShape::of(&output.ty).launch(shader, cx.variant())?;
    for (i, name) in names.iter().enumerate() {
        let input = cx.input(i);
        launch = launch.read(name, input.value, WALKS as u64 * input.vec4s());
    }
    cx.launch(launch.write("out", output.value))
}

/// Shapes shared by the cases of operations along rows, with the range of their elements: short and long rows, lengths
/// that are and are not multiples of four, single elements, values whose exponentials overflow.
pub(super) fn cases(stream: &mut Stream) -> Vec<(Shape, Values)> {
    let odd = |stream: &mut Stream| 2 + stream.below(7) as usize;
    let (a, b) = (odd(stream), odd(stream));
    vec![
        ([a, 10].into(), Values::Uniform(-1.0, 1.0)),
        ([2, b, 12].into(), Values::Uniform(-1.0, 1.0)),
        ([5].into(), Values::Uniform(-2.0, 2.0)),
        ([3, 260].into(), Values::Uniform(-2.0, 2.0)),
        ([67, 64 + b].into(), Values::Uniform(-2.0, 2.0)),
        ([a, 1].into(), Values::Uniform(-2.0, 2.0)),
        ([1, 131].into(), Values::Uniform(196.0, 200.0)),
    ]
}

//! Strided copies, which read the operand with other strides than its own: shared by permutations and slices.

use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::plan::{Arg, Launch, Lowering};
use crate::tensor::TensorType;
use rayon::prelude::*;

/// Maximum number of axes in the kernels.
pub(super) const MAX_AXES: usize = 6;

const WORKGROUP: usize = 64;

/// Element `q` of the result is element `offset + sum of q[a] * axes[a].stride` of the operand.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strided {
    /// Offset of the first element.
    pub offset: usize,
    /// Axes of the result, outermost first.
    pub axes: Vec<StridedAxis>,
}

/// An axis of the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StridedAxis {
    /// Number of elements of the result.
    pub extent: usize,
    /// Stride in the operand, in elements.
    pub stride: usize,
}

impl Strided {
    /// The same copy with neighbouring axes merged where one stride covers both, and without axes of extent 1.
    pub fn merged(&self) -> Strided {
        let mut axes: Vec<StridedAxis> = Vec::new();
        for &axis in self.axes.iter().filter(|a| a.extent != 1) {
            match axes.last_mut() {
                Some(outer) if outer.stride == axis.stride * axis.extent => {
                    *outer = StridedAxis {
                        extent: outer.extent * axis.extent,
                        stride: axis.stride,
                    };
                }
                _ => axes.push(axis),
            }
        }
        if axes.is_empty() {
            axes.push(StridedAxis {
                extent: 1,
                stride: 1,
            });
        }
        Strided {
            offset: self.offset,
            axes,
        }
    }

    /// Copies in plain loops.
    pub fn reference<T: Real>(&self, x: &Tensor<T>, output: &TensorType) -> Tensor<T> {
        let merged = self.merged();
        let (outer, inner) = merged.axes.split_at(merged.axes.len() - 1);
        let mut values = vec![T::ZERO; output.elements()];
        let rows = values.par_chunks_mut(inner[0].extent.max(1)).enumerate();
        rows.for_each(|(row, out)| {
            let (mut rest, mut at) = (row, merged.offset);
            for axis in outer.iter().rev() {
                at += rest % axis.extent * axis.stride;
                rest /= axis.extent;
            }
            for (i, out) in out.iter_mut().enumerate() {
                *out = x.reals()[at + i * inner[0].stride];
            }
        });
        Tensor::real(output.shape.clone(), values)
    }

    /// Adds the launch of `file`, which imports `shared/strided`, from operand 0 to the result.
    pub fn lower(&self, cx: &mut Lowering<'_>, file: &str) -> Result<()> {
        let launch = self.launch(file, &cx.input(0), &cx.output()?);
        cx.launch_with_epilogue(launch)
    }

    /// The launch of `file`, which imports `shared/strided`, from `x` to `y`.
    pub fn launch(&self, file: &str, x: &Arg, y: &Arg) -> Launch {
        let Strided { offset, mut axes } = self.merged();
        axes.reverse();
        let whole_texels = axes[0].stride == 1
            && offset.is_multiple_of(4)
            && axes[1..].iter().all(|a| a.stride.is_multiple_of(4));
        // Four consecutive elements of the result are neighbours along one axis.
        let fours = [y.ty.shape.last(), axes[0].extent]
            .iter()
            .all(|n| n.is_multiple_of(4));
        let (reading, lanes) = match (fours, whole_texels) {
            (true, true) => ("shared/strided_texels", 4),
            (true, false) => ("shared/strided_elements", 4),
            (false, _) => ("shared/strided_scalar", 1),
        };
        // Elements per unit in which positions are counted.
        let unit = if lanes == 4 && whole_texels { 4 } else { 1 };
        let invocations = y.ty.elements() / lanes;
        let mut launch = Launch::new(file)
            .swap("shared/strided_texels", reading)
            .read("x", x.value, (y.ty.elements() / unit) as u64)
            .write("out", y.value)
            .param("invocations", invocations)
            .constant("RANK", axes.len() as f64)
            .param("offset", offset / unit)
            .invocations(invocations, WORKGROUP);
        let extents = ["extent_0", "extent_1", "extent_2", "extent_3", "extent_4"];
        for (a, name) in extents.into_iter().enumerate() {
            let unit = if a == 0 { unit } else { 1 };
            launch = launch.param(name, axes.get(a).map_or(1, |axis| axis.extent / unit));
        }
        let strides = [
            "stride_0", "stride_1", "stride_2", "stride_3", "stride_4", "stride_5",
        ];
        for (a, name) in strides.into_iter().enumerate() {
            let unit = if a == 0 { 1 } else { unit };
            launch = launch.param(name, axes.get(a).map_or(0, |axis| axis.stride / unit));
        }
        launch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strided(axes: &[(usize, usize)]) -> Strided {
        let axes = axes
            .iter()
            .map(|&(extent, stride)| StridedAxis { extent, stride })
            .collect();
        Strided { offset: 0, axes }
    }

    #[test]
    fn axes_that_are_walked_as_one_are_merged() {
        let merged = strided(&[(2, 12), (3, 4), (1, 9), (4, 1)]).merged();
        assert_eq!(merged, strided(&[(24, 1)]));
        let apart = strided(&[(4, 1), (6, 4)]);
        assert_eq!(apart.merged(), apart);
        assert_eq!(strided(&[(1, 5), (1, 1)]).merged(), strided(&[(1, 1)]));
    }
}

//! A block of a tensor: a range of each axis. PyTorch `x[a:b, c:d, …]`, ONNX `Slice` with steps of 1.

use super::onnx_form::{OnnxForm, Written};
use super::strided::{MAX_AXES, Strided, StridedAxis};
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::Lowering;
use crate::random::Stream;
use crate::tensor::{DType, Shape, TensorType};
use std::ops::Range;

/// See the module.
#[derive(Debug)]
pub struct Slice {
    /// For each axis, the range of positions to keep.
    pub ranges: Vec<Range<usize>>,
}

impl Slice {
    fn copy(&self, x: &Shape) -> Strided {
        let axis = |(range, stride): (&Range<usize>, usize)| StridedAxis {
            extent: range.len(),
            stride,
        };
        let first = self
            .ranges
            .iter()
            .zip(x.strides())
            .map(|(range, stride)| range.start * stride);
        Strided {
            offset: first.sum(),
            axes: self.ranges.iter().zip(x.strides()).map(axis).collect(),
        }
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        let fits = |(range, &extent): (&Range<usize>, &usize)| {
            range.start < range.end && range.end <= extent
        };
        if x.dtype != DType::F32 {
            return Err(format!("works on f32, was given {x}"));
        }
        if self.ranges.len() != x.shape.rank() || !self.ranges.iter().zip(x.dims()).all(fits) {
            return Err(format!("{} has no block {:?}", x.shape, self.ranges));
        }
        let copy = self.copy(&x.shape);
        if copy.merged().axes.len() > MAX_AXES {
            return Err(format!(
                "distinguishes at most {MAX_AXES} axes, and {:?} of {} has more",
                self.ranges, x.shape
            ));
        }
        Ok(TensorType::f32(
            copy.axes.iter().map(|a| a.extent).collect::<Vec<_>>(),
        ))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let shape = cx.inputs[0].shape();
        let around = |(range, &extent): (&Range<usize>, &usize)| [range.start, extent - range.end];
        let padding: Vec<_> = self.ranges.iter().zip(shape.dims()).map(around).collect();
        Ok(vec![Some(cx.grad.pad(&padding, 0.0)?)])
    }

    fn sample_axis(
        &self,
        inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        own[0].filter(|&axis| self.ranges[axis] == (0..inputs[0].dims()[axis]))
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        self.copy(&inputs[0].shape).reference(inputs[0], output)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let mut x = form.input(0);
        for (axis, range) in self.ranges.iter().enumerate() {
            if form.extents[0][axis] != form.output[axis] {
                x = form.part(&x, axis, range.clone());
            }
        }
        Ok(x)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        self.copy(&cx.input(0).ty.shape).lower(cx, "slice/slice")
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }
}

impl<'g> Var<'g> {
    /// The block of `self` at `ranges`, one for each axis.
    ///
    /// # Errors
    /// If a range is empty or exceeds the tensor, or the number of ranges differs from that of axes.
    #[track_caller]
    pub fn slice(self, ranges: &[Range<usize>]) -> Result<Var<'g>> {
        let shape = self.shape();
        if ranges
            .iter()
            .cloned()
            .eq(shape.dims().iter().map(|&extent| 0..extent))
        {
            return Ok(self);
        }
        self.apply(Slice {
            ranges: ranges.to_vec(),
        })
    }

    /// The positions in `range` along `axis`, and all positions along the other axes.
    ///
    /// # Errors
    /// If there is no such axis, or the range is empty or exceeds it.
    #[track_caller]
    pub fn slice_axis(self, axis: usize, range: Range<usize>) -> Result<Var<'g>> {
        let mut ranges: Vec<_> = self
            .shape()
            .dims()
            .iter()
            .map(|&extent| 0..extent)
            .collect();
        match ranges.get_mut(axis) {
            Some(own) => *own = range,
            // One range too many, so that the shape rule reports the error.
            None => ranges.push(range),
        }
        self.slice(&ranges)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 3 + stream.below(5) as usize;
    let (a, b) = (odd(), odd());
    let case = |ranges: Vec<Range<usize>>, shape: Vec<usize>| {
        Case::new(Slice { ranges }, [Operand::uniform(shape)])
    };
    vec![
        case(vec![1..a, 0..b], vec![a, b]),
        case(vec![0..a, 1..b - 1], vec![a, b]),
        case(vec![1..3, 0..b, 4..12], vec![a, b, 16]),
        case(vec![1..3, 0..b, 3..7], vec![a, b, 16]),
        case(vec![0..a, 2..3, 0..8], vec![a, b, 8]),
        case(vec![0..2, 1..a, 1..b, 0..3], vec![2, a, b, 3]),
        case(
            vec![1..2, 0..1, 1..3, 0..2, 1..2, 1..3],
            vec![2, 2, 3, 3, 2, 4],
        ),
        case(vec![1..2, 2..3], vec![a, b]),
        case(vec![4..9, 0..1], vec![17, 1]),
        case(vec![], vec![]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;

    #[test]
    fn a_range_must_be_inside_and_not_empty() {
        let builder = Builder::new();
        let x = builder.input("x", TensorType::f32([3, 4]));
        assert_eq!(x.slice_axis(1, 1..3).unwrap().shape(), Shape::from([3, 2]));
        assert!(x.slice_axis(1, 2..5).is_err());
        assert!(x.slice_axis(1, 2..2).is_err());
        assert!(x.slice_axis(2, 0..1).is_err());
        assert!(x.slice(&[0..3, 0..4, 0..1]).is_err());
    }
}

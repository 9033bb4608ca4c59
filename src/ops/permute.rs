//! Permutes the axes of a tensor. PyTorch `torch.permute`, ONNX `Transpose`.

use super::onnx_form::{OnnxForm, Written};
use super::strided::{MAX_AXES, Strided, StridedAxis};
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::Lowering;
use crate::random::Stream;
use crate::tensor::{DType, Shape, TensorType};

/// See the module.
#[derive(Debug)]
pub struct Permute {
    /// For each axis of the result, the corresponding axis of the operand.
    pub axes: Vec<usize>,
}

impl Permute {
    fn copy(&self, x: &Shape) -> Strided {
        let strides = x.strides();
        let axis = |&a: &usize| StridedAxis {
            extent: x.dims()[a],
            stride: strides[a],
        };
        Strided {
            offset: 0,
            axes: self.axes.iter().map(axis).collect(),
        }
    }
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        if x.dtype != DType::F32 {
            return Err(format!("works on f32, was given {x}"));
        }
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.shape.rank()) {
            return Err(format!(
                "axes {:?} are not those of {} in another order",
                self.axes, x.shape
            ));
        }
        let copy = self.copy(&x.shape);
        if copy.merged().axes.len() > MAX_AXES {
            return Err(format!(
                "distinguishes at most {MAX_AXES} axes, and {:?} of {} has more",
                self.axes, x.shape
            ));
        }
        Ok(TensorType::f32(
            copy.axes.iter().map(|a| a.extent).collect::<Vec<_>>(),
        ))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let mut inverse = vec![0; self.axes.len()];
        for (to, &from) in self.axes.iter().enumerate() {
            inverse[from] = to;
        }
        Ok(vec![Some(cx.grad.permute(&inverse)?)])
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        self.axes.iter().position(|&axis| Some(axis) == own[0])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        self.copy(&inputs[0].shape).reference(inputs[0], output)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        Ok(form.transposed(&x, &self.axes))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        self.copy(&cx.input(0).ty.shape)
            .lower(cx, "permute/permute")
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }
}

impl<'g> Var<'g> {
    /// `self` with its axes permuted: axis `a` of the result is axis `axes[a]` of `self`. It is a view if only axes of
    /// extent 1 move.
    ///
    /// # Errors
    /// If `axes` does not contain every axis once.
    #[track_caller]
    pub fn permute(self, axes: &[usize]) -> Result<Var<'g>> {
        let shape = self.shape();
        let moving: Vec<usize> = axes
            .iter()
            .copied()
            .filter(|&a| shape.dims().get(a) != Some(&1))
            .collect();
        let permute = Permute {
            axes: axes.to_vec(),
        };
        if moving.is_sorted()
            && let Ok(ty) = permute.infer(&[&self.ty()])
        {
            return self.reshape(ty.shape);
        }
        self.apply(permute)
    }

    /// `self` with two axes swapped.
    ///
    /// # Errors
    /// If an axis does not exist.
    #[track_caller]
    pub fn transpose(self, a: usize, b: usize) -> Result<Var<'g>> {
        let mut axes: Vec<usize> = (0..self.shape().rank()).collect();
        if a < axes.len() && b < axes.len() {
            axes.swap(a, b);
            return self.permute(&axes);
        }
        // The shape rule reports the axes that do not exist.
        self.apply(Permute { axes: vec![a, b] })
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 2 + stream.below(6) as usize;
    let (a, b, c) = (odd(), odd(), odd());
    let case = |axes: &[usize], shape: Vec<usize>| {
        Case::new(
            Permute {
                axes: axes.to_vec(),
            },
            [Operand::uniform(shape)],
        )
    };
    vec![
        case(&[1, 0], vec![a, b]),
        case(&[1, 0], vec![8, 4]),
        case(&[1, 0], vec![12, a]),
        case(&[0, 2, 1, 3], vec![2, a, b, 8]),
        case(&[0, 3, 1, 2], vec![2, a, b, c]),
        case(&[0, 2, 3, 1], vec![2, 4, a, b]),
        case(&[2, 0, 1], vec![1, a, 4]),
        case(&[2, 0, 1], vec![4, 1, 1]),
        case(&[4, 1, 3, 0, 2], vec![a, 2, 3, 2, b]),
        case(&[5, 4, 3, 2, 1, 0], vec![2, 3, 2, 3, 2, 4]),
        case(&[], vec![]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;

    #[test]
    fn axes_of_extent_1_move_for_nothing() {
        let builder = Builder::new();
        let x = builder.input("x", TensorType::f32([3, 1, 4]));
        let y = x.permute(&[1, 0, 2]).unwrap();
        assert_eq!(y.shape(), Shape::from([1, 3, 4]));
        builder.with_graph(|g| assert_eq!(g.node(y.id()).label(), "reshape"));
    }

    #[test]
    fn axes_that_are_no_permutation_are_refused() {
        let builder = Builder::new();
        let x = builder.input("x", TensorType::f32([3, 2]));
        for axes in [&[0, 0][..], &[0], &[0, 2], &[0, 1, 2]] {
            assert!(x.permute(axes).is_err(), "{axes:?}");
        }
        assert!(x.transpose(0, 2).is_err());
    }
}

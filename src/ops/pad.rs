//! Pads a tensor with a constant. PyTorch `torch.nn.functional.pad`, ONNX `Pad`, both in constant mode.

use super::onnx_form::{OnnxAttribute, OnnxForm, Written, pads};
use super::strided::MAX_AXES;
use super::{Case, Op, Operand, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{DType, Shape, TensorType};
use rayon::prelude::*;

/// See the module.
#[derive(Debug)]
pub struct Pad {
    /// For each axis, elements added before and after.
    pub padding: Vec<[usize; 2]>,
    /// Value of the padding.
    pub value: f64,
}

/// An axis of the result: `own` elements of the operand start at position `before`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    extent: usize,
    before: usize,
    own: usize,
}

const WORKGROUP: usize = 64;

impl Pad {
    /// Axes of the result, outermost first; an axis without padding is merged into the one outside it.
    fn axes(&self, x: &Shape) -> Vec<Axis> {
        let mut axes: Vec<Axis> = Vec::new();
        for (&[before, after], &own) in self.padding.iter().zip(x.dims()) {
            let extent = before + own + after;
            match axes.last_mut() {
                Some(outer) if own == extent => {
                    *outer = Axis {
                        extent: outer.extent * own,
                        before: outer.before * own,
                        own: outer.own * own,
                    };
                }
                _ => axes.push(Axis {
                    extent,
                    before,
                    own,
                }),
            }
        }
        if axes.is_empty() {
            axes.push(Axis {
                extent: 1,
                before: 0,
                own: 1,
            });
        }
        axes
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        if x.dtype != DType::F32 {
            return Err(format!("works on f32, was given {x}"));
        }
        if self.padding.len() != x.shape.rank() {
            return Err(format!(
                "padding {:?} is not for the axes of {}",
                self.padding, x.shape
            ));
        }
        if self.axes(&x.shape).len() > MAX_AXES {
            return Err(format!(
                "pads at most {MAX_AXES} axes, {:?} of {} are more",
                self.padding, x.shape
            ));
        }
        let extents = self
            .padding
            .iter()
            .zip(x.dims())
            .map(|([before, after], own)| before + own + after);
        Ok(TensorType::f32(extents.collect::<Vec<_>>()))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let shape = cx.inputs[0].shape();
        let own = |(&[before, _], &own): (&[usize; 2], &usize)| before..before + own;
        let ranges: Vec<_> = self.padding.iter().zip(shape.dims()).map(own).collect();
        Ok(vec![Some(cx.grad.slice(&ranges)?)])
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        own[0].filter(|&axis| self.padding[axis] == [0, 0])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let axes = self.axes(&inputs[0].shape);
        let (outer, inner) = axes.split_at(axes.len() - 1);
        let mut values = vec![T::of(self.value); output.elements()];
        let rows = values.par_chunks_mut(inner[0].extent.max(1)).enumerate();
        rows.for_each(|(row, out)| {
            let (mut rest, mut at, mut stride) = (row, 0, inner[0].own);
            for axis in outer.iter().rev() {
                let Some(q) = (rest % axis.extent)
                    .checked_sub(axis.before)
                    .filter(|&q| q < axis.own)
                else {
                    return;
                };
                at += q * stride;
                stride *= axis.own;
                rest /= axis.extent;
            }
            out[inner[0].before..][..inner[0].own]
                .copy_from_slice(&inputs[0].reals()[at..at + inner[0].own]);
        });
        Tensor::real(output.shape.clone(), values)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        let pads = match pads(&self.padding) {
            OnnxAttribute::Ints(pads) => form.nodes.ints(&pads),
            _ => return Err("has no pads".to_string()),
        };
        let value = form.number(self.value);
        Ok(form.node("Pad", &[&x, &pads, &value], Vec::new()))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, y) = (cx.input(0), cx.output()?);
        let mut axes = self.axes(&x.ty.shape);
        axes.reverse();
        let vec4 = [axes[0].extent, axes[0].before, axes[0].own]
            .iter()
            .all(|n| n.is_multiple_of(4));
        let lanes = if vec4 { 4 } else { 1 };
        let mut launch = Launch::new("pad/pad");
        if !vec4 {
            launch = launch.swap("shared/lanes_vec4", "shared/lanes_scalar");
        }
        let invocations = y.ty.elements() / lanes;
        launch = launch
            .read("x", x.value, invocations as u64)
            .write("out", y.value)
            .param("invocations", invocations)
            .constant("RANK", axes.len() as f64)
            .param("value", self.value as f32)
            .invocations(invocations, WORKGROUP);
        let number = |a: usize, of: fn(&Axis) -> usize| {
            let unit = if a == 0 { lanes } else { 1 };
            axes.get(a).map_or(1, |axis| of(axis) / unit)
        };
        let extents = ["extent_0", "extent_1", "extent_2", "extent_3", "extent_4"];
        let befores = [
            "before_0", "before_1", "before_2", "before_3", "before_4", "before_5",
        ];
        let owns = ["own_0", "own_1", "own_2", "own_3", "own_4", "own_5"];
        for (a, name) in extents.into_iter().enumerate() {
            launch = launch.param(name, number(a, |axis| axis.extent));
        }
        for (a, (before, own)) in befores.into_iter().zip(owns).enumerate() {
            launch = launch
                .param(before, number(a, |axis| axis.before))
                .param(own, number(a, |axis| axis.own));
        }
        cx.launch(launch)
    }
}

impl<'g> Var<'g> {
    /// `self` padded with `value`: `padding` gives, for each axis, how many elements are added before and after.
    ///
    /// # Errors
    /// If the number of pairs differs from that of axes, or `self` is not a float tensor.
    #[track_caller]
    pub fn pad(self, padding: &[[usize; 2]], value: f64) -> Result<Var<'g>> {
        if padding.len() == self.shape().rank() && padding.iter().all(|p| *p == [0, 0]) {
            return Ok(self);
        }
        self.apply(Pad {
            padding: padding.to_vec(),
            value,
        })
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 1 + stream.below(5) as usize;
    let (a, b, c) = (odd(), odd(), odd());
    let case = |padding: Vec<[usize; 2]>, value: f64, shape: Vec<usize>| {
        Case::new(Pad { padding, value }, [Operand::uniform(shape)])
    };
    vec![
        case(vec![[0, 0], [c, a], [b, 0], [0, 0]], 0.0, vec![2, a, b, 8]),
        case(vec![[0, 0], [1, 2], [2, 1], [0, 0]], -0.5, vec![2, a, b, 3]),
        case(vec![[c, 0], [0, b]], 1.5, vec![a, b]),
        case(vec![[4, 8]], 0.25, vec![12]),
        case(vec![[0, 0], [3, 1]], 0.0, vec![a, 4]),
        case(vec![[1, 0], [0, 0], [0, 5]], 2.0, vec![a, b, 7]),
        case(vec![[1, 1]; 6], 0.5, vec![1, 2, 1, 2, 1, 2]),
        case(vec![[0, 0], [0, 0]], 0.0, vec![a, b]),
        case(vec![], 1.0, vec![]),
    ]
}

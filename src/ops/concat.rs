//! Concatenates tensors along an axis. PyTorch `torch.cat`, ONNX `Concat`.

use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::samples;
use super::{Case, Op, Operand, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};

/// See the module.
#[derive(Debug)]
pub struct Concat {
    /// The axis of concatenation.
    pub axis: usize,
}

const WORKGROUP: usize = 64;

impl Concat {
    /// Elements of a tensor per step along the axes before the axis of concatenation.
    fn row(&self, ty: &TensorType) -> usize {
        ty.dims()[self.axis..].iter().product()
    }
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let Some((first, rest)) = inputs.split_first() else {
            return Err("takes at least one operand".to_string());
        };
        let mut dims = first.dims().to_vec();
        if first.dtype != DType::F32 || self.axis >= dims.len() {
            return Err(format!(
                "joins f32 along axis {}, was given {first}",
                self.axis
            ));
        }
        for ty in rest {
            let alike = |a: usize| a == self.axis || ty.dims()[a] == dims[a];
            if ty.dtype != DType::F32
                || ty.shape.rank() != dims.len()
                || !(0..dims.len()).all(alike)
            {
                return Err(format!("{first} and {ty} differ beside axis {}", self.axis));
            }
            dims[self.axis] += ty.dims()[self.axis];
        }
        Ok(TensorType::f32(dims))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let mut start = 0;
        let own = |x: &Var<'g>| {
            let range = start..start + x.shape().dims()[self.axis];
            start = range.end;
            cx.grad.slice_axis(self.axis, range).map(Some)
        };
        cx.inputs.iter().map(own).collect()
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        samples::of_all_first(own).filter(|_| self.axis > 0 && !own.contains(&None))
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let rows: usize = output.dims()[..self.axis].iter().product();
        let mut values = Vec::with_capacity(output.elements());
        for row in 0..rows {
            for x in inputs {
                let length = self.row(&x.ty());
                values.extend_from_slice(&x.reals()[row * length..(row + 1) * length]);
            }
        }
        Tensor::real(output.shape.clone(), values)
    }

    /// One launch per operand; together they write every element.
    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        form.same(
            "Concat",
            vec![("axis", OnnxAttribute::Int(self.axis as i64))],
        )
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let y = cx.output()?;
        let row = self.row(&y.ty);
        let mut offset = 0;
        for n in 0..cx.inputs() {
            let x = cx.input(n);
            let length = self.row(&x.ty);
            let vec4 = [row, offset, length].iter().all(|n| n.is_multiple_of(4));
            let lanes = if vec4 { 4 } else { 1 };
            let mut launch = Launch::new("concat/concat");
            if !vec4 {
                launch = launch.swap("shared/lanes_vec4", "shared/lanes_scalar");
            }
            let invocations = x.ty.elements() / lanes;
            cx.launch(
                launch
                    .read("x", x.value, invocations as u64)
                    .write("out", y.value)
                    .param("invocations", invocations)
                    .param("length", length / lanes)
                    .param("row", row / lanes)
                    .param("offset", offset / lanes)
                    .invocations(invocations, WORKGROUP),
            )?;
            offset += length;
        }
        Ok(())
    }
}

impl<'g> Var<'g> {
    /// Concatenates `parts` along `axis`.
    ///
    /// # Errors
    /// If there are none, or their shapes differ in another axis than `axis`.
    #[track_caller]
    pub fn concat(parts: &[Var<'g>], axis: usize) -> Result<Var<'g>> {
        match parts {
            [] => Err(Error::Graph(
                "concat takes at least one operand".to_string(),
            )),
            [only] if axis < only.shape().rank() => Ok(*only),
            [first, ..] => first.builder().op(Concat { axis }, parts),
        }
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 1 + stream.below(6) as usize;
    let (a, b, c) = (odd(), odd(), odd());
    let case = |axis: usize, shapes: &[&[usize]]| {
        Case::new(
            Concat { axis },
            shapes
                .iter()
                .map(|&s| Operand::uniform(s))
                .collect::<Vec<_>>(),
        )
    };
    vec![
        case(0, &[&[a], &[b]]),
        case(0, &[&[a, 4], &[b, 4], &[1, 4]]),
        case(1, &[&[2, a, 3], &[2, b, 3]]),
        case(3, &[&[2, b, 2, 4], &[2, b, 2, 8]]),
        case(3, &[&[1, 2, c, 4], &[1, 2, c, 3], &[1, 2, c, 5]]),
        case(
            1,
            &[
                &[c, 1],
                &[c, 2],
                &[c, 3],
                &[c, 4],
                &[c, 5],
                &[c, 6],
                &[c, 7],
                &[c, 8],
                &[c, 9],
            ],
        ),
        case(1, &[&[a, 2, 3]]),
    ]
}

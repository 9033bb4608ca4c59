//! Position of the largest element along the last axis; of equal elements, the first. PyTorch `torch.argmax`, ONNX
//! `ArgMax`. It has no gradient.
//!
//! On the GPU one invocation scans one split of one row. With several splits, a second launch reduces the maxima of the
//! splits.

use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::{Case, Op, Operand, Values, Vjp, operands, reduce};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};

/// See the module.
#[derive(Debug)]
pub struct ArgMax;

const WORKGROUP: usize = 64;

impl Op for ArgMax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        match x.dims() {
            [outer @ .., length] if x.dtype == DType::F32 && *length > 0 => {
                Ok(TensorType::u32(outer))
            }
            _ => Err(format!(
                "takes floats with a last axis to search, was given {x}"
            )),
        }
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("argmax")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let first_largest = |row: &[T]| {
            (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best }) as u32
        };
        let rows = inputs[0].reals().chunks(inputs[0].shape.last());
        Tensor::index(output.shape.clone(), rows.map(first_largest).collect())
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let last = ("axis", OnnxAttribute::Int(-1));
        form.same("ArgMax", vec![last, ("keepdims", OnnxAttribute::Int(0))])
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, out) = (cx.input(0), cx.output()?);
        let extent = x.ty.shape.last();
        let outer = x.ty.elements() / extent;
        let (length, block) = if extent.is_multiple_of(4) {
            (extent / 4, "argmax/block_vec4")
        } else {
            (extent, "argmax/block_scalar")
        };
        let chunk = length.div_ceil(reduce::splits(cx.target(), outer, length));
        let splits = length.div_ceil(chunk);
        let winners = if splits == 1 {
            out.clone()
        } else {
            cx.scratch(TensorType::u32([outer, splits]))
        };
        cx.launch(
            Launch::new("argmax/argmax")
                .swap("argmax/block_vec4", block)
                .read("x", x.value, x.vec4s())
                .write("out", winners.value)
                .param("length", length)
                .param("chunk", chunk)
                .param("splits", splits)
                .param("invocations", outer * splits)
                .invocations(outer * splits, WORKGROUP),
        )?;
        if splits == 1 {
            return Ok(());
        }
        cx.launch(
            Launch::new("argmax/choose")
                .read("x", x.value, (outer * splits) as u64)
                .read("winners", winners.value, winners.vec4s())
                .write("out", out.value)
                .param("extent", extent)
                .param("splits", splits)
                .param("invocations", outer)
                .invocations(outer, WORKGROUP),
        )
    }
}

impl<'g> Var<'g> {
    /// Position of the largest element along the last axis, the first among equals: `[.., n]` to u32 `[..]`.
    ///
    /// # Errors
    /// If `self` is not a float tensor with a last axis.
    #[track_caller]
    pub fn argmax(self) -> Result<Var<'g>> {
        self.apply(ArgMax)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let case =
        |shape: &[usize], values| Case::new(ArgMax, [Operand::real(shape, values).constant()]);
    let odd = 3 + 2 * stream.below(5) as usize;
    vec![
        case(&[odd, 10], Values::Uniform(-1.0, 1.0)),
        case(&[odd, 4 * odd], Values::Uniform(-1.0, 1.0)),
        case(&[2, 3, 5], Values::Ties),
        case(&[7, 8], Values::Ties),
        case(&[70, 1], Values::Ties),
        case(&[9], Values::Distinct),
        case(&[2, 1000 + odd], Values::Distinct),
        case(&[1, 4000], Values::Ties),
    ]
}

//! Keeps the rows `i < valid` of x and sets the others to zero, so that the padding of a last, smaller batch does not
//! affect a loss. `x` is `f32 [rows, …]`, `valid` is `u32 []`.

use super::samples;
use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};

/// See the module. Operands: x, valid.
#[derive(Debug)]
pub struct MaskRows;

const WORKGROUP: usize = 64;

impl Op for MaskRows {
    fn name(&self) -> &'static str {
        "mask_rows"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, valid] = operands(inputs)?;
        if x.dtype != DType::F32 || x.shape.rank() == 0 || *valid != TensorType::u32([]) {
            return Err(format!(
                "takes f32[rows,…] and a u32[], was given {x} and {valid}"
            ));
        }
        Ok(x.clone())
    }

    /// The gradient with the same rows kept.
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(cx.grad.mask_rows(cx.inputs[1])?), None])
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        samples::of_first(own)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let mut values = inputs[0].reals().to_vec();
        let row: usize = output.dims()[1..].iter().product();
        let kept = (inputs[1].indices()[0] as usize).saturating_mul(row);
        values[kept.min(output.elements())..].fill(T::ZERO);
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, valid, out) = (cx.input(0), cx.input(1), cx.output()?);
        let elements = out.ty.elements();
        cx.launch(
            Launch::new("mask_rows/mask_rows")
                .read("x", x.value, 0)
                .read("valid", valid.value, 0)
                .write("out", out.value)
                .param("elements", elements)
                .param("row", elements / x.dims()[0].max(1))
                .invocations(elements, WORKGROUP),
        )
    }
}

impl<'g> Var<'g> {
    /// `self` `[rows, …]` with the rows from `valid` `u32 []` on set to zero.
    ///
    /// # Errors
    /// If the types don't fit.
    #[track_caller]
    pub fn mask_rows(self, valid: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(MaskRows, &[self, valid])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let odd = 1 + stream.below(7) as usize;
    let case = |shape: Vec<usize>, valid: f64| {
        let valid = Operand::index([], Values::Fixed(vec![valid]));
        Case::new(MaskRows, [Operand::uniform(shape), valid])
    };
    vec![
        case(vec![odd + 2], 2.0),
        case(vec![5, odd], 4.0),
        case(vec![3, 2, 4], 0.0),
        case(vec![70, 3], 1e9),
        case(vec![1], 1.0),
    ]
}

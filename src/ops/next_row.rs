//! Replaces each row by the one after it, and the last valid row by the first: `y[i] = x[(i + 1) mod valid]` for
//! `i < valid`, zeros elsewhere. Mixup and cutmix use it to pair samples. `x` is `[rows, …]` of floats or integers,
//! `valid` is `u32 []`. It has no gradient.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Data, Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::TensorType;

/// See the module. Operands: x, valid.
#[derive(Debug)]
pub struct NextRow;

const WORKGROUP: usize = 64;

fn moved<E: Copy>(x: &[E], rows: usize, valid: usize, zero: E) -> Vec<E> {
    let row = x.len() / rows.max(1);
    let mut y = vec![zero; x.len()];
    let valid = valid.min(rows);
    for i in 0..valid {
        let next = (i + 1) % valid;
        y[i * row..][..row].copy_from_slice(&x[next * row..][..row]);
    }
    y
}

impl Op for NextRow {
    fn name(&self) -> &'static str {
        "next_row"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, valid] = operands(inputs)?;
        if x.shape.rank() == 0 || *valid != TensorType::u32([]) {
            return Err(format!(
                "takes [rows,…] and a u32[], was given {x} and {valid}"
            ));
        }
        Ok(x.clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("next_row")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (rows, valid) = (output.dims()[0], inputs[1].indices()[0] as usize);
        let data = match &inputs[0].data {
            Data::Real(x) => Data::Real(moved(x, rows, valid, T::ZERO)),
            Data::Index(x) => Data::Index(moved(x, rows, valid, 0)),
        };
        Tensor {
            shape: output.shape.clone(),
            data,
        }
    }

    /// Copies 32-bit words; the bits of floats are unchanged.
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, valid, out) = (cx.input(0), cx.input(1), cx.output()?);
        let words = out.ty.elements();
        cx.launch(
            Launch::new("next_row/next_row")
                .read("x", x.value, 0)
                .read("valid", valid.value, 0)
                .write("out", out.value)
                .param("words", words)
                .param("rows", out.dims()[0])
                .param("row", words / out.dims()[0].max(1))
                .invocations(words, WORKGROUP),
        )
    }
}

impl<'g> Var<'g> {
    /// `self` `[rows, …]` with each of the first `valid` `u32 []` rows replaced by the one after it, and the last of
    /// them by the first. The other rows are zeros.
    ///
    /// # Errors
    /// If the types don't fit.
    #[track_caller]
    pub fn next_row(self, valid: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(NextRow, &[self, valid])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let odd = 1 + stream.below(7) as usize;
    let case = |x: Operand, valid: f64| {
        Case::new(
            NextRow,
            [x.constant(), Operand::index([], Values::Fixed(vec![valid]))],
        )
    };
    vec![
        case(Operand::uniform([5, odd]), 4.0),
        case(Operand::uniform([1, 3, 2]), 1.0),
        case(Operand::uniform([70]), 1e9),
        case(Operand::uniform([3, 4]), 0.0),
        case(Operand::index([odd], Values::Below(9)), odd as f64),
    ]
}

//! Windows of consecutive rows, one for each sample of a batch: `y[b, i, :] = data[starts[b] + offset + i, :]` for
//! `i < length`. Rows past the end of the data are zeros. Data is `f32 [rows, columns]` or `u32 [rows]`, such as
//! tokens.
//!
//! PyTorch: `data.unfold(0, length, 1)[starts + offset]`, with the window before the columns.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Data, Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};

/// See the module. Operands: data, starts `u32 [batch]`.
#[derive(Debug)]
pub struct GatherWindows {
    /// Rows from a start to the first row of its window.
    pub offset: usize,
    /// Rows of a window.
    pub length: usize,
}

const WORKGROUP: usize = 64;

/// Elements per row.
fn columns(data: &TensorType) -> usize {
    data.dims()[1..].iter().product()
}

impl GatherWindows {
    /// Copies the windows out of `data`, `columns` elements a row.
    fn copied<E: Copy>(&self, data: &[E], columns: usize, starts: &[u32], zero: E) -> Vec<E> {
        let mut out = Vec::with_capacity(starts.len() * self.length * columns);
        for &start in starts {
            for element in 0..self.length * columns {
                let at = (start as usize + self.offset) * columns + element;
                out.push(data.get(at).copied().unwrap_or(zero));
            }
        }
        out
    }
}

impl Op for GatherWindows {
    fn name(&self) -> &'static str {
        "gather_windows"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [data, starts] = operands(inputs)?;
        let fits = matches!(
            (data.dtype, data.dims()),
            (DType::F32, [_, _]) | (DType::U32, [_])
        );
        if !fits || data.elements() == 0 {
            return Err(format!(
                "takes rows f32[rows,columns] or u32[rows], was given {data}"
            ));
        }
        if starts.dtype != DType::U32 || starts.shape.rank() != 1 || self.length == 0 {
            return Err(format!(
                "takes the first rows of its windows as u32[batch] and at least one row a window, was given {starts} and {}",
                self.length
            ));
        }
        let dims = [starts.dims(), &[self.length], &data.dims()[1..]].concat();
        Ok(TensorType {
            dtype: data.dtype,
            shape: dims.into(),
        })
    }

    fn vjp<'g>(&self, _cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None, None])
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (columns, starts) = (columns(&inputs[0].ty()), inputs[1].indices());
        let data = match &inputs[0].data {
            Data::Real(values) => Data::Real(self.copied(values, columns, starts, T::ZERO)),
            Data::Index(values) => Data::Index(self.copied(values, columns, starts, 0)),
        };
        Tensor {
            shape: output.shape.clone(),
            data,
        }
    }

    /// Copies 32-bit words; the bits of floats are unchanged.
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (data, starts, out) = (cx.input(0), cx.input(1), cx.output()?);
        let words = out.ty.elements();
        let columns = columns(&data.ty);
        cx.launch(
            Launch::new("gather_windows/gather_windows")
                .read("data", data.value, 0)
                .read("starts", starts.value, 0)
                .write("out", out.value)
                .param("words", words)
                .param("rows", data.dims()[0])
                .param("columns", columns)
                .param("window", self.length * columns)
                .param("offset", self.offset)
                .invocations(words, WORKGROUP),
        )
    }
}

impl<'g> Var<'g> {
    /// Windows of `length` rows of `self`, `f32 [rows, columns]` or `u32 [rows]`: one for each of `starts`
    /// `u32 [batch]`, beginning at row `start + offset`: `[batch, length, columns]` or `[batch, length]`. Rows past the
    /// end are zeros.
    ///
    /// # Errors
    /// If the types don't fit, or `length` is 0.
    #[track_caller]
    pub fn gather_windows(self, starts: Var<'g>, offset: usize, length: usize) -> Result<Var<'g>> {
        self.builder()
            .op(GatherWindows { offset, length }, &[self, starts])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let odd = 1 + stream.below(7) as usize;
    let starts = |batch: usize, below: u32| Operand::index([batch], Values::Below(below));
    let case = |data: Operand, batch, below, offset, length| {
        Case::new(
            GatherWindows { offset, length },
            [data, starts(batch, below)],
        )
    };
    let floats = |rows: usize, columns: usize| Operand::uniform([rows, columns]).constant();
    let tokens = |rows: usize| Operand::index([rows], Values::Below(u32::MAX));
    vec![
        case(floats(9, odd), odd, 9, 0, 1),
        // Some of these windows end past the last row.
        case(floats(12, 4), 3, 12, 2, 3),
        case(floats(1, 1), 1, 1, 0, 1),
        case(floats(200, 3), 70, 150, 40, 10),
        case(tokens(100), odd, 90, 0, 8),
        case(tokens(33), 5, 40, 1, odd),
    ]
}

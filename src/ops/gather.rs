//! Rows of a table at given indices, as in an embedding: `y[…, :] = table[indices[…], :]`. PyTorch
//! `torch.nn.functional.embedding`, ONNX `Gather` along axis 0.
//!
//! An index that is not below the number of rows gives zeros and gets no gradient. The row of a padding index is read
//! like any other but has no gradient: PyTorch's `padding_idx`.

use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::reduce;
use super::{Case, Op, Operand, Role, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering, MAX_LOOP_ITERATIONS};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// See the module. Operands: table `[V, D]`, indices of any shape.
#[derive(Debug)]
pub struct Gather {
    /// The index whose row never has a gradient.
    pub padding: Option<usize>,
}

/// The gradient of [`Gather`] with respect to the table: `indices, dy` to `[V, D]`. Every row sums the gradients of the
/// positions that read it, in the order of the positions.
#[derive(Debug)]
pub struct GatherGrad {
    /// Rows of the table.
    pub rows: usize,
    /// As in [`Gather`].
    pub padding: Option<usize>,
}

const WORKGROUP: usize = 64;

/// Type of the rows gathered from a table with `columns` columns.
fn gathered(indices: &TensorType, columns: usize) -> TensorType {
    TensorType::f32([indices.dims(), &[columns]].concat())
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [table, indices] = operands(inputs)?;
        match (table.dtype, table.dims(), indices.dtype) {
            (DType::F32, &[rows, columns], DType::U32) if rows > 0 && columns > 0 => {
                match self.padding {
                    Some(padding) if padding >= rows => Err(format!(
                        "the padding index {padding} is none of the {rows} rows of {table}"
                    )),
                    _ => Ok(gathered(indices, columns)),
                }
            }
            _ => Err(format!(
                "takes a table f32[V,D] and indices of type u32, was given {table} and {indices}"
            )),
        }
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let grad = GatherGrad {
            rows: cx.inputs[0].shape().dims()[0],
            padding: self.padding,
        };
        Ok(vec![
            Some(cx.grad.builder().op(grad, &[cx.inputs[1], cx.grad])?),
            None,
        ])
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        (own == [None, Some(0)]).then_some(0)
    }

    /// Of two positions of a sample that read the same row, the gradients add up: `sum over s, t of [i_s = i_t] dy_s dy_t`.
    fn sample_norms<'g>(
        &self,
        cx: &Vjp<'g>,
        _operand: usize,
        samples: usize,
    ) -> Result<Option<Var<'g>>> {
        let (indices, columns) = (cx.inputs[1].to_float()?, cx.grad.shape().last());
        let length = indices.ty().elements() / samples;
        let mut grad = cx.grad.reshape([samples, length, columns])?;
        let builder = grad.builder();
        if let Some(padding) = self.padding {
            let position = indices.reshape([samples, length, 1])?;
            let padded = position.eq(builder.constant(padding as f64))?;
            grad = grad.mul(builder.constant(1.0).sub(padded)?)?;
        }
        if length == 1 {
            return grad.squared_norms(samples).map(Some);
        }
        let across = indices.reshape([samples, length, 1])?;
        let same = across.eq(indices.reshape([samples, 1, length])?)?;
        let inner = super::matmul::Matmul {
            transpose_a: false,
            transpose_b: true,
        };
        let products = grad.matmul_with(grad, inner)?.mul(same)?;
        let products = products.reshape([samples, length * length])?;
        products.sum(&[1]).map(Some)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (table, columns) = (inputs[0].reals(), output.shape.last());
        let mut values = vec![T::ZERO; output.elements()];
        values
            .par_chunks_mut(columns.max(1))
            .zip(inputs[1].indices())
            .for_each(|(row, &index)| {
                if let Some(from) = table.chunks_exact(columns).nth(index as usize) {
                    row.copy_from_slice(from);
                }
            });
        Tensor::real(output.shape.clone(), values)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let (table, indices) = (form.input(0), form.input(1));
        let indices = form.integers(&indices);
        let axis = ("axis", OnnxAttribute::Int(0));
        Ok(form.node("Gather", &[&table, &indices], vec![axis]))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (table, indices, y) = (cx.input(0), cx.input(1), cx.output()?);
        let (launch, lanes) = launch("gather/gather", y.ty.shape.last());
        let invocations = y.ty.elements() / lanes;
        cx.launch_with_epilogue(
            launch
                .read("table", table.value, invocations as u64)
                .read("indices", indices.value, 0)
                .write("out", y.value)
                .param("invocations", invocations)
                .param("rows", table.dims()[0])
                .param("columns", y.ty.shape.last() / lanes)
                .invocations(invocations, WORKGROUP),
        )
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }
}

impl Op for GatherGrad {
    fn name(&self) -> &'static str {
        "gather_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [indices, dy] = operands(inputs)?;
        if indices.dtype != DType::U32
            || *dy != gathered(indices, dy.shape.last())
            || self.rows == 0
        {
            return Err(format!(
                "{indices} and {dy} are not indices and what they read from {} rows",
                self.rows
            ));
        }
        Ok(TensorType::f32([self.rows, dy.shape.last()]))
    }

    /// The operation is linear in `dy`: the gradient is gathered like the table.
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        if self.padding.is_some() {
            return cx.not_differentiable("the gradient of an embedding with a padding index");
        }
        Ok(vec![None, Some(cx.grad.gather(cx.inputs[0])?)])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let columns = output.shape.last();
        let mut table = vec![T::ZERO; output.elements()];
        for (&index, dy) in inputs[0]
            .indices()
            .iter()
            .zip(inputs[1].reals().chunks_exact(columns))
        {
            if (index as usize) < self.rows && Some(index as usize) != self.padding {
                let row = &mut table[index as usize * columns..][..columns];
                row.iter_mut().zip(dy).for_each(|(sum, &dy)| *sum += dy);
            }
        }
        Tensor::real(output.shape.clone(), table)
    }

    /// Links the positions that read the same row into a list for each split, sums every row along its list, and then
    /// sums the splits.
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (indices, dy, out) = (cx.input(0), cx.input(1), cx.output()?);
        let (n, columns) = (indices.ty.elements(), out.ty.shape.last());
        let chunk = self.chunk(n);
        let splits = n.div_ceil(chunk);
        let first = cx.scratch(TensorType::u32([splits, self.rows]));
        let next = cx.scratch(TensorType::u32([n]));
        let tables = if splits == 1 {
            out.clone()
        } else {
            cx.scratch(TensorType::f32([splits, self.rows, columns]))
        };
        cx.launch(
            Launch::new("gather/grad_clear")
                .write("first", first.value)
                .param("invocations", splits * self.rows)
                .invocations(splits * self.rows, WORKGROUP),
        )?;
        cx.launch(
            Launch::new("gather/grad_link")
                .read("indices", indices.value, 0)
                .read_write("first", first.value)
                .write("next", next.value)
                .param("invocations", n)
                .param("rows", self.rows)
                // Without a padding index, a value that no index below `rows` equals.
                .param("padding", self.padding.unwrap_or(self.rows))
                .param("chunk", chunk)
                .invocations(n, WORKGROUP),
        )?;
        let (launch, lanes) = launch("gather/grad_sum", columns);
        let invocations = splits * self.rows * columns / lanes;
        cx.launch(
            launch
                .read("dy", dy.value, (n * columns / lanes) as u64)
                .read("first", first.value, 0)
                .read("next", next.value, 0)
                .write("out", tables.value)
                .param("invocations", invocations)
                .param("columns", columns / lanes)
                .invocations(invocations, WORKGROUP),
        )?;
        if splits > 1 {
            reduce::stage(
                cx,
                "sum/sum",
                &tables,
                &out,
                [1, splits, self.rows * columns],
                1,
            )?;
        }
        Ok(())
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].elements()
    }
}

impl GatherGrad {
    /// Indices per split of `n`: a multiple of four, and no more than one loop may cover. Splits shorten the search for
    /// equal indices and give more invocations work; their tables should together be no larger than `dy`.
    fn chunk(&self, n: usize) -> usize {
        const SHORTEST: usize = 256;
        let splits = (n / SHORTEST).min(n / self.rows).max(1);
        n.div_ceil(splits)
            .next_multiple_of(4)
            .clamp(4, MAX_LOOP_ITERATIONS / 4 * 4)
    }
}

/// A launch of `file` for rows of `columns` columns, and the number of columns that an invocation handles.
fn launch(file: &str, columns: usize) -> (Launch, usize) {
    if columns.is_multiple_of(4) {
        (Launch::new(file), 4)
    } else {
        (
            Launch::new(file).swap("shared/lanes_vec4", "shared/lanes_scalar"),
            1,
        )
    }
}

impl<'g> Var<'g> {
    /// Rows of `self` `[V, D]` at `indices` `[…]`: `[…, D]`. An index that is not below V gives zeros.
    ///
    /// # Errors
    /// If `self` is not a table of rows, or `indices` are not integers.
    #[track_caller]
    pub fn gather(self, indices: Var<'g>) -> Result<Var<'g>> {
        self.builder()
            .op(Gather { padding: None }, &[self, indices])
    }

    /// The same for a table of embeddings whose row `padding` has no gradient: the row keeps its initial value, usually
    /// zeros. PyTorch `F.embedding(indices, self, padding_idx)`.
    ///
    /// # Errors
    /// As [`Var::gather`], or if there is no row `padding`.
    #[track_caller]
    pub fn embedding(self, indices: Var<'g>, padding: Option<usize>) -> Result<Var<'g>> {
        self.builder().op(Gather { padding }, &[self, indices])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 1 + stream.below(6) as usize;
    let (a, b, c) = (odd(), odd(), odd());
    // Some indices are past the last row.
    let index =
        |shape: Vec<usize>, rows: usize| Operand::index(shape, Values::Below(rows as u32 + 2));
    let read = |rows: usize, columns: usize, shape: Vec<usize>| {
        Case::new(
            Gather { padding: None },
            [Operand::uniform([rows, columns]), index(shape, rows)],
        )
    };
    // With a padding index the gradient rule is not the exact derivative: only the kernels are checked.
    let padded = |rows: usize, columns: usize, shape: Vec<usize>, padding: usize| {
        let dy = Operand::uniform([&shape[..], &[columns]].concat()).constant();
        Case::new(
            GatherGrad {
                rows,
                padding: Some(padding),
            },
            [index(shape, rows), dy],
        )
    };
    let summed = |rows: usize, columns: usize, shape: Vec<usize>| {
        let dy = Operand::uniform([&shape[..], &[columns]].concat());
        Case::new(
            GatherGrad {
                rows,
                padding: None,
            },
            [index(shape, rows), dy],
        )
    };
    vec![
        read(5, 8, vec![a, b]),
        read(7, 3, vec![c, 2]),
        read(1, 4, vec![]),
        read(65, 12, vec![130]),
        read(300, 1, vec![2, 1, a]),
        padded(5, 8, vec![a, b], 0),
        padded(3, 5, vec![2, 450 + a], 2),
        padded(1, 4, vec![c], 0),
        summed(4, 4, vec![a, b]),
        summed(3, 5, vec![61]),
        summed(1, 8, vec![b, 2, c]),
        summed(2, 4, vec![]),
        summed(3, 8, vec![2, 450 + a]),
        summed(2, 3, vec![1031]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_past_the_table_reads_zeros_and_adds_to_no_row() {
        let table = Tensor::real([2, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let indices = Tensor::index([3], vec![1, 2, 1]);
        let y = Gather { padding: None }.reference(&[&table, &indices], &TensorType::f32([3, 2]));
        assert_eq!(y.reals(), [3.0, 4.0, 0.0, 0.0, 3.0, 4.0]);
        let dy = Tensor::real([3, 2], vec![1.0, 10.0, 5.0, 5.0, 2.0, 20.0]);
        let grad = |padding| {
            GatherGrad { rows: 2, padding }.reference(&[&indices, &dy], &TensorType::f32([2, 2]))
        };
        assert_eq!(grad(None).reals(), [0.0, 0.0, 3.0, 30.0]);
        assert_eq!(grad(Some(1)).reals(), [0.0; 4]);
    }

    #[test]
    fn splits_are_short_enough_for_one_loop_and_cover_all_indices() {
        for (rows, n) in [
            (1, 1),
            (65, 768),
            (50_257, 200_000),
            (1, 1_000_000),
            (3, 65_001),
        ] {
            let chunk = GatherGrad {
                rows,
                padding: None,
            }
            .chunk(n);
            assert!(
                chunk <= MAX_LOOP_ITERATIONS && chunk.is_multiple_of(4),
                "{chunk} of {n}"
            );
        }
    }
}

//! Matrix product `C[.., m, n] = sum over k of A[.., m, k] B[.., k, n]`, with either operand optionally transposed, in
//! batches. PyTorch `torch.matmul`, ONNX `MatMul` and `Gemm`.
//!
//! Leading axes are the batch: both operands have the same ones, or one operand is a single matrix. If a batch is
//! multiplied with a single matrix, its rows are treated as the rows of one large product, as in a dense layer over
//! sequences.

use super::contraction::{self, Contraction, OperandLayout, Outline, Segments};
use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Arg, Launch, Lowering, MAX_LOOP_ITERATIONS, Scalar, Target};
use crate::random::Stream;
use crate::tensor::{DType, Shape, TensorType};
use rayon::prelude::*;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matmul {
    /// A is stored as `[.., k, m]`.
    pub transpose_a: bool,
    /// B is stored as `[.., n, k]`.
    pub transpose_b: bool,
}

/// Extents of a product.
struct Extents {
    /// Rows per product: those of the whole batch if B is a single matrix and A is not transposed.
    m: usize,
    n: usize,
    k: usize,
    /// Number of products.
    batches: usize,
    /// The shape of the result.
    result: Shape,
    /// Elements between the matrices of A's batch; 0 if there is only one matrix.
    a_batch_stride: usize,
    b_batch_stride: usize,
}

/// The plain kernel, a single loop over k.
const DIRECT: &str = "direct";
/// Up to this many operations the plain kernel is the default on software adapters: another kernel would save a tenth
/// of a millisecond, but takes them ten times as long to compile (docs/decisions.md).
const SMALL_FLOPS: usize = 500_000;

impl Extents {
    /// Floating-point operations.
    fn flops(&self) -> usize {
        2 * self.m * self.n * self.k * self.batches
    }
}

impl Matmul {
    fn extents(&self, a: &TensorType, b: &TensorType) -> Result<Extents, String> {
        let split = |ty: &TensorType, name: &str, transposed: bool| {
            if ty.dtype != DType::F32 || ty.shape.rank() < 2 {
                return Err(format!(
                    "{name} must be a float matrix or a batch of them, not a {ty}"
                ));
            }
            let (batch, matrix) = ty.dims().split_at(ty.shape.rank() - 2);
            let (rows, columns) = if transposed {
                (matrix[1], matrix[0])
            } else {
                (matrix[0], matrix[1])
            };
            Ok((Shape::from(batch), rows, columns))
        };
        let (a_batch, m, k) = split(a, "A", self.transpose_a)?;
        let (b_batch, b_k, n) = split(b, "B", self.transpose_b)?;
        if k != b_k {
            return Err(format!(
                "A {} has {k} columns but B {} has {b_k} rows",
                a.shape, b.shape
            ));
        }
        let (count_a, count_b) = (a_batch.elements(), b_batch.elements());
        let batch = if a_batch == b_batch || count_b == 1 && a_batch.rank() >= b_batch.rank() {
            a_batch
        } else if count_a == 1 && b_batch.rank() >= a_batch.rank() {
            b_batch
        } else {
            return Err(format!("the batches of {} and {} differ", a.shape, b.shape));
        };
        let result = Shape::from([batch.dims(), &[m, n]].concat());
        let (m, batches) = match count_b == 1 && !self.transpose_a {
            true => (m * count_a, 1),
            false => (m, batch.elements()),
        };
        let stride = |count: usize, matrix: usize| {
            if count == 1 || batches == 1 {
                0
            } else {
                matrix
            }
        };
        let (a_batch_stride, b_batch_stride) = (stride(count_a, m * k), stride(count_b, k * n));
        Ok(Extents {
            m,
            n,
            k,
            batches,
            result,
            a_batch_stride,
            b_batch_stride,
        })
    }
}

impl Matmul {
    /// The product of `a` and `b` as a contraction.
    ///
    /// # Errors
    /// If the operands do not fit.
    pub(super) fn contraction(&self, a: Arg, b: Arg) -> Result<Contraction> {
        let e = self.extents(&a.ty, &b.ty).map_err(crate::Error::Graph)?;
        let layout = |k_contiguous: bool, rows: usize| OperandLayout {
            k_contiguous,
            vec4: if k_contiguous {
                e.k.is_multiple_of(4)
            } else {
                rows.is_multiple_of(4)
            },
        };
        Ok(Contraction {
            broadcast: "matmul/broadcast",
            tiled: "matmul/tiled",
            a,
            b,
            m: e.m,
            n: e.n,
            batches: e.batches,
            segments: Segments::Free { k: e.k },
            a_layout: layout(!self.transpose_a, e.m),
            b_layout: layout(self.transpose_b, e.n),
            transpose_out: false,
            params: [
                self.strides(&e),
                vec![
                    ("a_first", Scalar::U32(0)),
                    ("a_segment_gap", Scalar::U32(0)),
                    ("b_first", Scalar::U32(0)),
                    ("b_segment_gap", Scalar::U32(0)),
                ],
            ]
            .concat(),
            constants: Vec::new(),
        })
    }

    /// Parameters that locate the elements, with the names that all kernels use.
    fn strides(&self, e: &Extents) -> Vec<(&'static str, Scalar)> {
        let stride =
            |k_contiguous: bool, rows: usize| if k_contiguous { (e.k, 1) } else { (1, rows) };
        let (a_row, a_k) = stride(!self.transpose_a, e.m);
        let (b_column, b_k) = stride(self.transpose_b, e.n);
        vec![
            ("k", e.k.into()),
            ("a_batch_stride", e.a_batch_stride.into()),
            ("a_row_stride", a_row.into()),
            ("a_k_stride", a_k.into()),
            ("b_batch_stride", e.b_batch_stride.into()),
            ("b_column_stride", b_column.into()),
            ("b_k_stride", b_k.into()),
        ]
    }

    /// The launch of a plain kernel: four columns per invocation if these are a texel of B, otherwise one output.
    fn direct(&self, e: &Extents, a: &Arg, b: &Arg, out: &Arg) -> Launch {
        let across = !self.transpose_b && e.n.is_multiple_of(4);
        let texels = |k_contiguous: bool| k_contiguous && e.k.is_multiple_of(4);
        let (a_texels, b_texels) = (texels(!self.transpose_a), texels(self.transpose_b));
        let len = out.ty.elements() / if across { 4 } else { 1 };
        let loads = |by_four: bool| (len * if by_four { e.k / 4 } else { e.k }) as u64;
        let launch = if across {
            Launch::new("matmul/direct_across")
                .read("a", a.value, loads(false))
                .read("b", b.value, loads(false))
        } else {
            Launch::new("matmul/direct")
                .read("a", a.value, loads(a_texels))
                .read("b", b.value, loads(b_texels))
                .constant("A_TEXELS", f64::from(u8::from(a_texels)))
                .constant("B_TEXELS", f64::from(u8::from(b_texels)))
        };
        launch
            .write("out", out.value)
            .param("len", len)
            .param("m", e.m)
            .param("n", e.n)
            .params(self.strides(e))
            .invocations(len, 64)
            .flops(e.flops() as u64)
    }
}

impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [a, b] = operands(inputs)?;
        Ok(TensorType::f32(self.extents(a, b)?.result))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let (mut a, b, mut dc) = (cx.inputs[0], cx.inputs[1], cx.grad);
        let da = if self.transpose_a {
            b.matmul_with(
                dc,
                Matmul {
                    transpose_a: self.transpose_b,
                    transpose_b: true,
                },
            )?
        } else {
            dc.matmul_with(
                b,
                Matmul {
                    transpose_a: false,
                    transpose_b: !self.transpose_b,
                },
            )?
        };
        // The rows of the whole batch contribute to one matrix: a single product instead of a sum of products.
        let [.., k, n] = *b.shape().dims() else {
            return Ok(vec![Some(da), None]);
        };
        let one_matrix = b.shape().elements() == k * n && !self.transpose_a;
        if one_matrix {
            (a, dc) = (rows(a)?, rows(dc)?);
        }
        let db = if self.transpose_b {
            dc.matmul_with(
                a,
                Matmul {
                    transpose_a: true,
                    transpose_b: self.transpose_a,
                },
            )?
        } else {
            a.matmul_with(
                dc,
                Matmul {
                    transpose_a: !self.transpose_a,
                    transpose_b: false,
                },
            )?
        };
        let db = if one_matrix {
            db.reshape(b.shape())?
        } else {
            db.sum_to(&b.shape())?
        };
        Ok(vec![Some(da.sum_to(&cx.inputs[0].shape())?), Some(db)])
    }

    fn sample_axis(
        &self,
        inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        let [a, b] = [inputs[0].shape.rank(), inputs[1].shape.rank()];
        let fits = match own {
            // The rows of A are those of the result.
            [Some(0), None] => a > 2 || !self.transpose_a,
            [None, Some(0)] => b > 2,
            [Some(0), Some(0)] => a > 2 && b > 2 && inputs[0].dims()[0] == inputs[1].dims()[0],
            _ => false,
        };
        fits.then_some(0)
    }

    fn sample_norms<'g>(
        &self,
        cx: &Vjp<'g>,
        operand: usize,
        samples: usize,
    ) -> Result<Option<Var<'g>>> {
        let (a, b) = (cx.inputs[0], cx.inputs[1]);
        let (inner, columns) = (a.shape().last(), cx.grad.shape().last());
        if operand != 1 || self.transpose_a || b.ty().elements() != inner * columns {
            return Ok(None);
        }
        let each = a.ty().elements() / inner / samples;
        let a = a.reshape([samples, each, inner])?;
        let grad = cx.grad.reshape([samples, each, columns])?;
        a.norms_of_products(grad).map(Some)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (a, b) = (inputs[0].reals(), inputs[1].reals());
        let Ok(e) = self.extents(&inputs[0].ty(), &inputs[1].ty()) else {
            return Tensor::zeros(output);
        };
        // B as [k, n], so that the innermost loop is contiguous.
        let transposed = self.transpose_b.then(|| transpose(b, e.n, e.k));
        let b = transposed.as_deref().unwrap_or(b);
        let mut c = vec![T::ZERO; output.elements()];
        c.par_chunks_mut(e.n).enumerate().for_each(|(row, c)| {
            let (batch, i) = (row / e.m, row % e.m);
            for p in 0..e.k {
                let at = if self.transpose_a {
                    p * e.m + i
                } else {
                    i * e.k + p
                };
                let x = a[batch * e.a_batch_stride + at];
                let start = batch * e.b_batch_stride + p * e.n;
                for (c, &y) in c.iter_mut().zip(&b[start..start + e.n]) {
                    *c += x * y;
                }
            }
        });
        Tensor::real(output.shape.clone(), c)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let [mut a, mut b] = [form.input(0), form.input(1)];
        let ranks = [form.types[0].shape.rank(), form.types[1].shape.rank()];
        if ranks == [2, 2] {
            let flag = |on: bool| OnnxAttribute::Int(i64::from(on));
            let attributes = vec![
                ("transA", flag(self.transpose_a)),
                ("transB", flag(self.transpose_b)),
            ];
            return Ok(form.node("Gemm", &[&a, &b], attributes));
        }
        for (value, rank, is_transposed) in [
            (&mut a, ranks[0], self.transpose_a),
            (&mut b, ranks[1], self.transpose_b),
        ] {
            if is_transposed {
                let mut axes: Vec<usize> = (0..rank).collect();
                axes.swap(rank - 2, rank - 1);
                *value = form.transposed(value, &axes);
            }
        }
        Ok(form.node("MatMul", &[&a, &b], Vec::new()))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (a, mut b) = (cx.input(0), cx.input(1));
        let e = self.extents(&a.ty, &b.ty).map_err(crate::Error::Graph)?;
        if cx.variant() == DIRECT {
            let launch = self
                .direct(&e, &a, &b, &cx.output()?)
                .round(cx.target().precision, &["a", "b"]);
            return cx.launch_with_epilogue(launch);
        }
        let mut op = *self;
        if op.transpose_b
            && contraction::broadcasts(cx.variant())
            && contraction::transposes(cx.target(), e.m, e.n, e.k)
        {
            b = contraction::transposed(cx, &b, b.ty.shape.rank() - 2, [e.n, e.k])?;
            op.transpose_b = false;
        }
        contraction::lower(cx, op.contraction(a, b)?)
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        let Ok(e) = self.extents(inputs[0], inputs[1]) else {
            return vec![DIRECT];
        };
        let b_k_contiguous = self.transpose_b && !contraction::transposes(target, e.m, e.n, e.k);
        let mut variants = contraction::variants(
            target,
            Outline {
                m: e.m,
                n: e.n,
                b_k_contiguous,
            },
        );
        if e.k <= MAX_LOOP_ITERATIONS {
            let first = target.software && e.flops() <= SMALL_FLOPS;
            variants.insert(if first { 0 } else { variants.len() }, DIRECT);
        }
        variants
    }

    fn rounds_operands(&self, _inputs: &[&TensorType]) -> bool {
        true
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        self.extents(inputs[0], inputs[1]).map_or(1, |e| e.k)
    }
}

/// `x` reshaped to one matrix.
fn rows(x: Var<'_>) -> Result<Var<'_>> {
    let shape = x.shape();
    x.reshape([shape.elements() / shape.last().max(1), shape.last()])
}

/// Transposes every `[rows, columns]` matrix in `x` to `[columns, rows]`.
fn transpose<T: Real>(x: &[T], rows: usize, columns: usize) -> Vec<T> {
    let matrix = rows * columns;
    (0..x.len())
        .map(|i| {
            let (start, at) = (i / matrix * matrix, i % matrix);
            x[start + at % rows * columns + at / rows]
        })
        .collect()
}

impl<'g> Var<'g> {
    /// `self @ other`: `[.., m, k]` by `[.., k, n]`.
    ///
    /// # Errors
    /// If the inner extents or the batches differ.
    #[track_caller]
    pub fn matmul(self, other: Var<'g>) -> Result<Var<'g>> {
        self.matmul_with(
            other,
            Matmul {
                transpose_a: false,
                transpose_b: false,
            },
        )
    }

    /// `self @ other`, with either operand optionally transposed.
    ///
    /// # Errors
    /// If the inner extents or the batches differ.
    #[track_caller]
    pub fn matmul_with(self, other: Var<'g>, op: Matmul) -> Result<Var<'g>> {
        self.builder().op(op, &[self, other])
    }

    /// The product of a dense layer: `self [.., in]` by `weight [out, in]` gives `[.., out]`. PyTorch `F.linear`.
    ///
    /// # Errors
    /// If the last axis of `self` is not as long as a row of the weight.
    #[track_caller]
    pub fn linear(self, weight: Var<'g>) -> Result<Var<'g>> {
        let op = Matmul {
            transpose_a: false,
            transpose_b: true,
        };
        if self.shape().rank() == 1 {
            let y = rows(self)?.matmul_with(weight, op)?;
            return y.reshape([y.shape().last()]);
        }
        self.matmul_with(weight, op)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut cases = Vec::new();
    let odd = |stream: &mut Stream| 1 + stream.below(40) as usize;
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let op = Matmul {
            transpose_a,
            transpose_b,
        };
        let mut case = |batch: &[usize], m: usize, k: usize, n: usize, batch_b: &[usize]| {
            let a = if transpose_a { [k, m] } else { [m, k] };
            let b = if transpose_b { [n, k] } else { [k, n] };
            let inputs = [[batch, &a[..]].concat(), [batch_b, &b[..]].concat()];
            cases.push(Case::new(op, inputs.map(Operand::uniform)));
        };
        case(&[], odd(stream), odd(stream), odd(stream), &[]);
        case(&[], 16, 64, 68, &[]);
        case(&[], 4 * odd(stream), 4 * odd(stream), 4 * odd(stream), &[]);
        case(&[3], odd(stream), odd(stream), odd(stream), &[3]);
        case(&[2, 2], 5, 8, 12, &[]);
        case(&[], 1, odd(stream), 1, &[]);
        case(&[], 3, 700, 10, &[]);
        case(&[], 65, 4, 129, &[]);
        case(&[], 132, 20, 140, &[]);
        // Large enough for software adapters to transpose B first.
        case(&[2], 260, 68, 256, &[]);
        // A single matrix for the rows of a batch.
        case(&[2, 3], 7, odd(stream), odd(stream), &[]);
        case(&[2], 130, 68, 64, &[1]);
        // A single matrix on the left of a batch.
        case(&[], 6, 9, 8, &[3]);
        case(&[], odd(stream), 8, odd(stream), &[2]);
        // Narrow results are computed with the operands swapped.
        case(&[], 70, 64, 10, &[]);
        case(&[2], 33, 300, 3, &[2]);
    }
    cases
}

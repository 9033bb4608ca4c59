//! Attention of the positions of one sequence to those of another: `softmax(q k / sqrt(D)) v` of every head, over all keys
//! of the sample. The decoder of a transformer reads the states of its encoder so (Vaswani et al. 2017). PyTorch
//! `F.scaled_dot_product_attention` with queries and keys of different lengths.
//!
//! Queries are `[B, T, E]`, and keys with values one operand `[B, K, 2 E]`, as one dense layer gives them: at each
//! position the keys, then the values, each head by head. The result is `[B, T, E]`. An optional operand `u32 [B]` holds
//! lengths: keys from a sample's length on are padding and are not used. A query without keys gives 0.
//!
//! The kernels are those of [`attention`](super::attention), which store no scores.

use super::attention::onnx;
use super::attention::reference::{self, Heads, Parts};
use super::attention::{Extents, MAX_HEAD_DIM, Work};
use super::onnx_form::{OnnxForm, Written};
use super::samples;
use super::{Case, ErasedOp, Op, Operand, Values, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Arg, Launch, Lowering, Target};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use std::sync::Arc;

/// See the module. Operands: queries, keys with values, and lengths if there are any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossAttention {
    /// Number of heads; the width is divided equally among them.
    pub heads: usize,
}

/// The logarithm of every query's sum of exponentials, as in [`AttentionLse`](super::attention::AttentionLse).
#[derive(Debug)]
pub struct CrossAttentionLse(pub CrossAttention);

/// The gradient of [`CrossAttention`], `[B, (T + 2 K) E]`: of each sample that of the queries, then that of keys with
/// values. Operands: queries, keys with values, the result, its [`CrossAttentionLse`], the gradient of the result, and
/// lengths if there are any.
#[derive(Debug)]
pub struct CrossAttentionGrad(pub CrossAttention);

impl CrossAttention {
    fn extents(
        self,
        q: &TensorType,
        kv: &TensorType,
        lengths: Option<&TensorType>,
    ) -> Result<Extents, String> {
        let misfit = || {
            Err(format!(
                "takes queries f32[B,T,E], and keys with values f32[B,K,2E], was given {q} and {kv}"
            ))
        };
        let (&[batch, time, width], &[own, keys, double]) = (q.dims(), kv.dims()) else {
            return misfit();
        };
        let floats = q.dtype == DType::F32 && kv.dtype == DType::F32;
        if !floats || q.elements() == 0 || keys == 0 || own != batch || double != 2 * width {
            return misfit();
        }
        if self.heads == 0 || !width.is_multiple_of(self.heads) {
            return Err(format!(
                "can't divide a width of {width} among {} heads",
                self.heads
            ));
        }
        let head_dim = width / self.heads;
        if head_dim > MAX_HEAD_DIM {
            return Err(format!(
                "{} heads of a width of {width} have {head_dim} numbers each; at most {MAX_HEAD_DIM} can be: use more heads",
                self.heads
            ));
        }
        match lengths {
            Some(lengths) if *lengths != TensorType::u32([batch]) => Err(format!(
                "takes lengths u32[{batch}] for {kv}, was given {lengths}"
            )),
            _ => Ok(Extents {
                batch,
                time,
                keys,
                heads: self.heads,
                head_dim,
            }),
        }
    }

    /// Extents of the operands of a forward operation.
    fn forward(self, inputs: &[&TensorType]) -> Result<Extents, String> {
        match inputs {
            [q, kv] => self.extents(q, kv, None),
            [q, kv, lengths] => self.extents(q, kv, Some(lengths)),
            _ => Err(format!(
                "takes queries, keys with values, and lengths, was given {} operands",
                inputs.len()
            )),
        }
    }

    /// Extents of operands that have been checked before.
    fn known(self, q: &TensorType, kv: &TensorType) -> Result<Extents> {
        self.extents(q, kv, None).map_err(crate::Error::Graph)
    }

    /// The heads of operands, of which those from `rest` on may be lengths, for the reference.
    fn heads<'a, T: Real>(self, inputs: &[&'a Tensor<T>], rest: usize) -> Option<Heads<'a, T>> {
        Some(Heads {
            parts: Parts::Separate(inputs[0].reals(), inputs[1].reals()),
            e: self.known(&inputs[0].ty(), &inputs[1].ty()).ok()?,
            causal: false,
            lengths: inputs.get(rest).map(|lengths| lengths.indices()),
        })
    }

    /// A launch of `shader`, whose invocations compute `rows` rows of each head and read `walks` vectors at every
    /// position that they visit, and the number of loads of each operand.
    fn launch(
        cx: &Lowering<'_>,
        shader: &str,
        e: Extents,
        [rows, walks]: [usize; 2],
        lengths: Option<Arg>,
    ) -> (Launch, u64) {
        let work = Work {
            rows,
            walks: walks as u64,
            pairs: e.pairs(),
        };
        let parts = [("q", cx.input(0)), ("kv", cx.input(1))];
        let launch = work.launch(cx, shader, e, &parts, lengths);
        let launch = launch.swap("attention/packed", "cross_attention/separate");
        (launch, work.loads(cx, e))
    }

    /// Adds the forward launch.
    fn launch_forward(self, cx: &mut Lowering<'_>, y: &Arg, lse: &Arg) -> Result<()> {
        let e = self.known(&cx.input(0).ty, &cx.input(1).ty)?;
        let lengths = (cx.inputs() > 2).then(|| cx.input(2));
        let (launch, _) = Self::launch(cx, "attention/forward", e, [e.time, 2], lengths);
        cx.launch(launch.write("out", y.value).write("lse", lse.value))
    }
}

impl Op for CrossAttention {
    fn name(&self) -> &'static str {
        "cross_attention"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(self.forward(inputs)?.result())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = cx.grad.builder();
        let (q, kv) = (cx.inputs[0], cx.inputs[1]);
        let lse = builder.op(CrossAttentionLse(*self), &cx.inputs)?;
        let mut operands = vec![q, kv, cx.output, lse, cx.grad];
        operands.extend(cx.inputs.get(2));
        let grad = builder.op(CrossAttentionGrad(*self), &operands)?;
        let own = q.shape().dims()[1..].iter().product();
        let all = grad.shape().last();
        let mut grads = vec![
            Some(grad.slice_axis(1, 0..own)?.reshape(q.shape())?),
            Some(grad.slice_axis(1, own..all)?.reshape(kv.shape())?),
        ];
        grads.resize(cx.inputs.len(), None);
        Ok(grads)
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        samples::of_all_first(own)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        match self.heads(inputs, 2) {
            Some(heads) => reference::forward(&heads),
            None => Tensor::zeros(output),
        }
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let (own, other) = (form.extents[0].clone(), form.extents[1].clone());
        let (Some(time), Some(width), Some(keys)) = (own[1], own[2], other[1]) else {
            return Err("has a sequence of unknown length".to_string());
        };
        let (heads, size) = (self.heads, width / self.heads);
        let (q, kv) = (form.input(0), form.input(1));
        let q = form.reshaped(&q, &[own[0], Some(time), Some(heads), Some(size)])?;
        let q = form.transposed(&q, &[0, 2, 1, 3]);
        let split = [other[0], Some(keys), Some(2), Some(heads), Some(size)];
        let kv = form.reshaped(&kv, &split)?;
        // [2, N, heads, K, size]
        let kv = form.transposed(&kv, &[2, 0, 3, 1, 4]);
        let inner = [other[0], Some(heads), Some(keys), Some(size)];
        let [k, v] = [0, 1].map(|at| form.part(&kv, 0, at..at + 1));
        let [k, v] = [form.reshaped(&k, &inner)?, form.reshaped(&v, &inner)?];
        let written = onnx::Heads {
            parts: [&q, &k, &v],
            size,
            keys,
            causal: false,
            lengths: form.inputs.get(2).cloned(),
        };
        let y = written.attended(form)?;
        form.reshaped(&y, &[own[0], Some(time), Some(width)])
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let y = cx.output()?;
        let e = self.known(&cx.input(0).ty, &cx.input(1).ty)?;
        let lse = cx.by_product();
        let lse = lse.unwrap_or_else(|| cx.scratch(e.statistics()));
        self.launch_forward(cx, &y, &lse)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        variants(*self, target, inputs, 2)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[1].dims()[1]
    }
}

impl Op for CrossAttentionLse {
    fn name(&self) -> &'static str {
        "cross_attention_lse"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(self.0.forward(inputs)?.statistics())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the row sum of cross-attention")
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        match self.0.heads(inputs, 2) {
            Some(heads) => reference::lse(&heads),
            None => Tensor::zeros(output),
        }
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let lse = cx.output()?;
        let e = self.0.known(&cx.input(0).ty, &cx.input(1).ty)?;
        let y = cx.scratch(e.result());
        self.0.launch_forward(cx, &y, &lse)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        variants(self.0, target, inputs, 2)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[1].dims()[1]
    }

    fn by_product_of(&self) -> Option<Arc<dyn ErasedOp>> {
        Some(Arc::new(self.0))
    }
}

impl Op for CrossAttentionGrad {
    fn name(&self) -> &'static str {
        "cross_attention_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [q, kv, y, lse, dy, ..] = inputs else {
            return Err(format!(
                "takes queries, keys with values, result, row sums and gradient, was given {} operands",
                inputs.len()
            ));
        };
        let e = self.0.extents(q, kv, inputs.get(5).copied())?;
        if **y != e.result() || *dy != *y || **lse != e.statistics() {
            return Err(format!(
                "{y}, {lse} and {dy} are not result, row sums and gradient for {q} and {kv}"
            ));
        }
        let each = (e.time + 2 * e.keys) * e.width();
        Ok(TensorType::f32([e.batch, each]))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of cross-attention")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let [y, lse, dy] = [2, 3, 4].map(|i| inputs[i].reals());
        match self.0.heads(inputs, 5) {
            Some(heads) => reference::gradient(&heads, y, lse, dy, output),
            None => Tensor::zeros(output),
        }
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let [q, kv, y, lse, dy] = [0, 1, 2, 3, 4].map(|i| cx.input(i));
        let out = cx.output()?;
        let lengths = (cx.inputs() > 5).then(|| cx.input(5));
        let e = self.0.known(&q.ty, &kv.ty)?;
        let delta = cx.scratch(e.statistics());
        let size = [e.time, 3];
        let (queries, _) =
            CrossAttention::launch(cx, "attention/query_grad", e, size, lengths.clone());
        cx.launch(
            queries
                .read("lse", lse.value, 4 * lse.vec4s())
                .read("y", y.value, y.vec4s())
                .read("dy", dy.value, dy.vec4s())
                .write("delta", delta.value)
                .write("out", out.value),
        )?;
        let size = [e.keys, 2];
        let (keys, loads) = CrossAttention::launch(cx, "attention/key_grad", e, size, lengths);
        let blocks = loads / (2 * e.head_dim as u64);
        cx.launch(
            keys.read("lse", lse.value, blocks)
                .read("delta", delta.value, blocks)
                .read("dy", dy.value, loads)
                .read_write("out", out.value),
        )
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        variants(self.0, target, inputs, 4)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].dims()[1].max(inputs[1].dims()[1])
    }
}

/// The variants of an operation with these operands, each row of which holds `vectors` vectors of its head.
fn variants(
    op: CrossAttention,
    target: &Target,
    inputs: &[&TensorType],
    vectors: usize,
) -> Vec<&'static str> {
    let extents = op.extents(inputs[0], inputs[1], None);
    extents.map_or_else(|_| Vec::new(), |e| e.variants(target, vectors))
}

impl<'g> Var<'g> {
    /// Attention of the queries `self` `[B, T, E]` to `keys_values` `[B, K, 2 E]`, which holds keys and values in this
    /// order, with `heads` heads: `[B, T, E]`. Of sample i only the first `lengths[i]` positions are keys.
    ///
    /// # Errors
    /// If the width is not divisible, a head has more than 128 elements, the batches differ, or `lengths` is not `u32 [B]`.
    #[track_caller]
    pub fn cross_attention(
        self,
        keys_values: Var<'g>,
        heads: usize,
        lengths: Option<Var<'g>>,
    ) -> Result<Var<'g>> {
        let operands: Vec<_> = [self, keys_values].into_iter().chain(lengths).collect();
        self.builder().op(CrossAttention { heads }, &operands)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 1 + stream.below(9) as usize;
    let (a, b) = (odd(), odd());
    let case = |batch: usize,
                [time, keys]: [usize; 2],
                heads: usize,
                head_dim: usize,
                lengths: Option<&[f64]>| {
        let width = heads * head_dim;
        let mut inputs = vec![
            Operand::uniform([batch, time, width]),
            Operand::uniform([batch, keys, 2 * width]),
        ];
        inputs.extend(lengths.map(|l| Operand::index([batch], Values::Fixed(l.to_vec()))));
        Case::new(CrossAttention { heads }, inputs)
    };
    vec![
        case(2, [a, b], 2, 4, None),
        case(1, [5, 19], 3, 5, None),
        case(3, [6, 7], 1, 5, Some(&[0.0, 1.0, 7.0])),
        case(1, [1, 1], 1, 1, None),
        case(2, [13, 4], 2, 16, Some(&[3.0, 20.0])),
        case(2, [1, 33], 2, 32, Some(&[17.0, 33.0])),
        case(1, [9, 3], 1, 100, None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let builder = Builder::new();
        let refused = |q: [usize; 3], kv: [usize; 3], heads: usize| {
            let q = builder.input("q", TensorType::f32(q));
            let kv = builder.input("kv", TensorType::f32(kv));
            q.cross_attention(kv, heads, None).unwrap_err().to_string()
        };
        assert!(refused([2, 3, 8], [2, 5, 8], 2).contains("f32[B,K,2E]"));
        assert!(refused([2, 3, 8], [1, 5, 16], 2).contains("f32[B,K,2E]"));
        assert!(refused([2, 3, 8], [2, 5, 16], 3).contains("a width of 8 among 3 heads"));
        assert!(refused([2, 3, 256], [2, 5, 512], 1).contains("use more heads"));
    }

    #[test]
    fn queries_weigh_values_by_their_keys_and_padding_is_no_key() {
        // One head of one number; three keys of which the last is padding.
        let q = Tensor::<f64>::real([1, 1, 1], vec![2.0]);
        let kv = Tensor::real([1, 3, 2], vec![1.0, 10.0, 0.0, 20.0, 9.0, 99.0]);
        let lengths = Tensor::index([1], vec![2]);
        let op = CrossAttention { heads: 1 };
        let y = op.reference(&[&q, &kv, &lengths], &TensorType::f32([1, 1, 1]));
        // Scores 2 and 0.
        let first = 1.0 / (1.0 + (-2.0_f64).exp());
        assert!((y.reals()[0] - (10.0 * first + 20.0 * (1.0 - first))).abs() < 1e-12);
    }
}

//! Scaled dot-product attention of every head: `softmax(q k / sqrt(D)) v`, over all positions or, if `causal`, over the
//! query's own position and earlier ones. PyTorch `F.scaled_dot_product_attention` (`nn.MultiheadAttention` without its
//! dense layers).
//!
//! Queries, keys and values come as one operand `[B, T, 3 E]` with E = heads x D, as a single dense layer gives them:
//! at each position all queries, then the keys, then the values, each head by head. The result is `[B, T, E]`, ready
//! for the next dense layer, so no axis is ever permuted. An optional operand `u32 [B]` holds lengths: positions from a
//! sample's length on are padding and are not used as keys (queries at those positions still attend to the keys). A row
//! without keys gives 0. The score of a row with a single key has a gradient of exactly 0.
//!
//! No kernel stores the T x T scores. The forward pass stores the logarithm of each row's sum of exponentials, from
//! which the backward pass recomputes the softmax (Dao et al. 2022,
//! [arXiv 2205.14135](https://arxiv.org/abs/2205.14135)): one launch over queries and one over keys and values, both
//! without scattered writes.

pub(super) mod onnx;
pub(super) mod reference;

use super::onnx_form::{OnnxForm, Written};
use super::samples;
use super::{Case, ErasedOp, Op, Operand, Values, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Arg, Launch, Lowering, Target};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use reference::{Heads, Parts};
use std::sync::Arc;

/// See the module. Operands: qkv, and lengths if there are any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Number of heads; the width is divided equally among them.
    pub heads: usize,
    /// Whether a position attends only to itself and earlier ones.
    pub causal: bool,
}

/// The logarithm of every row's sum of exponentials, `[B, heads, T]` with T padded by zeros to a multiple of 4: what
/// the gradient of [`Attention`] reads. It is 0 for a row without keys.
#[derive(Debug)]
pub struct AttentionLse(pub Attention);

/// The gradient of [`Attention`] with respect to qkv. Operands: qkv, the result, its [`AttentionLse`], the gradient of
/// the result, and lengths if there are any.
#[derive(Debug)]
pub struct AttentionGrad(pub Attention);

/// Largest size of a head: the kernels hold a vector of this many elements in registers.
pub(super) const MAX_HEAD_DIM: usize = 128;

/// How the kernels divide the work.
struct Variant {
    name: &'static str,
    /// Rows of queries (or keys) per invocation. They share what the invocation reads.
    rows: usize,
    /// Whether the 8 lanes of a subgroup share what they read as well.
    broadcast: bool,
}

const VARIANTS: [Variant; 6] = [
    Variant {
        name: "1 row",
        rows: 1,
        broadcast: false,
    },
    Variant {
        name: "2 rows",
        rows: 2,
        broadcast: false,
    },
    Variant {
        name: "4 rows",
        rows: 4,
        broadcast: false,
    },
    Variant {
        name: "broadcast8 1 row",
        rows: 1,
        broadcast: true,
    },
    Variant {
        name: "broadcast8 2 rows",
        rows: 2,
        broadcast: true,
    },
    Variant {
        name: "broadcast8 4 rows",
        rows: 4,
        broadcast: true,
    },
];

/// Lanes of the subgroup in broadcast variants.
const LANES: usize = 8;

impl Variant {
    fn named(name: &str) -> &'static Variant {
        VARIANTS
            .iter()
            .find(|v| v.name == name)
            .unwrap_or(&VARIANTS[0])
    }

    /// Rows of invocations that share what they read.
    fn sharing(&self) -> usize {
        if self.broadcast { LANES } else { 1 }
    }
}

/// Extents of the operands, also of [`CrossAttention`](super::cross_attention::CrossAttention).
#[derive(Clone, Copy)]
pub(super) struct Extents {
    pub batch: usize,
    /// Queries of a sample.
    pub time: usize,
    /// Keys of a sample, with padding; the queries of self-attention.
    pub keys: usize,
    pub heads: usize,
    pub head_dim: usize,
}

impl Extents {
    /// E.
    pub fn width(self) -> usize {
        self.heads * self.head_dim
    }

    /// Row length of the statistics: positions, rounded up to a multiple of 4.
    pub fn padded(self) -> usize {
        self.time.next_multiple_of(4)
    }

    /// The head size of the kernel for this head: the next power of two, at least 16.
    pub fn head_size(self) -> usize {
        self.head_dim.next_power_of_two().max(16)
    }

    pub fn result(self) -> TensorType {
        TensorType::f32([self.batch, self.time, self.width()])
    }

    pub fn statistics(self) -> TensorType {
        TensorType::f32([self.batch, self.heads, self.padded()])
    }

    /// Pairs of a query and a key in all heads of all samples.
    pub fn pairs(self) -> u64 {
        (self.batch * self.heads * self.time * self.keys) as u64
    }

    /// The variants, the one expected to be fastest first. Each row holds `vectors` vectors of its head in registers.
    pub fn variants(self, target: &Target, vectors: usize) -> Vec<&'static str> {
        let most = match self.head_size() {
            128.. => 1,
            64 => 2,
            _ => 4,
        };
        let broadcasts = target.subgroups_are(LANES as u32);
        let usable = |v: &&Variant| v.rows <= most && (broadcasts || !v.broadcast);
        let mut usable: Vec<_> = VARIANTS.iter().filter(usable).collect();
        // The order that measured fastest on llvmpipe (docs/decisions.md), where a read costs as much as many products.
        if target.software {
            let fits = |rows: usize| rows == 1 || rows * vectors * self.head_size() <= 256;
            usable.sort_by_key(|v| (!v.broadcast, !fits(v.rows), std::cmp::Reverse(v.rows)));
        }
        usable.into_iter().map(|v| v.name).collect()
    }
}

impl Attention {
    fn extents(self, qkv: &TensorType, lengths: Option<&TensorType>) -> Result<Extents, String> {
        let &[batch, time, width] = qkv.dims() else {
            return Err(format!(
                "takes queries, keys and values f32[B,T,3E], was given {qkv}"
            ));
        };
        if qkv.dtype != DType::F32 || qkv.elements() == 0 || !width.is_multiple_of(3) {
            return Err(format!(
                "takes queries, keys and values f32[B,T,3E], was given {qkv}"
            ));
        }
        if self.heads == 0 || !(width / 3).is_multiple_of(self.heads) {
            return Err(format!(
                "can't divide a width of {} among {} heads",
                width / 3,
                self.heads
            ));
        }
        let head_dim = width / 3 / self.heads;
        if head_dim > MAX_HEAD_DIM {
            return Err(format!(
                "{} heads of a width of {} have {head_dim} numbers each; at most {MAX_HEAD_DIM} can be: use more heads",
                self.heads,
                width / 3
            ));
        }
        match lengths {
            Some(lengths) if *lengths != TensorType::u32([batch]) => Err(format!(
                "takes lengths u32[{batch}] for {qkv}, was given {lengths}"
            )),
            _ => Ok(Extents {
                batch,
                time,
                keys: time,
                heads: self.heads,
                head_dim,
            }),
        }
    }

    /// Extents of operands that have been checked before.
    fn known(self, qkv: &TensorType) -> Result<Extents> {
        self.extents(qkv, None).map_err(crate::Error::Graph)
    }

    /// The heads of `qkv`, for the reference.
    fn packed<'a, T: Real>(
        self,
        e: Extents,
        qkv: &'a Tensor<T>,
        lengths: Option<&&'a Tensor<T>>,
    ) -> Heads<'a, T> {
        Heads {
            parts: Parts::Packed(qkv.reals()),
            e,
            causal: self.causal,
            lengths: lengths.map(|lengths| lengths.indices()),
        }
    }

    /// Adds the forward launch.
    fn launch_forward(self, cx: &mut Lowering<'_>, y: &Arg, lse: &Arg) -> Result<()> {
        let e = self.known(&cx.input(0).ty)?;
        let lengths = (cx.inputs() > 1).then(|| cx.input(1));
        let launch = self.launch(cx, "attention/forward", e, 2, lengths);
        cx.launch(launch.write("out", y.value).write("lse", lse.value))
    }

    /// The work of a launch whose invocations read `walks` vectors of qkv at every position that they visit.
    fn work(self, e: Extents, walks: u64) -> Work {
        Work {
            rows: e.time,
            walks,
            pairs: e.pairs() / if self.causal { 2 } else { 1 },
        }
    }

    /// A launch of `shader`.
    fn launch(
        self,
        cx: &Lowering<'_>,
        shader: &str,
        e: Extents,
        walks: u64,
        lengths: Option<Arg>,
    ) -> Launch {
        let qkv = ("qkv", cx.input(0));
        let launch = self.work(e, walks).launch(cx, shader, e, &[qkv], lengths);
        launch.constant("CAUSAL", f64::from(u8::from(self.causal)))
    }

    /// Variants for `qkv`, the one expected to be fastest first. Each row holds `vectors` vectors of its head in
    /// registers.
    fn variants(self, target: &Target, qkv: &TensorType, vectors: usize) -> Vec<&'static str> {
        match self.extents(qkv, None) {
            Ok(e) => e.variants(target, vectors),
            Err(_) => vec![VARIANTS[0].name],
        }
    }
}

/// The work of a launch, whose invocations loop over all positions of the other kind.
pub(super) struct Work {
    /// Rows of a head that invocations compute: queries, or keys.
    pub rows: usize,
    /// Vectors that an invocation reads at each position.
    pub walks: u64,
    /// Pairs of a query and a key, in all heads of all samples.
    pub pairs: u64,
}

impl Work {
    /// Vectors of four that all invocations read of the positions that they visit.
    pub fn loads(&self, cx: &Lowering<'_>, e: Extents) -> u64 {
        let variant = Variant::named(cx.variant());
        let vec4s = e.head_dim.div_ceil(4) as u64;
        self.walks * self.pairs * vec4s / (variant.rows * variant.sharing()) as u64
    }

    /// A launch of `shader` that reads queries, keys and values from `parts`.
    pub fn launch(
        &self,
        cx: &Lowering<'_>,
        shader: &str,
        e: Extents,
        parts: &[(&str, Arg)],
        lengths: Option<Arg>,
    ) -> Launch {
        let variant = Variant::named(cx.variant());
        let (rows, broadcast) = (variant.rows, variant.broadcast);
        // A software adapter runs a workgroup on one core.
        let workgroup = if broadcast || cx.target().software {
            LANES
        } else {
            64
        };
        let per_head = (self.rows.next_multiple_of(4) / rows).next_multiple_of(variant.sharing());
        let invocations = e.batch * e.heads * per_head;
        let loads = self.loads(cx, e);
        let launch = Launch::new(shader);
        let read =
            |launch: Launch, (name, part): &(&str, Arg)| launch.read(name, part.value, loads);
        let launch = parts
            .iter()
            .fold(launch, read)
            .swap("attention/head_64", head_file(e.head_size()))
            .swap("attention/rows_1", rows_file(rows))
            .constant("HEAD_DIM", e.head_dim as f64)
            .constant("WORKGROUP", workgroup as f64)
            .param("batch", e.batch)
            .param("time", e.time)
            .param("keys", e.keys)
            .param("padded", e.padded())
            .param("heads", e.heads)
            .param("per_head", per_head)
            .param("scale", 1.0 / (e.head_dim as f32).sqrt())
            .invocations(invocations, workgroup)
            .flops(2 * self.walks * self.pairs * e.head_dim as u64);
        let launch = match broadcast {
            true => launch.swap("attention/reads_direct", "attention/reads_broadcast"),
            false => launch,
        };
        let launch = match e.head_dim % 4 {
            0 => launch,
            _ => launch.swap("shared/store_vec4", "shared/store_scalar"),
        };
        match lengths {
            Some(lengths) => launch
                .swap("attention/all_keys", "attention/first_keys")
                .read("lengths", lengths.value, 0),
            None => launch,
        }
    }
}

fn head_file(size: usize) -> &'static str {
    match size {
        16 => "attention/head_16",
        32 => "attention/head_32",
        64 => "attention/head_64",
        _ => "attention/head_128",
    }
}

fn rows_file(rows: usize) -> &'static str {
    match rows {
        1 => "attention/rows_1",
        2 => "attention/rows_2",
        _ => "attention/rows_4",
    }
}

/// The operands of the forward operations: qkv, and lengths if there are any.
fn forward_operands<'a>(
    inputs: &[&'a TensorType],
) -> Result<(&'a TensorType, Option<&'a TensorType>), String> {
    match inputs {
        [qkv] => Ok((qkv, None)),
        [qkv, lengths] => Ok((qkv, Some(lengths))),
        _ => Err(format!(
            "takes queries, keys and values in one operand, and lengths, was given {} operands",
            inputs.len()
        )),
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let (qkv, lengths) = forward_operands(inputs)?;
        Ok(self.extents(qkv, lengths)?.result())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = cx.grad.builder();
        let lse = builder.op(AttentionLse(*self), &cx.inputs)?;
        let mut operands = vec![cx.inputs[0], cx.output, lse, cx.grad];
        operands.extend(cx.inputs.get(1));
        let grad = builder.op(AttentionGrad(*self), &operands)?;
        let mut grads = vec![Some(grad)];
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
        let Ok(e) = self.known(&inputs[0].ty()) else {
            return Tensor::zeros(output);
        };
        reference::forward(&self.packed(e, inputs[0], inputs.get(1)))
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let extents = form.extents[0].clone();
        let (Some(time), Some(width)) = (extents[1], extents[2]) else {
            return Err("has a sequence of unknown length".to_string());
        };
        let size = width / 3 / self.heads;
        let qkv = form.input(0);
        let split = [
            extents[0],
            Some(time),
            Some(3),
            Some(self.heads),
            Some(size),
        ];
        let qkv = form.reshaped(&qkv, &split)?;
        // [3, N, heads, T, size]
        let qkv = form.transposed(&qkv, &[2, 0, 3, 1, 4]);
        let inner = [extents[0], Some(self.heads), Some(time), Some(size)];
        let mut parts = Vec::new();
        for at in 0..3 {
            let part = form.part(&qkv, 0, at..at + 1);
            parts.push(form.reshaped(&part, &inner)?);
        }
        let written = onnx::Heads {
            parts: [&parts[0], &parts[1], &parts[2]],
            size,
            keys: time,
            causal: self.causal,
            lengths: form.inputs.get(1).cloned(),
        };
        let y = written.attended(form)?;
        form.reshaped(&y, &[extents[0], Some(time), Some(width / 3)])
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let y = cx.output()?;
        let e = self.known(&cx.input(0).ty)?;
        let lse = cx.by_product();
        let lse = lse.unwrap_or_else(|| cx.scratch(e.statistics()));
        self.launch_forward(cx, &y, &lse)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        Attention::variants(*self, target, inputs[0], 2)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].dims()[1]
    }
}

impl Op for AttentionLse {
    fn name(&self) -> &'static str {
        "attention_lse"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let (qkv, lengths) = forward_operands(inputs)?;
        Ok(self.0.extents(qkv, lengths)?.statistics())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the row sum of attention")
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let Ok(e) = self.0.known(&inputs[0].ty()) else {
            return Tensor::zeros(output);
        };
        reference::lse(&self.0.packed(e, inputs[0], inputs.get(1)))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let lse = cx.output()?;
        let y = cx.scratch(self.0.known(&cx.input(0).ty)?.result());
        self.0.launch_forward(cx, &y, &lse)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        self.0.variants(target, inputs[0], 2)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].dims()[1]
    }

    fn by_product_of(&self) -> Option<Arc<dyn ErasedOp>> {
        Some(Arc::new(self.0))
    }
}

impl Op for AttentionGrad {
    fn name(&self) -> &'static str {
        "attention_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [qkv, y, lse, dy, ..] = inputs else {
            return Err(format!(
                "takes qkv, result, row sums and gradient, was given {} operands",
                inputs.len()
            ));
        };
        let e = self.0.extents(qkv, inputs.get(4).copied())?;
        if **y != e.result() || *dy != *y || **lse != e.statistics() {
            return Err(format!(
                "{y}, {lse} and {dy} are not result, row sums and gradient for {qkv}"
            ));
        }
        Ok((*qkv).clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of attention")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let Ok(e) = self.0.known(&inputs[0].ty()) else {
            return Tensor::zeros(output);
        };
        let heads = self.0.packed(e, inputs[0], inputs.get(4));
        let [y, lse, dy] = [1, 2, 3].map(|i| inputs[i].reals());
        reference::gradient(&heads, y, lse, dy, output)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let [qkv, y, lse, dy] = [0, 1, 2, 3].map(|i| cx.input(i));
        let out = cx.output()?;
        let lengths = (cx.inputs() > 4).then(|| cx.input(4));
        let e = self.0.known(&qkv.ty)?;
        let delta = cx.scratch(e.statistics());
        let queries = self
            .0
            .launch(cx, "attention/query_grad", e, 3, lengths.clone());
        cx.launch(
            queries
                .read("lse", lse.value, 4 * lse.vec4s())
                .read("y", y.value, y.vec4s())
                .read("dy", dy.value, dy.vec4s())
                .write("delta", delta.value)
                .write("out", out.value),
        )?;
        let keys = self.0.launch(cx, "attention/key_grad", e, 2, lengths);
        let loads = self.0.work(e, 2).loads(cx, e);
        let blocks = loads / (2 * e.head_dim as u64);
        cx.launch(
            keys.read("lse", lse.value, blocks)
                .read("delta", delta.value, blocks)
                .read("dy", dy.value, loads)
                .read_write("out", out.value),
        )
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        self.0.variants(target, inputs[0], 4)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].dims()[1]
    }
}

impl<'g> Var<'g> {
    /// Attention among the positions of `self` `[B, T, 3 E]`, which holds queries, keys and values in this order, with
    /// `heads` heads: `[B, T, E]`. Of sample i only the first `lengths[i]` positions are keys.
    ///
    /// # Errors
    /// If the width is not divisible, a head has more than 128 elements, or `lengths` is not `u32 [B]`.
    #[track_caller]
    pub fn attention(
        self,
        heads: usize,
        causal: bool,
        lengths: Option<Var<'g>>,
    ) -> Result<Var<'g>> {
        let operands: Vec<_> = std::iter::once(self).chain(lengths).collect();
        self.builder().op(Attention { heads, causal }, &operands)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 1 + stream.below(9) as usize;
    let (a, b) = (odd(), odd());
    let case = |causal: bool,
                batch: usize,
                time: usize,
                heads: usize,
                head_dim: usize,
                lengths: Option<&[f64]>| {
        let mut inputs = vec![Operand::uniform([batch, time, 3 * heads * head_dim])];
        inputs.extend(lengths.map(|l| Operand::index([batch], Values::Fixed(l.to_vec()))));
        Case::new(Attention { heads, causal }, inputs)
    };
    vec![
        case(false, 2, a, 2, 4, None),
        case(true, 1, 131, 3, 4, None),
        case(true, 1, b, 3, 5, None),
        case(false, 3, 6, 1, 5, Some(&[0.0, 1.0, 6.0])),
        case(false, 1, 1, 1, 1, None),
        case(true, 2, 13, 2, 16, Some(&[5.0, 20.0])),
        case(false, 1, 33, 2, 32, None),
        case(true, 2, 9, 1, 40, Some(&[9.0, 4.0])),
        case(true, 1, 18, 1, 100, None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;

    #[test]
    fn widths_that_no_head_can_hold_are_refused() {
        let builder = Builder::new();
        let refused = |width: usize, heads: usize| {
            let qkv = builder.input("qkv", TensorType::f32([1, 2, width]));
            qkv.attention(heads, false, None).unwrap_err().to_string()
        };
        assert!(refused(24, 0).contains("among 0 heads"));
        assert!(refused(24, 3).contains("a width of 8 among 3 heads"));
        assert!(refused(768, 1).contains("use more heads"));
        assert!(refused(25, 1).contains("f32[B,T,3E]"));
    }

    #[test]
    fn the_score_of_a_single_key_has_no_gradient() {
        let attention = Attention {
            heads: 1,
            causal: true,
        };
        let qkv = Tensor::<f32>::real([1, 2, 3], vec![1.1, 2.3, 3.7, -1.9, 5.3, 4.1]);
        let length = Tensor::index([1], vec![1]);
        let operands = [&qkv, &length];
        let y = attention.reference(&operands, &TensorType::f32([1, 2, 1]));
        let lse = AttentionLse(attention).reference(&operands, &TensorType::f32([1, 1, 4]));
        let dy = Tensor::real([1, 2, 1], vec![0.7, 0.3]);
        let dx = AttentionGrad(attention).reference(&[&qkv, &y, &lse, &dy, &length], &qkv.ty());
        // Both positions see only the first key, so its value gets the whole gradient.
        assert_eq!(dx.reals(), [0.0, 0.0, 0.7 + 0.3, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_causal_first_position_copies_its_own_value() {
        let qkv = Tensor::real([1, 2, 3], vec![1.0, 2.0, 3.0, -1.0, 5.0, 4.0]);
        let attention = Attention {
            heads: 1,
            causal: true,
        };
        let y = attention.reference(&[&qkv], &TensorType::f32([1, 2, 1]));
        assert_eq!(y.reals()[0], 3.0);
        // Scores -2 and -5: the weights are 1 / (1 + e^-3) and 1 minus that.
        let first = 1.0 / (1.0 + (-3.0_f64).exp());
        assert!((y.reals()[1] - (3.0 * first + 4.0 * (1.0 - first))).abs() < 1e-12);
    }
}

//! Assembles a batch from a data set that stays on the device as bytes: row i is item `order[cursor + i]`.
//!
//! The data is `u32 [words]`, four bytes per word, the lowest byte first: element e of item k is byte `k * item + e`,
//! where `item` is the number of elements per item. The result is `(byte / 255 - mean[c]) / std[c]` with c the position
//! along the last axis, `f32 [batch, item…]`. `order` is `u32 [n]`, a permutation of the items; `cursor` is `u32 []`.
//! Rows past the end of the order repeat its last item and are masked by the loss. [`GatherLabels`] gathers the labels
//! of the same rows.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{Shape, TensorType};
use rayon::prelude::*;

/// See the module. Operands: data, order, cursor.
#[derive(Debug)]
pub struct GatherBatch {
    /// Items in a batch.
    pub batch: usize,
    /// Shape of an item.
    pub item: Shape,
    /// Mean of each channel as a fraction of the largest byte: one value for all channels, or one for each of at most
    /// four.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel in the same unit, as many values as `mean`.
    pub std: Vec<f64>,
}

/// Labels of the rows that [`GatherBatch`] gathers. Operands: labels `u32 [items]`, order, cursor.
#[derive(Debug)]
pub struct GatherLabels {
    /// Items in a batch.
    pub batch: usize,
}

/// Size limit of a data set in words: byte offsets must fit in 32 bits.
const MOST_WORDS: usize = 1 << 30;
/// Invocations of a workgroup of every kernel here.
const WORKGROUP: usize = 64;

/// Checks the operands that select the items.
fn check_order(order: &TensorType, cursor: &TensorType, batch: usize) -> Result<(), String> {
    if order.elements() == 0 || *order != TensorType::u32([order.elements()]) {
        return Err(format!(
            "takes the order of the items as u32[n], was given {order}"
        ));
    }
    if *cursor != TensorType::u32([]) {
        return Err(format!(
            "takes its position in the order as u32[], was given {cursor}"
        ));
    }
    if batch == 0 {
        return Err("a batch has at least one item, was given 0".to_string());
    }
    Ok(())
}

/// The items of a batch.
fn items(order: &[u32], cursor: u32, batch: usize, items: usize) -> Vec<usize> {
    let last = order.len() - 1;
    let item = |i: usize| order[((cursor as usize).min(last) + i).min(last)] as usize;
    (0..batch).map(|i| item(i).min(items - 1)).collect()
}

impl GatherBatch {
    /// Scale and shift of each channel: an element is `byte * scale + shift`.
    fn scale_and_shift(&self) -> Vec<(f64, f64)> {
        let pairs = self.mean.iter().zip(&self.std);
        pairs
            .map(|(mean, std)| (1.0 / (255.0 * std), -mean / std))
            .collect()
    }

    /// Items in a data set of `words` words.
    fn items(&self, words: usize) -> usize {
        words * 4 / self.item.elements()
    }
}

impl Op for GatherBatch {
    fn name(&self) -> &'static str {
        "gather_batch"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [data, order, cursor] = operands(inputs)?;
        check_order(order, cursor, self.batch)?;
        let words = data.elements();
        if *data != TensorType::u32([words]) || words >= MOST_WORDS {
            return Err(format!(
                "takes at most 4 GiB of bytes as u32[words], was given {data}"
            ));
        }
        if self.item.elements() == 0 || self.items(words) == 0 {
            return Err(format!(
                "{data} does not hold one item of shape {}",
                self.item
            ));
        }
        let channels = self.mean.len();
        if self.std.len() != channels
            || !(channels == 1 || (2..=4).contains(&channels) && channels == self.item.last())
        {
            return Err(format!(
                "takes one mean and std, or one for each of at most 4 channels, was given {} and {} for items of shape {}",
                channels,
                self.std.len(),
                self.item
            ));
        }
        if self.std.iter().any(|std| *std <= 0.0)
            || self.mean.iter().chain(&self.std).any(|x| !x.is_finite())
        {
            return Err(format!(
                "mean {:?} and std {:?} must be finite, and std positive",
                self.mean, self.std
            ));
        }
        let dims = [&[self.batch], self.item.dims()].concat();
        Ok(TensorType::f32(dims))
    }

    fn vjp<'g>(&self, _cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None, None, None])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (words, order, cursor) = (
            inputs[0].indices(),
            inputs[1].indices(),
            inputs[2].indices()[0],
        );
        let rows = items(order, cursor, self.batch, self.items(words.len()));
        let length = self.item.elements();
        let norm: Vec<(T, T)> = self
            .scale_and_shift()
            .into_iter()
            .map(|(a, b)| (T::of(a), T::of(b)))
            .collect();
        let mut values = vec![T::ZERO; output.elements()];
        values
            .par_chunks_mut(length)
            .zip(rows)
            .for_each(|(row, item)| {
                for (e, value) in row.iter_mut().enumerate() {
                    let at = item * length + e;
                    let byte = words[at / 4].to_le_bytes()[at % 4];
                    let (scale, shift) = norm[e % norm.len()];
                    *value = T::of(f64::from(byte)) * scale + shift;
                }
            });
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (data, output) = (cx.input(0), cx.output()?);
        let length = self.item.elements();
        let (shader, elements) = if length.is_multiple_of(16) {
            ("gather_batch/wide", 16)
        } else {
            ("gather_batch/narrow", 1)
        };
        let norm = self.scale_and_shift();
        // The values of one or two channels are repeated to fill four.
        let at = |channel: usize| norm[channel % norm.len()];
        let period = if norm.len() == 3 { 3_usize } else { 4 };
        let steps = length / elements;
        let launch = Launch::new(shader)
            .read("data", data.value, output.vec4s() / 4)
            .write("out", output.value)
            .param("item_steps", steps)
            .param("period", period)
            .param("scale_0", at(0).0 as f32)
            .param("scale_1", at(1).0 as f32)
            .param("scale_2", at(2).0 as f32)
            .param("scale_3", at(3).0 as f32)
            .param("shift_0", at(0).1 as f32)
            .param("shift_1", at(1).1 as f32)
            .param("shift_2", at(2).1 as f32)
            .param("shift_3", at(3).1 as f32);
        let launch = ordered(
            cx,
            launch,
            self.items(data.ty.elements()),
            self.batch * steps,
        );
        cx.launch(launch)
    }
}

impl Op for GatherLabels {
    fn name(&self) -> &'static str {
        "gather_batch_labels"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [labels, order, cursor] = operands(inputs)?;
        check_order(order, cursor, self.batch)?;
        if labels.elements() == 0 || *labels != TensorType::u32([labels.elements()]) {
            return Err(format!("takes labels u32[items], was given {labels}"));
        }
        Ok(TensorType::u32([self.batch]))
    }

    fn vjp<'g>(&self, _cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None, None, None])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (labels, order, cursor) = (
            inputs[0].indices(),
            inputs[1].indices(),
            inputs[2].indices()[0],
        );
        let rows = items(order, cursor, self.batch, labels.len());
        Tensor::index(
            output.shape.clone(),
            rows.into_iter().map(|item| labels[item]).collect(),
        )
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (labels, output) = (cx.input(0), cx.output()?);
        let launch = Launch::new("gather_batch/labels")
            .read("labels", labels.value, self.batch as u64)
            .write("out", output.value);
        let launch = ordered(cx, launch, labels.ty.elements(), self.batch);
        cx.launch(launch)
    }
}

/// Binds the operands that select the items, for both kernels.
fn ordered(cx: &Lowering<'_>, launch: Launch, items: usize, invocations: usize) -> Launch {
    let (order, cursor) = (cx.input(1), cx.input(2));
    launch
        .read("order", order.value, invocations as u64)
        .read("cursor", cursor.value, invocations as u64)
        .param("items", items)
        .param("ordered", order.ty.elements())
        .param("invocations", invocations)
        .invocations(invocations, WORKGROUP)
}

impl<'g> Var<'g> {
    /// A batch of the data set `self`, packed bytes `u32 [words]`, in the order `order` `u32 [n]` from position
    /// `cursor` `u32 []` on: `f32 [batch, item…]`.
    ///
    /// # Errors
    /// If the shapes don't fit, or `op` does not have one mean and std, or one for each of at most four channels.
    #[track_caller]
    pub fn gather_batch(self, order: Var<'g>, cursor: Var<'g>, op: GatherBatch) -> Result<Var<'g>> {
        self.builder().op(op, &[self, order, cursor])
    }

    /// The labels of that batch, from `self`, `u32 [items]`: `u32 [batch]`.
    ///
    /// # Errors
    /// If the shapes don't fit.
    #[track_caller]
    pub fn gather_labels(self, order: Var<'g>, cursor: Var<'g>, batch: usize) -> Result<Var<'g>> {
        self.builder()
            .op(GatherLabels { batch }, &[self, order, cursor])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let odd = 2 + stream.below(7) as usize;
    let gray = (vec![0.1307], vec![0.3081]);
    let rgb = (vec![0.49, 0.48, 0.45], vec![0.25, 0.24, 0.26]);
    let four = (vec![0.1, 0.2, 0.3, 0.4], vec![1.0, 0.5, 0.25, 2.0]);
    let shapes: Vec<(usize, Vec<usize>, usize, usize, f64, _)> = vec![
        // batch, item, items, length of the order, cursor
        (3, vec![4, 4, 1], 5, 5, 1.0, &gray),
        (odd, vec![5, odd, 1], 7, 7, 4.0, &gray),
        (4, vec![4, 8, 3], 6, 6, 5.0, &rgb),
        (2, vec![3, 5, 3], 3, 2, 0.0, &rgb),
        (odd, vec![2, 8, 4], 9, 5, 1.0, &four),
        (2, vec![1], 9, 9, 1e9, &gray),
        (70, vec![16], 100, 90, 3.0, &gray),
    ];
    let mut cases = Vec::new();
    for (batch, item, items, n, cursor, (mean, std)) in shapes {
        let item = Shape::from(item);
        let words = (items * item.elements()).div_ceil(4);
        let which = [
            Operand::index([n], Values::Below(items as u32)),
            Operand::index([], Values::Fixed(vec![cursor])),
        ];
        let [order, cursor] = which.clone();
        let data = Operand::index([words], Values::Below(u32::MAX));
        let (mean, std) = (mean.clone(), std.clone());
        cases.push(Case::new(
            GatherBatch {
                batch,
                item,
                mean,
                std,
            },
            [data, order, cursor],
        ));
        let [order, cursor] = which;
        let labels = Operand::index([items], Values::Below(10));
        cases.push(Case::new(GatherLabels { batch }, [labels, order, cursor]));
    }
    cases
}

//! Marks the rows whose label is among the `k` largest of their logits: 1 where fewer than k logits are larger, or
//! equal and earlier, and `i < valid`, else 0. TensorFlow `tf.math.in_top_k`, but for ties. It has no gradient.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering, MAX_LOOP_ITERATIONS};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// See the module. Operands: logits `[n, classes]`, labels u32 `[n]`, valid u32 `[]`.
#[derive(Debug)]
pub struct InTopK {
    /// Number of largest logits that count.
    pub k: usize,
}

const WORKGROUP: usize = 64;

impl Op for InTopK {
    fn name(&self) -> &'static str {
        "in_top_k"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [logits, labels, valid] = operands(inputs)?;
        match logits.dims() {
            &[n, classes]
                if logits.dtype == DType::F32
                    && (1..=MAX_LOOP_ITERATIONS).contains(&classes)
                    && *labels == TensorType::u32([n])
                    && *valid == TensorType::u32([]) =>
            {
                Ok(TensorType::f32([n]))
            }
            _ => Err(format!(
                "takes f32[n,classes] of at most {MAX_LOOP_ITERATIONS} classes, u32[n] and a u32[], was given {logits}, {labels} \
                 and {valid}"
            )),
        }
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("in_top_k")
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (logits, labels) = (inputs[0].reals(), inputs[1].indices());
        let (classes, valid) = (inputs[0].shape.last(), inputs[2].indices()[0] as usize);
        let mark = |(i, row): (usize, &[T])| {
            let label = labels[i] as usize;
            let Some(&own) = row.get(label).filter(|_| i < valid) else {
                return T::ZERO;
            };
            let ahead = |&(j, &other): &(usize, &T)| other > own || other == own && j < label;
            T::truth(row.iter().enumerate().filter(ahead).count() < self.k)
        };
        let marks = logits.par_chunks(classes).enumerate().map(mark).collect();
        Tensor::real(output.shape.clone(), marks)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (logits, labels, valid, out) = (cx.input(0), cx.input(1), cx.input(2), cx.output()?);
        let rows = out.ty.elements();
        cx.launch(
            Launch::new("in_top_k/in_top_k")
                .read("logits", logits.value, 0)
                .read("labels", labels.value, 0)
                .read("valid", valid.value, 0)
                .write("out", out.value)
                .param("rows", rows)
                .param("classes", logits.ty.shape.last())
                .param("k", self.k)
                .invocations(rows, WORKGROUP),
        )
    }
}

impl<'g> Var<'g> {
    /// Number of the rows `i < valid` of the logits `self` `[n, classes]` that have `labels[i]` among their `k` largest: f32
    /// `[]`. `labels` is u32 `[n]`, `valid` u32 `[]`.
    ///
    /// # Errors
    /// If the types don't fit.
    #[track_caller]
    pub fn count_in_top_k(self, labels: Var<'g>, valid: Var<'g>, k: usize) -> Result<Var<'g>> {
        let marks = self.builder().op(InTopK { k }, &[self, labels, valid])?;
        marks.sum_all()
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let odd = 3 + stream.below(7) as usize;
    let case = |n: usize, classes: usize, k, valid: usize, values| {
        let logits = Operand::real([n, classes], values).constant();
        let labels = Operand::index([n], Values::Below(classes as u32));
        let valid = Operand::index([], Values::Fixed(vec![valid as f64]));
        Case::new(InTopK { k }, [logits, labels, valid])
    };
    vec![
        case(odd, 10, 5, odd, Values::Distinct),
        case(70, 7, 3, 66, Values::Ties),
        case(4, 3, 5, 4, Values::Ties),
        case(1, 1, 1, 1, Values::Distinct),
        case(9, 100 + odd, 1, 8, Values::Distinct),
    ]
}

//! Marks the labels `u32 [N]` that count in a loss with 1, the others with 0. Rows from the scalar `u32` operand
//! `valid` on do not count, nor does one label, the padding of sequences. A loss over positions is divided by the sum
//! of these: PyTorch `ignore_index`.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::TensorType;

/// See the module. Operands: labels, valid.
#[derive(Debug)]
pub struct Counted {
    /// The label that does not count.
    pub ignored: u32,
}

impl Op for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [labels, valid] = operands(inputs)?;
        match labels.dims() {
            &[rows] if *labels == TensorType::u32([rows]) && *valid == TensorType::u32([]) => {
                Ok(TensorType::f32([rows]))
            }
            _ => Err(format!(
                "takes labels u32[N] and the number of valid rows u32[], was given {labels} and {valid}"
            )),
        }
    }

    fn vjp<'g>(&self, _cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None, None])
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let valid = inputs[1].indices()[0] as usize;
        let rows = inputs[0].indices().iter().enumerate();
        let values = rows
            .map(|(i, &label)| T::truth(i < valid && label != self.ignored))
            .collect();
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        const WORKGROUP: usize = 64;
        let (labels, valid, out) = (cx.input(0), cx.input(1), cx.output()?);
        let rows = out.ty.elements();
        cx.launch(
            Launch::new("counted/counted")
                .read("labels", labels.value, 0)
                .read("valid", valid.value, 0)
                .write("out", out.value)
                .param("invocations", rows)
                .param("ignored", self.ignored)
                .invocations(rows, WORKGROUP),
        )
    }
}

impl<'g> Var<'g> {
    /// 1 for each label of `self` (`u32 [N]`) that is before row `valid` (`u32 []`) and is not `ignored`, otherwise 0.
    ///
    /// # Errors
    /// If `self` is not `u32 [N]`.
    #[track_caller]
    pub fn counted(self, valid: Var<'g>, ignored: u32) -> Result<Var<'g>> {
        self.builder().op(Counted { ignored }, &[self, valid])
    }

    /// The mean cross-entropy of softmax(`self`), logits `[N, C]`, over the rows before `valid` whose label is not
    /// `ignored`: the loss of a language model whose samples are padded with that token. Its exponential is the
    /// perplexity. It is 0 if no row counts. PyTorch `F.cross_entropy(ignore_index=ignored)`.
    ///
    /// # Errors
    /// If the shapes don't fit.
    #[track_caller]
    pub fn masked_cross_entropy(
        self,
        labels: Var<'g>,
        valid: Var<'g>,
        ignored: u32,
    ) -> Result<Var<'g>> {
        let counted = labels.counted(valid, ignored)?;
        let losses = self.softmax_cross_entropy(labels, valid, 0.0)?;
        let [zero, one] = [0.0, 1.0].map(|x| self.builder().constant(x));
        let losses = counted.select(losses, zero)?;
        losses.sum_all()?.div(counted.sum_all()?.maximum(one)?)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut case = |rows: usize, valid: f64| {
        let labels = Operand::index([rows], Values::Below(3));
        let valid = Operand::index([], Values::Fixed(vec![valid]));
        Case::new(
            Counted {
                ignored: stream.below(3),
            },
            [labels, valid],
        )
    };
    vec![case(1, 1.0), case(70, 66.0), case(5, 0.0), case(9, 100.0)]
}

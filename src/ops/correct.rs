//! Marks the rows of a batch that are classified correctly: 1 where `predicted[i] == labels[i]` and `i < valid`, else
//! 0. It has no gradient. The valid count masks the padding of a last, smaller batch.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};

/// See the module. Operands: predicted u32 `[n]`, labels u32 `[n]`, valid u32 `[]`.
#[derive(Debug)]
pub struct Correct;

const WORKGROUP: usize = 64;

impl Op for Correct {
    fn name(&self) -> &'static str {
        "correct"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [predicted, labels, valid] = operands(inputs)?;
        let fits = predicted.dtype == DType::U32
            && predicted.shape.rank() == 1
            && labels == predicted
            && *valid == TensorType::u32([]);
        if fits {
            Ok(TensorType::f32(predicted.shape.clone()))
        } else {
            Err(format!(
                "takes two u32[n] and a u32[], was given {predicted}, {labels} and {valid}"
            ))
        }
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("correct")
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (predicted, labels) = (inputs[0].indices(), inputs[1].indices());
        let valid = inputs[2].indices()[0] as usize;
        let rows = predicted.iter().zip(labels).enumerate();
        let marks = rows.map(|(i, (p, l))| T::truth(p == l && i < valid));
        Tensor::real(output.shape.clone(), marks.collect())
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (predicted, labels, valid, out) = (cx.input(0), cx.input(1), cx.input(2), cx.output()?);
        let rows = predicted.ty.elements();
        cx.launch(
            Launch::new("correct/correct")
                .read("predicted", predicted.value, predicted.vec4s())
                .read("labels", labels.value, labels.vec4s())
                .read("valid", valid.value, 1)
                .write("out", out.value)
                .param("rows", rows)
                .invocations(rows, WORKGROUP),
        )
    }
}

impl<'g> Var<'g> {
    /// Number of the rows `i < valid` of the logits `self` `[n, classes]` whose first largest element is at `labels[i]`: f32
    /// `[]`. `labels` is u32 `[n]`, `valid` u32 `[]`.
    ///
    /// # Errors
    /// If the types don't fit.
    #[track_caller]
    pub fn count_correct(self, labels: Var<'g>, valid: Var<'g>) -> Result<Var<'g>> {
        let marks = self
            .builder()
            .op(Correct, &[self.argmax()?, labels, valid])?;
        marks.sum_all()
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut case = |n: usize, classes| {
        let valid = f64::from(stream.below(n as u32 + 1));
        let index = || Operand::index([n], Values::Below(classes));
        Case::new(
            Correct,
            [
                index(),
                index(),
                Operand::index([], Values::Fixed(vec![valid])),
            ],
        )
    };
    vec![case(1, 1), case(7, 2), case(64, 3), case(130, 10)]
}

#[cfg(test)]
mod tests {
    use crate::cpu::{Tensor, interpret};
    use crate::graph::Builder;
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    #[test]
    fn rows_past_the_valid_count_do_not_count() {
        let builder = Builder::new();
        let logits = builder.input("logits", TensorType::f32([4, 2]));
        let labels = builder.input("labels", TensorType::u32([4]));
        let valid = builder.input("valid", TensorType::u32([]));
        builder.output("count", logits.count_correct(labels, valid).unwrap());
        let graph = builder.finish().unwrap();
        let count = |valid: u32| {
            let inputs = HashMap::from([
                (
                    "logits".to_string(),
                    Arc::new(Tensor::<f64>::real(
                        [4, 2],
                        vec![1.0, 0.0, 0.0, 1.0, 2.0, 2.0, 0.0, 9.0],
                    )),
                ),
                (
                    "labels".to_string(),
                    Arc::new(Tensor::index([4], vec![0, 0, 0, 1])),
                ),
                (
                    "valid".to_string(),
                    Arc::new(Tensor::index([], vec![valid])),
                ),
            ]);
            interpret(&graph, &mut HashMap::new(), &inputs).unwrap()[0].reals()[0]
        };
        assert_eq!(
            [count(0), count(1), count(2), count(3), count(4)],
            [0.0, 1.0, 1.0, 2.0, 3.0]
        );
    }
}

//! Confusion matrix: `y[l, p]` is the number of rows `i < valid` with `labels[i] = l` and `predicted[i] = p`.
//! scikit-learn `confusion_matrix`. It has no gradient. An invocation of the kernel counts one cell.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering, MAX_LOOP_ITERATIONS};
use crate::random::Stream;
use crate::tensor::TensorType;

/// See the module. Operands: predicted u32 `[n]`, labels u32 `[n]`, valid u32 `[]`.
#[derive(Debug)]
pub struct ConfusionCount {
    /// Number of classes.
    pub classes: usize,
}

const WORKGROUP: usize = 64;

impl Op for ConfusionCount {
    fn name(&self) -> &'static str {
        "confusion"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [predicted, labels, valid] = operands(inputs)?;
        let rows = predicted.elements();
        let fits = *predicted == TensorType::u32([rows])
            && labels == predicted
            && *valid == TensorType::u32([])
            && (1..=MAX_LOOP_ITERATIONS).contains(&rows);
        if fits && self.classes > 0 {
            Ok(TensorType::f32([self.classes, self.classes]))
        } else {
            Err(format!(
                "takes two u32[n] of at most {MAX_LOOP_ITERATIONS} and a u32[], was given {predicted}, {labels} and {valid}"
            ))
        }
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("confusion")
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (predicted, labels) = (inputs[0].indices(), inputs[1].indices());
        let valid = inputs[2].indices()[0] as usize;
        let mut counts = vec![T::ZERO; output.elements()];
        for (&p, &l) in predicted.iter().zip(labels).take(valid) {
            let (p, l) = (p as usize, l as usize);
            if p < self.classes && l < self.classes {
                counts[l * self.classes + p] += T::ONE;
            }
        }
        Tensor::real(output.shape.clone(), counts)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (predicted, labels, valid, out) = (cx.input(0), cx.input(1), cx.input(2), cx.output()?);
        let cells = self.classes * self.classes;
        cx.launch(
            Launch::new("confusion/confusion")
                .read("predicted", predicted.value, 0)
                .read("labels", labels.value, 0)
                .read("valid", valid.value, 0)
                .write("out", out.value)
                .param("cells", cells)
                .param("classes", self.classes)
                .param("rows", predicted.ty.elements())
                .invocations(cells, WORKGROUP),
        )
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].elements()
    }
}

impl<'g> Var<'g> {
    /// Confusion matrix of the logits `self` `[n, classes]` over the rows `i < valid`, f32 `[classes, classes]`: rows
    /// are labels, columns are predictions. `labels` is u32 `[n]`, `valid` u32 `[]`.
    ///
    /// # Errors
    /// If the types don't fit.
    #[track_caller]
    pub fn confusion(self, labels: Var<'g>, valid: Var<'g>) -> Result<Var<'g>> {
        let classes = self.shape().last();
        let predicted = self.argmax()?;
        self.builder()
            .op(ConfusionCount { classes }, &[predicted, labels, valid])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let odd = 1 + stream.below(7) as usize;
    let case = |n: usize, classes: usize, valid: usize| {
        // Some are past the last class: they are not counted.
        let index = || Operand::index([n], Values::Below(classes as u32 + 1));
        let valid = Operand::index([], Values::Fixed(vec![valid as f64]));
        Case::new(ConfusionCount { classes }, [index(), index(), valid])
    };
    vec![
        case(odd, 3, odd),
        case(200, 2, 150),
        case(1, 1, 1),
        case(70, 10, 0),
        case(33, 9, 99),
    ]
}

//! The gradient of the recurrent weights `[gates H, H]` of `lstm` and `gru`, for all steps in one contraction.
//! Operands: the gradients `[B, T, gates H]` of the states' contributions to the gates, and the states `[B, T, H]`.
//! Each gradient is multiplied with the state of the previous step; the first step has none. Both operands are read in
//! place: each sample is a segment of K.

use super::contraction::{self, Contraction, OperandLayout, Outline, Segments};
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, Scalar, Target};
use crate::random::Stream;
use crate::tensor::TensorType;
use rayon::prelude::*;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct RecurrentWeightGrad {
    /// Whether time runs from the end to the start.
    pub reverse: bool,
}

impl RecurrentWeightGrad {
    /// Positions of the first gradient and of the state that it is multiplied with.
    fn first(self) -> (usize, usize) {
        if self.reverse { (0, 1) } else { (1, 0) }
    }
}

impl Op for RecurrentWeightGrad {
    fn name(&self) -> &'static str {
        "recurrent_weight_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [grads, states] = operands(inputs)?;
        match (grads.dims(), states.dims()) {
            (&[samples, time, gates], &[s, t, hidden]) if (samples, time) == (s, t) => {
                Ok(TensorType::f32([gates, hidden]))
            }
            _ => Err(format!(
                "takes gradients and states of the same steps [B,T,…], was given {grads} and {states}"
            )),
        }
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of recurrent weights")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (samples, time, gates) = (
            inputs[0].dims()[0],
            inputs[0].dims()[1],
            inputs[0].dims()[2],
        );
        let hidden = inputs[1].dims()[2];
        let (grads, states) = (inputs[0].reals(), inputs[1].reals());
        let (first, before) = self.first();
        let mut weights = vec![T::ZERO; output.elements()];
        let rows = weights.par_chunks_mut(hidden).enumerate();
        rows.for_each(|(gate, row)| {
            for step in 0..samples * (time - 1) {
                let start = step / (time - 1) * time + step % (time - 1);
                let grad = grads[(start + first) * gates + gate];
                let state = &states[(start + before) * hidden..][..hidden];
                row.iter_mut().zip(state).for_each(|(w, &h)| *w += grad * h);
            }
        });
        Tensor::real(output.shape.clone(), weights)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (grads, states) = (cx.input(0), cx.input(1));
        let &[samples, time, gates] = grads.dims() else {
            return Ok(());
        };
        let hidden = states.dims()[2];
        let (first, before) = self.first();
        let (length, k) = (time - 1, samples * (time - 1));
        let layout = |rows: usize| OperandLayout {
            k_contiguous: false,
            vec4: rows.is_multiple_of(4),
        };
        let contraction = Contraction {
            broadcast: "matmul/broadcast",
            tiled: "matmul/tiled",
            a: grads,
            b: states,
            m: gates,
            n: hidden,
            batches: 1,
            segments: Segments::Fixed {
                count: samples,
                length,
                k,
            },
            a_layout: layout(gates),
            b_layout: layout(hidden),
            transpose_out: false,
            params: vec![
                ("k", k.into()),
                ("a_batch_stride", Scalar::U32(0)),
                ("a_row_stride", Scalar::U32(1)),
                ("a_k_stride", gates.into()),
                ("a_first", (first * gates).into()),
                ("a_segment_gap", gates.into()),
                ("b_batch_stride", Scalar::U32(0)),
                ("b_column_stride", Scalar::U32(1)),
                ("b_k_stride", hidden.into()),
                ("b_first", (before * hidden).into()),
                ("b_segment_gap", hidden.into()),
            ],
            constants: Vec::new(),
        };
        contraction::lower(cx, contraction)
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        let (m, n) = (inputs[0].shape.last(), inputs[1].shape.last());
        contraction::variants(
            target,
            Outline {
                m,
                n,
                b_k_contiguous: false,
            },
        )
    }

    fn rounds_operands(&self, _inputs: &[&TensorType]) -> bool {
        true
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].dims()[0] * inputs[0].dims()[1]
    }
}

/// Adds the node of [`RecurrentWeightGrad`], or zeros if there is only one step.
pub(super) fn weight_grad<'g>(grads: Var<'g>, states: Var<'g>, reverse: bool) -> Result<Var<'g>> {
    let (grads_shape, shape) = (grads.shape(), states.shape());
    // With fewer than two steps there is nothing to sum.
    if shape.dims().get(1).is_none_or(|&time| time < 2) {
        let weights = [grads_shape.last(), shape.last()];
        return states.builder().constant(0.0).broadcast_to(&weights.into());
    }
    states
        .builder()
        .op(RecurrentWeightGrad { reverse }, &[grads, states])
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let case = |reverse: bool, samples: usize, time: usize, gates: usize, hidden: usize| {
        let operand = |last: usize| Operand::uniform([samples, time, last]).constant();
        Case::new(
            RecurrentWeightGrad { reverse },
            [operand(gates), operand(hidden)],
        )
    };
    vec![
        case(false, 3, 2, 4, 1),
        case(true, 5, 7, 12, 3),
        case(false, 2, 28, 64, 68),
        case(true, 9, 21, 96, 32),
        case(false, 1, 40, 132, 140),
    ]
}

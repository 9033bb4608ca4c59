//! Gated recurrent unit. From the input's pre-activations x of reset, update and new gate, and the state h of the
//! previous step (0 at the start), it computes `r, z = sigmoid(x + W h + b)`, `n = tanh(x + r (W h + b))`,
//! `h = (1 - z) n + z h`. PyTorch `nn.GRU`, one layer and direction; ONNX `GRU` with `linear_before_reset` orders the
//! gates differently.
//!
//! Operands: x `[B, T, 3 H]`, recurrent weights W `[3 H, H]` with their bias b `[3 H]`, and optionally lengths
//! `u32 [B]`: past the end of a sample h is 0, and `reverse` starts at its end. The result is h, `[B, T, H]`.

use super::onnx_form::{OnnxForm, Written};
use super::recurrent::{
    self, ApartCell, Cell, Gradient, RecurrentWeights, StateGradient, Trace, layer,
};
use super::recurrent_weight_grad::weight_grad;
use super::{Case, Op, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, Target};
use crate::random::Stream;
use crate::tensor::TensorType;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gru {
    /// Whether time runs from the end to the start.
    pub reverse: bool,
}

/// The trace is r, z, n, and `W h + b` of the new gate, whose gradient differs from that of the gate's x.
impl Cell for Gru {
    const KIND: &'static str = "Gru";
    const FOLDER: &'static str = "gru";
    const TRACE_NAME: &'static str = "gru_trace";
    const GRAD_NAME: &'static str = "gru_grad";
    const GATES: usize = 3;
    const TRACE: usize = 4;
    const APART: bool = true;

    fn reverse(self) -> bool {
        self.reverse
    }

    fn step<T: Real>(
        input: impl Fn(usize) -> T,
        given: impl Fn(usize) -> T,
        state: T,
        _memory: &mut T,
        mut keep: impl FnMut(usize, T),
    ) -> T {
        let [r, z] = [0, 1].map(|gate| recurrent::sigmoid(input(gate) + given(gate)));
        let new = given(2);
        let n = (input(2) + r * new).tanh();
        for (part, value) in [r, z, n, new].into_iter().enumerate() {
            keep(part, value);
        }
        (T::ONE - z) * n + z * state
    }

    fn step_back<T: Real>(
        trace: impl Fn(usize) -> T,
        before: T,
        grad: T,
        _memory_grad: &mut T,
        mut put: impl FnMut(usize, T, T),
    ) -> T {
        let [r, z, n, new] = [0, 1, 2, 3].map(trace);
        let dn = grad * (T::ONE - z) * (T::ONE - n * n);
        let dr = dn * new * r * (T::ONE - r);
        let dz = grad * (before - n) * z * (T::ONE - z);
        put(0, dr, dr);
        put(1, dz, dz);
        put(2, dn, dn * r);
        grad * z
    }
}

impl ApartCell for Gru {
    const STATE_GRAD_NAME: &'static str = "gru_state_grad";
}

impl Op for Gru {
    fn name(&self) -> &'static str {
        "gru"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        layer::infer(*self, inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = cx.grad.builder();
        let trace = builder.op(Trace(*self), &cx.inputs)?;
        let mut operands = vec![cx.inputs[1], trace, cx.output, cx.grad];
        operands.extend(cx.inputs.get(3));
        let of_input = builder.op(Gradient(*self), &operands)?;
        let of_state = builder.op(StateGradient(*self), &operands)?;
        let dw = weight_grad(of_state, cx.output, self.reverse)?;
        let mut grads = vec![Some(of_input), Some(dw), Some(of_state.sum(&[0, 1])?)];
        grads.resize(cx.inputs.len(), None);
        Ok(grads)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        layer::reference(*self, inputs)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let extra = [form.inputs.get(2).cloned(), form.inputs.get(3).cloned()];
        recurrent::onnx(form, "GRU", extra, &[1, 0, 2], self.reverse)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        layer::lower(*self, cx)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        layer::variants(*self, target, inputs)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        layer::reduction_length(inputs)
    }

    fn feedback(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].dims()[1]
    }
}

impl<'g> Var<'g> {
    /// States `[B, T, H]` of a GRU over `self` `[B, T, I]`, forward in time or, if `reverse`, backward; 0 from position
    /// `lengths[i]` of sample i on.
    ///
    /// # Errors
    /// If the shapes don't fit.
    #[track_caller]
    pub fn gru(
        self,
        weights: RecurrentWeights<'g>,
        lengths: Option<Var<'g>>,
        reverse: bool,
    ) -> Result<Var<'g>> {
        let x = self.linear(weights.input)?.add(weights.input_bias)?;
        layer::apply(Gru { reverse }, x, weights, lengths)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    layer::cases(stream, |reverse| Gru { reverse })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_gate_that_is_open_keeps_the_state() {
        // A single unit whose update gate is 1 from the second step on.
        let x = Tensor::real(
            [1, 3, 3],
            vec![0.0, -100.0, 1.0, 0.0, 100.0, -1.0, 0.0, 100.0, 5.0],
        );
        let (w, bias) = (
            Tensor::zeros(&TensorType::f32([3, 1])),
            Tensor::zeros(&TensorType::f32([3])),
        );
        let y: Tensor<f64> =
            Gru { reverse: false }.reference(&[&x, &w, &bias], &TensorType::f32([1, 3, 1]));
        y.reals()
            .iter()
            .for_each(|h| assert!((h - 1.0_f64.tanh()).abs() < 1e-12));
    }
}

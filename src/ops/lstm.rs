//! Long short-term memory. From the input's pre-activations x of input, forget, cell and output gate, and the states h
//! and c of the previous step (0 at the start), it computes `i, f, o = sigmoid(x + W h)`, `g = tanh(x + W h)`,
//! `c = f c + i g`, `h = o tanh(c)`. PyTorch `nn.LSTM`, one layer and direction; ONNX `LSTM` names and orders the gates
//! differently.
//!
//! Operands: x `[B, T, 4 H]`, recurrent weights W `[4 H, H]`, and optionally lengths `u32 [B]`: past the end of a
//! sample h is 0, and `reverse` starts at its end, as with PyTorch's packed sequences. The result is h, `[B, T, H]`.

use super::onnx_form::{OnnxForm, Written};
use super::recurrent::{self, Cell, Gradient, RecurrentWeights, Trace, layer};
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
pub struct Lstm {
    /// Whether time runs from the end to the start.
    pub reverse: bool,
}

/// The trace is i, f, g, o and c.
impl Cell for Lstm {
    const KIND: &'static str = "Lstm";
    const FOLDER: &'static str = "lstm";
    const TRACE_NAME: &'static str = "lstm_trace";
    const GRAD_NAME: &'static str = "lstm_grad";
    const GATES: usize = 4;
    const TRACE: usize = 5;
    const APART: bool = false;

    fn reverse(self) -> bool {
        self.reverse
    }

    fn step<T: Real>(
        input: impl Fn(usize) -> T,
        given: impl Fn(usize) -> T,
        _state: T,
        c: &mut T,
        mut keep: impl FnMut(usize, T),
    ) -> T {
        let [i, f, o] = [0, 1, 3].map(|gate| recurrent::sigmoid(input(gate) + given(gate)));
        let g = (input(2) + given(2)).tanh();
        *c = f * *c + i * g;
        for (part, value) in [i, f, g, o, *c].into_iter().enumerate() {
            keep(part, value);
        }
        o * c.tanh()
    }

    fn step_back<T: Real>(
        trace: impl Fn(usize) -> T,
        before: T,
        grad: T,
        dc: &mut T,
        mut put: impl FnMut(usize, T, T),
    ) -> T {
        let [i, f, g, o, c] = [0, 1, 2, 3, 4].map(trace);
        let squashed = c.tanh();
        let total = *dc + grad * o * (T::ONE - squashed * squashed);
        let gates = [
            total * g * i * (T::ONE - i),
            total * before * f * (T::ONE - f),
            total * i * (T::ONE - g * g),
            grad * squashed * o * (T::ONE - o),
        ];
        for (gate, grad) in gates.into_iter().enumerate() {
            put(gate, grad, grad);
        }
        *dc = total * f;
        T::ZERO
    }
}

impl Op for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        layer::infer(*self, inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = cx.grad.builder();
        let trace = builder.op(Trace(*self), &cx.inputs)?;
        let mut operands = vec![cx.inputs[1], trace, cx.grad];
        operands.extend(cx.inputs.get(2));
        let dx = builder.op(Gradient(*self), &operands)?;
        let dw = weight_grad(dx, cx.output, self.reverse)?;
        let mut grads = vec![Some(dx), Some(dw)];
        grads.resize(cx.inputs.len(), None);
        Ok(grads)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        layer::reference(*self, inputs)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let extra = [None, form.inputs.get(2).cloned()];
        recurrent::onnx(form, "LSTM", extra, &[0, 3, 1, 2], self.reverse)
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
    /// States `[B, T, H]` of an LSTM over `self` `[B, T, I]`, forward in time or, if `reverse`, backward; 0 from
    /// position `lengths[i]` of sample i on.
    ///
    /// # Errors
    /// If the shapes don't fit.
    #[track_caller]
    pub fn lstm(
        self,
        weights: RecurrentWeights<'g>,
        lengths: Option<Var<'g>>,
        reverse: bool,
    ) -> Result<Var<'g>> {
        let x = self
            .linear(weights.input)?
            .add(weights.input_bias.add(weights.state_bias)?)?;
        layer::apply(Lstm { reverse }, x, weights, lengths)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    layer::cases(stream, |reverse| Lstm { reverse })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;

    #[test]
    fn gates_and_weights_that_do_not_fit_are_refused() {
        let builder = Builder::new();
        let refused = |x: TensorType, w: TensorType| {
            let (x, w) = (builder.input("x", x), builder.input("w", w));
            builder
                .op(Lstm { reverse: false }, &[x, w])
                .unwrap_err()
                .to_string()
        };
        assert!(
            refused(TensorType::f32([2, 3, 16]), TensorType::f32([16, 5])).contains("f32[4H,H]")
        );
        assert!(
            refused(TensorType::f32([2, 3, 12]), TensorType::f32([16, 4])).contains("f32[B,T,16]")
        );
        assert!(refused(TensorType::f32([3, 16]), TensorType::f32([16, 4])).contains("[B,T,…]"));
    }

    #[test]
    fn past_the_end_of_a_sample_the_state_is_zero_and_reverse_begins_there() {
        let (x, w) = (
            Tensor::real([1, 2, 4], vec![1.0; 8]),
            Tensor::real([4, 1], vec![0.5; 4]),
        );
        let short = Tensor::index([1], vec![1]);
        let run =
            |reverse| Lstm { reverse }.reference(&[&x, &w, &short], &TensorType::f32([1, 2, 1]));
        let (forward, backward): (Tensor<f64>, Tensor<f64>) = (run(false), run(true));
        assert_eq!(forward.reals(), backward.reals());
        assert_eq!(forward.reals()[1], 0.0);
        let (i, g) = (1.0 / (1.0 + (-1.0_f64).exp()), 1.0_f64.tanh());
        assert!((forward.reals()[0] - i * (i * g).tanh()).abs() < 1e-12);
    }
}

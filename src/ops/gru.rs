//! Gated recurrent unit: with the pre-activations x of reset, update and new gate that the input gives, and h of the step
//! before (0 at the start), `r, z = sigmoid(x + W h + b)`, `n = tanh(x + r (W h + b))`, `h = (1 - z) n + z h`. PyTorch
//! `nn.GRU`, one layer and direction; ONNX `GRU` with `linear_before_reset` has another order of gates.
//!
//! Operands: x `[B, T, 3 H]`, recurrent weights W `[3 H, H]` with their bias b `[3 H]`, and lengths `u32 [B]` if there are any:
//! past the end of a sample h is 0, and `reverse` begins at its end. The result is h, `[B, T, H]`.

use super::recurrent::{self, Extents, Layer, RecurrentWeights, sigmoid};
use super::recurrent_weight_grad::weight_grad;
use super::{Case, ErasedOp, Op, Operand, Values, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Arg, Lowering, Target};
use crate::random::Stream;
use crate::tensor::TensorType;
use rayon::prelude::*;
use std::sync::Arc;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gru {
    /// Whether time is walked from the end.
    pub reverse: bool,
}

/// What [`Gru`] leaves to its gradient, `[B, T, 4 H]`: r, z, n, and `W h + b` of the new gate.
#[derive(Debug)]
pub struct GruTrace(pub Gru);

/// The gradient of [`Gru`] with respect to x. Operands: recurrent weights, [`GruTrace`], h, gradient of h, and lengths if
/// there are any.
#[derive(Debug, Clone, Copy)]
pub struct GruGrad(pub Gru);

/// The gradient of [`Gru`] with respect to `W h + b`, from the operands of [`GruGrad`]: it differs in the new gate.
#[derive(Debug)]
pub struct GruStateGrad(pub Gru);

const GATES: usize = 3;
const TRACE: usize = 4;

impl Gru {
    fn layer(self) -> Layer {
        Layer {
            folder: "gru",
            gates: GATES,
            reverse: self.reverse,
        }
    }

    fn check(self, inputs: &[&TensorType]) -> Result<Extents, String> {
        let (e, bias) = match inputs {
            [x, w, bias] => (self.layer().check(x, w, None)?, bias),
            [x, w, bias, lengths] => (self.layer().check(x, w, Some(lengths))?, bias),
            _ => {
                return Err(format!(
                    "takes gates, recurrent weights, bias and lengths, was given {} operands",
                    inputs.len()
                ));
            }
        };
        if **bias != TensorType::f32([GATES * e.hidden]) {
            return Err(format!(
                "takes a bias f32[{}] for weights {}, was given {bias}",
                GATES * e.hidden,
                inputs[1]
            ));
        }
        Ok(e)
    }

    fn check_grad(self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [w, trace, y, dy, ..] = inputs else {
            return Err(format!(
                "takes weights, trace, states and gradient, was given {} operands",
                inputs.len()
            ));
        };
        let e = self.layer().extents(dy, w)?;
        if **dy != e.tensor(1) || *y != *dy || **trace != e.tensor(TRACE) {
            return Err(format!(
                "{trace}, {y} and {dy} are not trace, states and gradient for weights {w}"
            ));
        }
        Ok(e.tensor(GATES))
    }

    /// Adds the launches of the forward pass.
    fn launch_forward(self, cx: &mut Lowering<'_>, y: &Arg, trace: &Arg) -> Result<()> {
        let (x, w, bias) = (cx.input(0), cx.input(1), cx.input(2));
        let lengths = (cx.inputs() > 3).then(|| cx.input(3));
        let layer = self.layer();
        let e = layer.extents(&x.ty, &w.ty).map_err(crate::Error::Graph)?;
        let weight_loads = layer.weight_loads(cx, e);
        for (n, launch) in layer.steps(cx, "forward", e, false).into_iter().enumerate() {
            let launch = launch
                .read("x", x.value, x.vec4s() / e.time as u64)
                .read("w", w.value, weight_loads)
                .read("bias", bias.value, x.vec4s() / e.time as u64);
            let launch = recurrent::write_part(launch, n, "out", y);
            let launch = recurrent::write_part(launch, n, "trace", trace);
            cx.launch(recurrent::read_lengths(launch, lengths.as_ref()))?;
        }
        Ok(())
    }

    /// Adds the launches of the backward pass: gradients of what the input gives, and of what the states give.
    fn launch_backward(self, cx: &mut Lowering<'_>, input: &Arg, state: &Arg) -> Result<()> {
        let (w, trace, y, dy) = (cx.input(0), cx.input(1), cx.input(2), cx.input(3));
        let lengths = (cx.inputs() > 4).then(|| cx.input(4));
        let layer = self.layer();
        let e = layer.extents(&dy.ty, &w.ty).map_err(crate::Error::Graph)?;
        let carry = cx.scratch(TensorType::f32([e.samples, e.hidden]));
        let weight_loads = layer.weight_loads(cx, e);
        for (n, launch) in layer.steps(cx, "backward", e, true).into_iter().enumerate() {
            let launch = launch
                .read("dy", dy.value, dy.vec4s() / e.time as u64)
                .read("w", w.value, weight_loads)
                .read("trace", trace.value, trace.vec4s() / e.time as u64)
                .read("y", y.value, y.vec4s() / e.time as u64);
            let launch = recurrent::write_part(launch, n, "out", input);
            let launch = recurrent::write_part(launch, n, "hidden", state);
            let launch = recurrent::write_part(launch, n, "carry", &carry);
            cx.launch(recurrent::read_lengths(launch, lengths.as_ref()))?;
        }
        Ok(())
    }
}

/// h and the trace.
fn forward<T: Real>(op: Gru, inputs: &[&Tensor<T>]) -> (Tensor<T>, Tensor<T>) {
    let [x, w, bias] = [0, 1, 2].map(|i| inputs[i].reals());
    let hidden = inputs[1].dims()[1];
    let e = Extents {
        samples: inputs[0].dims()[0],
        time: inputs[0].dims()[1],
        hidden,
    };
    let mut y = vec![T::ZERO; e.tensor(1).elements()];
    let mut trace = vec![T::ZERO; e.tensor(TRACE).elements()];
    let samples = y
        .par_chunks_mut(e.time * hidden)
        .zip(trace.par_chunks_mut(e.time * TRACE * hidden));
    samples.enumerate().for_each(|(sample, (y, trace))| {
        let length = inputs
            .get(3)
            .map_or(e.time, |l| e.time.min(l.indices()[sample] as usize));
        let mut h = vec![T::ZERO; hidden];
        for t in op.layer().walk(e.time).into_iter().filter(|&t| t < length) {
            let x = &x[(sample * e.time + t) * GATES * hidden..][..GATES * hidden];
            let given = |row: usize| -> T {
                let weights = &w[row * hidden..(row + 1) * hidden];
                bias[row] + weights.iter().zip(&h).map(|(&w, &h)| w * h).sum()
            };
            let given: Vec<T> = (0..GATES * hidden).map(given).collect();
            for u in 0..hidden {
                let [r, z] = [u, hidden + u].map(|row| sigmoid(x[row] + given[row]));
                let new = given[2 * hidden + u];
                let n = (x[2 * hidden + u] + r * new).tanh();
                h[u] = (T::ONE - z) * n + z * h[u];
                y[t * hidden + u] = h[u];
                for (part, value) in [r, z, n, new].into_iter().enumerate() {
                    trace[(t * TRACE + part) * hidden + u] = value;
                }
            }
        }
    });
    (
        Tensor::real(e.tensor(1).shape, y),
        Tensor::real(e.tensor(TRACE).shape, trace),
    )
}

/// Gradients of what the input gives to the gates, and of what the states give.
fn backward<T: Real>(op: Gru, inputs: &[&Tensor<T>]) -> (Tensor<T>, Tensor<T>) {
    let [w, trace, y, dy] = [0, 1, 2, 3].map(|i| inputs[i].reals());
    let (time, hidden) = (inputs[3].dims()[1], inputs[3].dims()[2]);
    let e = Extents {
        samples: inputs[3].dims()[0],
        time,
        hidden,
    };
    let mut of_input = vec![T::ZERO; e.tensor(GATES).elements()];
    let mut of_state = of_input.clone();
    let row = time * GATES * hidden;
    let samples = of_input
        .par_chunks_mut(row)
        .zip(of_state.par_chunks_mut(row));
    samples
        .enumerate()
        .for_each(|(sample, (of_input, of_state))| {
            let length = inputs
                .get(4)
                .map_or(time, |l| time.min(l.indices()[sample] as usize));
            let walk: Vec<usize> = op
                .layer()
                .walk(time)
                .into_iter()
                .filter(|&t| t < length)
                .collect();
            let mut dh = vec![T::ZERO; hidden];
            for (step, &t) in walk.iter().enumerate().rev() {
                let mut carry = vec![T::ZERO; hidden];
                let mut own = vec![T::ZERO; GATES * hidden];
                for u in 0..hidden {
                    let [r, z, n, new] = [0, 1, 2, 3]
                        .map(|part| trace[((sample * time + t) * TRACE + part) * hidden + u]);
                    let before = step
                        .checked_sub(1)
                        .map_or(T::ZERO, |s| y[(sample * time + walk[s]) * hidden + u]);
                    let dh = dy[(sample * time + t) * hidden + u] + dh[u];
                    let dn = dh * (T::ONE - z) * (T::ONE - n * n);
                    own[u] = dn * new * r * (T::ONE - r);
                    own[hidden + u] = dh * (before - n) * z * (T::ONE - z);
                    own[2 * hidden + u] = dn;
                    carry[u] = dh * z;
                }
                of_input[t * GATES * hidden..][..GATES * hidden].copy_from_slice(&own);
                for u in 0..hidden {
                    let r = trace[(sample * time + t) * TRACE * hidden + u];
                    own[2 * hidden + u] = own[2 * hidden + u] * r;
                }
                of_state[t * GATES * hidden..][..GATES * hidden].copy_from_slice(&own);
                dh = carry;
                for (&grad, w) in own.iter().zip(w.chunks_exact(hidden)) {
                    dh.iter_mut().zip(w).for_each(|(dh, &w)| *dh += grad * w);
                }
            }
        });
    (
        Tensor::real(e.tensor(GATES).shape, of_input),
        Tensor::real(e.tensor(GATES).shape, of_state),
    )
}

impl Op for Gru {
    fn name(&self) -> &'static str {
        "gru"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(self.check(inputs)?.tensor(1))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = cx.grad.builder();
        let trace = builder.op(GruTrace(*self), &cx.inputs)?;
        let mut operands = vec![cx.inputs[1], trace, cx.output, cx.grad];
        operands.extend(cx.inputs.get(3));
        let of_input = builder.op(GruGrad(*self), &operands)?;
        let of_state = builder.op(GruStateGrad(*self), &operands)?;
        let dw = weight_grad(of_state, cx.output, self.reverse)?;
        let mut grads = vec![Some(of_input), Some(dw), Some(of_state.sum(&[0, 1])?)];
        grads.resize(cx.inputs.len(), None);
        Ok(grads)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        forward(*self, inputs).0
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let y = cx.output()?;
        let trace = cx.by_product();
        let trace = trace.unwrap_or_else(|| {
            let e = Extents {
                samples: y.dims()[0],
                time: y.dims()[1],
                hidden: y.dims()[2],
            };
            cx.scratch(e.tensor(TRACE))
        });
        self.launch_forward(cx, &y, &trace)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        self.layer().variants(target, inputs[1].shape.last())
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[1].shape.last() * inputs[0].dims()[1]
    }
}

impl Op for GruTrace {
    fn name(&self) -> &'static str {
        "gru_trace"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(self.0.check(inputs)?.tensor(TRACE))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the trace of gru")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        forward(self.0, inputs).1
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let trace = cx.output()?;
        let &[samples, time, width] = trace.dims() else {
            return Ok(());
        };
        let y = cx.scratch(
            Extents {
                samples,
                time,
                hidden: width / TRACE,
            }
            .tensor(1),
        );
        self.0.launch_forward(cx, &y, &trace)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        Op::variants(&self.0, target, inputs)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        Op::reduction_length(&self.0, inputs)
    }

    fn by_product_of(&self) -> Option<Arc<dyn ErasedOp>> {
        Some(Arc::new(self.0))
    }
}

impl Op for GruGrad {
    fn name(&self) -> &'static str {
        "gru_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        self.0.check_grad(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of gru")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        backward(self.0, inputs).0
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let of_input = cx.output()?;
        let of_state = cx.by_product();
        let of_state = of_state.unwrap_or_else(|| cx.scratch(of_input.ty.clone()));
        self.0.launch_backward(cx, &of_input, &of_state)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        self.0.layer().variants(target, inputs[0].shape.last())
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        GATES * inputs[0].shape.last() * inputs[3].dims()[1]
    }
}

impl Op for GruStateGrad {
    fn name(&self) -> &'static str {
        "gru_state_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        self.0.check_grad(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of gru")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        backward(self.0, inputs).1
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let of_state = cx.output()?;
        let of_input = cx.scratch(of_state.ty.clone());
        self.0.launch_backward(cx, &of_input, &of_state)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        Op::variants(&GruGrad(self.0), target, inputs)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        Op::reduction_length(&GruGrad(self.0), inputs)
    }

    fn by_product_of(&self) -> Option<Arc<dyn ErasedOp>> {
        Some(Arc::new(GruGrad(self.0)))
    }
}

impl<'g> Var<'g> {
    /// States `[B, T, H]` of a GRU over `self` `[B, T, I]`, from time 0 or, `reverse`, from the end; 0 from position `lengths[i]`
    /// of sample i on.
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
        let operands: Vec<_> = [x, weights.state, weights.state_bias]
            .into_iter()
            .chain(lengths)
            .collect();
        self.builder().op(Gru { reverse }, &operands)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 1 + stream.below(7) as usize;
    let (a, b) = (odd(), odd());
    let case =
        |reverse: bool, samples: usize, time: usize, hidden: usize, lengths: Option<&[f64]>| {
            let mut inputs = vec![
                Operand::uniform([samples, time, GATES * hidden]),
                Operand::real([GATES * hidden, hidden], Values::Uniform(-0.5, 0.5)),
                Operand::uniform([GATES * hidden]),
            ];
            inputs.extend(lengths.map(|l| Operand::index([samples], Values::Fixed(l.to_vec()))));
            Case::new(Gru { reverse }, inputs)
        };
    vec![
        case(false, a, b, 3, None),
        case(true, 2, 3, 5, Some(&[3.0, 1.0])),
        case(false, 1, 1, 1, None),
        case(false, 9, 3, 68, None),
        case(true, 3, 5, 4, None),
        case(false, 4, 5, 36, Some(&[0.0, 5.0, 9.0, 2.0])),
        case(
            true,
            10,
            3,
            132,
            Some(&[1.0, 2.0, 3.0, 3.0, 3.0, 0.0, 3.0, 2.0, 1.0, 3.0]),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_gate_that_is_open_keeps_the_state() {
        // One unit whose update gate is 1 from the second step on.
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

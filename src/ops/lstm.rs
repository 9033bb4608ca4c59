//! Long short-term memory: with the pre-activations x of input, forget, cell and output gate that the input gives, and h
//! and c of the step before (0 at the start),
//! `i, f, o = sigmoid(x + W h)`, `g = tanh(x + W h)`, `c = f c + i g`, `h = o tanh(c)`. PyTorch `nn.LSTM`, one layer and
//! direction; ONNX `LSTM` has other names for the gates and another order.
//!
//! Operands: x `[B, T, 4 H]`, recurrent weights W `[4 H, H]`, and lengths `u32 [B]` if there are any: past the end of a sample
//! h is 0, and `reverse` begins at its end, as with PyTorch's packed sequences. The result is h, `[B, T, H]`.

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
pub struct Lstm {
    /// Whether time is walked from the end.
    pub reverse: bool,
}

/// What [`Lstm`] leaves to its gradient, `[B, T, 5 H]`: i, f, g, o and c.
#[derive(Debug)]
pub struct LstmTrace(pub Lstm);

/// The gradient of [`Lstm`] with respect to x. Operands: recurrent weights, [`LstmTrace`], gradient of h, and lengths if
/// there are any.
#[derive(Debug)]
pub struct LstmGrad(pub Lstm);

const GATES: usize = 4;
const TRACE: usize = 5;

impl Lstm {
    fn layer(self) -> Layer {
        Layer {
            folder: "lstm",
            gates: GATES,
            reverse: self.reverse,
        }
    }

    fn check(self, inputs: &[&TensorType]) -> Result<Extents, String> {
        match inputs {
            [x, w] => self.layer().check(x, w, None),
            [x, w, lengths] => self.layer().check(x, w, Some(lengths)),
            _ => Err(format!(
                "takes gates, recurrent weights and lengths, was given {} operands",
                inputs.len()
            )),
        }
    }

    /// Adds the launches of the forward pass.
    fn launch_forward(self, cx: &mut Lowering<'_>, y: &Arg, trace: &Arg) -> Result<()> {
        let (x, w) = (cx.input(0), cx.input(1));
        let lengths = (cx.inputs() > 2).then(|| cx.input(2));
        let layer = self.layer();
        let e = layer.extents(&x.ty, &w.ty).map_err(crate::Error::Graph)?;
        let weight_loads = layer.weight_loads(cx, e);
        for (n, launch) in layer.steps(cx, "forward", e, false).into_iter().enumerate() {
            let launch = launch.read("x", x.value, x.vec4s() / e.time as u64).read(
                "w",
                w.value,
                weight_loads,
            );
            let launch = recurrent::write_part(launch, n, "out", y);
            let launch = recurrent::write_part(launch, n, "trace", trace);
            cx.launch(recurrent::read_lengths(launch, lengths.as_ref()))?;
        }
        Ok(())
    }
}

/// h and the trace.
fn forward<T: Real>(op: Lstm, inputs: &[&Tensor<T>]) -> (Tensor<T>, Tensor<T>) {
    let (x, w) = (inputs[0].reals(), inputs[1].reals());
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
            .get(2)
            .map_or(e.time, |l| e.time.min(l.indices()[sample] as usize));
        let (mut h, mut c) = (vec![T::ZERO; hidden], vec![T::ZERO; hidden]);
        for t in op.layer().walk(e.time).into_iter().filter(|&t| t < length) {
            let x = &x[(sample * e.time + t) * GATES * hidden..][..GATES * hidden];
            let gate = |row: usize| -> T {
                let weights = &w[row * hidden..(row + 1) * hidden];
                x[row] + weights.iter().zip(&h).map(|(&w, &h)| w * h).sum()
            };
            let gates: Vec<T> = (0..GATES * hidden).map(gate).collect();
            for u in 0..hidden {
                let [i, f, o] = [0, 1, 3].map(|g| sigmoid(gates[g * hidden + u]));
                let g = gates[2 * hidden + u].tanh();
                c[u] = f * c[u] + i * g;
                h[u] = o * c[u].tanh();
                y[t * hidden + u] = h[u];
                for (part, value) in [i, f, g, o, c[u]].into_iter().enumerate() {
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

impl Op for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(self.check(inputs)?.tensor(1))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let builder = cx.grad.builder();
        let trace = builder.op(LstmTrace(*self), &cx.inputs)?;
        let mut operands = vec![cx.inputs[1], trace, cx.grad];
        operands.extend(cx.inputs.get(2));
        let dx = builder.op(LstmGrad(*self), &operands)?;
        let dw = weight_grad(dx, cx.output, self.reverse)?;
        let mut grads = vec![Some(dx), Some(dw)];
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

impl Op for LstmTrace {
    fn name(&self) -> &'static str {
        "lstm_trace"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(self.0.check(inputs)?.tensor(TRACE))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the trace of lstm")
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

impl Op for LstmGrad {
    fn name(&self) -> &'static str {
        "lstm_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [w, trace, dy, ..] = inputs else {
            return Err(format!(
                "takes weights, trace and gradient, was given {} operands",
                inputs.len()
            ));
        };
        let e = self.0.layer().extents(dy, w)?;
        if **dy != e.tensor(1) || **trace != e.tensor(TRACE) {
            return Err(format!(
                "{trace} and {dy} are not trace and gradient for weights {w}"
            ));
        }
        Ok(e.tensor(GATES))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of lstm")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let [w, trace, dy] = [0, 1, 2].map(|i| inputs[i].reals());
        let (time, hidden) = (inputs[2].dims()[1], inputs[2].dims()[2]);
        let mut grads = vec![T::ZERO; output.elements()];
        let samples = grads
            .par_chunks_mut(time * GATES * hidden)
            .zip(trace.par_chunks(time * TRACE * hidden));
        samples.enumerate().for_each(|(sample, (grads, trace))| {
            let length = inputs
                .get(3)
                .map_or(time, |l| time.min(l.indices()[sample] as usize));
            let walk: Vec<usize> = self
                .0
                .layer()
                .walk(time)
                .into_iter()
                .filter(|&t| t < length)
                .collect();
            let (mut dh, mut dc) = (vec![T::ZERO; hidden], vec![T::ZERO; hidden]);
            for (n, &t) in walk.iter().enumerate().rev() {
                let part = |part: usize, u: usize| trace[(t * TRACE + part) * hidden + u];
                let mut own = vec![T::ZERO; GATES * hidden];
                for u in 0..hidden {
                    let [i, f, g, o, c] = [0, 1, 2, 3, 4].map(|p| part(p, u));
                    let before = n
                        .checked_sub(1)
                        .map_or(T::ZERO, |n| trace[(walk[n] * TRACE + 4) * hidden + u]);
                    let dh = dy[(sample * time + t) * hidden + u] + dh[u];
                    let squashed = c.tanh();
                    let total = dc[u] + dh * o * (T::ONE - squashed * squashed);
                    own[u] = total * g * i * (T::ONE - i);
                    own[hidden + u] = total * before * f * (T::ONE - f);
                    own[2 * hidden + u] = total * i * (T::ONE - g * g);
                    own[3 * hidden + u] = dh * squashed * o * (T::ONE - o);
                    dc[u] = total * f;
                }
                dh.fill(T::ZERO);
                for (&grad, w) in own.iter().zip(w.chunks_exact(hidden)) {
                    dh.iter_mut().zip(w).for_each(|(dh, &w)| *dh += grad * w);
                }
                grads[t * GATES * hidden..][..GATES * hidden].copy_from_slice(&own);
            }
        });
        Tensor::real(output.shape.clone(), grads)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (w, trace, dy, out) = (cx.input(0), cx.input(1), cx.input(2), cx.output()?);
        let lengths = (cx.inputs() > 3).then(|| cx.input(3));
        let layer = self.0.layer();
        let e = layer.extents(&dy.ty, &w.ty).map_err(crate::Error::Graph)?;
        let carry = cx.scratch(TensorType::f32([e.samples, e.hidden]));
        let weight_loads = layer.weight_loads(cx, e);
        for (n, launch) in layer.steps(cx, "backward", e, true).into_iter().enumerate() {
            let launch = launch
                .read("dy", dy.value, dy.vec4s() / e.time as u64)
                .read("w", w.value, weight_loads)
                .read("trace", trace.value, trace.vec4s() / e.time as u64 * 6 / 5);
            let launch = recurrent::write_part(launch, n, "out", &out);
            let launch = recurrent::write_part(launch, n, "carry", &carry);
            cx.launch(recurrent::read_lengths(launch, lengths.as_ref()))?;
        }
        Ok(())
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        self.0.layer().variants(target, inputs[0].shape.last())
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        GATES * inputs[0].shape.last() * inputs[2].dims()[1]
    }
}

impl<'g> Var<'g> {
    /// States `[B, T, H]` of an LSTM over `self` `[B, T, I]`, from time 0 or, `reverse`, from the end; 0 from position
    /// `lengths[i]` of sample i on.
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
        let operands: Vec<_> = [x, weights.state].into_iter().chain(lengths).collect();
        self.builder().op(Lstm { reverse }, &operands)
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
            ];
            inputs.extend(lengths.map(|l| Operand::index([samples], Values::Fixed(l.to_vec()))));
            Case::new(Lstm { reverse }, inputs)
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

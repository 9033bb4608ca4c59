//! Operations of a recurrent cell, shared by `lstm` and `gru`. The forward operation stores a trace for its gradient,
//! which runs backward in time.

use super::{Extents, Recurrence, RecurrentWeights, read_lengths, write_part};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::ops::{Case, ErasedOp, Op, Operand, Values, Vjp};
use crate::plan::{Arg, Lowering, Target};
use crate::random::Stream;
use crate::tensor::TensorType;
use rayon::prelude::*;
use std::fmt;
use std::sync::Arc;

/// A recurrent cell: the forward operation of a layer, and the properties in which the layers differ.
///
/// Operands of the forward operation: x `[B, T, gates H]`, recurrent weights `[gates H, H]`, their bias `[gates H]` if
/// [`Cell::APART`], and lengths `u32 [B]` if there are any.
pub(in crate::ops) trait Cell: Op + Copy {
    /// Name of the type, for the `Debug` text of the other operations.
    const KIND: &'static str;
    /// Folder of its shaders.
    const FOLDER: &'static str;
    /// Name of its [`Trace`].
    const TRACE_NAME: &'static str;
    /// Name of its [`Gradient`].
    const GRAD_NAME: &'static str;
    /// Number of gates, each with H elements.
    const GATES: usize;
    /// Number of elements that each unit stores for the gradient in each step.
    const TRACE: usize;
    /// Whether the contribution of the states to the gates is kept apart from that of the input, not simply added to
    /// it. It then has its own bias and its own gradient, [`StateGradient`], and the gradient reads the states.
    const APART: bool;

    /// Whether time runs from the end to the start.
    fn reverse(self) -> bool;

    /// Computes the state of a unit after a step from the contributions of input and states to each of its gates, its
    /// previous state, and its further memory `memory`, which is 0 at the start. Passes every part of the trace to
    /// `keep`.
    fn step<T: Real>(
        input: impl Fn(usize) -> T,
        given: impl Fn(usize) -> T,
        state: T,
        memory: &mut T,
        keep: impl FnMut(usize, T),
    ) -> T;

    /// Reverses a step, given the parts of the trace, the state of the previous step (if [`Cell::APART`]; otherwise the
    /// last part of that step's trace), and the gradients of state and memory. Passes the gradients of the
    /// contributions of input and states to each gate to `put`, replaces the gradient of the memory by that of the
    /// memory before the step, and returns the part of the state's gradient that does not pass through the gates.
    fn step_back<T: Real>(
        trace: impl Fn(usize) -> T,
        before: T,
        grad: T,
        memory_grad: &mut T,
        put: impl FnMut(usize, T, T),
    ) -> T;
}

/// The layer of `cell`.
fn recurrence<C: Cell>(cell: C) -> Recurrence {
    Recurrence {
        folder: C::FOLDER,
        gates: C::GATES,
        reverse: cell.reverse(),
    }
}

/// Index of the lengths among the operands of the forward operations; for the gradients it is one more.
const fn lengths_at<C: Cell>() -> usize {
    2 + C::APART as usize
}

/// The positions of a sample that are before its end, in the order of the forward pass.
fn walk<C: Cell, T: Real>(
    cell: C,
    time: usize,
    lengths: Option<&&Tensor<T>>,
    sample: usize,
) -> Vec<usize> {
    let length = lengths.map_or(time, |l| time.min(l.indices()[sample] as usize));
    let mut walk = recurrence(cell).walk(time);
    walk.retain(|&t| t < length);
    walk
}

/// The shape rule of the forward operations.
fn check<C: Cell>(cell: C, inputs: &[&TensorType]) -> Result<Extents, String> {
    let at = lengths_at::<C>();
    if inputs.len() != at && inputs.len() != at + 1 {
        return Err(format!(
            "takes gates, recurrent weights{} and lengths, was given {} operands",
            if C::APART { ", bias" } else { "" },
            inputs.len()
        ));
    }
    let e = recurrence(cell).check(inputs[0], inputs[1], inputs.get(at).copied())?;
    let bias = TensorType::f32([C::GATES * e.hidden]);
    if C::APART && *inputs[2] != bias {
        return Err(format!(
            "takes a bias {bias} for weights {}, was given {}",
            inputs[1], inputs[2]
        ));
    }
    Ok(e)
}

/// The shape rule of the gradients.
fn check_grad<C: Cell>(cell: C, inputs: &[&TensorType]) -> Result<TensorType, String> {
    let dy_at = lengths_at::<C>();
    let (Some(&w), Some(&trace), Some(&dy)) = (inputs.first(), inputs.get(1), inputs.get(dy_at))
    else {
        return Err(format!(
            "takes weights, trace,{} and gradient, was given {} operands",
            if C::APART { " states" } else { "" },
            inputs.len()
        ));
    };
    let e = recurrence(cell).extents(dy, w)?;
    if *dy != e.tensor(1) || *trace != e.tensor(C::TRACE) || (C::APART && inputs[2] != dy) {
        let others: Vec<String> = inputs[1..=dy_at].iter().map(|ty| ty.to_string()).collect();
        return Err(format!(
            "{} are not what weights {w} lead to",
            others.join(", ")
        ));
    }
    Ok(e.tensor(C::GATES))
}

/// Computes states and trace.
fn forward<C: Cell, T: Real>(cell: C, inputs: &[&Tensor<T>]) -> (Tensor<T>, Tensor<T>) {
    let (x, w) = (inputs[0].reals(), inputs[1].reals());
    let bias = C::APART.then(|| inputs[2].reals());
    let (gates, parts, hidden) = (C::GATES, C::TRACE, inputs[1].dims()[1]);
    let e = Extents {
        samples: inputs[0].dims()[0],
        time: inputs[0].dims()[1],
        hidden,
    };
    let mut y = vec![T::ZERO; e.tensor(1).elements()];
    let mut trace = vec![T::ZERO; e.tensor(parts).elements()];
    let samples = y
        .par_chunks_mut(e.time * hidden)
        .zip(trace.par_chunks_mut(e.time * parts * hidden));
    samples.enumerate().for_each(|(sample, (y, trace))| {
        let (mut state, mut memory) = (vec![T::ZERO; hidden], vec![T::ZERO; hidden]);
        for t in walk(cell, e.time, inputs.get(lengths_at::<C>()), sample) {
            let x = &x[(sample * e.time + t) * gates * hidden..][..gates * hidden];
            let given = |row: usize| -> T {
                let weights = &w[row * hidden..(row + 1) * hidden];
                let sum = weights.iter().zip(&state).map(|(&w, &h)| w * h).sum();
                bias.map_or(sum, |bias| bias[row] + sum)
            };
            let given: Vec<T> = (0..gates * hidden).map(given).collect();
            for u in 0..hidden {
                state[u] = C::step(
                    |gate| x[gate * hidden + u],
                    |gate| given[gate * hidden + u],
                    state[u],
                    &mut memory[u],
                    |part, value| trace[(t * parts + part) * hidden + u] = value,
                );
                y[t * hidden + u] = state[u];
            }
        }
    });
    (
        Tensor::real(e.tensor(1).shape, y),
        Tensor::real(e.tensor(parts).shape, trace),
    )
}

/// Selects the gradients of the gates: with respect to the input's contribution or the states' contribution.
#[derive(Clone, Copy, PartialEq)]
enum Given {
    Input,
    State,
}

fn backward<C: Cell, T: Real>(cell: C, inputs: &[&Tensor<T>], of: Given) -> Tensor<T> {
    let dy_at = lengths_at::<C>();
    let [w, trace, dy] = [0, 1, dy_at].map(|i| inputs[i].reals());
    let (gates, parts) = (C::GATES, C::TRACE);
    let &[samples, time, hidden] = inputs[dy_at].dims() else {
        return Tensor::zeros(&inputs[dy_at].ty());
    };
    let e = Extents {
        samples,
        time,
        hidden,
    };
    let mut grads = vec![T::ZERO; e.tensor(gates).elements()];
    let rows = grads.par_chunks_mut(time * gates * hidden).enumerate();
    rows.for_each(|(sample, grads)| {
        let at = |t: usize, u: usize| (sample * time + t) * hidden + u;
        let part = |t: usize, part: usize, u: usize| {
            trace[((sample * time + t) * parts + part) * hidden + u]
        };
        let state = |t: usize, u: usize| match C::APART {
            true => inputs[2].reals()[at(t, u)],
            false => part(t, parts - 1, u),
        };
        let walk = walk(cell, time, inputs.get(dy_at + 1), sample);
        let (mut dh, mut memory) = (vec![T::ZERO; hidden], vec![T::ZERO; hidden]);
        let mut of_input = vec![T::ZERO; gates * hidden];
        let mut of_state = of_input.clone();
        for (step, &t) in walk.iter().enumerate().rev() {
            let before = step.checked_sub(1).map(|s| walk[s]);
            for u in 0..hidden {
                dh[u] = C::step_back(
                    |n| part(t, n, u),
                    before.map_or(T::ZERO, |t| state(t, u)),
                    dy[at(t, u)] + dh[u],
                    &mut memory[u],
                    |gate, input, state| {
                        of_input[gate * hidden + u] = input;
                        of_state[gate * hidden + u] = state;
                    },
                );
            }
            for (&grad, w) in of_state.iter().zip(w.chunks_exact(hidden)) {
                dh.iter_mut().zip(w).for_each(|(dh, &w)| *dh += grad * w);
            }
            let own = match of {
                Given::Input => &of_input,
                Given::State => &of_state,
            };
            grads[t * gates * hidden..][..gates * hidden].copy_from_slice(own);
        }
    });
    Tensor::real(e.tensor(gates).shape, grads)
}

/// Adds the launches of the forward pass.
fn launch_forward<C: Cell>(cell: C, cx: &mut Lowering<'_>, y: &Arg, trace: &Arg) -> Result<()> {
    let (x, w) = (cx.input(0), cx.input(1));
    let at = lengths_at::<C>();
    let lengths = (cx.inputs() > at).then(|| cx.input(at));
    let layer = recurrence(cell);
    let e = layer.extents(&x.ty, &w.ty).map_err(crate::Error::Graph)?;
    let (loads, weight_loads) = (x.vec4s() / e.time as u64, layer.weight_loads(cx, e));
    for (n, launch) in layer.steps(cx, "forward", e, false).into_iter().enumerate() {
        let mut launch = launch
            .read("x", x.value, loads)
            .read("w", w.value, weight_loads);
        if C::APART {
            launch = launch.read("bias", cx.input(2).value, loads);
        }
        let launch = write_part(launch, n, "out", y);
        let launch = write_part(launch, n, "trace", trace);
        cx.launch(read_lengths(launch, lengths.as_ref()))?;
    }
    Ok(())
}

/// Adds the launches of the backward pass: gradients of the input's contribution and, if [`Cell::APART`], of the
/// states'.
fn launch_backward<C: Cell>(
    cell: C,
    cx: &mut Lowering<'_>,
    of_input: &Arg,
    of_state: Option<&Arg>,
) -> Result<()> {
    let dy_at = lengths_at::<C>();
    let (w, trace, dy) = (cx.input(0), cx.input(1), cx.input(dy_at));
    let lengths = (cx.inputs() > dy_at + 1).then(|| cx.input(dy_at + 1));
    let layer = recurrence(cell);
    let e = layer.extents(&dy.ty, &w.ty).map_err(crate::Error::Graph)?;
    let carry = cx.scratch(TensorType::f32([e.samples, e.hidden]));
    let weight_loads = layer.weight_loads(cx, e);
    let each = |arg: &Arg| arg.vec4s() / e.time as u64;
    // One more part of the trace is read, that of the previous step.
    let parts_read = C::TRACE as u64 + u64::from(!C::APART);
    for (n, launch) in layer.steps(cx, "backward", e, true).into_iter().enumerate() {
        let mut launch = launch
            .read("dy", dy.value, each(&dy))
            .read("w", w.value, weight_loads)
            .read(
                "trace",
                trace.value,
                each(&trace) * parts_read / C::TRACE as u64,
            );
        if C::APART {
            let y = cx.input(2);
            launch = launch.read("y", y.value, each(&y));
        }
        launch = write_part(launch, n, "out", of_input);
        if let Some(of_state) = of_state {
            launch = write_part(launch, n, "hidden", of_state);
        }
        let launch = write_part(launch, n, "carry", &carry);
        cx.launch(read_lengths(launch, lengths.as_ref()))?;
    }
    Ok(())
}

/// Implementation of the [`Op`] methods of the forward operations.
pub(in crate::ops) mod layer {
    use super::*;

    /// See [`Op::infer`].
    pub fn infer<C: Cell>(cell: C, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(check(cell, inputs)?.tensor(1))
    }

    /// See [`Op::reference`].
    pub fn reference<C: Cell, T: Real>(cell: C, inputs: &[&Tensor<T>]) -> Tensor<T> {
        forward(cell, inputs).0
    }

    /// See [`Op::lower`].
    pub fn lower<C: Cell>(cell: C, cx: &mut Lowering<'_>) -> Result<()> {
        let y = cx.output()?;
        let trace = match (cx.by_product(), y.dims()) {
            (Some(trace), _) => trace,
            (None, &[samples, time, hidden]) => cx.scratch(
                Extents {
                    samples,
                    time,
                    hidden,
                }
                .tensor(C::TRACE),
            ),
            (None, _) => return Ok(()),
        };
        launch_forward(cell, cx, &y, &trace)
    }

    /// See [`Op::variants`].
    pub fn variants<C: Cell>(
        cell: C,
        target: &Target,
        inputs: &[&TensorType],
    ) -> Vec<&'static str> {
        recurrence(cell).variants(target, inputs[1].shape.last())
    }

    /// See [`Op::reduction_length`].
    pub fn reduction_length(inputs: &[&TensorType]) -> usize {
        inputs[1].shape.last() * inputs[0].dims()[1]
    }

    /// The states of `cell`, given the input's contribution to the gates.
    pub fn apply<'g, C: Cell>(
        cell: C,
        x: Var<'g>,
        weights: RecurrentWeights<'g>,
        lengths: Option<Var<'g>>,
    ) -> Result<Var<'g>> {
        let bias = C::APART.then_some(weights.state_bias);
        let operands = [x, weights.state].into_iter().chain(bias).chain(lengths);
        x.builder().op(cell, &operands.collect::<Vec<_>>())
    }

    /// Sample cases of `cell`, forward in time and, with the argument `true`, backward.
    pub fn cases<C: Cell>(stream: &mut Stream, cell: impl Fn(bool) -> C) -> Vec<Case> {
        let mut odd = || 1 + stream.below(7) as usize;
        let (a, b) = (odd(), odd());
        let case =
            |reverse: bool, samples: usize, time: usize, hidden: usize, lengths: Option<&[f64]>| {
                let mut inputs = vec![
                    Operand::uniform([samples, time, C::GATES * hidden]),
                    Operand::real([C::GATES * hidden, hidden], Values::Uniform(-0.5, 0.5)),
                ];
                inputs.extend(C::APART.then(|| Operand::uniform([C::GATES * hidden])));
                inputs
                    .extend(lengths.map(|l| Operand::index([samples], Values::Fixed(l.to_vec()))));
                Case::new(cell(reverse), inputs)
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
}

/// The trace that a cell stores for its gradient, `[B, T, parts H]`, from the operands of the cell.
pub(in crate::ops) struct Trace<C>(pub C);

/// The gradient of a cell with respect to x, the input's contribution to the gates. Operands: recurrent weights,
/// [`Trace`], states if [`Cell::APART`], gradient of the states, and lengths if there are any.
pub(in crate::ops) struct Gradient<C>(pub C);

/// The gradient of a cell that is [`Cell::APART`] with respect to the states' contribution to the gates, from the
/// operands of [`Gradient`].
pub(in crate::ops) struct StateGradient<C>(pub C);

impl<C: Cell> fmt::Debug for Trace<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Trace({:?})", C::KIND, self.0)
    }
}

impl<C: Cell> fmt::Debug for Gradient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Grad({:?})", C::KIND, self.0)
    }
}

impl<C: Cell> fmt::Debug for StateGradient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}StateGrad({:?})", C::KIND, self.0)
    }
}

impl<C: Cell> Op for Trace<C> {
    fn name(&self) -> &'static str {
        C::TRACE_NAME
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(check(self.0, inputs)?.tensor(C::TRACE))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable(C::TRACE_NAME)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        forward(self.0, inputs).1
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let trace = cx.output()?;
        let &[samples, time, width] = trace.dims() else {
            return Ok(());
        };
        let e = Extents {
            samples,
            time,
            hidden: width / C::TRACE,
        };
        let y = cx.scratch(e.tensor(1));
        launch_forward(self.0, cx, &y, &trace)
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        layer::variants(self.0, target, inputs)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        layer::reduction_length(inputs)
    }

    fn by_product_of(&self) -> Option<Arc<dyn ErasedOp>> {
        Some(Arc::new(self.0))
    }
}

impl<C: Cell> Op for Gradient<C> {
    fn name(&self) -> &'static str {
        C::GRAD_NAME
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        check_grad(self.0, inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable(C::GRAD_NAME)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        backward(self.0, inputs, Given::Input)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let of_input = cx.output()?;
        let of_state = match (C::APART, cx.by_product()) {
            (false, _) => None,
            (true, Some(of_state)) => Some(of_state),
            (true, None) => Some(cx.scratch(of_input.ty.clone())),
        };
        launch_backward(self.0, cx, &of_input, of_state.as_ref())
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        recurrence(self.0).variants(target, inputs[0].shape.last())
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        let time = inputs[lengths_at::<C>()].dims()[1];
        C::GATES * inputs[0].shape.last() * time
    }
}

/// A cell for which the states' contribution to the gates has a separate gradient.
pub(in crate::ops) trait ApartCell: Cell {
    /// Name of its [`StateGradient`].
    const STATE_GRAD_NAME: &'static str;
}

impl<C: ApartCell> Op for StateGradient<C> {
    fn name(&self) -> &'static str {
        C::STATE_GRAD_NAME
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        check_grad(self.0, inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable(C::STATE_GRAD_NAME)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        backward(self.0, inputs, Given::State)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let of_state = cx.output()?;
        let of_input = cx.scratch(of_state.ty.clone());
        launch_backward(self.0, cx, &of_input, Some(&of_state))
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        Op::variants(&Gradient(self.0), target, inputs)
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        Op::reduction_length(&Gradient(self.0), inputs)
    }

    fn by_product_of(&self) -> Option<Arc<dyn ErasedOp>> {
        Some(Arc::new(Gradient(self.0)))
    }
}

//! Recurrent layers. The common forms are the engine's own operations over whole sequences; the others are built step by step.

use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, refused};
use crate::onnx::value::NodeValue;
use crate::ops::RecurrentWeights;

pub const OPERATORS: &[Operator] = &[
    operator("LSTM", |call| recurrent(call, Kind::Lstm)),
    operator("GRU", |call| recurrent(call, Kind::Gru)),
    operator("RNN", |call| recurrent(call, Kind::Rnn)),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lstm,
    Gru,
    Rnn,
}

impl Kind {
    fn gates(self) -> usize {
        match self {
            Kind::Lstm => 4,
            Kind::Gru => 3,
            Kind::Rnn => 1,
        }
    }

    /// Default activations.
    fn activations(self) -> &'static [&'static str] {
        match self {
            Kind::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Kind::Gru => &["Sigmoid", "Tanh"],
            Kind::Rnn => &["Tanh"],
        }
    }
}

/// One direction of a layer.
struct Direction<'g> {
    kind: Kind,
    hidden: usize,
    is_reverse: bool,
    /// `[gates H, I]`
    w: Var<'g>,
    /// `[gates H, H]`
    r: Var<'g>,
    /// `[gates H]`, of the input and of the state
    biases: Option<[Var<'g>; 2]>,
    /// `[B, H]`
    initial: [Option<Var<'g>>; 2],
    /// `[3 H]`: input, output and forget gate
    peepholes: Option<Var<'g>>,
    activations: Vec<String>,
    clip: Option<f64>,
    linear_before_reset: bool,
    couples: bool,
    /// Lengths `[B, 1]` as floats
    lengths: Option<Var<'g>>,
}

fn recurrent<'g>(call: &mut Call<'_, '_, 'g>, kind: Kind) -> Built<'g> {
    let element = call.input(0)?.element;
    let is_batch_first = call.int("layout", 0) == 1;
    let x = call.var(0)?;
    if x.shape().rank() != 3 {
        return Err(refused("it takes sequences with three axes"));
    }
    // [B, T, I]
    let x = if is_batch_first {
        x
    } else {
        x.permute(&[1, 0, 2])?
    };
    let (batch, time) = (x.shape().dims()[0], x.shape().dims()[1]);
    let hidden = usize::try_from(call.int("hidden_size", 0)).unwrap_or(0);
    let (w, r) = (call.var(1)?, call.var(2)?);
    let gates = kind.gates() * hidden;
    let text = call.text("direction", "forward");
    let directions = if text == "bidirectional" { 2 } else { 1 };
    if hidden == 0
        || w.shape().rank() != 3
        || w.shape().dims()[..2] != [directions, gates]
        || r.shape().dims() != [directions, gates, hidden]
    {
        return Err(refused(format!(
            "its weights do not fit {directions} directions of {hidden} units"
        )));
    }
    let mut optional = |at: usize| -> Result<Option<Var<'g>>> {
        let value = call.optional(at).cloned();
        // Zeros are the default.
        let value = value.filter(|v| {
            !(5..=6).contains(&at) || v.array().is_none_or(|a| a.iter().any(|x| x != 0.0))
        });
        value.map(|v| call.walk.var(&v)).transpose()
    };
    let (biases, states, cells) = (optional(3)?, optional(5)?, optional(6)?);
    let is_lstm = kind == Kind::Lstm;
    let peepholes = if is_lstm { optional(7)? } else { None };
    let cells = cells.filter(|_| is_lstm);
    let lengths = match call.optional(4).cloned() {
        Some(value) => {
            let whole = value
                .array()
                .is_some_and(|a| a.iter().all(|x| x as usize >= time));
            match whole {
                true => None,
                false => Some(call.walk.var(&value)?.reshape([batch, 1])?),
            }
        }
        None => None,
    };
    let names = call.texts("activations");
    let clip = call.has("clip").then(|| call.float("clip", 0.0));
    let each = kind.activations().len();
    let mut outputs = Vec::new();
    let (mut last_states, mut last_cells) = (Vec::new(), Vec::new());
    for d in 0..directions {
        let of = |v: Var<'g>| -> Result<Var<'g>> {
            match v.shape().dims() {
                [first, rest @ ..] if *first == directions => {
                    v.slice_axis(0, d..d + 1)?.reshape(rest.to_vec())
                }
                dims => Err(refused(format!(
                    "an operand of {dims:?} does not fit {directions} directions"
                ))),
            }
        };
        let start = |v: Option<Var<'g>>| -> Result<Option<Var<'g>>> {
            let Some(v) = v else { return Ok(None) };
            let v = if is_batch_first && v.shape().rank() == 3 {
                v.permute(&[1, 0, 2])?
            } else {
                v
            };
            of(v).map(Some)
        };
        let biases = match biases {
            Some(b) => {
                let b = of(b)?;
                Some([
                    b.slice_axis(0, 0..gates)?,
                    b.slice_axis(0, gates..2 * gates)?,
                ])
            }
            None => None,
        };
        let own = names.as_ref().and_then(|n| n.get(d * each..(d + 1) * each));
        let activations = match own {
            Some(own) => own.to_vec(),
            None => kind.activations().iter().map(|s| s.to_string()).collect(),
        };
        let direction = Direction {
            kind,
            hidden,
            is_reverse: text == "reverse" || d == 1,
            w: of(w)?,
            r: of(r)?,
            biases,
            initial: [start(states)?, start(cells)?],
            peepholes: peepholes.map(of).transpose()?,
            activations,
            clip,
            linear_before_reset: call.int("linear_before_reset", 0) != 0,
            couples: call.int("input_forget", 0) != 0,
            lengths,
        };
        let wants_cells = is_lstm && call.node.output.get(2).is_some_and(|n| !n.is_empty());
        let (y, h, c) = match direction.is_plain() && !wants_cells {
            true => direction.whole(call, x)?,
            false => direction.steps(call, x)?,
        };
        outputs.push(y);
        last_states.push(h);
        last_cells.extend(c);
    }
    // Y [T, D, B, H], or [B, T, D, H]; states [D, B, H], or [B, D, H].
    let stacked = |parts: &[Var<'g>], axis: usize| -> Result<Var<'g>> {
        let parts: Vec<Var<'g>> = parts
            .iter()
            .map(|&p| {
                let mut dims = p.shape().dims().to_vec();
                dims.insert(axis, 1);
                p.reshape(dims)
            })
            .collect::<Result<_>>()?;
        Var::concat(&parts, axis)
    };
    let y = stacked(&outputs, 2)?;
    let y = if is_batch_first {
        y
    } else {
        y.permute(&[1, 2, 0, 3])?
    };
    let at = usize::from(is_batch_first);
    let mut results = vec![
        NodeValue::live(element, y),
        NodeValue::live(element, stacked(&last_states, at)?),
    ];
    if !last_cells.is_empty() {
        results.push(NodeValue::live(element, stacked(&last_cells, at)?));
    }
    Ok(results)
}

/// The parts `order` of the gates of `v`, along its first axis.
fn regated<'g>(v: Var<'g>, hidden: usize, order: &[usize]) -> Result<Var<'g>> {
    let parts: Vec<Var<'g>> = order
        .iter()
        .map(|&g| v.slice_axis(0, g * hidden..(g + 1) * hidden))
        .collect::<Result<_>>()?;
    Var::concat(&parts, 0)
}

impl<'g> Direction<'g> {
    /// Whether one of the engine's operations computes it.
    fn is_plain(&self) -> bool {
        let activations = self.activations.iter().map(String::as_str);
        self.kind != Kind::Rnn
            && activations.eq(self.kind.activations().iter().copied())
            && self.initial.iter().all(Option::is_none)
            && self.peepholes.is_none()
            && self.clip.is_none()
            && !self.couples
            && (self.kind == Kind::Lstm || self.linear_before_reset)
            && self.lengths.is_none()
    }

    /// The whole sequence `x [B, T, I]` at once: states `[B, T, H]`, and the last ones.
    fn whole(
        &self,
        call: &Call<'_, '_, 'g>,
        x: Var<'g>,
    ) -> Result<(Var<'g>, Var<'g>, Option<Var<'g>>)> {
        // ONNX: input, output, forget, cell; PyTorch: input, forget, cell, output. ONNX: update, reset, new; PyTorch: reset,
        // update, new.
        let order: &[usize] = match self.kind {
            Kind::Lstm => &[0, 2, 3, 1],
            _ => &[1, 0, 2],
        };
        let gates = self.kind.gates() * self.hidden;
        let biases = match self.biases {
            Some([a, b]) => [
                regated(a, self.hidden, order)?,
                regated(b, self.hidden, order)?,
            ],
            None => [call.constant(0.0).broadcast_to(&[gates].into())?; 2],
        };
        let weights = RecurrentWeights {
            input: regated(self.w, self.hidden, order)?,
            state: regated(self.r, self.hidden, order)?,
            input_bias: biases[0],
            state_bias: biases[1],
        };
        let y = match self.kind {
            Kind::Lstm => x.lstm(weights, None, self.is_reverse)?,
            _ => x.gru(weights, None, self.is_reverse)?,
        };
        let (batch, time) = (x.shape().dims()[0], x.shape().dims()[1]);
        let last = if self.is_reverse { 0 } else { time - 1 };
        let h = y
            .slice_axis(1, last..last + 1)?
            .reshape([batch, self.hidden])?;
        Ok((y, h, None))
    }

    /// Step by step: states `[B, T, H]`, the last states and cells.
    fn steps(
        &self,
        call: &Call<'_, '_, 'g>,
        x: Var<'g>,
    ) -> Result<(Var<'g>, Var<'g>, Option<Var<'g>>)> {
        let (batch, time) = (x.shape().dims()[0], x.shape().dims()[1]);
        if time > 4096 {
            return Err(refused(format!(
                "sequences of {time} steps are not supported in this form; 4096 are"
            )));
        }
        let zeros = call
            .constant(0.0)
            .broadcast_to(&[batch, self.hidden].into())?;
        let mut h = self.initial[0].unwrap_or(zeros);
        let mut c = self.initial[1].unwrap_or(zeros);
        let (mut outputs, mut order) = (vec![zeros; time], (0..time).collect::<Vec<_>>());
        if self.is_reverse {
            order.reverse();
        }
        let pre = x.linear(self.w)?;
        let pre = match self.biases {
            Some([a, _]) => pre.add(a)?,
            None => pre,
        };
        for t in order {
            let gates = self.kind.gates() * self.hidden;
            let now = pre.slice_axis(1, t..t + 1)?.reshape([batch, gates])?;
            let (next_h, next_c) = self.step(call, now, h, c)?;
            let (mut shown, mut kept_h, mut kept_c) = (next_h, next_h, next_c);
            if let Some(lengths) = self.lengths {
                let is_inside = lengths.gt(call.constant(t as f64))?;
                shown = is_inside.select(next_h, call.constant(0.0))?;
                kept_h = is_inside.select(next_h, h)?;
                kept_c = is_inside.select(next_c, c)?;
            }
            outputs[t] = shown.reshape([batch, 1, self.hidden])?;
            (h, c) = (kept_h, kept_c);
        }
        let y = Var::concat(&outputs, 1)?;
        Ok((y, h, (self.kind == Kind::Lstm).then_some(c)))
    }

    /// `x` with what is known about the state, limited by `clip`.
    fn clipped(&self, x: Var<'g>) -> Result<Var<'g>> {
        match self.clip {
            Some(bound) => x.clamp(-bound, bound),
            None => Ok(x),
        }
    }

    fn step(
        &self,
        call: &Call<'_, '_, 'g>,
        now: Var<'g>,
        h: Var<'g>,
        c: Var<'g>,
    ) -> Result<(Var<'g>, Var<'g>)> {
        let n = self.hidden;
        let part = |v: Var<'g>, g: usize| v.slice_axis(v.shape().rank() - 1, g * n..(g + 1) * n);
        let from_state = h.linear(self.r)?;
        let from_state = match self.biases {
            Some([_, b]) => from_state.add(b)?,
            None => from_state,
        };
        let act = |at: usize, x: Var<'g>| activated(call, &self.activations[at], self.clipped(x)?);
        let one = call.constant(1.0);
        match self.kind {
            Kind::Rnn => Ok((act(0, now.add(from_state)?)?, c)),
            Kind::Gru => {
                let z = act(0, part(now, 0)?.add(part(from_state, 0)?)?)?;
                let r = act(0, part(now, 1)?.add(part(from_state, 1)?)?)?;
                let state = match self.linear_before_reset {
                    true => r.mul(part(from_state, 2)?)?,
                    false => {
                        let weights = self.r.slice_axis(0, 2 * n..3 * n)?;
                        let state = r.mul(h)?.linear(weights)?;
                        match self.biases {
                            Some([_, b]) => state.add(b.slice_axis(0, 2 * n..3 * n)?)?,
                            None => state,
                        }
                    }
                };
                let new = act(1, part(now, 2)?.add(state)?)?;
                Ok((one.sub(z)?.mul(new)?.add(z.mul(h)?)?, c))
            }
            Kind::Lstm => {
                let all = now.add(from_state)?;
                let seen = |x: Var<'g>, at: usize, c: Var<'g>| match self.peepholes {
                    Some(p) => x.add(p.slice_axis(0, at * n..(at + 1) * n)?.mul(c)?),
                    None => Ok(x),
                };
                let i = act(0, seen(part(all, 0)?, 0, c)?)?;
                let f = match self.couples {
                    true => one.sub(i)?,
                    false => act(0, seen(part(all, 2)?, 2, c)?)?,
                };
                let g = act(1, part(all, 3)?)?;
                let c = f.mul(c)?.add(i.mul(g)?)?;
                let o = act(0, seen(part(all, 1)?, 1, c)?)?;
                let shown = activated(call, &self.activations[2], c)?;
                Ok((o.mul(shown)?, c))
            }
        }
    }
}

/// An activation by its name.
fn activated<'g>(call: &Call<'_, '_, 'g>, name: &str, x: Var<'g>) -> Result<Var<'g>> {
    match name {
        "Sigmoid" => x.sigmoid(),
        "Tanh" => x.tanh(),
        "Relu" => x.relu(),
        "Affine" => Ok(x),
        "Elu" => x.elu(1.0),
        "LeakyRelu" => x.leaky_relu(0.01),
        "Softplus" => super::activation::softplus(x),
        "Softsign" => x.div(x.abs()?.add(call.constant(1.0))?),
        "HardSigmoid" => x.scale(0.2)?.add(call.constant(0.5))?.clamp(0.0, 1.0),
        other => Err(refused(format!("its activation {other} is not supported"))),
    }
}

//! Shared code of `lstm` and `gru`: operands, the loop over time, and how a step is divided on the GPU. The module
//! `cell` has the operations of a recurrent cell.
//!
//! A dense layer computes the products with the input for all steps at once. Each step is one launch: it multiplies the
//! previous state with the recurrent weights and applies the cell. All launches work on the same tensors `[B, T, …]`,
//! so nothing is copied between steps.

mod cell;

pub(super) use cell::{ApartCell, Cell, Gradient, StateGradient, Trace, layer};

use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Arg, Launch, Lowering, Target};
use crate::tensor::{DType, TensorType};

/// A kind of recurrent layer, with its direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recurrence {
    /// Folder of its shaders.
    pub folder: &'static str,
    /// Number of gates: the weights are `[gates H, H]`.
    pub gates: usize,
    /// Whether time runs from the end to the start.
    pub reverse: bool,
}

/// Extents of a layer's operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    /// B.
    pub samples: usize,
    /// T.
    pub time: usize,
    /// H.
    pub hidden: usize,
}

impl Extents {
    /// A tensor type with `parts` times H elements at each position.
    pub fn tensor(self, parts: usize) -> TensorType {
        TensorType::f32([self.samples, self.time, parts * self.hidden])
    }
}

/// A subgroup of 8 processes 8 samples.
const BROADCAST: &str = "broadcast";
/// An invocation processes 4 samples.
const DIRECT: &str = "direct";
/// 8 invocations share the sums of 4 samples.
const SLICED: &str = "sliced";

/// Files for 1, 2, 3 or 4 units of type F per lane.
const UNITS: [&str; 4] = [
    "shared/recurrent_units_1",
    "shared/recurrent_units_2",
    "shared/recurrent_units_3",
    "shared/recurrent_units_4",
];

impl Recurrence {
    /// Extents from the recurrent weights and any tensor `[B, T, …]`.
    pub fn extents(&self, positions: &TensorType, w: &TensorType) -> Result<Extents, String> {
        let &[samples, time, _] = positions.dims() else {
            return Err(format!("takes positions [B,T,…], was given {positions}"));
        };
        match (w.dtype, w.dims()) {
            (DType::F32, &[rows, hidden]) if hidden > 0 && rows == self.gates * hidden => {
                Ok(Extents {
                    samples,
                    time,
                    hidden,
                })
            }
            _ => Err(format!(
                "takes recurrent weights f32[{}H,H], was given {w}",
                self.gates
            )),
        }
    }

    /// The shape rule of the forward operations.
    pub fn check(
        &self,
        x: &TensorType,
        w: &TensorType,
        lengths: Option<&TensorType>,
    ) -> Result<Extents, String> {
        let e = self.extents(x, w)?;
        if *x != e.tensor(self.gates) || x.elements() == 0 {
            return Err(format!(
                "takes {} gates f32[B,T,{}] for weights {w}, was given {x}",
                self.gates,
                self.gates * e.hidden
            ));
        }
        match lengths {
            Some(lengths) if *lengths != TensorType::u32([e.samples]) => Err(format!(
                "takes lengths u32[{}] for {x}, was given {lengths}",
                e.samples
            )),
            _ => Ok(e),
        }
    }

    /// Positions in the order of the forward pass.
    pub fn walk(&self, time: usize) -> Vec<usize> {
        if self.reverse {
            (0..time).rev().collect()
        } else {
            (0..time).collect()
        }
    }

    /// Kernel variants for layers of `hidden` units, the better one first.
    pub fn variants(&self, target: &Target, hidden: usize) -> Vec<&'static str> {
        let mut variants = if target.subgroups_are(8) && hidden.is_multiple_of(4) {
            vec![BROADCAST, DIRECT]
        } else {
            vec![DIRECT]
        };
        let first = if target.software { variants.len() } else { 0 };
        variants.insert(first, SLICED);
        variants
    }

    /// The launches of one pass over time, one per step, from the shader `folder/pass`: the forward pass or, if `back`,
    /// in reverse order. The caller binds the operands.
    pub fn steps(&self, cx: &Lowering<'_>, pass: &str, e: Extents, back: bool) -> Vec<Launch> {
        let variant = cx.variant();
        let broadcast = variant == BROADCAST;
        let unit = if e.hidden.is_multiple_of(4) { 4 } else { 1 };
        let hidden = e.hidden / unit;
        let tile_units = if broadcast && back {
            8 * hidden.div_ceil(8).min(4)
        } else {
            8
        };
        let rows = match variant {
            BROADCAST => 8,
            SLICED => 4,
            _ => 32,
        };
        let column_tiles = hidden.div_ceil(tile_units);
        let products = if back { self.gates * hidden } else { hidden };
        let workgroups = e.samples.div_ceil(rows) * column_tiles;
        let mut order = self.walk(e.time);
        if back {
            order.reverse();
        }
        let step = |(n, &t): (usize, &usize)| {
            let before = if n == 0 { t } else { order[n - 1] };
            let earlier = order.get(n + 1).filter(|_| back).copied().unwrap_or(e.time);
            let mut launch = Launch::new(&format!("{}/{pass}", self.folder))
                .param("samples", e.samples)
                .param("time", e.time)
                .param("hidden", hidden)
                .param("column_tiles", column_tiles)
                .param("tile_units", tile_units)
                .param("t", t)
                .param("before", before)
                .param("earlier", earlier)
                .param("products", if n == 0 { 0 } else { products })
                .workgroups(workgroups as u64)
                .flops(2 * (e.samples * self.gates * e.hidden * e.hidden) as u64);
            let direct = "shared/recurrent_rows_direct";
            launch = match variant {
                BROADCAST => launch.swap(direct, "shared/recurrent_rows_broadcast"),
                SLICED => launch.swap(direct, "shared/recurrent_rows_sliced"),
                _ => launch,
            };
            if unit == 1 {
                launch = launch.swap("shared/recurrent_vec4", "shared/recurrent_scalar");
            }
            if back && broadcast {
                launch = launch.swap("shared/recurrent_units_1", UNITS[tile_units / 8 - 1]);
            }
            launch
        };
        order.iter().enumerate().map(step).collect()
    }

    /// Number of loads of the recurrent weights in one launch.
    pub fn weight_loads(&self, cx: &Lowering<'_>, e: Extents) -> u64 {
        let rows = if cx.variant() == BROADCAST { 8 } else { 4 };
        (e.samples.div_ceil(rows) * self.gates * e.hidden * e.hidden / 4) as u64
    }
}

/// Binds a result of which step `n` writes a part.
fn write_part(launch: Launch, n: usize, name: &str, value: &Arg) -> Launch {
    if n == 0 {
        launch.write(name, value.value)
    } else {
        launch.read_write(name, value.value)
    }
}

/// Binds the lengths, if there are any.
fn read_lengths(launch: Launch, lengths: Option<&Arg>) -> Launch {
    match lengths {
        Some(lengths) => {
            launch
                .swap("shared/all_steps", "shared/first_steps")
                .read("lengths", lengths.value, 0)
        }
        None => launch,
    }
}

/// `1 / (1 + e^-x)`.
pub(super) fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

/// Weights of a recurrent layer with their biases, as in PyTorch's `nn.LSTM` and `nn.GRU` for one layer and direction.
#[derive(Clone, Copy, Debug)]
pub struct RecurrentWeights<'g> {
    /// `weight_ih`, `[gates H, I]`.
    pub input: Var<'g>,
    /// `weight_hh`, `[gates H, H]`.
    pub state: Var<'g>,
    /// `bias_ih`, `[gates H]`.
    pub input_bias: Var<'g>,
    /// `bias_hh`, `[gates H]`.
    pub state_bias: Var<'g>,
}

/// A recurrent layer as a node of ONNX: `x [N, T, gates H]`, its pre-activations, are the input, which the identity multiplies;
/// `r` are the recurrent weights. `extra` are a bias `[gates H]` of the state, and lengths. ONNX's gates are these, in this
/// `order`.
pub(super) fn onnx(
    form: &mut OnnxForm<'_>,
    op: &'static str,
    extra: [Option<String>; 2],
    order: &[usize],
    reverse: bool,
) -> Written {
    let (x, r) = (form.input(0), form.input(1));
    let dims = form.types[1].dims();
    let (rows, hidden) = (dims[0], dims[1]);
    let (Some(time), samples) = (form.extents[0][1], form.extents[0][0]) else {
        return Err("has a sequence of unknown length".to_string());
    };
    let source = |row: usize| order[row / hidden] * hidden + row % hidden;
    let identity = |i: usize| f64::from(u8::from(source(i / rows) == i % rows));
    let identity: Vec<f64> = (0..rows * rows).map(identity).collect();
    let w = form.nodes.floats(&[1, rows, rows], &identity);
    let places: Vec<i64> = (0..rows).map(|row| source(row) as i64).collect();
    let places = form.nodes.ints(&places);
    let axis = |axis: i64| vec![("axis", OnnxAttribute::Int(axis))];
    let r = form.node("Gather", &[&r, &places], axis(0));
    let r = form.reshaped(&r, &[Some(1), Some(rows), Some(hidden)])?;
    let [bias, lengths] = extra;
    let bias = match bias {
        Some(bias) => {
            let bias = form.node("Gather", &[&bias, &places], axis(0));
            let zeros = form.nodes.floats(&[rows], &vec![0.0; rows]);
            let both = form.node("Concat", &[&zeros, &bias], axis(0));
            form.reshaped(&both, &[Some(1), Some(2 * rows)])?
        }
        None => String::new(),
    };
    let lengths = match lengths {
        Some(lengths) => form.node("Cast", &[&lengths], vec![("to", OnnxAttribute::Int(6))]),
        None => String::new(),
    };
    let sequence = form.transposed(&x, &[1, 0, 2]);
    let direction = if reverse { "reverse" } else { "forward" };
    let mut attributes = vec![
        ("hidden_size", OnnxAttribute::Int(hidden as i64)),
        ("direction", OnnxAttribute::Text(direction)),
    ];
    if op == "GRU" {
        attributes.push(("linear_before_reset", OnnxAttribute::Int(1)));
    }
    let inputs = [sequence.as_str(), &w, &r, &bias, &lengths];
    let given = inputs.iter().rposition(|name| !name.is_empty());
    // [T, 1, N, H]
    let y = form.node(op, &inputs[..=given.unwrap_or(0)], attributes);
    let axes = form.nodes.ints(&[1]);
    let y = form.node("Squeeze", &[&y, &axes], Vec::new());
    let y = form.transposed(&y, &[1, 0, 2]);
    form.reshaped(&y, &[samples, Some(time), Some(hidden)])
}

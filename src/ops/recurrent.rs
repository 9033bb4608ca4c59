//! What `lstm` and `gru` share: operands, the walk over time, how a step is divided on the GPU.
//!
//! The products with the input are made for all steps at once, by a dense layer. A step is one launch: it multiplies the
//! state before it with the recurrent weights and applies the cell. All launches work on the same tensors `[B, T, …]`, so
//! nothing is copied between steps.

use super::contraction::{self, Contraction, Layout, Outline, Segments};
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Arg, Launch, Lowering, Scalar, Target};
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// A kind of recurrent layer, with its direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    /// Folder of its shaders.
    pub folder: &'static str,
    /// Gates: the weights are `[gates H, H]`.
    pub gates: usize,
    /// Whether time is walked from the end.
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
    /// A tensor with `parts` times H numbers at each position.
    pub fn tensor(self, parts: usize) -> TensorType {
        TensorType::f32([self.samples, self.time, parts * self.hidden])
    }
}

/// One subgroup of 8 has 8 samples.
const BROADCAST: &str = "broadcast";
/// An invocation has 4 samples.
const DIRECT: &str = "direct";

/// Files for so many F of units in a lane.
const UNITS: [&str; 4] = [
    "shared/recurrent_units_1",
    "shared/recurrent_units_2",
    "shared/recurrent_units_3",
    "shared/recurrent_units_4",
];

impl Layer {
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

    /// Positions in the order of the forward walk.
    pub fn walk(&self, time: usize) -> Vec<usize> {
        if self.reverse {
            (0..time).rev().collect()
        } else {
            (0..time).collect()
        }
    }

    /// Kernel variants for layers of `hidden` units, the better one first.
    pub fn variants(&self, target: &Target, hidden: usize) -> Vec<&'static str> {
        if target.subgroups_are(8) && hidden.is_multiple_of(4) {
            vec![BROADCAST, DIRECT]
        } else {
            vec![DIRECT]
        }
    }

    /// The launches of one walk, a step at a time: from `folder/pass`, the forward walk or, `back`, its reversal. The caller
    /// binds the operands.
    pub fn steps(&self, cx: &Lowering<'_>, pass: &str, e: Extents, back: bool) -> Vec<Launch> {
        let broadcast = cx.variant() == BROADCAST;
        let unit = if e.hidden.is_multiple_of(4) { 4 } else { 1 };
        let hidden = e.hidden / unit;
        let tile_units = if broadcast && back {
            8 * hidden.div_ceil(8).min(4)
        } else {
            8
        };
        let (rows, column_tiles) = (if broadcast { 8 } else { 32 }, hidden.div_ceil(tile_units));
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
            if broadcast {
                launch = launch.swap(
                    "shared/recurrent_rows_direct",
                    "shared/recurrent_rows_broadcast",
                );
            }
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

    /// Loads that one launch of a walk makes of the recurrent weights.
    pub fn weight_loads(&self, cx: &Lowering<'_>, e: Extents) -> u64 {
        let rows = if cx.variant() == BROADCAST { 8 } else { 4 };
        (e.samples.div_ceil(rows) * self.gates * e.hidden * e.hidden / 4) as u64
    }
}

/// Binds a result that step `n` of a walk writes a part of.
pub(super) fn write_part(launch: Launch, n: usize, name: &str, value: &Arg) -> Launch {
    if n == 0 {
        launch.write(name, value.value)
    } else {
        launch.read_write(name, value.value)
    }
}

/// Binds the lengths, if there are any.
pub(super) fn read_lengths(launch: Launch, lengths: Option<&Arg>) -> Launch {
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

/// The gradient of the recurrent weights `[gates H, H]`, of all steps in one product: from the gradients `[B, T, gates H]` of
/// what the states give to the gates, and the states `[B, T, H]`. Each gradient meets the state of the step before it; the first
/// step has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct WeightGrad {
    /// Whether time is walked from the end.
    pub reverse: bool,
}

impl WeightGrad {
    /// Positions of the first gradient and of the state before it.
    fn first(self) -> (usize, usize) {
        if self.reverse { (0, 1) } else { (1, 0) }
    }
}

impl Op for WeightGrad {
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
        let layout = |rows: usize| Layout {
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

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].dims()[0] * inputs[0].dims()[1]
    }
}

/// Adds the node of [`WeightGrad`].
pub(super) fn weight_grad<'g>(grads: Var<'g>, states: Var<'g>, reverse: bool) -> Result<Var<'g>> {
    let (grads_shape, shape) = (grads.shape(), states.shape());
    // Without a second step there is nothing to sum.
    if shape.dims().get(1).is_none_or(|&time| time < 2) {
        let weights = [grads_shape.last(), shape.last()];
        return states.builder().constant(0.0).broadcast_to(&weights.into());
    }
    states
        .builder()
        .op(WeightGrad { reverse }, &[grads, states])
}

/// Cases of [`WeightGrad`].
pub(super) fn weight_grad_cases() -> Vec<Case> {
    let case = |reverse: bool, samples: usize, time: usize, gates: usize, hidden: usize| {
        let operand = |last: usize| Operand::uniform([samples, time, last]).constant();
        Case::new(WeightGrad { reverse }, [operand(gates), operand(hidden)])
    };
    vec![
        case(false, 3, 2, 4, 1),
        case(true, 5, 7, 12, 3),
        case(false, 2, 28, 64, 68),
        case(true, 9, 21, 96, 32),
        case(false, 1, 40, 132, 140),
    ]
}

/// Weights of a recurrent layer with their biases, as PyTorch's `nn.LSTM` and `nn.GRU` hold them for one layer and direction.
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

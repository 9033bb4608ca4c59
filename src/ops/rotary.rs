//! Rotary position embedding (Su et al. 2021, [arXiv 2104.09864](https://arxiv.org/abs/2104.09864)): in every vector of
//! D elements, the pair of elements i and i + D/2 is rotated by the angle `t base^(-2i/D)`, where t is the position.
//! The pairs are those of GPT-NeoX and Llama, ONNX `RotaryEmbedding` without `interleaved`.
//!
//! The operand is `[B, T, G, D]`. The first `rotated` of the G groups of a position are rotated, the others are copied.
//! Thus the queries and keys of all heads are rotated but not their values, straight from one dense layer. The angles
//! come as a table `[T, D]`, cosines then sines, computed on the host by [`rotary_table`]: a GPU's own sine may be
//! wrong in the fourth digit.

use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// See the module. Operands: x `[B, T, G, D]`, table `[T, D]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// Number of groups at each position that are rotated.
    pub rotated: usize,
    /// Whether to rotate by the negative angle, as the gradient does.
    pub back: bool,
}

/// Cosines and sines of the angles of `time` positions for vectors of `size` elements: `[time, size]`. `base` is
/// usually 10,000. An odd `size` has no pairs; no operation accepts its table.
pub fn rotary_table(time: usize, size: usize, base: f64) -> Tensor<f32> {
    let half = size / 2;
    let number = |t: usize, i: usize| {
        let pair = i % half.max(1);
        let angle = t as f64 * base.powf(-2.0 * pair as f64 / size as f64);
        (if i < half { angle.cos() } else { angle.sin() }) as f32
    };
    let values = (0..time * size)
        .map(|at| number(at / size, at % size))
        .collect();
    Tensor::real([time, size], values)
}

/// The sinusoidal position encoding of the original transformer (Vaswani et al. 2017,
/// [arXiv 1706.03762](https://arxiv.org/abs/1706.03762)), `[time, size]`: sine and cosine of `t 10000^(-2i/size)` at 2i
/// and 2i + 1. It is added to the embeddings.
pub fn sinusoidal_table(time: usize, size: usize) -> Tensor<f32> {
    let number = |t: usize, i: usize| {
        let angle = t as f64 * 10_000_f64.powf(-((i / 2 * 2) as f64) / size as f64);
        (if i.is_multiple_of(2) {
            angle.sin()
        } else {
            angle.cos()
        }) as f32
    };
    let values = (0..time * size)
        .map(|at| number(at / size, at % size))
        .collect();
    Tensor::real([time, size], values)
}

impl Op for Rotary {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, table] = operands(inputs)?;
        let &[_, time, groups, size] = x.dims() else {
            return Err(format!("takes vectors f32[B,T,G,D], was given {x}"));
        };
        if x.dtype != DType::F32 || x.elements() == 0 || !size.is_multiple_of(2) {
            return Err(format!(
                "takes vectors f32[B,T,G,D] with an even D, was given {x}"
            ));
        }
        if self.rotated > groups {
            return Err(format!(
                "can't turn {} of the {groups} groups of {x}",
                self.rotated
            ));
        }
        if *table != TensorType::f32([time, size]) {
            return Err(format!(
                "takes a table f32[{time},{size}] for {x}, was given {table}"
            ));
        }
        Ok(x.clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let op = Rotary {
            back: !self.back,
            ..*self
        };
        Ok(vec![
            Some(cx.grad.builder().op(op, &[cx.grad, cx.inputs[1]])?),
            None,
        ])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (x, table) = (inputs[0].reals(), inputs[1].reals());
        let &[_, time, groups, size] = output.dims() else {
            return Tensor::zeros(output);
        };
        let half = size / 2;
        let mut y = x.to_vec();
        y.par_chunks_mut(groups * size)
            .enumerate()
            .for_each(|(position, y)| {
                let (cosines, sines) = table[position % time * size..][..size].split_at(half);
                for vector in y.chunks_exact_mut(size).take(self.rotated) {
                    let (low, high) = vector.split_at_mut(half);
                    for i in 0..half {
                        let sine = if self.back { -sines[i] } else { sines[i] };
                        (low[i], high[i]) = (
                            low[i] * cosines[i] - high[i] * sine,
                            high[i] * cosines[i] + low[i] * sine,
                        );
                    }
                }
            });
        Tensor::real(output.shape.clone(), y)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        const WORKGROUP: usize = 64;
        let (x, table, out) = (cx.input(0), cx.input(1), cx.output()?);
        let &[_, time, groups, size] = out.dims() else {
            return Ok(());
        };
        let lanes = if size.is_multiple_of(8) { 4 } else { 1 };
        let invocations = out.ty.elements() / 2 / lanes;
        let mut launch = Launch::new("rotary/rotary")
            .read("x", x.value, 2 * invocations as u64)
            .read("table", table.value, 2 * invocations as u64)
            .write("out", out.value)
            .param("invocations", invocations)
            .param("time", time)
            .param("groups", groups)
            .param("rotated", self.rotated)
            .param("half", size / 2 / lanes)
            .param("direction", if self.back { -1.0_f32 } else { 1.0 })
            .invocations(invocations, WORKGROUP);
        if lanes == 1 {
            launch = launch.swap("shared/lanes_vec4", "shared/lanes_scalar");
        }
        cx.launch_with_epilogue(launch)
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }
}

impl<'g> Var<'g> {
    /// `self` `[B, T, G, D]` with the first `rotated` groups at every position rotated by the angles of `table`
    /// `[T, D]`, made by [`rotary_table`].
    ///
    /// # Errors
    /// If D is odd, there are fewer than `rotated` groups, or the table has another shape.
    #[track_caller]
    pub fn rotary(self, table: Var<'g>, rotated: usize) -> Result<Var<'g>> {
        self.builder().op(
            Rotary {
                rotated,
                back: false,
            },
            &[self, table],
        )
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 1 + stream.below(7) as usize;
    let (a, b) = (odd(), odd());
    let case = |shape: [usize; 4], rotated: usize, back: bool| {
        let table = Operand::uniform([shape[1], shape[3]]).constant();
        Case::new(Rotary { rotated, back }, [Operand::uniform(shape), table])
    };
    vec![
        case([2, a, 3, 8], 2, false),
        case([1, b, 6, 6], 4, false),
        case([1, 1, 1, 2], 1, true),
        case([3, 5, 2, 32], 0, false),
        case([a, 2, 5, 12], 5, true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_back_undoes_a_turn() {
        let table = rotary_table(3, 4, 100.0).to_f64();
        let x: Tensor<f64> = Operand::uniform([1, 3, 2, 4]).sample(&mut Stream::new(3, 1));
        let run =
            |x: &Tensor<f64>, back| Rotary { rotated: 2, back }.reference(&[x, &table], &x.ty());
        let again = run(&run(&x, false), true);
        again
            .reals()
            .iter()
            .zip(x.reals())
            .for_each(|(a, b)| assert!((a - b).abs() < 1e-6));
    }

    #[test]
    fn the_first_position_is_not_turned_and_sinusoids_begin_with_0_and_1() {
        assert_eq!(rotary_table(1, 4, 10_000.0).reals(), [1.0, 1.0, 0.0, 0.0]);
        assert_eq!(sinusoidal_table(1, 4).reals(), [0.0, 1.0, 0.0, 1.0]);
        assert!((sinusoidal_table(2, 4).reals()[4] - 1.0_f32.sin()).abs() < 1e-7);
    }
}

//! Inverted dropout (Srivastava et al. 2014): each element is 0 with probability p and `x / (1 - p)` otherwise. PyTorch
//! `torch.nn.functional.dropout` in training, ONNX `Dropout`.
//!
//! The mask is computed from a counter, so that the gradient reproduces it and all devices agree: element `e` takes
//! word `e % 4` of the Philox4x32-10 block with the counter `(e / 4, step, stream, 0)` and the seed as key. It is kept
//! if the top 24 bits of the word, divided by 2^24, are at least p.

use super::samples;
use super::{Case, Op, Operand, Role, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::{Stream, halves, philox4x32};
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// See the module. Operands: x, and the number of the step, a scalar u32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Probability that an element is set to 0, at least 0 and below 1.
    pub p: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Distinguishes the dropouts of a model from each other.
    pub stream: u32,
}

const WORKGROUP: usize = 64;

impl Dropout {
    /// Elements are kept if the top 24 bits of their word are at least this: `bits / 2^24 >= p` in integers.
    fn threshold(&self) -> u32 {
        (self.p * 16_777_216.0).ceil() as u32
    }

    /// Factor of the elements that are kept, the same in every precision.
    fn scale(&self) -> f32 {
        (1.0 / (1.0 - self.p)) as f32
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, step] = operands(inputs)?;
        if !(0.0..1.0).contains(&self.p) {
            return Err(format!(
                "the probability must be at least 0 and below 1, not {}",
                self.p
            ));
        }
        if x.dtype != DType::F32 || *step != TensorType::u32([]) {
            return Err(format!(
                "takes floats and the step, a scalar u32, was given {x} and {step}"
            ));
        }
        Ok(x.clone())
    }

    /// The gradient is a dropout of `dy` with the same mask.
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![
            Some(cx.grad.builder().op(*self, &[cx.grad, cx.inputs[1]])?),
            None,
        ])
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        samples::of_first(own)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let step = inputs[1].indices()[0];
        let (threshold, scale) = (self.threshold(), T::of(f64::from(self.scale())));
        let mut values = inputs[0].reals().to_vec();
        values
            .par_chunks_mut(4)
            .with_min_len(1024)
            .enumerate()
            .for_each(|(block, values)| {
                let words = philox4x32([block as u32, step, self.stream, 0], halves(self.seed));
                for (value, word) in values.iter_mut().zip(words) {
                    *value = if word >> 8 >= threshold {
                        *value * scale
                    } else {
                        T::ZERO
                    };
                }
            });
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, step, y) = (cx.input(0), cx.input(1), cx.output()?);
        let mut launch = Launch::new("dropout/dropout");
        if !y.ty.shape.last().is_multiple_of(4) {
            launch = launch.swap("shared/store_vec4", "shared/store_scalar");
        }
        let [low, high] = halves(self.seed);
        cx.launch_with_epilogue(
            launch
                .read("x", x.value, x.vec4s())
                .read("step", step.value, 0)
                .write("out", y.value)
                .param("elements", y.ty.elements())
                .param("threshold", self.threshold())
                .param("scale", self.scale())
                .param("seed_low", low)
                .param("seed_high", high)
                .param("stream", self.stream)
                .invocations(y.ty.elements().div_ceil(4), WORKGROUP),
        )
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }
}

impl<'g> Var<'g> {
    /// `self` with each element set to 0 with probability `p`, at random for every `step` (a scalar u32), `seed` and
    /// `stream`. The others are scaled by `1 / (1 - p)`. `p = 0` is the identity.
    ///
    /// # Errors
    /// If `p` is not in [0, 1), or the operands have other types.
    #[track_caller]
    pub fn dropout(self, step: Var<'g>, p: f64, seed: u64, stream: u32) -> Result<Var<'g>> {
        if p == 0.0 {
            return Ok(self);
        }
        self.builder()
            .op(Dropout { p, seed, stream }, &[self, step])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let seed = u64::from(stream.next_u32()) << 32 | u64::from(stream.next_u32());
    let mut odd = || 1 + stream.below(9) as usize;
    let (a, b) = (odd(), odd());
    let case = |p: f64, stream: u32, step: u32, shape: Vec<usize>| {
        let step = Operand::index([], Values::Fixed(vec![f64::from(step)]));
        Case::new(Dropout { p, seed, stream }, [Operand::uniform(shape), step])
    };
    vec![
        case(0.5, 0, 0, vec![a, 8]),
        case(0.25, 1, 1000, vec![a, b, 3]),
        case(0.9, u32::MAX, u32::MAX, vec![b, 64]),
        case(0.1, 7, 3, vec![5]),
        case(0.0, 2, 5, vec![a, b]),
        case(0.5, 3, 9, vec![]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(dropout: Dropout, step: u32, n: usize) -> Vec<bool> {
        let x = Tensor::real([n], vec![1.0f32; n]);
        let step = Tensor::index([], vec![step]);
        dropout
            .reference(&[&x, &step], &x.ty())
            .reals()
            .iter()
            .map(|&y| y != 0.0)
            .collect()
    }

    #[test]
    fn the_share_that_is_kept_is_within_five_deviations_of_what_was_asked() {
        let n = 200_000;
        for p in [0.02, 0.1, 0.5, 0.9] {
            let count = kept(
                Dropout {
                    p,
                    seed: 11,
                    stream: 0,
                },
                4,
                n,
            )
            .iter()
            .filter(|&&k| k)
            .count();
            let deviation = (p * (1.0 - p) / n as f64).sqrt();
            assert!(
                (count as f64 / n as f64 - (1.0 - p)).abs() < 5.0 * deviation,
                "p = {p}: {count} of {n}"
            );
        }
    }

    #[test]
    fn masks_of_other_steps_streams_and_seeds_agree_no_more_than_by_chance() {
        let n = 100_000;
        let base = Dropout {
            p: 0.5,
            seed: 11,
            stream: 0,
        };
        let mask = kept(base, 4, n);
        assert_eq!(mask, kept(base, 4, n));
        let high_seed = 11 | 1 << 32;
        let others = [
            kept(base, 5, n),
            kept(Dropout { stream: 1, ..base }, 4, n),
            kept(Dropout { seed: 12, ..base }, 4, n),
            kept(
                Dropout {
                    seed: high_seed,
                    ..base
                },
                4,
                n,
            ),
        ];
        for other in others {
            let alike = mask.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!(
                (alike as f64 / n as f64 - 0.5).abs() < 5.0 * 0.5 / (n as f64).sqrt(),
                "{alike} of {n}"
            );
        }
    }

    #[test]
    fn a_probability_outside_of_0_to_1_is_refused() {
        let (x, step) = (TensorType::f32([4]), TensorType::u32([]));
        for p in [-0.1, 1.0, 1.5, f64::NAN] {
            assert!(
                Dropout {
                    p,
                    seed: 0,
                    stream: 0
                }
                .infer(&[&x, &step])
                .is_err(),
                "{p}"
            );
        }
    }
}

//! Additive Gaussian noise: `x + std * n` with n drawn from the standard normal distribution. PyTorch
//! `x + std * torch.randn_like(x)`.
//!
//! The noise is computed from a counter, so that all devices agree up to rounding: elements `4 i .. 4 i + 3` take the
//! Philox4x32-10 block with the counter `(i, step, stream, Purpose::Noise)` and the seed as key. Two words a and b of
//! it give two normal values by the transform of Box and Muller (1958): with `u = (a / 2^8 + 1) / 2^24` and
//! `t = b / 2^8 / 2^24`, where `/ 2^8` is integer division, they are `sqrt(-2 ln u) cos(2 pi t)` and
//! `sqrt(-2 ln u) sin(2 pi t)`. The largest magnitude is 5.8.

use super::samples;
use super::{Case, Op, Operand, Role, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::{Purpose, Stream, halves, philox4x32};
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// See the module. Operands: x, and the number of the step, a scalar u32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Standard deviation, at least 0.
    pub std: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Different for every noise operation of a step.
    pub stream: u32,
}

const WORKGROUP: usize = 64;

/// The four normal values of a block.
fn normals(words: [u32; 4]) -> [f64; 4] {
    let [a, b, c, d] = words.map(|word| f64::from(word >> 8) / 16_777_216.0);
    let pair = |u: f64, turn: f64| {
        let radius = (-2.0 * (u + 1.0 / 16_777_216.0).ln()).max(0.0).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * turn).sin_cos();
        [radius * cos, radius * sin]
    };
    let ([first, second], [third, fourth]) = (pair(a, b), pair(c, d));
    [first, second, third, fourth]
}

impl Op for Noise {
    fn name(&self) -> &'static str {
        "noise"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, step] = operands(inputs)?;
        if !(self.std >= 0.0 && self.std.is_finite()) {
            return Err(format!(
                "the standard deviation must be at least 0, not {}",
                self.std
            ));
        }
        if x.dtype != DType::F32 || *step != TensorType::u32([]) {
            return Err(format!(
                "takes floats and the step, a scalar u32, was given {x} and {step}"
            ));
        }
        Ok(x.clone())
    }

    /// The noise does not depend on x.
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(cx.grad), None])
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
        let (step, std) = (inputs[1].indices()[0], f64::from(self.std as f32));
        let mut values = inputs[0].reals().to_vec();
        values
            .par_chunks_mut(4)
            .with_min_len(1024)
            .enumerate()
            .for_each(|(block, values)| {
                let counter = [block as u32, step, self.stream, Purpose::Noise as u32];
                let noise = normals(philox4x32(counter, halves(self.seed)));
                for (value, noise) in values.iter_mut().zip(noise) {
                    *value += T::of(std * noise);
                }
            });
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, step, y) = (cx.input(0), cx.input(1), cx.output()?);
        let mut launch = Launch::new("noise/noise");
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
                .param("deviation", self.std as f32)
                .param("seed_low", low)
                .param("seed_high", high)
                .param("stream", self.stream)
                .param("domain", Purpose::Noise as u32)
                .invocations(y.ty.elements().div_ceil(4), WORKGROUP),
        )
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }
}

impl<'g> Var<'g> {
    /// `self` plus Gaussian noise of standard deviation `std`, drawn anew for every `step` (a scalar u32), `seed` and
    /// `stream`. `std = 0` is the identity.
    ///
    /// # Errors
    /// If `std` is negative or not finite, or the operands have other types.
    #[track_caller]
    pub fn gaussian_noise(
        self,
        step: Var<'g>,
        std: f64,
        seed: u64,
        stream: u32,
    ) -> Result<Var<'g>> {
        if std == 0.0 {
            return Ok(self);
        }
        self.builder()
            .op(Noise { std, seed, stream }, &[self, step])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let seed = u64::from(stream.next_u32()) << 32 | u64::from(stream.next_u32());
    let mut odd = || 1 + stream.below(9) as usize;
    let (a, b) = (odd(), odd());
    let case = |std: f64, stream: u32, step: u32, shape: Vec<usize>| {
        let step = Operand::index([], Values::Fixed(vec![f64::from(step)]));
        Case::new(Noise { std, seed, stream }, [Operand::uniform(shape), step])
    };
    vec![
        case(1.0, 0, 0, vec![a, 8]),
        case(0.3, 1, 1000, vec![a, b, 3]),
        case(2.5, u32::MAX, u32::MAX, vec![b, 64]),
        case(0.1, 7, 3, vec![5]),
        case(0.0, 2, 5, vec![a, b]),
        case(1.0, 3, 9, vec![]),
        case(1.0, 4, 2, vec![40, 100]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(noise: Noise, step: u32, n: usize) -> Vec<f64> {
        let x = Tensor::real([n], vec![0.0f64; n]);
        let step = Tensor::index([], vec![step]);
        let y = noise.reference(&[&x, &step], &TensorType::f32([n]));
        y.reals().to_vec()
    }

    const UNIT: Noise = Noise {
        std: 1.0,
        seed: 11,
        stream: 0,
    };

    #[test]
    fn noise_has_the_moments_of_the_normal_distribution() {
        let n = 200_000;
        let drawn = noise(UNIT, 4, n);
        let moment = |power| drawn.iter().map(|v| v.powi(power)).sum::<f64>() / n as f64;
        assert!(moment(1).abs() < 0.012, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.016, "variance {}", moment(2));
        assert!(moment(3).abs() < 0.05, "third moment {}", moment(3));
        assert!(
            (moment(4) - 3.0).abs() < 0.12,
            "fourth moment {}",
            moment(4)
        );
        // Neighbours, which share a block or a radius, are not correlated.
        for apart in 1..4 {
            let pairs = drawn.iter().zip(&drawn[apart..]);
            let mean = pairs.map(|(a, b)| a * b).sum::<f64>() / n as f64;
            assert!(mean.abs() < 0.012, "{apart} apart: {mean}");
        }
        let half = Noise { std: 0.5, ..UNIT };
        assert!(
            drawn
                .iter()
                .zip(noise(half, 4, n))
                .all(|(a, b)| (a / 2.0 - b).abs() < 1e-12)
        );
    }

    #[test]
    fn noise_of_other_steps_streams_and_seeds_is_not_correlated_and_the_same_is_the_same() {
        let n = 100_000;
        let drawn = noise(UNIT, 4, n);
        assert_eq!(drawn, noise(UNIT, 4, n));
        let others = [
            noise(UNIT, 5, n),
            noise(Noise { stream: 1, ..UNIT }, 4, n),
            noise(Noise { seed: 12, ..UNIT }, 4, n),
            noise(
                Noise {
                    seed: 11 | 1 << 32,
                    ..UNIT
                },
                4,
                n,
            ),
        ];
        for other in others {
            let pairs = drawn.iter().zip(&other);
            let mean = pairs.map(|(a, b)| a * b).sum::<f64>() / n as f64;
            assert!(mean.abs() < 5.0 / (n as f64).sqrt(), "{mean}");
        }
    }

    #[test]
    fn a_deviation_that_can_not_be_is_refused() {
        let (x, step) = (TensorType::f32([4]), TensorType::u32([]));
        for std in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(Noise { std, ..UNIT }.infer(&[&x, &step]).is_err(), "{std}");
        }
    }
}

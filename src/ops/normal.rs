//! Standard normal numbers, by Box and Muller's transform (1958) of Philox's words. PyTorch `torch.randn`.
//!
//! They follow from a counter, so that every device has the same and nothing needs a saved state: elements `4 i` to `4 i + 3`
//! come from the Philox4x32-10 block with the counter `(i, step, stream, Purpose::Noise)` and the seed as key. Of a pair of words
//! `a`, `b`, with 24 bits each, `u = (a + 1) / 2^24` and `v = b / 2^24`, come `sqrt(-2 log u) cos(2 pi v)` and
//! `sqrt(-2 log u) sin(2 pi v)`. The largest magnitude is 5.77.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::{Builder, Var};
use crate::plan::{Launch, Lowering};
use crate::random::{Purpose, Stream, philox4x32};
use crate::tensor::{Shape, TensorType};
use rayon::prelude::*;

/// See the module. Operand: the number of the step, a scalar u32.
#[derive(Clone, Debug, PartialEq)]
pub struct Normal {
    /// Extents of the result.
    pub shape: Shape,
    /// Seed of the run.
    pub seed: u64,
    /// Number of this use of randomness among those of a graph.
    pub stream: u32,
}

const WORKGROUP: usize = 64;

impl Normal {
    fn key(&self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }
}

/// Two normal numbers of two words.
fn pair(radius: u32, angle: u32) -> [f64; 2] {
    const WORDS: f64 = 16_777_216.0;
    let u = f64::from((radius >> 8) + 1) / WORDS;
    let (sin, cos) = (std::f64::consts::TAU * f64::from(angle >> 8) / WORDS).sin_cos();
    let length = (-2.0 * u.ln()).sqrt();
    [length * cos, length * sin]
}

impl Op for Normal {
    fn name(&self) -> &'static str {
        "normal"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [step] = operands(inputs)?;
        if *step != TensorType::u32([]) {
            return Err(format!("takes the step, a scalar u32, was given {step}"));
        }
        Ok(TensorType::f32(self.shape.clone()))
    }

    /// The numbers depend on nothing that is trained.
    fn vjp<'g>(&self, _cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let step = inputs[0].indices()[0];
        let mut values = vec![T::ZERO; output.elements()];
        values
            .par_chunks_mut(4)
            .with_min_len(1024)
            .enumerate()
            .for_each(|(block, values)| {
                let counter = [block as u32, step, self.stream, Purpose::Noise as u32];
                let [a, b, c, d] = philox4x32(counter, self.key());
                let numbers = pair(a, b).into_iter().chain(pair(c, d));
                for (value, number) in values.iter_mut().zip(numbers) {
                    *value = T::of(number);
                }
            });
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (step, out) = (cx.input(0), cx.output()?);
        let (elements, [low, high]) = (out.ty.elements(), self.key());
        cx.launch(
            Launch::new("normal/normal")
                .read("step", step.value, 0)
                .write("out", out.value)
                .param("elements", elements)
                .param("seed_low", low)
                .param("seed_high", high)
                .param("stream", self.stream)
                .param("purpose", Purpose::Noise as u32)
                .invocations(elements.div_ceil(4), WORKGROUP),
        )
    }
}

impl Builder {
    /// Standard normal numbers of this `shape`, others for every `step` (a scalar u32), `seed` and `stream`.
    ///
    /// # Errors
    /// If `step` is no scalar u32.
    #[track_caller]
    pub fn normal<'g>(
        &'g self,
        shape: impl Into<Shape>,
        step: Var<'g>,
        seed: u64,
        stream: u32,
    ) -> Result<Var<'g>> {
        let shape = shape.into();
        self.op(
            Normal {
                shape,
                seed,
                stream,
            },
            &[step],
        )
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let seed = u64::from(stream.next_u32()) << 32 | u64::from(stream.next_u32());
    let mut odd = || 1 + stream.below(9) as usize;
    let (a, b) = (odd(), odd());
    let case = |stream: u32, step: u32, shape: Vec<usize>| {
        let step = Operand::index([], Values::Fixed(vec![f64::from(step)]));
        let shape = shape.into();
        Case::new(
            Normal {
                shape,
                seed,
                stream,
            },
            [step],
        )
    };
    vec![
        case(0, 0, vec![a, 8]),
        case(1, 1000, vec![a, b, 3]),
        case(u32::MAX, u32::MAX, vec![b, 64]),
        case(7, 3, vec![5]),
        // Enough for the corners: radii near 0 and far out.
        case(2, 5, vec![100, 1000]),
        case(3, 9, vec![]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(normal: &Normal, step: u32) -> Vec<f64> {
        let step: Tensor<f64> = Tensor::index([], vec![step]);
        let ty = TensorType::f32(normal.shape.clone());
        normal.reference(&[&step], &ty).reals().to_vec()
    }

    fn normal(n: usize) -> Normal {
        Normal {
            shape: [n].into(),
            seed: 11,
            stream: 0,
        }
    }

    #[test]
    fn the_moments_are_those_of_the_standard_normal() {
        let n = 200_000;
        let values = numbers(&normal(n), 4);
        let moment = |power| values.iter().map(|v| v.powi(power)).sum::<f64>() / n as f64;
        let deviations = |power, expected: f64, variance: f64| {
            ((moment(power) - expected) / (variance / n as f64).sqrt()).abs()
        };
        assert!(deviations(1, 0.0, 1.0) < 5.0, "mean {}", moment(1));
        assert!(deviations(2, 1.0, 2.0) < 5.0, "variance {}", moment(2));
        assert!(deviations(3, 0.0, 15.0) < 5.0, "third {}", moment(3));
        assert!(deviations(4, 3.0, 96.0) < 5.0, "fourth {}", moment(4));
        // The two numbers of a pair share their radius, but do not correlate.
        let pairs = values.chunks_exact(2).map(|pair| pair[0] * pair[1]);
        let correlation = pairs.sum::<f64>() / (n / 2) as f64;
        assert!(correlation.abs() < 5.0 / (n as f64 / 2.0).sqrt());
    }

    #[test]
    fn numbers_of_other_steps_streams_and_seeds_are_others() {
        let base = normal(1000);
        let values = numbers(&base, 4);
        assert_eq!(values, numbers(&base, 4));
        let others = [
            numbers(&base, 5),
            numbers(
                &Normal {
                    stream: 1,
                    ..base.clone()
                },
                4,
            ),
            numbers(
                &Normal {
                    seed: 11 | 1 << 32,
                    ..base
                },
                4,
            ),
        ];
        for other in others {
            assert!(values.iter().zip(&other).all(|(a, b)| a != b));
        }
    }

    #[test]
    fn a_longer_tensor_begins_with_the_numbers_of_a_shorter_one() {
        assert_eq!(numbers(&normal(10), 1), numbers(&normal(99), 1)[..10]);
    }
}

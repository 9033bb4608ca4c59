//! Random changes of pictures, different for every sample and step: flip, shift, rotation, colour jitter, cutout.
//!
//! x is `f32 [batch, height, width, channels]` after normalisation (0 is the mean colour), step is `u32 []`. Sample b
//! uses the four words of the Philox4x32-10 block with the counter `(b, step, stream, 4)` and the seed as key, so that
//! pictures are the same on every device and after a resume. The top 24 bits of a word give a number in [0, 1).
//!
//! | change | like | words |
//! |---|---|---|
//! | [`Change::Flip`] | torchvision `RandomHorizontalFlip`, `RandomVerticalFlip` | 0: across, 1: down |
//! | [`Change::Crop`] | `RandomCrop(size, padding)` | 0: rows, 1: columns |
//! | [`Change::Rotate`] | `RandomRotation`, bilinear | 0: angle |
//! | [`Change::Zoom`] | `RandomResizedCrop` of the same shape, bilinear | 0: factor, 1: rows, 2: columns |
//! | [`Change::Jitter`] | `ColorJitter` without hue | 0: brightness, 1: contrast, 2: saturation |
//! | [`Change::Cutout`] | DeVries and Taylor 2017 | 0: row, 1: column |

use super::samples;
use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::{Purpose, Stream, halves, philox4x32, unit_f32};
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// See the module. Operands: x, step.
#[derive(Clone, Debug, PartialEq)]
pub struct Augment {
    /// The change to apply.
    pub change: Change,
    /// Seed of the run.
    pub seed: u64,
    /// Distinguishes the changes of a model from each other.
    pub stream: u32,
}

/// A change of each picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Mirrored with probability 1/2 each: left to right, top to bottom.
    Flip {
        /// Left to right.
        across: bool,
        /// Top to bottom.
        down: bool,
    },
    /// Shifted by up to this many pixels in each direction; the gap is filled with zeros.
    Crop {
        /// Pixels.
        padding: usize,
    },
    /// Rotated about the centre by up to this angle in either direction; the gap is filled with zeros.
    Rotate {
        /// Degrees, at most 90. The tangent of half the angle is uniform; for small angles the angle is nearly uniform
        /// too.
        degrees: f64,
    },
    /// Enlarged by a factor from 1 to `most`, uniform, at a random place.
    Zoom {
        /// Largest factor, from 1 to 16.
        most: f64,
    },
    /// Saturation, then contrast, then brightness. Saturation scales the distance of a pixel's channels from its grey
    /// by `1 ± saturation`, contrast scales all values by `1 ± contrast`, and brightness adds `± brightness` to all of
    /// them.
    Jitter {
        /// Largest value added, in units of the data's standard deviation.
        brightness: f64,
        /// Largest change of the factor.
        contrast: f64,
        /// Largest change of the factor; it has no effect unless there are three channels.
        saturation: f64,
    },
    /// A square of zeros centred on a random pixel, clipped at the edges.
    Cutout {
        /// Side in pixels.
        size: usize,
    },
}

const WORKGROUP: usize = 64;

/// An integer below `n` from a random word.
pub(super) fn below(word: u32, n: usize) -> i64 {
    (unit_f32(word) * n as f32) as i64
}

/// A number in [0, 1) from a random word.
fn unit<T: Real>(word: u32) -> T {
    T::of(f64::from(unit_f32(word)))
}

/// A number between `-most` and `most` from a random word.
fn around_zero(word: u32, most: f64) -> f32 {
    (2.0 * unit_f32(word) - 1.0) * most as f32
}

/// The random words of sample `b`.
pub(super) fn words(augment: &Augment, b: usize, step: u32) -> [u32; 4] {
    philox4x32(
        [b as u32, step, augment.stream, Purpose::Augmentation as u32],
        halves(augment.seed),
    )
}

/// A picture: height, width, channels, values.
struct Picture<'a, T> {
    size: [usize; 3],
    values: &'a [T],
}

impl<T: Real> Picture<'_, T> {
    /// The value at a pixel, 0 outside.
    fn at(&self, y: i64, x: i64, channel: usize) -> T {
        let [height, width, channels] = self.size;
        let inside = (0..height as i64).contains(&y) && (0..width as i64).contains(&x);
        match inside {
            true => self.values[(y as usize * width + x as usize) * channels + channel],
            false => T::ZERO,
        }
    }

    /// The value of the changed picture at a pixel.
    fn changed(&self, change: Change, words: [u32; 4], [y, x]: [usize; 2], channel: usize) -> T {
        let [height, width, channels] = self.size;
        let (row, column) = (y as i64, x as i64);
        match change {
            Change::Flip { across, down } => {
                let mirrored = |asked, word: u32| asked && word >> 31 == 1;
                let column = if mirrored(across, words[0]) {
                    width as i64 - 1 - column
                } else {
                    column
                };
                let row = if mirrored(down, words[1]) {
                    height as i64 - 1 - row
                } else {
                    row
                };
                self.at(row, column, channel)
            }
            Change::Crop { padding } => {
                let [down, right] =
                    [words[0], words[1]].map(|word| below(word, 2 * padding + 1) - padding as i64);
                self.at(row + down, column + right, channel)
            }
            Change::Rotate { degrees } => {
                let t = T::of(f64::from(around_zero(words[0], half_tangent(degrees))));
                let scale = T::ONE / (T::ONE + t * t);
                let (cos, sin) = ((T::ONE - t * t) * scale, (t + t) * scale);
                let middle = |extent: usize| T::of((extent as f64 - 1.0) / 2.0);
                let (dy, dx) = (
                    T::of(y as f64) - middle(height),
                    T::of(x as f64) - middle(width),
                );
                let (sy, sx) = (
                    middle(height) + dy * cos - dx * sin,
                    middle(width) + dy * sin + dx * cos,
                );
                let (top, left) = (sy.to_f64().floor(), sx.to_f64().floor());
                let (fy, fx) = (sy - T::of(top), sx - T::of(left));
                let (top, left) = (top as i64, left as i64);
                let row = |y: i64| {
                    self.at(y, left, channel) * (T::ONE - fx) + self.at(y, left + 1, channel) * fx
                };
                row(top) * (T::ONE - fy) + row(top + 1) * fy
            }
            Change::Zoom { most } => {
                let factor = T::ONE + unit::<T>(words[0]) * T::of(most - 1.0);
                let share = T::ONE / factor;
                let source = |at: usize, extent: usize, word: u32| {
                    let extent = T::of(extent as f64);
                    let first = unit::<T>(word) * (extent - extent * share);
                    let half = T::of(0.5);
                    let place = first + (T::of(at as f64) + half) * share - half;
                    let place = place.max(T::ZERO).min(extent - T::ONE);
                    let whole = place.to_f64().floor();
                    (whole as i64, place - T::of(whole))
                };
                let (top, fy) = source(y, height, words[1]);
                let (left, fx) = source(x, width, words[2]);
                let below = (top + 1).min(height as i64 - 1);
                let right = (left + 1).min(width as i64 - 1);
                let row = |y: i64| {
                    self.at(y, left, channel) * (T::ONE - fx) + self.at(y, right, channel) * fx
                };
                row(top) * (T::ONE - fy) + row(below) * fy
            }
            Change::Jitter {
                brightness,
                contrast,
                saturation,
            } => {
                let [shift, contrast, saturation] =
                    [(0, brightness), (1, contrast), (2, saturation)]
                        .map(|(word, most)| T::of(f64::from(around_zero(words[word], most))));
                let mut value = self.at(row, column, channel);
                if channels == 3 {
                    let sum: T = (0..3).map(|c| self.at(row, column, c)).sum();
                    let grey = sum * T::of(1.0 / 3.0);
                    value = value + saturation * (value - grey);
                }
                value + contrast * value + shift
            }
            Change::Cutout { size } => {
                let [top, left] = [(words[0], height), (words[1], width)]
                    .map(|(word, extent)| below(word, extent) - (size / 2) as i64);
                let hole = |at: i64, first: i64| (first..first + size as i64).contains(&at);
                match hole(row, top) && hole(column, left) {
                    true => T::ZERO,
                    false => self.at(row, column, channel),
                }
            }
        }
    }
}

/// The tangent of half an angle in degrees.
fn half_tangent(degrees: f64) -> f64 {
    (degrees.to_radians() / 2.0).tan()
}

impl Op for Augment {
    fn name(&self) -> &'static str {
        "augment"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, step] = operands(inputs)?;
        if x.dtype != DType::F32 || x.shape.rank() != 4 || *step != TensorType::u32([]) {
            return Err(format!(
                "takes pictures f32[batch,height,width,channels] and the step, a scalar u32, was given {x} and {step}"
            ));
        }
        let possible = match self.change {
            Change::Flip { .. } => true,
            Change::Crop { padding } => padding <= 4096,
            Change::Rotate { degrees } => (0.0..=90.0).contains(&degrees),
            Change::Zoom { most } => (1.0..=16.0).contains(&most),
            Change::Jitter {
                brightness,
                contrast,
                saturation,
            } => [brightness, contrast, saturation]
                .iter()
                .all(|x| (0.0..=10.0).contains(x)),
            Change::Cutout { size } => size <= 4096,
        };
        match possible {
            true => Ok(x.clone()),
            false => Err(format!("can't do {:?}: it is out of range", self.change)),
        }
    }

    /// Pictures are data: they need no gradient.
    fn vjp<'g>(&self, _cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None, None])
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
        let (x, step) = (inputs[0].reals(), inputs[1].indices()[0]);
        let size = [1, 2, 3].map(|axis| output.dims()[axis]);
        let length = size.iter().product::<usize>().max(1);
        let mut values = vec![T::ZERO; output.elements()];
        values
            .par_chunks_mut(length)
            .enumerate()
            .for_each(|(b, out)| {
                let words = words(self, b, step);
                let picture = Picture {
                    size,
                    values: &x[b * length..][..length],
                };
                for (at, value) in out.iter_mut().enumerate() {
                    let (pixel, channel) = (at / size[2], at % size[2]);
                    *value = picture.changed(
                        self.change,
                        words,
                        [pixel / size[1], pixel % size[1]],
                        channel,
                    );
                }
            });
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, step, out) = (cx.input(0), cx.input(1), cx.output()?);
        let [low, high] = halves(self.seed);
        let (shader, a, b, c) = match self.change {
            Change::Flip { across, down } => {
                let asked = |yes| if yes { 1.0 } else { 0.0 };
                ("augment/flip", asked(across), asked(down), 0.0)
            }
            Change::Crop { padding } => ("augment/crop", padding as f64, 0.0, 0.0),
            Change::Rotate { degrees } => ("augment/rotate", half_tangent(degrees), 0.0, 0.0),
            Change::Zoom { most } => ("augment/zoom", most, 0.0, 0.0),
            Change::Jitter {
                brightness,
                contrast,
                saturation,
            } => ("augment/jitter", brightness, contrast, saturation),
            Change::Cutout { size } => ("augment/cutout", size as f64, 0.0, 0.0),
        };
        let elements = out.ty.elements();
        cx.launch(
            Launch::new(shader)
                .read("x", x.value, 0)
                .read("step", step.value, 0)
                .write("out", out.value)
                .param("elements", elements)
                .param("height", out.dims()[1])
                .param("width", out.dims()[2])
                .param("channels", out.dims()[3])
                .param("seed_low", low)
                .param("seed_high", high)
                .param("stream", self.stream)
                .param("a", a as f32)
                .param("b", b as f32)
                .param("c", c as f32)
                .invocations(elements, WORKGROUP),
        )
    }
}

impl<'g> Var<'g> {
    /// The pictures `self` `[batch, height, width, channels]`, each changed as `op` says, with other random numbers for
    /// every `step` `u32 []`.
    ///
    /// # Errors
    /// If the types don't fit, or the change is out of range.
    #[track_caller]
    pub fn augment(self, step: Var<'g>, op: Augment) -> Result<Var<'g>> {
        self.builder().op(op, &[self, step])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let seed = u64::from(stream.next_u32()) << 32 | u64::from(stream.next_u32());
    let odd = 1 + stream.below(7) as usize;
    let changes = [
        Change::Flip {
            across: true,
            down: true,
        },
        Change::Flip {
            across: true,
            down: false,
        },
        Change::Crop { padding: 2 },
        Change::Rotate { degrees: 30.0 },
        Change::Rotate { degrees: 90.0 },
        Change::Zoom { most: 2.5 },
        Change::Jitter {
            brightness: 0.5,
            contrast: 0.4,
            saturation: 0.9,
        },
        Change::Cutout { size: 3 },
    ];
    let shapes = [
        vec![3, 5, odd, 3],
        vec![odd, 8, 8, 1],
        vec![1, 1, 1, 4],
        vec![9, 4, 7, 2],
    ];
    let mut cases = Vec::new();
    for (change, number) in changes.into_iter().zip(0..) {
        for shape in &shapes {
            let step = Operand::index([], Values::Fixed(vec![f64::from(1000 * number)]));
            let op = Augment {
                change,
                seed,
                stream: number,
            };
            cases.push(Case::new(
                op,
                [Operand::uniform(shape.clone()).constant(), step],
            ));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 4] = [200, 5, 4, 1];

    /// Pictures whose pixels are numbered from 1.
    fn numbered() -> Tensor<f64> {
        let pixels = SIZE[1] * SIZE[2];
        let values = (0..SIZE[0] * pixels).map(|i| (i % pixels + 1) as f64);
        Tensor::real(SIZE, values.collect())
    }

    fn changed(change: Change, step: u32) -> Vec<f64> {
        let op = Augment {
            change,
            seed: 7,
            stream: 0,
        };
        let x = numbered();
        op.reference(&[&x, &Tensor::index([], vec![step])], &x.ty())
            .reals()
            .to_vec()
    }

    #[test]
    fn half_of_the_pictures_are_mirrored() {
        let values = changed(
            Change::Flip {
                across: true,
                down: false,
            },
            0,
        );
        let mirrored = values
            .chunks(20)
            .filter(|p| p[..4] == [4.0, 3.0, 2.0, 1.0])
            .count();
        let kept = values
            .chunks(20)
            .filter(|p| p[..4] == [1.0, 2.0, 3.0, 4.0])
            .count();
        assert_eq!(mirrored + kept, 200);
        assert!((60..140).contains(&mirrored), "{mirrored}");
    }

    #[test]
    fn every_shift_within_the_padding_occurs() {
        let values = changed(Change::Crop { padding: 1 }, 3);
        // The second pixel of the second row is the sixth.
        let seen: std::collections::BTreeSet<u64> =
            values.chunks(20).map(|p| p[5] as u64).collect();
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            [1, 2, 3, 5, 6, 7, 9, 10, 11]
        );
    }

    #[test]
    fn a_turn_by_no_angle_and_a_jitter_by_nothing_change_nothing() {
        let none = Change::Jitter {
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
        };
        for change in [
            Change::Rotate { degrees: 0.0 },
            Change::Zoom { most: 1.0 },
            none,
            Change::Crop { padding: 0 },
        ] {
            assert_eq!(changed(change, 1), numbered().reals());
        }
    }

    #[test]
    fn an_enlarged_picture_shows_a_part_of_it_in_its_order() {
        let values = changed(Change::Zoom { most: 4.0 }, 2);
        for picture in values.chunks(20) {
            assert!(picture.iter().all(|v| (1.0..=20.0).contains(v)));
            assert!(picture.windows(2).filter(|v| v[0] > v[1]).count() <= 4);
        }
        let whole = |p: &&[f64]| p[0] < 1.5 && p[19] > 19.5;
        assert!(values.chunks(20).filter(whole).count() < 40);
    }

    #[test]
    fn a_hole_has_its_size_where_it_is_not_cut_off() {
        let values = changed(Change::Cutout { size: 2 }, 1);
        let holes: Vec<usize> = values
            .chunks(20)
            .map(|p| p.iter().filter(|&&v| v == 0.0).count())
            .collect();
        assert!(holes.iter().all(|holes| [1, 2, 4].contains(holes)));
        assert!(holes.iter().filter(|&&holes| holes == 4).count() > 80);
    }

    #[test]
    fn another_step_makes_other_pictures_and_the_same_step_the_same() {
        let change = Change::Crop { padding: 2 };
        assert_eq!(changed(change, 5), changed(change, 5));
        assert_ne!(changed(change, 5), changed(change, 6));
    }
}

//! The boxes of pictures that [`augment`](super::augment) flips or shifts: with the same seed, stream and step they move with their
//! pictures. A box is cut off at the edges; one of which less than a quarter remains becomes a row that is no box, of the class -1.
//! There is no gradient.

use super::augment::{Augment, Change, below, words};
use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::{Stream, halves};
use crate::tensor::{DType, TensorType};

/// See the module. Operands: boxes `f32 [batch, boxes, 6]`, rows of `x0, y0, x1, y1`, the class, and 1 for a crowd; step `u32 []`.
#[derive(Clone, Debug, PartialEq)]
pub struct AugmentBoxes {
    /// The change of the pictures: [`Change::Flip`] or [`Change::Crop`].
    pub augment: Augment,
    /// Height and width of the pictures.
    pub size: [usize; 2],
}

const WORKGROUP: usize = 64;
/// Numbers of a box.
const COLUMNS: usize = 6;
/// The least share of a box that must remain.
const LEAST_LEFT: f64 = 0.25;

impl AugmentBoxes {
    /// A box after the change, by the random `words` of its picture.
    fn moved<T: Real>(&self, row: &[T], words: [u32; 4]) -> [T; COLUMNS] {
        let mut corners = [row[0], row[1], row[2], row[3]];
        let [height, width] = self.size.map(|side| T::of(side as f64));
        match self.augment.change {
            Change::Flip { across, down } => {
                if across && words[0] >> 31 == 1 {
                    (corners[0], corners[2]) = (width - corners[2], width - corners[0]);
                }
                if down && words[1] >> 31 == 1 {
                    (corners[1], corners[3]) = (height - corners[3], height - corners[1]);
                }
            }
            Change::Crop { padding } => {
                let [down, right] = [words[0], words[1]]
                    .map(|word| T::of((below(word, 2 * padding + 1) - padding as i64) as f64));
                corners = [
                    corners[0] - right,
                    corners[1] - down,
                    corners[2] - right,
                    corners[3] - down,
                ];
            }
            Change::Rotate { .. }
            | Change::Zoom { .. }
            | Change::Jitter { .. }
            | Change::Cutout { .. } => {}
        }
        let area = |[x0, y0, x1, y1]: [T; 4]| (x1 - x0) * (y1 - y0);
        let clamped = |x: T, most: T| x.max(T::ZERO).min(most);
        let left = [
            clamped(corners[0], width),
            clamped(corners[1], height),
            clamped(corners[2], width),
            clamped(corners[3], height),
        ];
        let is_box = row[4] >= T::ZERO && area(left) >= area(corners) * T::of(LEAST_LEFT);
        match is_box {
            true => [left[0], left[1], left[2], left[3], row[4], row[5]],
            false => [T::ZERO, T::ZERO, T::ZERO, T::ZERO, T::of(-1.0), T::ZERO],
        }
    }
}

impl Op for AugmentBoxes {
    fn name(&self) -> &'static str {
        "augment_boxes"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [boxes, step] = operands(inputs)?;
        let fits = boxes.dtype == DType::F32
            && matches!(boxes.dims(), &[_, _, COLUMNS])
            && *step == TensorType::u32([]);
        match (fits, self.augment.change) {
            (true, Change::Flip { .. } | Change::Crop { .. }) => Ok(boxes.clone()),
            (true, change) => Err(format!("can't move boxes with {change:?}")),
            (false, _) => Err(format!(
                "takes boxes f32[batch,boxes,{COLUMNS}] and the step, a scalar u32, was given {boxes} and {step}"
            )),
        }
    }

    fn vjp<'g>(&self, _cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None, None])
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (boxes, step) = (inputs[0].reals(), inputs[1].indices()[0]);
        let each = output.dims()[1] * COLUMNS;
        let mut values = Vec::with_capacity(output.elements());
        for (b, own) in boxes.chunks_exact(each.max(1)).enumerate() {
            let words = words(&self.augment, b, step);
            for row in own.chunks_exact(COLUMNS) {
                values.extend(self.moved(row, words));
            }
        }
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (boxes, step, out) = (cx.input(0), cx.input(1), cx.output()?);
        let [low, high] = halves(self.augment.seed);
        let (across, down, padding) = match self.augment.change {
            Change::Flip { across, down } => (across, down, 0),
            Change::Crop { padding } => (false, false, padding),
            Change::Rotate { .. }
            | Change::Zoom { .. }
            | Change::Jitter { .. }
            | Change::Cutout { .. } => (false, false, 0),
        };
        let rows = out.dims()[0] * out.dims()[1];
        cx.launch(
            Launch::new("augment_boxes/augment_boxes")
                .read("boxes", boxes.value, 0)
                .read("step", step.value, 0)
                .write("out", out.value)
                .param("rows", rows)
                .param("boxes_each", out.dims()[1])
                .param("seed_low", low)
                .param("seed_high", high)
                .param("stream", self.augment.stream)
                .param("across", u32::from(across))
                .param("down", u32::from(down))
                .param("padding", padding)
                .param("height", self.size[0] as f32)
                .param("width", self.size[1] as f32)
                .invocations(rows, WORKGROUP),
        )
    }
}

impl<'g> Var<'g> {
    /// The boxes `self`, `f32 [batch, boxes, 6]`, moved with the pictures that `op.augment` changes at this `step`, `u32 []`.
    ///
    /// # Errors
    /// If the types don't fit, or the change turns pictures.
    #[track_caller]
    pub fn augment_boxes(self, step: Var<'g>, op: AugmentBoxes) -> Result<Var<'g>> {
        self.builder().op(op, &[self, step])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let seed = u64::from(stream.next_u32()) << 32 | u64::from(stream.next_u32());
    let changes = [
        Change::Flip {
            across: true,
            down: true,
        },
        Change::Flip {
            across: false,
            down: true,
        },
        Change::Crop { padding: 5 },
        Change::Crop { padding: 0 },
    ];
    let mut cases = Vec::new();
    for (change, number) in changes.into_iter().zip(0..) {
        for [batch, count] in [[3, 5], [1, 1], [70, 2]] {
            let mut values = Vec::new();
            for _ in 0..batch * count {
                let mut corner = || f64::from(stream.below(64)) / 4.0;
                let (x, y, w, h) = (corner(), corner(), corner() + 0.25, corner() + 0.25);
                let class = f64::from(stream.below(3)) - 1.0;
                values.extend([x, y, x + w, y + h, class, f64::from(stream.below(2))]);
            }
            let boxes = Operand::real([batch, count, COLUMNS], Values::Fixed(values));
            let op = AugmentBoxes {
                augment: Augment {
                    change,
                    seed,
                    stream: number,
                },
                size: [32, 24],
            };
            let step = Operand::index([], Values::Fixed(vec![f64::from(7 * number)]));
            cases.push(Case::new(op, [boxes.constant(), step]));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [12, 9];

    /// A picture with a box of ones moves like the box: the ones are those pixels that the moved box covers.
    #[test]
    fn boxes_move_with_their_pictures() {
        let changes = [
            Change::Flip {
                across: true,
                down: true,
            },
            Change::Crop { padding: 3 },
        ];
        for change in changes {
            let augment = Augment {
                change,
                seed: 11,
                stream: 2,
            };
            let (batch, [height, width]) = (40, SIZE);
            let (x0, y0, x1, y1) = (2, 3, 7, 8);
            let inside = |x: usize, y: usize| (x0..x1).contains(&x) && (y0..y1).contains(&y);
            let pixels = (0..batch * height * width).map(|at| {
                let (x, y) = (at % width, at / width % height);
                f64::from(u8::from(inside(x, y)))
            });
            let picture = Tensor::real([batch, height, width, 1], pixels.collect());
            let step = Tensor::index([], vec![5]);
            let moved = augment.reference(&[&picture, &step], &picture.ty());
            let own = [x0, y0, x1, y1, 1, 0].map(|x| x as f64);
            let boxes = Tensor::real([batch, 1, 6], own.repeat(batch));
            let op = AugmentBoxes {
                augment: augment.clone(),
                size: SIZE,
            };
            let found = op.reference(&[&boxes, &step], &boxes.ty());
            let mut different = 0;
            for (row, pixels) in found
                .reals()
                .chunks(6)
                .zip(moved.reals().chunks(height * width))
            {
                assert_eq!(row[4], 1.0);
                different += usize::from(row[..4] != own[..4]);
                for (at, &pixel) in pixels.iter().enumerate() {
                    let (x, y) = ((at % width) as f64 + 0.5, (at / width) as f64 + 0.5);
                    let covered = row[0] < x && x < row[2] && row[1] < y && y < row[3];
                    assert_eq!(pixel, f64::from(u8::from(covered)), "{change:?}");
                }
            }
            assert!(different > 10);
        }
    }

    #[test]
    fn a_box_of_which_little_remains_is_none() {
        let op = AugmentBoxes {
            augment: Augment {
                change: Change::Crop { padding: 0 },
                seed: 1,
                stream: 0,
            },
            size: [10, 10],
        };
        let rows = [
            [-8.0, 0.0, 2.0, 4.0, 0.0, 0.0],
            [-2.0, 0.0, 2.0, 4.0, 0.0, 1.0],
        ];
        let boxes = Tensor::real([1, 2, 6], rows.concat());
        let found = op.reference(&[&boxes, &Tensor::index([], vec![0])], &boxes.ty());
        assert_eq!(found.reals()[..6], [0.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
        assert_eq!(found.reals()[6..], [0.0, 0.0, 2.0, 4.0, 0.0, 1.0]);
    }
}

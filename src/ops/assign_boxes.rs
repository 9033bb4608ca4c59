//! Targets for the places of a level of an anchor-free detector: which box each place is to predict, as FCOS assigns them (Tian et
//! al., "FCOS: A Simple and Strong Anchor-free Object Detector", 2020, section 3).
//!
//! The centre of the place in row y and column x is `((x + 1/2) stride, (y + 1/2) stride)` in pixels. A box is a candidate if the
//! centre is inside of it, at most `radius` strides from the box's centre along each axis, and if the largest of the centre's distances
//! to the four sides is above `smallest` and at most `largest`. Of several candidates, it is the one with the smallest area; of equal
//! ones the first.
//!
//! The result has for each place the distances to the left, upper, right and lower side, the class, and the centre-ness
//! `sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b))`. Without a candidate, distances and centre-ness are 0 and the class is -1 or,
//! if the centre is inside of a crowd, -2. It has no gradient.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering, MAX_LOOP_ITERATIONS};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};

/// See the module. Operand: boxes `f32 [batch, boxes, 6]`, rows of `x0, y0, x1, y1`, the class, and 1 for a crowd; rows with a negative
/// class are no boxes. The result is `f32 [batch, height * width, 6]`.
#[derive(Clone, Debug, PartialEq)]
pub struct AssignBoxes {
    /// Rows and columns of the level.
    pub size: [usize; 2],
    /// Pixels between places.
    pub stride: f64,
    /// Strides between the centres of a place and of its box, at most.
    pub radius: f64,
    /// The largest distance to a side is above this many pixels...
    pub smallest: f64,
    /// ...and at most this many.
    pub largest: f64,
}

const WORKGROUP: usize = 64;
/// Numbers of a box, and of the target of a place.
const COLUMNS: usize = 6;

impl AssignBoxes {
    /// The target of the place with this centre.
    fn target<T: Real>(&self, boxes: &[T], [cx, cy]: [T; 2]) -> [T; COLUMNS] {
        let (half, one) = (T::of(0.5), T::ONE);
        let reach = T::of(self.radius * self.stride);
        let (mut best, mut class, mut area) = ([T::ZERO; 4], T::of(-1.0), None);
        for row in boxes.chunks_exact(COLUMNS) {
            let [x0, y0, x1, y1] = [row[0], row[1], row[2], row[3]];
            let sides = [cx - x0, cy - y0, x1 - cx, y1 - cy];
            let inside = sides.iter().all(|&side| side > T::ZERO);
            if row[4] < T::ZERO || !inside {
                continue;
            }
            if row[5] > half {
                if area.is_none() {
                    class = T::of(-2.0);
                }
                continue;
            }
            let off = [(x0 + x1) * half - cx, (y0 + y1) * half - cy];
            let far = sides[0].max(sides[1]).max(sides[2]).max(sides[3]);
            let near = off.iter().all(|x| x.abs() <= reach);
            let fits = far > T::of(self.smallest) && far <= T::of(self.largest);
            let own = (x1 - x0) * (y1 - y0);
            if near && fits && area.is_none_or(|least| own < least) {
                (best, class, area) = (sides, row[4], Some(own));
            }
        }
        let [l, t, r, b] = best;
        let ratio = |a: T, b: T| match a > b {
            true => b / a,
            false => a / b,
        };
        let centre = match area {
            Some(_) => (ratio(l, r) * ratio(t, b)).sqrt().min(one),
            None => T::ZERO,
        };
        [l, t, r, b, class, centre]
    }
}

impl Op for AssignBoxes {
    fn name(&self) -> &'static str {
        "assign_boxes"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [boxes] = operands(inputs)?;
        let &[batch, count, COLUMNS] = boxes.dims() else {
            return Err(format!(
                "takes boxes f32[batch,boxes,{COLUMNS}], was given {boxes}"
            ));
        };
        let places = self.size[0] * self.size[1];
        let possible = boxes.dtype == DType::F32
            && (1..=MAX_LOOP_ITERATIONS).contains(&count)
            && places > 0
            && self.stride > 0.0;
        match possible {
            true => Ok(TensorType::f32([batch, places, COLUMNS])),
            false => Err(format!(
                "takes at most {MAX_LOOP_ITERATIONS} boxes, was given {boxes}"
            )),
        }
    }

    fn vjp<'g>(&self, _cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None])
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let boxes = inputs[0].reals();
        let each = inputs[0].dims()[1] * COLUMNS;
        let [height, width] = self.size;
        let centre = |at: usize| T::of((at as f64 + 0.5) * self.stride);
        let mut values = Vec::with_capacity(output.elements());
        for own in boxes.chunks_exact(each.max(1)) {
            for place in 0..height * width {
                let (row, column) = (place / width, place % width);
                values.extend(self.target(own, [centre(column), centre(row)]));
            }
        }
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (boxes, out) = (cx.input(0), cx.output()?);
        let places = out.dims()[0] * out.dims()[1];
        cx.launch(
            Launch::new("assign_boxes/assign_boxes")
                .read("boxes", boxes.value, 0)
                .write("out", out.value)
                .param("places", places)
                .param("height", self.size[0])
                .param("width", self.size[1])
                .param("boxes_each", boxes.dims()[1])
                .param("stride", self.stride as f32)
                .param("reach", (self.radius * self.stride) as f32)
                .param("smallest", self.smallest as f32)
                .param("largest", self.largest as f32)
                .invocations(places, WORKGROUP),
        )
    }
}

impl<'g> Var<'g> {
    /// Targets of the places of a level for the boxes `self`, `f32 [batch, boxes, 6]`: `f32 [batch, places, 6]`.
    ///
    /// # Errors
    /// If `self` has another type.
    #[track_caller]
    pub fn assign_boxes(self, op: AssignBoxes) -> Result<Var<'g>> {
        self.apply(op)
    }
}

/// Boxes of a batch whose corners are multiples of a quarter, so that comparisons are the same in all precisions.
fn boxes(stream: &mut Stream, batch: usize, count: usize, extent: u32) -> Operand {
    let mut values = Vec::new();
    for _ in 0..batch * count {
        let mut corner = || f64::from(stream.below(4 * extent)) / 4.0;
        let (x, y, w, h) = (corner(), corner(), corner() + 0.25, corner() + 0.25);
        let class = f64::from(stream.below(4)) - 1.0;
        let crowd = f64::from(u8::from(stream.below(5) == 0));
        values.extend([x, y, x + w, y + h, class, crowd]);
    }
    Operand::real([batch, count, COLUMNS], Values::Fixed(values)).constant()
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let odd = 1 + stream.below(6) as usize;
    let mut case = |batch, count, size: [usize; 2], stride: f64, range: [f64; 2]| {
        let op = AssignBoxes {
            size,
            stride,
            radius: 1.5,
            smallest: range[0],
            largest: range[1],
        };
        let extent = (size[1] as f64 * stride) as u32 + 1;
        Case::new(op, [boxes(stream, batch, count, extent)])
    };
    let most = f64::from(f32::MAX);
    vec![
        case(3, 7, [5, odd], 4.0, [0.0, most]),
        case(1, 1, [1, 1], 8.0, [0.0, most]),
        case(odd, 33, [9, 7], 8.0, [0.0, 24.0]),
        case(2, 12, [4, 4], 16.0, [16.0, most]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(op: &AssignBoxes, boxes: &[[f64; 6]]) -> Vec<Vec<f64>> {
        let values = boxes.concat();
        let x = Tensor::real([1, boxes.len(), 6], values);
        let ty = op.infer(&[&x.ty()]).unwrap();
        let found = op.reference(&[&x], &ty);
        found.reals().chunks(6).map(<[f64]>::to_vec).collect()
    }

    #[test]
    fn a_place_predicts_the_smallest_box_around_it() {
        let op = AssignBoxes {
            size: [2, 2],
            stride: 8.0,
            radius: 1.5,
            smallest: 0.0,
            largest: 1e9,
        };
        let large = [0.0, 0.0, 16.0, 16.0, 2.0, 0.0];
        let small = [1.0, 2.0, 9.0, 10.0, 1.0, 0.0];
        let found = assigned(&op, &[large, small]);
        let centre = ((3.0_f64 / 5.0) * (2.0 / 6.0)).sqrt();
        assert_eq!(found[0], [3.0, 2.0, 5.0, 6.0, 1.0, centre]);
        assert_eq!(found[3], [12.0, 12.0, 4.0, 4.0, 2.0, 1.0 / 3.0]);
        // Rows of a negative class are no boxes, and crowds are only ignored.
        let none = [1.0, 2.0, 9.0, 10.0, -1.0, 0.0];
        let crowd = [0.0, 0.0, 16.0, 7.0, 0.0, 1.0];
        let classes: Vec<f64> = assigned(&op, &[none, crowd]).iter().map(|t| t[4]).collect();
        assert_eq!(classes, [-2.0, -2.0, -1.0, -1.0]);
    }

    #[test]
    fn boxes_of_another_size_belong_to_another_level() {
        let op = |smallest, largest| AssignBoxes {
            size: [1, 1],
            stride: 16.0,
            radius: 1.5,
            smallest,
            largest,
        };
        let one = [[0.0, 0.0, 16.0, 16.0, 0.0, 0.0]];
        assert_eq!(assigned(&op(0.0, 8.0), &one)[0][4], 0.0);
        assert_eq!(assigned(&op(8.0, 64.0), &one)[0][4], -1.0);
        let far = [[0.0, 0.0, 160.0, 16.0, 0.0, 0.0]];
        assert_eq!(assigned(&op(0.0, 1e9), &far)[0][4], -1.0);
    }
}

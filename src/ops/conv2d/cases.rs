//! Sample cases of the convolution and its gradients.

use super::{Conv2d, Conv2dInputGrad, Conv2dSampleWeightGrad, Conv2dWeightGrad};
use crate::ops::{Case, Operand};
use crate::random::Stream;

pub(in crate::ops) fn cases(stream: &mut Stream) -> Vec<Case> {
    let plain = Conv2d::default();
    let odd = |stream: &mut Stream| 5 + stream.below(6) as usize;
    let (h, w) = (odd(stream), odd(stream));
    let shapes: [(Conv2d, [usize; 4], [usize; 4]); 40] = [
        (plain, [2, h, w, 1], [4, 3, 3, 1]),
        (plain, [1, h, w, 3], [5, 3, 3, 3]),
        (plain, [2, 7, 9, 8], [12, 3, 3, 8]),
        (plain, [1, h, w, 4], [8, 1, 1, 4]),
        (
            Conv2d {
                stride: [2, 2],
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [2, h, w, 8],
            [4, 3, 3, 8],
        ),
        (
            Conv2d {
                stride: [2, 1],
                padding: [[0, 2], [1, 0]],
                ..plain
            },
            [1, h, w, 5],
            [6, 3, 2, 5],
        ),
        (
            Conv2d {
                padding: Conv2d::same([5, 5], [1, 1]),
                ..plain
            },
            [1, h, w, 2],
            [4, 5, 5, 2],
        ),
        (
            Conv2d {
                padding: Conv2d::same([4, 2], [1, 1]),
                ..plain
            },
            [1, h, w, 4],
            [7, 4, 2, 4],
        ),
        (
            Conv2d {
                dilation: [2, 2],
                padding: [[2, 2], [2, 2]],
                ..plain
            },
            [1, h, w, 4],
            [8, 3, 3, 4],
        ),
        (
            Conv2d {
                dilation: [1, 3],
                stride: [3, 2],
                padding: [[1, 0], [3, 3]],
                ..plain
            },
            [1, 9, 11, 3],
            [2, 2, 3, 3],
        ),
        (Conv2d { groups: 2, ..plain }, [1, h, w, 4], [6, 3, 3, 2]),
        (
            Conv2d {
                groups: 4,
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [2, h, w, 4],
            [4, 3, 3, 1],
        ),
        (
            Conv2d {
                groups: 3,
                stride: [2, 2],
                ..plain
            },
            [1, h, w, 6],
            [6, 2, 2, 2],
        ),
        (plain, [1, 3, 3, 1], [1, 3, 3, 1]),
        // Segments of several rows, with fewer rows in the last segment of an image.
        (plain, [4, 13, 13, 8], [20, 3, 3, 8]),
        (
            Conv2d {
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [3, 19, 10, 4],
            [12, 3, 3, 4],
        ),
        (
            Conv2d {
                stride: [2, 2],
                padding: [[1, 0], [1, 1]],
                ..plain
            },
            [4, 17, 9, 6],
            [8, 3, 3, 6],
        ),
        (
            Conv2d {
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [18, 4, 3, 16],
            [20, 3, 3, 16],
        ),
        (
            Conv2d {
                stride: [2, 1],
                padding: [[2, 0], [1, 2]],
                ..plain
            },
            [17, 3, 4, 17],
            [18, 3, 2, 17],
        ),
        // Depthwise: strips that are cut short, strides that skip pixels, rows in several splits.
        (
            Conv2d {
                groups: 8,
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [2, h, w, 8],
            [8, 3, 3, 1],
        ),
        (
            Conv2d {
                groups: 12,
                stride: [2, 3],
                padding: [[0, 2], [1, 0]],
                ..plain
            },
            [1, 9, 11, 12],
            [12, 3, 2, 1],
        ),
        (
            Conv2d {
                groups: 4,
                dilation: [2, 1],
                padding: [[2, 2], [2, 2]],
                ..plain
            },
            [3, 28, 31, 4],
            [4, 5, 5, 1],
        ),
        // Groups as a batch of contractions: rows of whole texels and others, several images, splits, and groups of one
        // channel.
        (
            Conv2d {
                groups: 2,
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [3, h, w, 16],
            [24, 3, 3, 8],
        ),
        (
            Conv2d {
                groups: 3,
                stride: [2, 1],
                padding: [[2, 0], [1, 2]],
                ..plain
            },
            [5, 9, 11, 15],
            [21, 3, 2, 5],
        ),
        (
            Conv2d {
                groups: 2,
                padding: [[2, 2], [2, 2]],
                ..plain
            },
            [9, 8, 8, 8],
            [40, 5, 5, 4],
        ),
        (
            Conv2d {
                groups: 5,
                dilation: [1, 2],
                ..plain
            },
            [2, h, 9, 5],
            [10, 2, 3, 1],
        ),
        // Winograd tiles: clipped at the border, with padding on all sides or on some, several rows of tiles.
        (
            Conv2d {
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [3, 4, 5, 4],
            [8, 3, 3, 4],
        ),
        (
            Conv2d {
                padding: [[2, 0], [0, 1]],
                ..plain
            },
            [2, 9, 6, 16],
            [20, 3, 3, 16],
        ),
        (
            Conv2d {
                padding: [[1, 1], [3, 2]],
                ..plain
            },
            [2, 3, 10, 36],
            [12, 3, 3, 36],
        ),
        (
            Conv2d {
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [3, 1, 1, 4],
            [8, 3, 3, 4],
        ),
        (
            Conv2d {
                padding: [[2, 2], [0, 2]],
                ..plain
            },
            [2, 5, 5, 8],
            [36, 3, 3, 8],
        ),
        (
            Conv2d {
                padding: [[0, 2], [2, 2]],
                ..plain
            },
            [9, 5, 3, 12],
            [4, 3, 3, 12],
        ),
        // Weights that software adapters transpose first.
        (
            Conv2d {
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [2, 14, 13, 12],
            [64, 3, 3, 12],
        ),
        (
            Conv2d {
                groups: 2,
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [1, 17, 16, 16],
            [128, 3, 3, 8],
        ),
        // Input gradients by phases: fewer taps than phases, phases without taps, groups, more phases than pixels,
        // several splits.
        (
            Conv2d {
                stride: [2, 2],
                ..plain
            },
            [2, h, w, 12],
            [16, 1, 1, 12],
        ),
        (
            Conv2d {
                stride: [3, 2],
                padding: [[2, 1], [1, 2]],
                ..plain
            },
            [2, 11, 8, 16],
            [20, 4, 5, 16],
        ),
        (
            Conv2d {
                groups: 2,
                stride: [2, 2],
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [3, 9, 8, 16],
            [24, 3, 3, 8],
        ),
        (
            Conv2d {
                stride: [7, 4],
                padding: [[1, 1], [0, 0]],
                ..plain
            },
            [1, 6, 9, 8],
            [12, 3, 2, 8],
        ),
        (
            Conv2d {
                stride: [2, 2],
                padding: [[1, 1], [1, 1]],
                ..plain
            },
            [1, 5, 5, 20],
            [256, 3, 3, 20],
        ),
        // More than half of the largest tile in all three passes.
        (plain, [1, 10, 12, 68], [72, 3, 3, 68]),
    ];
    let mut cases = Vec::new();
    for (conv, x, w) in shapes {
        let Ok(e) = conv.extents(&x, &w) else {
            continue;
        };
        let y = e.y().shape;
        cases.push(Case::new(conv, [Operand::uniform(x), Operand::uniform(w)]));
        let input = Conv2dInputGrad {
            conv,
            input: e.input,
        };
        cases.push(Case::new(
            input,
            [Operand::uniform(y.clone()), Operand::uniform(w)],
        ));
        let weight = Conv2dWeightGrad {
            conv,
            kernel: e.kernel,
        };
        if conv.groups == 1 {
            let each = Conv2dSampleWeightGrad {
                conv,
                kernel: e.kernel,
            };
            let operands = [
                Operand::uniform(x).constant(),
                Operand::uniform(y.clone()).constant(),
            ];
            cases.push(Case::new(each, operands));
        }
        cases.push(Case::new(
            weight,
            [Operand::uniform(x), Operand::uniform(y)],
        ));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_extents() {
        // Each shape gives three cases: the convolution and its two gradients. Those of one group have the gradients of images, too.
        let of_one_group = 28;
        assert_eq!(cases(&mut Stream::new(3, 0)).len(), 40 * 3 + of_one_group);
    }
}

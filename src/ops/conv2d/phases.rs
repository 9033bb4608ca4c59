//! Divides the pixels of an input gradient into phases. In a strided convolution only every stride-th tap covers a
//! given pixel, and pixels with the same remainder modulo the stride (a phase) are covered by the same taps. One
//! product per phase skips the taps that contribute nothing: three of four for a stride of 2.

use super::{Conv2d, Extents, signed};
use crate::ops::contraction::Segments;
use crate::plan::Scalar;

/// The phases of an input gradient; y before x.
pub(super) struct Phases {
    /// Phases in each direction: the stride or, if the kernel is dilated, 1.
    along: [usize; 2],
    /// Pixels of the largest phase.
    pixels: [usize; 2],
    /// Taps of the phase that has the most.
    taps: [usize; 2],
}

impl Phases {
    pub fn of(conv: &Conv2d, e: &Extents) -> Phases {
        let along = [0, 1].map(|i| {
            if conv.dilation[i] == 1 {
                conv.stride[i]
            } else {
                1
            }
        });
        let largest = |whole: [usize; 2]| [0, 1].map(|i| whole[i].div_ceil(along[i]));
        Phases {
            along,
            pixels: largest(e.input),
            taps: largest(e.kernel),
        }
    }

    /// Phases per image.
    pub fn count(&self) -> usize {
        self.along[0] * self.along[1]
    }

    /// Pixels per image in the largest phase.
    pub fn pixels(&self) -> usize {
        self.pixels[0] * self.pixels[1]
    }

    /// The segments of the product: each tap of the kernel belongs to one phase in each group.
    pub fn segments(&self, e: &Extents, groups: usize) -> Segments {
        let (all, length) = (e.kernel[0] * e.kernel[1], e.out_channels);
        if self.count() == 1 {
            return Segments::Fixed {
                count: all,
                length,
                k: all * length,
            };
        }
        Segments::Partial {
            count: self.taps[0] * self.taps[1],
            length,
            in_batch: all * groups,
        }
    }

    pub fn params(&self) -> [(&'static str, Scalar); 5] {
        [
            ("phases_y", signed(self.along[0])),
            ("phases_x", signed(self.along[1])),
            ("phase_rows", self.pixels[0].into()),
            ("phase_columns", self.pixels[1].into()),
            ("taps_x", signed(self.taps[1])),
        ]
    }
}

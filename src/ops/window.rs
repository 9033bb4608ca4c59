//! Pooling windows over NHWC images: their positions, and the launches that the pooling kernels share.

use crate::error::{Error, Result};
use crate::plan::{Launch, MAX_LOOP_ITERATIONS};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use std::ops::Range;

/// Extents and strides of the windows; y before x. A window that lies wholly outside the image is an error. The last
/// rows and columns are ignored if no whole window fits ('floor mode').
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Distance from one window to the next.
    pub stride: [usize; 2],
    /// Rows added at the top and bottom, columns at the left and right.
    pub padding: [[usize; 2]; 2],
}

const WORKGROUP: usize = 64;

impl Window {
    /// The shape rule: `[N, H, W, C]` to `[N, OH, OW, C]`.
    ///
    /// # Errors
    /// A sentence that says what does not fit.
    pub fn infer(&self, x: &TensorType) -> Result<TensorType, String> {
        let &[batch, height, width, channels] = x.dims() else {
            return Err(format!("takes f32[N,H,W,C], was given {x}"));
        };
        if x.dtype != DType::F32 || x.elements() == 0 {
            return Err(format!(
                "takes f32[N,H,W,C] that is not empty, was given {x}"
            ));
        }
        let [oh, ow] = [self.outputs(0, height)?, self.outputs(1, width)?];
        Ok(TensorType::f32([batch, oh, ow, channels]))
    }

    /// Number of windows along one axis (0: y, 1: x) of an image of `extent`.
    fn outputs(&self, axis: usize, extent: usize) -> Result<usize, String> {
        let (kernel, stride, [before, after]) =
            (self.kernel[axis], self.stride[axis], self.padding[axis]);
        if kernel == 0 || stride == 0 {
            return Err("kernel and stride must be at least 1".to_string());
        }
        let padded = extent + before + after;
        if kernel > padded {
            return Err(format!(
                "a window of {kernel} does not fit into {extent} with padding {before} and {after}"
            ));
        }
        let outputs = (padded - kernel) / stride + 1;
        if before >= kernel || (outputs - 1) * stride >= extent + before {
            return Err(format!(
                "padding {before} and {after} leaves a window of {kernel} wholly outside of {extent}"
            ));
        }
        Ok(outputs)
    }

    /// Positions along `axis` of window number `o` that are inside an image of `extent`; never empty.
    pub fn inside(&self, axis: usize, o: usize, extent: usize) -> Range<usize> {
        let (start, before) = (o * self.stride[axis], self.padding[axis][0]);
        start.saturating_sub(before)..(start + self.kernel[axis] - before).min(extent)
    }

    /// Whether no two windows overlap.
    pub fn disjoint(&self) -> bool {
        self.stride[0] >= self.kernel[0] && self.stride[1] >= self.kernel[1]
    }

    /// Positions in a window.
    pub fn area(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Maximum number of windows that contain the same position.
    pub fn overlap(&self) -> usize {
        self.kernel[0].div_ceil(self.stride[0]) * self.kernel[1].div_ceil(self.stride[1])
    }

    /// Loop iterations needed to process `windows` windows.
    pub(super) fn iterations(&self, windows: usize) -> usize {
        // Iterations over windows and rows of windows; in each window, over its rows and positions.
        windows * (2 + self.kernel[0] + self.area())
    }

    /// The cells into which `outputs` windows along `axis` divide an extent: the size of the largest, and whether some
    /// are smaller. A cell extends from the start of a window to the start of the next; the first cell starts and the
    /// last one ends with the image.
    pub(super) fn cells(&self, axis: usize, outputs: usize, extent: usize) -> (usize, bool) {
        let (stride, before) = (self.stride[axis], self.padding[axis][0]);
        let start = |o: usize| (o * stride).saturating_sub(before);
        let end = |o: usize| {
            if o + 1 < outputs {
                start(o + 1)
            } else {
                extent
            }
        };
        let sizes = (0..outputs).map(|o| end(o) - start(o));
        let largest = sizes.clone().max().unwrap_or(0);
        (largest, sizes.clone().any(|size| size != largest))
    }

    /// A launch of `file` with one invocation per F of `space`, which is one of `x` and `y`: input and output of the
    /// pooling, `[N, H, W, C]` and `[N, OH, OW, C]`. Each invocation makes `iterations` iterations.
    ///
    /// # Errors
    /// If there are too many iterations.
    pub(super) fn launch(
        &self,
        file: &str,
        [x, y, space]: [&TensorType; 3],
        iterations: usize,
    ) -> Result<Launch> {
        if iterations > MAX_LOOP_ITERATIONS {
            return Err(Error::Graph(format!(
                "{file} takes {iterations} steps for each result with {self:?}; use smaller windows or a larger stride"
            )));
        }
        Ok(image_launch(file, [x, y, space])
            .constant("KERNEL_Y", self.kernel[0] as f64)
            .constant("KERNEL_X", self.kernel[1] as f64)
            .constant("STRIDE_Y", self.stride[0] as f64)
            .constant("STRIDE_X", self.stride[1] as f64)
            .constant("PADDED", self.padding != [[0, 0], [0, 0]])
            .param("pad_top", self.padding[0][0])
            .param("pad_left", self.padding[1][0]))
    }
}

/// A launch of `file` with one invocation per F of `space`, which is one of the images `x` and `y`. Both have the same
/// number of channels.
pub(super) fn image_launch(file: &str, [x, y, space]: [&TensorType; 3]) -> Launch {
    let lanes = lanes(x);
    let launch = Launch::new(file);
    let launch = if lanes == 4 {
        launch
    } else {
        launch.swap("shared/lanes_vec4", "shared/lanes_scalar")
    };
    let invocations = space.elements() / lanes;
    launch
        .param("invocations", invocations)
        .param("height", x.dims()[1])
        .param("width", x.dims()[2])
        .param("out_height", y.dims()[1])
        .param("out_width", y.dims()[2])
        .param("channels", x.dims()[3] / lanes)
        .invocations(invocations, WORKGROUP)
}

/// Channels per invocation.
pub(super) fn lanes(x: &TensorType) -> usize {
    if x.shape.last().is_multiple_of(4) {
        4
    } else {
        1
    }
}

/// Windows and inputs shared by the cases of all poolings: disjoint and overlapping, padded, with rows and columns left
/// over, a single window, windows of one position, numbers of channels that are and are not multiples of four.
pub(super) fn cases(stream: &mut Stream) -> Vec<(Window, [usize; 4])> {
    let window = |kernel, stride, padding| Window {
        kernel,
        stride,
        padding,
    };
    let none = [[0, 0], [0, 0]];
    let mut odd = |least: u32, choices: u32| (least + stream.below(choices)) as usize;
    vec![
        (window([2, 2], [2, 2], none), [2, 6, 4, 8]),
        (
            window([2, 2], [2, 2], none),
            [odd(1, 3), odd(5, 3), odd(5, 3), odd(1, 7)],
        ),
        (window([2, 3], [3, 5], none), [2, odd(6, 5), odd(8, 5), 4]),
        (
            window([3, 3], [2, 2], [[1, 1], [1, 1]]),
            [2, odd(4, 4), odd(4, 4), 4],
        ),
        (
            window([3, 2], [1, 1], [[0, 1], [1, 0]]),
            [odd(1, 2), odd(3, 4), odd(3, 4), odd(1, 5)],
        ),
        (
            window([5, 4], [2, 3], [[4, 3], [2, 3]]),
            [1, odd(5, 5), odd(5, 5), 3],
        ),
        (
            window([3, 3], [3, 4], [[2, 2], [1, 2]]),
            [1, odd(5, 5), odd(5, 5), 4],
        ),
        (window([4, 3], [1, 1], none), [2, 4, 3, 5]),
        (window([1, 1], [1, 1], none), [1, 1, 1, 1]),
        (window([1, 1], [2, 3], none), [1, odd(3, 3), odd(4, 3), 4]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_would_see_only_padding_is_refused() {
        let x = TensorType::f32([1, 4, 4, 1]);
        let infer = |kernel, stride, padding| {
            Window {
                kernel,
                stride,
                padding,
            }
            .infer(&x)
        };
        assert!(infer([2, 2], [2, 2], [[1, 1], [0, 0]]).is_ok());
        assert!(
            infer([2, 2], [2, 2], [[2, 0], [0, 0]])
                .unwrap_err()
                .contains("wholly outside")
        );
        assert!(
            infer([1, 2], [1, 2], [[0, 1], [0, 0]])
                .unwrap_err()
                .contains("wholly outside")
        );
        assert!(
            infer([5, 1], [1, 1], [[0, 0], [0, 0]])
                .unwrap_err()
                .contains("does not fit")
        );
        assert!(infer([2, 2], [0, 1], [[0, 0], [0, 0]]).is_err());
    }

    #[test]
    fn rows_that_no_whole_window_covers_are_left_out() {
        let window = Window {
            kernel: [2, 2],
            stride: [2, 2],
            padding: [[0, 0], [0, 0]],
        };
        let y = window.infer(&TensorType::f32([3, 7, 6, 5])).unwrap();
        assert_eq!(y, TensorType::f32([3, 3, 3, 5]));
        assert_eq!(window.inside(0, 2, 7), 4..6);
    }
}

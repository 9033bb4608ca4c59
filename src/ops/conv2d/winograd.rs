//! 3 x 3 convolutions by Winograd's minimal filtering F(4 x 4, 3 x 3). Input and weights are transformed to 36
//! components for each tile of 4 x 4 outputs. Products over the components replace the sum over channels and taps, and
//! their result is transformed back. This takes a quarter of the multiplications
//! ([Lavin and Gray 2015](https://arxiv.org/abs/1509.09308)). The transforms are in `shaders/conv2d/winograd.wgsl`.
//!
//! [`separate`] implements all three passes with kernels that store the components in memory; [`fused`] implements the
//! forward pass and the input gradient without storing anything between the transforms.

pub(super) mod fused;
pub(super) mod separate;

use super::{Conv2d, Extents};
use crate::error::Result;
use crate::plan::{Arg, Launch, Lowering, Target};
use crate::tensor::TensorType;

/// Outputs per tile along an axis.
const TILE: usize = 4;
/// Components per tile.
const COMPONENTS: usize = 36;
/// Weights per pair of channels.
const TAPS: usize = 9;
/// Invocations in a workgroup of the transforms.
const WORKGROUP: usize = 64;
/// Operations per nanosecond of the plain kernels on lavapipe with two cores; a multiply-add counts as two.
const FLOPS_PER_NS: f64 = 75.0;
/// Nanoseconds on lavapipe to write a component, copy it for reading and read it.
const NS_PER_COMPONENT: f64 = 2.0;

/// The tiles that the outputs of a pass are divided into.
#[derive(Clone, Copy)]
struct Tiles {
    y: usize,
    x: usize,
    /// Tiles of all images.
    count: usize,
}

impl Tiles {
    fn new(batch: usize, [height, width]: [usize; 2]) -> Self {
        let (y, x) = (height.div_ceil(TILE), width.div_ceil(TILE));
        Tiles {
            y,
            x,
            count: batch * y * x,
        }
    }

    /// Type of the components of all tiles and channels.
    fn components(&self, channels: usize) -> TensorType {
        TensorType::f32([COMPONENTS, self.count, channels])
    }
}

/// The properties of one of the three passes that the choice of a variant depends on.
pub(super) struct Pass {
    tiles: Tiles,
    /// Pixels that are divided into tiles, over all images.
    pixels: usize,
    /// Channels that are summed over, and channels of the result. For the weight gradient: channels of `X` and of `dY`.
    from: usize,
    to: usize,
    /// Rows and columns of zeros around the image, for a pass that has a fused kernel; 0 where the padding would be
    /// negative, as in the input gradient of a convolution padded by more than 2.
    padding: Option<[[usize; 2]; 2]>,
}

impl Pass {
    fn new(e: &Extents, image: [usize; 2], [from, to]: [usize; 2]) -> Self {
        Pass {
            tiles: Tiles::new(e.batch, image),
            pixels: e.batch * image[0] * image[1],
            from,
            to,
            padding: None,
        }
    }

    pub(super) fn forward(conv: &Conv2d, e: &Extents) -> Self {
        let padding = Some(conv.padding);
        let pass = Self::new(e, e.output, [e.channels, e.out_channels]);
        Pass { padding, ..pass }
    }

    pub(super) fn input_grad(conv: &Conv2d, e: &Extents) -> Self {
        let padding = Some(
            conv.padding
                .map(|ends| ends.map(|p| 2_usize.saturating_sub(p))),
        );
        let pass = Self::new(e, e.input, [e.out_channels, e.channels]);
        Pass { padding, ..pass }
    }

    pub(super) fn weight_grad(e: &Extents) -> Self {
        Self::new(e, e.output, [e.channels, e.out_channels])
    }

    /// Time of the plain kernels on lavapipe in nanoseconds, estimated from measured rates (docs/decisions.md).
    fn plain_ns(&self) -> f64 {
        (2 * TAPS * self.pixels * self.from * self.to) as f64 / FLOPS_PER_NS
    }
}

/// Adds the variants that support a pass to `variants`. The fastest one is put first if it is likely clearly faster
/// than the plain kernels on `target`; all others are appended, and a tuner may still choose them.
pub(super) fn add(
    variants: &mut Vec<&'static str>,
    conv: &Conv2d,
    e: &Extents,
    pass: &Pass,
    target: &Target,
) {
    const CLEARLY: f64 = 1.2;
    /// On a GPU the separate kernels were 1.6 to 2.7 times as fast from this many channels on (docs/performance.md).
    const FEWEST_CHANNELS: usize = 32;
    let covered = e.kernel == [3, 3]
        && (conv.stride, conv.dilation, conv.groups) == ([1, 1], [1, 1], 1)
        && e.channels.is_multiple_of(4)
        && e.out_channels.is_multiple_of(4);
    if !covered {
        return;
    }
    let mut found = Vec::new();
    if fused::covers(pass, target) {
        found.push((fused::NAME, fused::ns(pass)));
    }
    if separate::covers(pass, target) {
        found.push((separate::NAME, separate::ns(pass)));
    }
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    let pays = |ns: f64| {
        if target.software {
            pass.plain_ns() > CLEARLY * ns
        } else {
            pass.from.min(pass.to) >= FEWEST_CHANNELS
        }
    };
    let first = usize::from(found.first().is_some_and(|&(_, ns)| pays(ns)));
    let names: Vec<&str> = found.iter().map(|&(name, _)| name).collect();
    variants.splice(0..0, names[..first].iter().copied());
    variants.extend(&names[first..]);
}

/// Layout of the weights: `[rows, columns]` for each of the nine taps, with strides in texels.
struct Taps {
    rows: usize,
    columns: usize,
    row_stride: usize,
    tap_stride: usize,
    /// Rotated by 180 degrees.
    rotate: bool,
}

impl Taps {
    /// The layout of weights as they are stored: one row per output channel.
    fn by_output(e: &Extents, rotate: bool) -> Self {
        let groups = e.channels / 4;
        Taps {
            rows: e.out_channels,
            columns: e.channels,
            row_stride: TAPS * groups,
            tap_stride: groups,
            rotate,
        }
    }

    /// Texels per row.
    fn groups(&self) -> usize {
        self.columns / 4
    }
}

/// Strides in texels with which the components of the weights are written: from a row to the next, from four rows to
/// the next four, and along the columns and rows of the 6 x 6 components.
struct Places {
    row: usize,
    four_rows: usize,
    y: usize,
    x: usize,
}

/// Adds the launch that transforms weights to their components.
fn transform_weights(cx: &mut Lowering<'_>, w: &Arg, taps: &Taps, places: &Places) -> Result<Arg> {
    let to = cx.scratch(TensorType::f32([COMPONENTS, taps.rows, taps.columns]));
    let launch = Launch::new("conv2d/winograd_weight")
        .read("a", w.value, w.vec4s())
        .write("out", to.value)
        .param("rows", taps.rows)
        .param("groups", taps.groups())
        .param("row_stride", taps.row_stride)
        .param("tap_stride", taps.tap_stride)
        .param("rotate", u32::from(taps.rotate))
        .param("out_row_stride", places.row)
        .param("out_four_rows_stride", places.four_rows)
        .param("out_y_stride", places.y)
        .param("out_x_stride", places.x)
        .invocations(taps.rows * taps.groups(), WORKGROUP);
    cx.launch(launch)?;
    Ok(to)
}

/// How far the first tile of the outputs starts above and to the left of the image.
fn upper_left(conv: &Conv2d) -> [i32; 2] {
    [conv.padding[0][0] as i32, conv.padding[1][0] as i32]
}

/// The same for the input gradient: `dX` is the convolution of `dY` with the rotated weights, padded by the reach of
/// the taps.
fn input_grad_corner(conv: &Conv2d) -> [i32; 2] {
    upper_left(conv).map(|p| 2 - p)
}

/// The error for an operand that is not a batch of images.
fn no_images(x: &Arg) -> crate::Error {
    crate::Error::Graph(format!("{} is no batch of images", x.ty))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variants of the two passes that have a fused kernel, for images `[batch, side, side, channels]`.
    fn names(
        conv: Conv2d,
        [batch, side, channels]: [usize; 3],
        to: usize,
        target: &Target,
    ) -> [Vec<&'static str>; 2] {
        let e = conv
            .extents(&[batch, side, side, channels], &[to, 3, 3, channels])
            .expect("a kernel that fits");
        [Pass::forward(&conv, &e), Pass::input_grad(&conv, &e)].map(|pass| {
            let mut names = vec!["plain"];
            add(&mut names, &conv, &e, &pass, target);
            names
        })
    }

    fn padded(padding: usize) -> Conv2d {
        Conv2d {
            padding: [[padding; 2]; 2],
            ..Conv2d::default()
        }
    }

    #[test]
    fn the_fused_kernel_comes_first_where_it_is_clearly_faster() {
        let lavapipe = Target::lavapipe();
        for names in names(padded(1), [16, 32, 64], 64, &lavapipe) {
            assert_eq!(names[0], fused::NAME);
        }
        for names in names(padded(0), [128, 13, 32], 64, &lavapipe) {
            assert_eq!(names[0], "plain");
            assert!(names.contains(&fused::NAME), "{names:?}");
        }
    }

    #[test]
    fn the_fused_kernel_is_for_tiles_that_see_a_pixel_and_subgroups_of_8() {
        let lavapipe = Target::lavapipe();
        let [forward, input_grad] = names(padded(3), [2, 9, 8], 8, &lavapipe);
        assert!(!forward.contains(&fused::NAME), "{forward:?}");
        assert!(input_grad.contains(&fused::NAME), "{input_grad:?}");
        let [few_channels, _] = names(padded(1), [16, 32, 16], 64, &Target::portable());
        assert_eq!(few_channels, ["plain", separate::NAME]);
        let [many, _] = names(padded(1), [16, 32, 64], 64, &Target::portable());
        assert_eq!(many, [separate::NAME, "plain"]);
    }

    #[test]
    fn no_kernel_is_offered_beyond_its_limits() {
        let lavapipe = Target::lavapipe();
        // More steps than an invocation may take, and weights whose components exceed a binding.
        let [many_steps, _] = names(padded(1), [1, 4, 43_400], 4, &lavapipe);
        assert!(!many_steps.contains(&fused::NAME), "{many_steps:?}");
        let [large, _] = names(padded(1), [1, 4, 1024], 1024, &lavapipe);
        assert_eq!(large, ["plain"]);
    }
}

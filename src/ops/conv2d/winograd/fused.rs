//! The forward pass and the input gradient in one kernel each, with nothing stored between the transforms, for
//! subgroups of 8.

use super::super::{Conv2d, Extents, signed};
use super::{
    COMPONENTS, NS_PER_COMPONENT, Pass, Places, TAPS, Taps, Tiles, input_grad_corner, no_images,
    transform_weights, upper_left,
};
use crate::error::Result;
use crate::ops::contraction;
use crate::plan::{Arg, Launch, Lowering, MAX_LOOP_ITERATIONS, Scalar, Target};
use crate::tensor::TensorType;

/// Name of the variant.
pub(in crate::ops::conv2d) const NAME: &str = "winograd fused";

/// Tiles per workgroup, one for each lane.
const TILES: usize = 8;
/// Channels of the result per workgroup.
const COLUMNS: usize = 32;

/// Whether the kernel supports a pass: every tile overlaps the image (pixels outside are read as the nearest one
/// inside, times 0), the components of the weights fit in a binding, and the loops are short enough.
pub(super) fn covers(pass: &Pass, target: &Target) -> bool {
    let components = TensorType::f32([COMPONENTS, pass.from, pass.to]);
    let iterations = 6 * (pass.from / 4 + 1);
    let sees = |padding: [[usize; 2]; 2]| padding.as_flattened().iter().all(|&p| p <= 2);
    target.subgroups_are(TILES as u32)
        && pass.padding.is_some_and(sees)
        && components.bytes() as u64 <= target.max_binding_bytes
        && iterations <= MAX_LOOP_ITERATIONS
}

/// Workgroups along the tiles and along the channels of the result.
fn workgroups(tiles: Tiles, to: usize) -> [usize; 2] {
    [tiles.count.div_ceil(TILES), to.div_ceil(COLUMNS)]
}

/// Time on lavapipe with two cores, in nanoseconds.
pub(super) fn ns(pass: &Pass) -> f64 {
    /// Time for four channels that a workgroup sums over: a fixed time for each of the 6 columns of the components.
    const PER_STEP: f64 = 6.0 * 320.0;
    /// Time for everything else that a workgroup does.
    const PER_WORKGROUP: f64 = 7300.0;
    let count: usize = workgroups(pass.tiles, pass.to).iter().product();
    let components = COMPONENTS * pass.from * pass.to;
    count as f64 * ((pass.from / 4) as f64 * PER_STEP + PER_WORKGROUP)
        + components as f64 * NS_PER_COMPONENT
}

/// Adds the launches of `Y = conv(X, W)`.
pub(in crate::ops::conv2d) fn forward(
    cx: &mut Lowering<'_>,
    conv: &Conv2d,
    e: &Extents,
) -> Result<()> {
    let (x, w) = (cx.input(0), cx.input(1));
    let (from, to) = (e.channels, e.out_channels);
    let by_tap = contraction::transposed(cx, &w, 0, [to, TAPS * from])?;
    let groups = to / 4;
    let taps = Taps {
        rows: from,
        columns: to,
        row_stride: groups,
        tap_stride: from * groups,
        rotate: false,
    };
    convolve(cx, &x, &by_tap, &taps, upper_left(conv))
}

/// Adds the launches of `dX`, see [`input_grad_corner`].
pub(in crate::ops::conv2d) fn input_grad(
    cx: &mut Lowering<'_>,
    conv: &Conv2d,
    e: &Extents,
) -> Result<()> {
    let (dy, w) = (cx.input(0), cx.input(1));
    convolve(
        cx,
        &dy,
        &w,
        &Taps::by_output(e, true),
        input_grad_corner(conv),
    )
}

/// Adds the launches that convolve `images` with the taps in `w`, including the last one of the operation.
fn convolve(
    cx: &mut Lowering<'_>,
    images: &Arg,
    w: &Arg,
    taps: &Taps,
    [top, left]: [i32; 2],
) -> Result<()> {
    let out = cx.output()?;
    let &[batch, height, width, from] = images.dims() else {
        return Err(no_images(images));
    };
    let &[_, out_height, out_width, to] = out.dims() else {
        return Err(no_images(&out));
    };
    // Values that a step reads are contiguous: [column of the components, channels / 4, row of the components, 4,
    // channels out].
    let row = taps.groups();
    let places = Places {
        row,
        four_rows: 24 * row,
        y: 4 * row,
        x: 6 * from * row,
    };
    let components = transform_weights(cx, w, taps, &places)?;
    let tiles = Tiles::new(batch, [out_height, out_width]);
    let [tile_groups, column_groups] = workgroups(tiles, to);
    let count = tile_groups * column_groups;
    // A tile's 6 rows of 4 pixels for each of the 6 columns of the components.
    let pixels = count * TILES * 6 * 24;
    let launch = Launch::new("conv2d/winograd_fused")
        .read("a", images.value, (pixels * from / 4) as u64)
        .read(
            "b",
            components.value,
            (count * COMPONENTS * from * COLUMNS / 4) as u64,
        )
        .write("out", out.value)
        .param("tiles", tiles.count)
        .param("tiles_y", tiles.y)
        .param("tiles_x", tiles.x)
        .param("tile_groups", tile_groups)
        .param("in_groups", from / 4)
        .param("out_groups", to / 4)
        .param("height", signed(height))
        .param("width", signed(width))
        .param("pad_top", Scalar::I32(top))
        .param("pad_left", Scalar::I32(left))
        .param("out_height", signed(out_height))
        .param("out_width", signed(out_width))
        .workgroups(count as u64)
        .flops((2 * COMPONENTS * tiles.count * from * to) as u64);
    cx.launch_with_epilogue(launch)
}

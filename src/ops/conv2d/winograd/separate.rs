//! The three passes with kernels that store components in memory: the transforms of images and weights, one batch of
//! matrix products over the components, and the inverse transform. They write and read 36 values for the 16 of a tile,
//! so they suit convolutions with many channels, where the products take longer than that.

use super::super::{Conv2d, Extents, signed};
use super::{
    COMPONENTS, FLOPS_PER_NS, NS_PER_COMPONENT, Pass, Places, TILE, Taps, Tiles, WORKGROUP,
    input_grad_corner, no_images, transform_weights, upper_left,
};
use crate::error::Result;
use crate::ops::contraction;
use crate::ops::matmul::Matmul;
use crate::plan::{Arg, Launch, Lowering, Scalar, Target};
use crate::tensor::TensorType;

/// Name of the variant.
pub(in crate::ops::conv2d) const NAME: &str = "winograd";

/// Whether all components fit in a binding.
pub(super) fn covers(pass: &Pass, target: &Target) -> bool {
    let weights = TensorType::f32([COMPONENTS, pass.from, pass.to]);
    let tiles = pass.tiles.components(pass.from.max(pass.to));
    weights.bytes().max(tiles.bytes()) as u64 <= target.max_binding_bytes
}

/// Time on lavapipe with two cores, in nanoseconds.
pub(super) fn ns(pass: &Pass) -> f64 {
    let &Pass {
        tiles, from, to, ..
    } = pass;
    let components = COMPONENTS * (tiles.count * (from + to) + from * to);
    let products = 2 * COMPONENTS * tiles.count * from * to;
    products as f64 / FLOPS_PER_NS + components as f64 * NS_PER_COMPONENT
}

/// A launch of one of the transforms of images. `images` has the extents `[height, width]` and `channels`; tiles start
/// `padding` above and to the left of it.
fn images(
    file: &str,
    tiles: Tiles,
    [height, width]: [usize; 2],
    channels: usize,
    [top, left]: [i32; 2],
) -> Launch {
    Launch::new(&format!("conv2d/{file}"))
        .param("tiles", tiles.count)
        .param("tiles_y", tiles.y)
        .param("tiles_x", tiles.x)
        .param("groups", channels / 4)
        .param("height", signed(height))
        .param("width", signed(width))
        .param("pad_top", Scalar::I32(top))
        .param("pad_left", Scalar::I32(left))
        .invocations(tiles.count * (channels / 4), WORKGROUP)
}

/// Adds the launch that transforms `images` to components.
fn transform(
    cx: &mut Lowering<'_>,
    file: &str,
    from: &Arg,
    tiles: Tiles,
    padding: [i32; 2],
) -> Result<Arg> {
    let &[_, height, width, channels] = from.dims() else {
        return Err(no_images(from));
    };
    let to = cx.scratch(tiles.components(channels));
    let pixels = if file == "winograd_input" {
        COMPONENTS
    } else {
        TILE * TILE
    };
    let loads = tiles.count * pixels * channels / 4;
    let launch = images(file, tiles, [height, width], channels, padding)
        .read("a", from.value, loads as u64)
        .write("out", to.value);
    cx.launch(launch)?;
    Ok(to)
}

/// Adds the launch that transforms the weights to components `[36, O, I]`. With `rotate`, the taps are first rotated by
/// 180 degrees.
fn weights(cx: &mut Lowering<'_>, w: &Arg, e: &Extents, rotate: bool) -> Result<Arg> {
    let taps = Taps::by_output(e, rotate);
    let (row, matrix) = (taps.groups(), taps.rows * taps.groups());
    let places = Places {
        row,
        four_rows: 4 * row,
        y: 6 * matrix,
        x: matrix,
    };
    transform_weights(cx, w, &taps, &places)
}

/// Adds the launches of the products over components.
fn multiply(cx: &mut Lowering<'_>, op: Matmul, a: Arg, b: Arg, to: TensorType) -> Result<Arg> {
    let to = cx.scratch(to);
    contraction::lower_into(cx, op.contraction(a, b)?, &to)?;
    Ok(to)
}

/// Adds the launch that transforms components back to images, the last one of the operation.
fn transform_back(cx: &mut Lowering<'_>, from: &Arg, to: &Arg, tiles: Tiles) -> Result<()> {
    let &[_, height, width, channels] = to.dims() else {
        return Err(no_images(to));
    };
    let launch = images("winograd_output", tiles, [height, width], channels, [0, 0])
        .read("a", from.value, from.vec4s())
        .write("out", to.value);
    cx.launch_with_epilogue(launch)
}

/// Adds the launches of `Y = conv(X, W)`.
pub(in crate::ops::conv2d) fn forward(
    cx: &mut Lowering<'_>,
    conv: &Conv2d,
    e: &Extents,
) -> Result<()> {
    let (x, w, y) = (cx.input(0), cx.input(1), cx.output()?);
    let tiles = Tiles::new(e.batch, e.output);
    let v = transform(cx, "winograd_input", &x, tiles, upper_left(conv))?;
    let u = weights(cx, &w, e, false)?;
    let product = Matmul {
        transpose_a: false,
        transpose_b: true,
    };
    let m = multiply(cx, product, v, u, tiles.components(e.out_channels))?;
    transform_back(cx, &m, &y, tiles)
}

/// Adds the launches of `dX`, see [`input_grad_corner`].
pub(in crate::ops::conv2d) fn input_grad(
    cx: &mut Lowering<'_>,
    conv: &Conv2d,
    e: &Extents,
) -> Result<()> {
    let (dy, w, dx) = (cx.input(0), cx.input(1), cx.output()?);
    let tiles = Tiles::new(e.batch, e.input);
    let v = transform(cx, "winograd_input", &dy, tiles, input_grad_corner(conv))?;
    let u = weights(cx, &w, e, true)?;
    let product = Matmul {
        transpose_a: false,
        transpose_b: false,
    };
    let m = multiply(cx, product, v, u, tiles.components(e.channels))?;
    transform_back(cx, &m, &dx, tiles)
}

/// Adds the launches of `dW`: the transposes of the forward transforms, with the sum over tiles as the product.
pub(in crate::ops::conv2d) fn weight_grad(
    cx: &mut Lowering<'_>,
    conv: &Conv2d,
    e: &Extents,
) -> Result<()> {
    let (x, dy, dw) = (cx.input(0), cx.input(1), cx.output()?);
    let tiles = Tiles::new(e.batch, e.output);
    let v = transform(cx, "winograd_input", &x, tiles, upper_left(conv))?;
    let q = transform(cx, "winograd_output_grad", &dy, tiles, [0, 0])?;
    let product = Matmul {
        transpose_a: true,
        transpose_b: false,
    };
    let to = TensorType::f32([COMPONENTS, e.out_channels, e.channels]);
    let p = multiply(cx, product, q, v, to)?;
    let groups = e.channels / 4;
    let launch = Launch::new("conv2d/winograd_weight_grad")
        .read("a", p.value, p.vec4s())
        .write("out", dw.value)
        .param("outputs", e.out_channels)
        .param("groups", groups)
        .invocations(e.out_channels * groups, WORKGROUP);
    cx.launch_with_epilogue(launch)
}

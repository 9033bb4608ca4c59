//! The three passes of a 3 x 3 convolution by Winograd's minimal filtering F(4 x 4, 3 x 3): input and weights are
//! transformed to 36 components for each tile of 4 x 4 outputs, one batch of matrix products over the components replaces
//! the sum over channels and taps, and its result is transformed back. A quarter of the multiplications, on a few more
//! bytes ([Lavin and Gray 2015](https://arxiv.org/abs/1509.09308)). The transforms are in `shaders/conv2d/winograd.wgsl`.

use super::{Conv2d, Extents, signed};
use crate::error::Result;
use crate::ops::contraction;
use crate::ops::matmul::Matmul;
use crate::plan::{Arg, Launch, Lowering, Scalar, Target};
use crate::tensor::TensorType;

/// Name of the variant.
pub(super) const NAME: &str = "winograd";

/// Outputs of a tile along an axis.
const TILE: usize = 4;
/// Components of a tile.
const COMPONENTS: usize = 36;
/// Invocations in a workgroup of the transforms.
const WORKGROUP: usize = 64;

/// How the outputs of a pass are cut into tiles.
#[derive(Clone, Copy)]
struct Tiles {
    y: usize,
    x: usize,
    /// Of all images.
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

    /// Components of every tile and channel.
    fn components(&self, channels: usize) -> TensorType {
        TensorType::f32([COMPONENTS, self.count, channels])
    }
}

/// Whether the kernels cover a convolution: 3 x 3 taps at stride 1, channels in whole `vec4`s, and components of `outputs`
/// (the height and width that are cut into tiles) that fit a binding.
pub(super) fn covers(conv: &Conv2d, e: &Extents, outputs: [usize; 2], target: &Target) -> bool {
    let fits = |channels| {
        let bytes = Tiles::new(e.batch, outputs).components(channels).bytes();
        bytes as u64 <= target.max_binding_bytes
    };
    e.kernel == [3, 3]
        && (conv.stride, conv.dilation, conv.groups) == ([1, 1], [1, 1], 1)
        && e.channels.is_multiple_of(4)
        && e.out_channels.is_multiple_of(4)
        && fits(e.channels.max(e.out_channels))
}

/// Whether it is likely the fastest on `target`, by what was measured on lavapipe (docs/decisions.md); elsewhere a tuner may
/// find that it is.
pub(super) fn pays(e: &Extents, outputs: [usize; 2], target: &Target) -> bool {
    const FLOPS_PER_NS: f64 = 75.0;
    /// To write a component, to copy it for reading and to read it.
    const NS_PER_COMPONENT: f64 = 2.0;
    const CLEARLY: f64 = 1.2;
    let tiles = Tiles::new(e.batch, outputs).count;
    let (inputs, filters) = (e.channels, e.out_channels);
    let components = COMPONENTS * (tiles * (inputs + filters) + inputs * filters);
    let products = 2 * COMPONENTS * tiles * inputs * filters;
    let ns = products as f64 / FLOPS_PER_NS + components as f64 * NS_PER_COMPONENT;
    target.software && e.flops() as f64 / FLOPS_PER_NS > CLEARLY * ns
}

/// A launch of one of the transforms of images: `images` has `[height, width]` and `channels`, tiles lie `padding` to the
/// upper left.
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

/// A launch of one of the transforms of weights.
fn weights(file: &str, e: &Extents) -> Launch {
    Launch::new(&format!("conv2d/{file}"))
        .param("outputs", e.out_channels)
        .param("groups", e.channels / 4)
        .invocations(e.out_channels * (e.channels / 4), WORKGROUP)
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
        return Err(crate::Error::Graph(format!("{} is no batch of images", from.ty)));
    };
    let to = cx.scratch(tiles.components(channels));
    let pixels = if file == "winograd_input" { COMPONENTS } else { TILE * TILE };
    let loads = tiles.count * pixels * channels / 4;
    let launch = images(file, tiles, [height, width], channels, padding)
        .read("a", from.value, loads as u64)
        .write("out", to.value);
    cx.launch(launch)?;
    Ok(to)
}

/// Adds the launch that transforms the weights to components `[36, O, I]`; with `rotate`, their taps are turned by half a
/// turn before.
fn transform_weights(cx: &mut Lowering<'_>, w: &Arg, e: &Extents, rotate: bool) -> Result<Arg> {
    let to = cx.scratch(TensorType::f32([COMPONENTS, e.out_channels, e.channels]));
    let launch = weights("winograd_weight", e)
        .read("a", w.value, w.vec4s())
        .write("out", to.value)
        .param("rotate", u32::from(rotate));
    cx.launch(launch)?;
    Ok(to)
}

/// Adds the launches of the products over components.
fn multiply(cx: &mut Lowering<'_>, op: Matmul, a: Arg, b: Arg, to: TensorType) -> Result<Arg> {
    let to = cx.scratch(to);
    contraction::lower_into(cx, op.contraction(a, b)?, &to)?;
    Ok(to)
}

/// Adds the launch that transforms components back to images, the operation's last.
fn transform_back(cx: &mut Lowering<'_>, from: &Arg, to: &Arg, tiles: Tiles) -> Result<()> {
    let &[_, height, width, channels] = to.dims() else {
        return Err(crate::Error::Graph(format!("{} is no batch of images", to.ty)));
    };
    let launch = images("winograd_output", tiles, [height, width], channels, [0, 0])
        .read("a", from.value, from.vec4s())
        .write("out", to.value);
    cx.launch_with_epilogue(launch)
}

/// `Y = conv(X, W)`.
pub(super) fn forward(cx: &mut Lowering<'_>, conv: &Conv2d, e: &Extents) -> Result<()> {
    let (x, w, y) = (cx.input(0), cx.input(1), cx.output()?);
    let tiles = Tiles::new(e.batch, e.output);
    let v = transform(cx, "winograd_input", &x, tiles, upper_left(conv))?;
    let u = transform_weights(cx, &w, e, false)?;
    let product = Matmul {
        transpose_a: false,
        transpose_b: true,
    };
    let m = multiply(cx, product, v, u, tiles.components(e.out_channels))?;
    transform_back(cx, &m, &y, tiles)
}

/// `dX` is the convolution of `dY` with the rotated weights, padded by what the taps reach over.
pub(super) fn input_grad(cx: &mut Lowering<'_>, conv: &Conv2d, e: &Extents) -> Result<()> {
    let (dy, w, dx) = (cx.input(0), cx.input(1), cx.output()?);
    let tiles = Tiles::new(e.batch, e.input);
    let padding = upper_left(conv).map(|p| 2 - p);
    let v = transform(cx, "winograd_input", &dy, tiles, padding)?;
    let u = transform_weights(cx, &w, e, true)?;
    let product = Matmul {
        transpose_a: false,
        transpose_b: false,
    };
    let m = multiply(cx, product, v, u, tiles.components(e.channels))?;
    transform_back(cx, &m, &dx, tiles)
}

/// `dW`: the transposes of the forward transforms, with the sum over tiles as the product.
pub(super) fn weight_grad(cx: &mut Lowering<'_>, conv: &Conv2d, e: &Extents) -> Result<()> {
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
    let launch = weights("winograd_weight_grad", e)
        .read("a", p.value, p.vec4s())
        .write("out", dw.value);
    cx.launch_with_epilogue(launch)
}

fn upper_left(conv: &Conv2d) -> [i32; 2] {
    [conv.padding[0][0] as i32, conv.padding[1][0] as i32]
}

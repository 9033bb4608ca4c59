//! The three passes of a depthwise convolution. Every channel has its own filter, so there is nothing to contract: the
//! kernels are plain sums over the taps, for four channels and four pixels at a time.

use super::{Conv2d, Extents, signed};
use crate::error::Result;
use crate::ops::contraction;
use crate::plan::{Arg, Launch, Lowering};
use crate::tensor::TensorType;

/// Name of the variant.
pub(super) const NAME: &str = "depthwise";

/// Pixels of a row that an invocation handles.
const STRIP: usize = 4;
/// Invocations in a workgroup.
const WORKGROUP: usize = 64;

/// Whether the kernels support a convolution: as many groups as channels, in whole `vec4`s.
pub(super) fn covers(conv: &Conv2d, e: &Extents) -> bool {
    conv.groups == e.channels && e.out_channels == e.channels && e.channels.is_multiple_of(4)
}

/// A launch of one of the kernels with `len` invocations.
fn launch(file: &str, conv: &Conv2d, e: &Extents, len: usize) -> Launch {
    Launch::new(file)
        .constant("KERNEL_Y", e.kernel[0] as f64)
        .constant("KERNEL_X", e.kernel[1] as f64)
        .param("len", len)
        .param("height", signed(e.input[0]))
        .param("width", signed(e.input[1]))
        .param("out_height", signed(e.output[0]))
        .param("out_width", signed(e.output[1]))
        .param("groups", e.channels / 4)
        .params(conv.geometry())
        .invocations(len, WORKGROUP)
        .flops(e.flops())
}

/// Adds the launch that copies weights to channels-last order, so that four channels of a tap are neighbours.
fn channels_last(cx: &mut Lowering<'_>, w: &Arg, e: &Extents) -> Result<Arg> {
    let taps = e.kernel[0] * e.kernel[1];
    let to = cx.scratch(TensorType::f32([taps, e.channels]));
    let launch = Launch::new("conv2d/depthwise_weights")
        .read("a", w.value, w.ty.elements() as u64)
        .write("out", to.value)
        .param("taps", taps)
        .param("groups", e.channels / 4)
        .invocations(taps * e.channels / 4, WORKGROUP);
    cx.launch(launch)?;
    Ok(to)
}

/// The forward pass or the input gradient, by the kernel in `file`, from the input `from` and the weights.
pub(super) fn images(cx: &mut Lowering<'_>, file: &str, conv: &Conv2d, e: &Extents) -> Result<()> {
    let (from, w, to) = (cx.input(0), cx.input(1), cx.output()?);
    let w = channels_last(cx, &w, e)?;
    let &[batch, height, width, channels] = to.dims() else {
        return Err(crate::Error::Graph(format!(
            "{} is no batch of images",
            to.ty
        )));
    };
    let strips = width.div_ceil(STRIP);
    let len = batch * height * strips * (channels / 4);
    let reads = (len * e.kernel[0] * e.kernel[1]) as u64;
    let launch = launch(file, conv, e, len)
        .read("a", from.value, reads * STRIP as u64)
        .read("b", w.value, reads)
        .write("out", to.value)
        .param("strips", strips)
        .param("rows", 0_u32)
        .param("rows_per_split", 0_u32);
    cx.launch_with_epilogue(launch)
}

/// The weight gradient.
pub(super) fn weight_grad(cx: &mut Lowering<'_>, conv: &Conv2d, e: &Extents) -> Result<()> {
    // Pixels that an invocation sums: few, to keep all invocations busy and to stay below the loop iterations that
    // llvmpipe allows.
    let pixels = if cx.target().software { 2048 } else { 128 };
    let (x, dy, dw) = (cx.input(0), cx.input(1), cx.output()?);
    let rows = e.batch * e.output[0];
    let per_split = (pixels / e.output[1]).clamp(1, rows);
    let splits = rows.div_ceil(per_split);
    let taps = e.kernel[0] * e.kernel[1];
    let len = splits * taps * e.channels / 4;
    let to = match splits {
        1 => dw.clone(),
        _ => cx.scratch(TensorType::f32([splits, dw.ty.elements()])),
    };
    let reads = (rows * e.output[1] * taps * e.channels / 4) as u64;
    let launch = launch("conv2d/weight_grad_depthwise", conv, e, len)
        .read("a", x.value, reads)
        .read("b", dy.value, reads)
        .write("out", to.value)
        .param("strips", 0_u32)
        .param("rows", rows)
        .param("rows_per_split", per_split);
    if splits == 1 {
        return cx.launch_with_epilogue(launch);
    }
    cx.launch(launch)?;
    cx.launch_with_epilogue(contraction::sum_splits(cx.target(), &to, &dw, splits))
}

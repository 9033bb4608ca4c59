//! Convolutions and their transposes.

use super::{Class, KerasSite, Made, class};
use crate::onnx::array::Array;
use crate::onnx::keras::net::{KerasValue, int, ints, text};
use crate::onnx::keras::stored::Weight;
use crate::onnx::messages::AttributeProto;

pub(super) const CLASSES: &[Class] = &[
    class("Conv1D", |site| conv(site, 1)),
    class("Conv2D", |site| conv(site, 2)),
    class("Conv3D", |site| conv(site, 3)),
    class("DepthwiseConv1D", |site| depthwise(site, 1)),
    class("DepthwiseConv2D", |site| depthwise(site, 2)),
    class("SeparableConv1D", |site| separable(site, 1)),
    class("SeparableConv2D", |site| separable(site, 2)),
    class("Conv1DTranspose", |site| transposed(site, 1)),
    class("Conv2DTranspose", |site| transposed(site, 2)),
];

/// Strides, dilations and padding of a layer over `axes` axes.
fn windows(site: &KerasSite<'_, '_>, axes: usize) -> Result<Vec<AttributeProto>, String> {
    let mut attributes = vec![
        ints("strides", &site.counts("strides", axes, 1)?),
        ints("dilations", &site.counts("dilation_rate", axes, 1)?),
    ];
    match site.text("padding", "valid").as_str() {
        "same" => attributes.push(text("auto_pad", "SAME_UPPER")),
        "valid" | "causal" => attributes.push(text("auto_pad", "VALID")),
        other => return Err(format!("has padding = \"{other}\", which is not supported")),
    }
    Ok(attributes)
}

/// `[KH, KW, I, O]` as `[O, I, KH, KW]`.
fn filters(kernel: &Array) -> Array {
    let rank = kernel.dims.len();
    let order: Vec<usize> = [rank - 1, rank - 2]
        .into_iter()
        .chain(0..rank - 2)
        .collect();
    kernel.permuted(&order)
}

/// What a convolution over `axes` axes reads, channels first, with what a causal one adds before.
fn operand(
    site: &mut KerasSite<'_, '_>,
    axes: usize,
    span: usize,
) -> Result<(KerasValue, String), String> {
    let x = site.image(axes)?;
    let mut first = site.net.channels_first(&x);
    if site.text("padding", "valid") == "causal" {
        let dilation = site.counts("dilation_rate", axes, 1)?[0];
        let before = (span.saturating_sub(1) * dilation) as i64;
        let pads = site.net.integers(&[0, 0, before, 0, 0, 0]);
        first = site.net.node("Pad", &[&first, &pads], Vec::new());
    }
    Ok((x, first))
}

fn conv(site: &mut KerasSite<'_, '_>, axes: usize) -> Made {
    let kernel = site.stored(Weight::own(0, "kernel"), axes + 2)?;
    let (x, first) = operand(site, axes, kernel.dims[0])?;
    let mut attributes = windows(site, axes)?;
    attributes.push(int("group", site.count("groups").unwrap_or(1) as i64));
    let kernel = site.net.weight("kernel", filters(&kernel));
    let y = site.net.node("Conv", &[&first, &kernel], attributes);
    let y = site.net.channels_last(&y, x.rank);
    let y = site.biased(y, Weight::own(1, "bias"))?;
    site.activated(y)
}

/// `[KH, KW, C, M]` as filters `[C M, 1, KH, KW]`, one group for each channel.
fn by_channel(kernel: &Array) -> Array {
    let axes = kernel.dims.len() - 2;
    let (channels, each) = (kernel.dims[axes], kernel.dims[axes + 1]);
    let order: Vec<usize> = [axes, axes + 1].into_iter().chain(0..axes).collect();
    let mut dims = vec![channels * each, 1];
    dims.extend(&kernel.dims[..axes]);
    kernel.permuted(&order).reshaped(&dims)
}

/// The convolution of each channel by itself, channels first.
fn channelwise(
    site: &mut KerasSite<'_, '_>,
    axes: usize,
    name: &'static str,
) -> Result<(KerasValue, String), String> {
    let kernel = site.stored(Weight::own(0, name), axes + 2)?;
    let (x, first) = operand(site, axes, kernel.dims[0])?;
    let mut attributes = windows(site, axes)?;
    attributes.push(int("group", kernel.dims[axes] as i64));
    let kernel = site.net.weight(name, by_channel(&kernel));
    let y = site.net.node("Conv", &[&first, &kernel], attributes);
    Ok((x, y))
}

fn depthwise(site: &mut KerasSite<'_, '_>, axes: usize) -> Made {
    let is_old = site.optional(Weight::own(0, "depthwise_kernel")).is_some();
    let name = if is_old { "depthwise_kernel" } else { "kernel" };
    let (x, y) = channelwise(site, axes, name)?;
    let y = site.net.channels_last(&y, x.rank);
    let y = site.biased(y, Weight::own(1, "bias"))?;
    site.activated(y)
}

fn separable(site: &mut KerasSite<'_, '_>, axes: usize) -> Made {
    let (x, y) = channelwise(site, axes, "depthwise_kernel")?;
    let pointwise = site.stored(Weight::own(1, "pointwise_kernel"), axes + 2)?;
    let pointwise = site.net.weight("pointwise_kernel", filters(&pointwise));
    let y = site.net.node("Conv", &[&y, &pointwise], Vec::new());
    let y = site.net.channels_last(&y, x.rank);
    let y = site.biased(y, Weight::own(2, "bias"))?;
    site.activated(y)
}

/// The gradient of a convolution by its input, as TensorFlow pads it.
fn transposed(site: &mut KerasSite<'_, '_>, axes: usize) -> Made {
    let kernel = site.stored(Weight::own(0, "kernel"), axes + 2)?;
    let (x, first) = operand(site, axes, 1)?;
    let strides = site.counts("strides", axes, 1)?;
    let dilations = site.counts("dilation_rate", axes, 1)?;
    if site.setting("output_padding").is_some() {
        return Err(
            "has output_padding, which is not supported; export the model as ONNX".to_string(),
        );
    }
    let is_same = site.text("padding", "valid") == "same";
    let (mut before, mut after, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for axis in 0..axes {
        let span = dilations[axis] * kernel.dims[axis].saturating_sub(1) + 1;
        let total = match is_same {
            true => span.saturating_sub(strides[axis]),
            false => 0,
        };
        before.push(total / 2);
        after.push(total - total / 2);
        // The output is at least as long as the strides make it.
        more.push(strides[axis].saturating_sub(span));
    }
    let pads: Vec<usize> = before.into_iter().chain(after).collect();
    let attributes = vec![
        ints("strides", &strides),
        ints("dilations", &dilations),
        ints("pads", &pads),
        ints("output_padding", &more),
    ];
    // [KH, KW, O, I] as [I, O, KH, KW].
    let kernel = site.net.weight("kernel", filters(&kernel));
    let y = site
        .net
        .node("ConvTranspose", &[&first, &kernel], attributes);
    let y = site.net.channels_last(&y, x.rank);
    let y = site.biased(y, Weight::own(1, "bias"))?;
    site.activated(y)
}

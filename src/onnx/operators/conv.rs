//! Convolutions and their transposes, over one to three axes.

use super::axes::strided;
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, refused};
use crate::onnx::value::{Held, NodeValue};
use crate::ops::conv2d::{Conv2d, Conv2dInputGrad};

pub const OPERATORS: &[Operator] = &[
    operator("Conv", conv),
    operator("ConvTranspose", transposed),
];

/// Attributes of windows over the axes of an image.
pub struct Windows {
    /// Distances between windows.
    pub strides: Vec<usize>,
    /// Distances between the elements of a window.
    pub dilations: Vec<usize>,
    /// Elements added before and after.
    pub pads: Vec<[usize; 2]>,
}

/// Counts, one for each of `axes` axes.
pub fn counts(call: &Call<'_, '_, '_>, name: &str, axes: usize) -> Result<Option<Vec<usize>>> {
    let Some(ints) = call.ints(name).filter(|ints| !ints.is_empty()) else {
        return Ok(None);
    };
    let counts: Option<Vec<usize>> = ints
        .iter()
        .map(|&x| usize::try_from(x).ok().filter(|&x| x < 1 << 20))
        .collect();
    match counts {
        Some(counts) if counts.len() == axes => Ok(Some(counts)),
        _ => Err(refused(format!(
            "{name} = {ints:?} does not fit {axes} axes"
        ))),
    }
}

/// The attributes of windows of `kernel` over an image of `extents`.
pub fn windows(call: &Call<'_, '_, '_>, kernel: &[usize], extents: &[usize]) -> Result<Windows> {
    let axes = kernel.len();
    let strides = counts(call, "strides", axes)?.unwrap_or_else(|| vec![1; axes]);
    let dilations = counts(call, "dilations", axes)?.unwrap_or_else(|| vec![1; axes]);
    if strides.contains(&0) || dilations.contains(&0) || kernel.contains(&0) {
        return Err(refused("kernel, strides and dilations must be at least 1"));
    }
    let auto = call.text("auto_pad", "NOTSET");
    let given = call.ints("pads").filter(|pads| !pads.is_empty());
    let pads = match auto.as_str() {
        "SAME_UPPER" | "SAME_LOWER" => (0..axes)
            .map(|i| {
                let span = dilations[i] * (kernel[i] - 1) + 1;
                let outputs = extents[i].div_ceil(strides[i]);
                let total = ((outputs - 1) * strides[i] + span).saturating_sub(extents[i]);
                let (small, large) = (total / 2, total - total / 2);
                match auto.as_str() {
                    "SAME_UPPER" => [small, large],
                    _ => [large, small],
                }
            })
            .collect(),
        "VALID" => vec![[0, 0]; axes],
        "NOTSET" => match given {
            None => vec![[0, 0]; axes],
            Some(pads) => {
                let fits = pads.len() == 2 * axes && pads.iter().all(|p| (0..1 << 20).contains(p));
                if !fits {
                    return Err(refused(format!("pads = {pads:?} do not fit {axes} axes")));
                }
                (0..axes)
                    .map(|i| [pads[i] as usize, pads[i + axes] as usize])
                    .collect()
            }
        },
        other => return Err(refused(format!("it has no auto_pad {other}"))),
    };
    Ok(Windows {
        strides,
        dilations,
        pads,
    })
}

/// `value`, `[N, C, ...]` over `axes` axes, as `[N, ..., C]`.
pub fn channels_last<'g>(call: &mut Call<'_, '_, 'g>, value: &NodeValue<'g>) -> Result<Var<'g>> {
    call.walk.var_in(value, &last_order(value.rank()))
}

/// The order `[N, ..., C]` of the axes `[N, C, ...]`.
pub fn last_order(rank: usize) -> Vec<usize> {
    std::iter::once(0).chain(2..rank).chain([1]).collect()
}

/// `x [N, ..., C]` as the result of an operator over images.
pub fn image<'g>(like: &NodeValue<'g>, x: Var<'g>) -> Vec<NodeValue<'g>> {
    vec![NodeValue::ordered(
        like.element,
        x,
        &last_order(like.rank()),
    )]
}

/// Weights `[O, I, ...]` over one or two axes as O-KH-KW-I.
fn filters<'g>(call: &mut Call<'_, '_, 'g>, weight: &NodeValue<'g>) -> Result<Var<'g>> {
    let w = match &weight.place {
        Held::Stored { name, array } if weight.rank() == 4 => {
            let (var, order) = call.walk.stored(name, array)?;
            match order[..] {
                [0, 2, 3, 1] => var,
                _ => var.permute(&[0, 2, 3, 1])?,
            }
        }
        _ => channels_last(call, weight)?,
    };
    match weight.rank() {
        3 => {
            let dims = w.shape().dims().to_vec();
            w.reshape([dims[0], 1, dims[1], dims[2]])
        }
        _ => Ok(w),
    }
}

fn checked<'g>(call: &Call<'_, '_, 'g>) -> Result<(NodeValue<'g>, NodeValue<'g>)> {
    let (x, weight) = (call.input(0)?, call.input(1)?);
    if !(3..=5).contains(&x.rank()) || weight.rank() != x.rank() {
        return Err(refused(format!(
            "an input of {:?} and weights of {:?} are not those of a convolution over one to three axes",
            x.dims, weight.dims
        )));
    }
    if let Some(kernel) = call.ints("kernel_shape") {
        let own = weight.dims[2..].iter().map(|&d| d as i64);
        if !kernel.iter().copied().eq(own) {
            return Err(refused(format!(
                "kernel_shape = {kernel:?} differs from weights of {:?}",
                weight.dims
            )));
        }
    }
    Ok((x, weight))
}

fn group(call: &Call<'_, '_, '_>) -> Result<usize> {
    let group = call.int("group", 1);
    usize::try_from(group)
        .ok()
        .filter(|&g| g > 0)
        .ok_or_else(|| refused(format!("it can't have {group} groups")))
}

fn conv<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (x, weight) = checked(call)?;
    let w = windows(call, &weight.dims[2..], &x.dims[2..])?;
    let groups = group(call)?;
    let images = channels_last(call, &x)?;
    let y = match x.rank() {
        5 => volume(call, images, &weight, &w, groups)?,
        rank => {
            let attributes = Conv2d {
                stride: pair(&w.strides, 1),
                padding: pair(&w.pads, [0, 0]),
                dilation: pair(&w.dilations, 1),
                groups,
            };
            let dims = images.shape().dims().to_vec();
            let images = match rank {
                3 => images.reshape([dims[0], 1, dims[1], dims[2]])?,
                _ => images,
            };
            let filters = filters(call, &weight)?;
            let y = images.conv2d(filters, attributes)?;
            let d = y.shape().dims().to_vec();
            match rank {
                3 => y.reshape([d[0], d[2], d[3]])?,
                _ => y,
            }
        }
    };
    let y = biased(call, y)?;
    Ok(image(&x, y))
}

/// `y [N, ..., C]` plus the bias `[C]`, operand 2.
fn biased<'g>(call: &mut Call<'_, '_, 'g>, y: Var<'g>) -> Result<Var<'g>> {
    match call.optional(2).cloned() {
        Some(bias) => y.add(call.walk.var(&bias)?),
        None => Ok(y),
    }
}

/// The last two of `values`, or `first` before a single one.
fn pair<T: Copy>(values: &[T], first: T) -> [T; 2] {
    match values {
        [.., y, x] => [*y, *x],
        [x] => [first, *x],
        [] => [first, first],
    }
}

/// A convolution over depth, height and width: for each plane of the kernel one over height and width, added up.
fn volume<'g>(
    call: &mut Call<'_, '_, 'g>,
    x: Var<'g>,
    weight: &NodeValue<'g>,
    w: &Windows,
    groups: usize,
) -> Result<Var<'g>> {
    let padding = [[0, 0], w.pads[0], [0, 0], [0, 0], [0, 0]];
    let x = x.pad(&padding, 0.0)?;
    let dims = x.shape().dims().to_vec();
    let kernel = weight.dims[2];
    let span = w.dilations[0] * (kernel - 1) + 1;
    if span > dims[1] {
        return Err(refused("its kernel is deeper than its input"));
    }
    let depth = (dims[1] - span) / w.strides[0] + 1;
    let attributes = Conv2d {
        stride: pair(&w.strides, 1),
        padding: pair(&w.pads, [0, 0]),
        dilation: pair(&w.dilations, 1),
        groups,
    };
    // [O, D, H, W, I]
    let filters = channels_last(call, weight)?;
    let f = filters.shape().dims().to_vec();
    let mut sum: Option<Var<'g>> = None;
    for plane in 0..kernel {
        let part = strided(x, 1, plane * w.dilations[0], w.strides[0], depth)?;
        let part = part.reshape([dims[0] * depth, dims[2], dims[3], dims[4]])?;
        let filter = filters
            .slice_axis(1, plane..plane + 1)?
            .reshape([f[0], f[2], f[3], f[4]])?;
        let y = part.conv2d(filter, attributes)?;
        sum = Some(match sum {
            Some(sum) => sum.add(y)?,
            None => y,
        });
    }
    let sum = sum.ok_or_else(|| refused("its kernel is empty"))?;
    let d = sum.shape().dims().to_vec();
    sum.reshape([dims[0], depth, d[1], d[2], d[3]])
}

/// The gradient of a convolution with respect to its input, as a forward pass.
fn transposed<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (x, weight) = checked(call)?;
    let axes = x.rank() - 2;
    let kernel = weight.dims[2..].to_vec();
    let strides = counts(call, "strides", axes)?.unwrap_or_else(|| vec![1; axes]);
    let dilations = counts(call, "dilations", axes)?.unwrap_or_else(|| vec![1; axes]);
    let more = counts(call, "output_padding", axes)?.unwrap_or_else(|| vec![0; axes]);
    let groups = group(call)?;
    let auto = call.text("auto_pad", "NOTSET");
    let given = call.ints("pads").filter(|pads| pads.len() == 2 * axes);
    let asked = counts(call, "output_shape", axes)?;
    let (mut outputs, mut pads) = (Vec::new(), Vec::new());
    for i in 0..axes {
        let whole = strides[i] * (x.dims[2 + i] - 1) + more[i] + (kernel[i] - 1) * dilations[i] + 1;
        let wanted = match (&asked, auto.as_str()) {
            (Some(asked), _) => Some(asked[i]),
            (None, "SAME_UPPER" | "SAME_LOWER") => Some(x.dims[2 + i] * strides[i]),
            _ => None,
        };
        let [before, after] = match wanted {
            Some(wanted) => {
                let total = whole.saturating_sub(wanted);
                match auto.as_str() {
                    "SAME_UPPER" => [total / 2, total - total / 2],
                    _ => [total - total / 2, total / 2],
                }
            }
            None => match &given {
                Some(pads) => [pads[i].max(0) as usize, pads[i + axes].max(0) as usize],
                None => [0, 0],
            },
        };
        let output = wanted.or_else(|| whole.checked_sub(before + after).filter(|&n| n > 0));
        outputs.push(output.ok_or_else(|| refused("its pads leave nothing of its result"))?);
        pads.push([before, after]);
    }
    let images = channels_last(call, &x)?;
    let y = match axes {
        3 => {
            let parts = Windows {
                strides,
                dilations,
                pads,
            };
            transposed_volume(call, images, &weight, &parts, &outputs, groups)?
        }
        _ => {
            let dims = images.shape().dims().to_vec();
            let images = match axes {
                1 => images.reshape([dims[0], 1, dims[1], dims[2]])?,
                _ => images,
            };
            let filters = filters(call, &weight)?;
            let y = plane_transposed(
                images, filters, &strides, &dilations, &pads, &outputs, groups,
            )?;
            let d = y.shape().dims().to_vec();
            match axes {
                1 => y.reshape([d[0], d[2], d[3]])?,
                _ => y,
            }
        }
    };
    let y = biased(call, y)?;
    Ok(image(&x, y))
}

/// A transposed convolution over height and width. The engine's is the gradient of a convolution whose windows end within the
/// input, so that what is asked for beyond is added as zeros.
fn plane_transposed<'g>(
    x: Var<'g>,
    filters: Var<'g>,
    strides: &[usize],
    dilations: &[usize],
    pads: &[[usize; 2]],
    outputs: &[usize],
    groups: usize,
) -> Result<Var<'g>> {
    let (stride, dilation) = (pair(strides, 1), pair(dilations, 1));
    let (dims, kernel) = (x.shape(), filters.shape());
    let mut full = [0; 2];
    for i in 0..2 {
        full[i] =
            stride[i] * (dims.dims()[1 + i] - 1) + dilation[i] * (kernel.dims()[1 + i] - 1) + 1;
    }
    let op = Conv2dInputGrad {
        conv: Conv2d {
            stride,
            padding: [[0, 0], [0, 0]],
            dilation,
            groups,
        },
        input: full,
    };
    let mut y = x.builder().op(op, &[x, filters])?;
    let (pads, outputs) = (pair(pads, [0, 0]), pair(outputs, 1));
    for i in 0..2 {
        let (start, end) = (pads[i][0], pads[i][0] + outputs[i]);
        if end > full[i] {
            let mut padding = [[0, 0]; 4];
            padding[1 + i] = [0, end - full[i]];
            y = y.pad(&padding, 0.0)?;
        }
        y = y.slice_axis(1 + i, start..end)?;
    }
    Ok(y)
}

/// The same over depth, height and width: every plane of the kernel writes to every stride-th plane of the result.
fn transposed_volume<'g>(
    call: &mut Call<'_, '_, 'g>,
    x: Var<'g>,
    weight: &NodeValue<'g>,
    w: &Windows,
    outputs: &[usize],
    groups: usize,
) -> Result<Var<'g>> {
    let filters = channels_last(call, weight)?;
    let f = filters.shape().dims().to_vec();
    let dims = x.shape().dims().to_vec();
    let (depth, kernel, stride) = (dims[1], f[1], w.strides[0]);
    let full =
        (stride * (depth - 1) + w.dilations[0] * (kernel - 1) + 1).max(w.pads[0][0] + outputs[0]);
    let flat = x.reshape([dims[0] * depth, dims[2], dims[3], dims[4]])?;
    let mut sum: Option<Var<'g>> = None;
    for plane in 0..kernel {
        let filter = filters
            .slice_axis(1, plane..plane + 1)?
            .reshape([f[0], f[2], f[3], f[4]])?;
        let y = plane_transposed(
            flat,
            filter,
            &w.strides[1..],
            &w.dilations[1..],
            &w.pads[1..],
            &outputs[1..],
            groups,
        )?;
        let d = y.shape().dims().to_vec();
        let size = d[1] * d[2] * d[3];
        // Zeros between the planes, then around them.
        let spread = y
            .reshape([dims[0], depth, 1, size])?
            .pad(&[[0, 0], [0, 0], [0, stride - 1], [0, 0]], 0.0)?
            .reshape([dims[0], depth * stride, size])?
            .slice_axis(1, 0..stride * (depth - 1) + 1)?;
        let start = plane * w.dilations[0];
        let end = full - start - (stride * (depth - 1) + 1);
        let spread = spread.pad(&[[0, 0], [start, end], [0, 0]], 0.0)?;
        let placed = spread.reshape([dims[0], full, d[1], d[2], d[3]])?;
        sum = Some(match sum {
            Some(sum) => sum.add(placed)?,
            None => placed,
        });
    }
    let sum = sum.ok_or_else(|| refused("its kernel is empty"))?;
    sum.slice_axis(1, w.pads[0][0]..w.pads[0][0] + outputs[0])
}

//! Resizing of tensors, and blocks of an image as channels.

use super::axes::{multiplied, taken};
use super::shape::on_host;
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, axis_of, refused};
use crate::onnx::value::{NodeValue, inverse};
use crate::tensor::LARGEST_COUNT;

pub const OPERATORS: &[Operator] = &[
    operator("Resize", |call| match call.opset() {
        ..11 => resize(call, None, Some(1), None),
        _ => resize(call, Some(1), Some(2), Some(3)),
    }),
    operator("Upsample", |call| resize(call, None, Some(1), None)),
    operator("DepthToSpace", depth_to_space),
    operator("SpaceToDepth", space_to_depth),
];

/// How an axis is read.
struct Axis {
    inputs: usize,
    outputs: usize,
    scale: f64,
    /// Start and end of the part that is read, of 0 to 1.
    roi: [f64; 2],
}

/// Where positions of a result lie in an input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    CropAndResize,
}

impl Coordinates {
    fn of(text: &str) -> Result<Coordinates> {
        Ok(match text {
            "half_pixel" => Coordinates::HalfPixel,
            "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
            "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
            "align_corners" => Coordinates::AlignCorners,
            "asymmetric" => Coordinates::Asymmetric,
            "tf_crop_and_resize" => Coordinates::CropAndResize,
            other => return Err(refused(format!("it has no coordinates {other}"))),
        })
    }

    /// The place in the input of position `o` of the result.
    fn place(self, o: usize, axis: &Axis) -> f64 {
        let (x, inputs) = (o as f64, axis.inputs as f64);
        let outputs = axis.scale * inputs;
        let half = (x + 0.5) / axis.scale - 0.5;
        match self {
            Coordinates::HalfPixel => half,
            Coordinates::HalfPixelSymmetric => {
                let adjustment = axis.outputs as f64 / outputs;
                inputs / 2.0 * (1.0 - adjustment) + half
            }
            Coordinates::PytorchHalfPixel if axis.outputs == 1 => -0.5,
            Coordinates::PytorchHalfPixel => half,
            Coordinates::AlignCorners if axis.outputs == 1 => 0.0,
            Coordinates::AlignCorners => x * (inputs - 1.0) / (outputs - 1.0),
            Coordinates::Asymmetric => x / axis.scale,
            Coordinates::CropAndResize => {
                let [start, end] = axis.roi;
                let along = match axis.outputs {
                    1 => (end - start) * (inputs - 1.0) / 2.0,
                    _ => x * (end - start) * (inputs - 1.0) / (outputs - 1.0),
                };
                along + start * (inputs - 1.0)
            }
        }
    }
}

/// How much each of the positions around a place counts.
enum Weights {
    Nearest(String),
    Linear,
    /// Keys' cubic convolution with this coefficient.
    Cubic(f64),
}

impl Weights {
    /// The weights of the positions around a place that is `ratio` after the one to its left.
    fn at(&self, ratio: f64, scale: f64, antialias: bool) -> Vec<f64> {
        let scale = if antialias { scale.min(1.0) } else { 1.0 };
        let cubic = |x: f64, a: f64| {
            let x = x.abs();
            match x {
                _ if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
                _ if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
                _ => 0.0,
            }
        };
        let around = |reach: f64, weight: &dyn Fn(f64) -> f64| {
            // A window over more than this is the mean of everything.
            let start = ((-reach / scale).floor() as i64 + 1).max(-4096);
            let weights = (start..2 - start).map(|i| weight((i as f64 - ratio) * scale));
            let weights: Vec<f64> = weights.collect();
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(|w| w / sum).collect()
        };
        match self {
            Weights::Nearest(mode) => {
                let right = match mode.as_str() {
                    _ if ratio == 1.0 => true,
                    "floor" => false,
                    "ceil" => true,
                    "round_prefer_ceil" => ratio >= 0.5,
                    _ => ratio > 0.5,
                };
                vec![f64::from(u8::from(!right)), f64::from(u8::from(right))]
            }
            Weights::Linear => around(1.0, &|x| (1.0 - x.abs()).clamp(0.0, 1.0)),
            Weights::Cubic(a) => around(2.0, &|x| cubic(x, *a)),
        }
    }
}

fn resize<'g>(
    call: &mut Call<'_, '_, 'g>,
    roi: Option<usize>,
    scales: Option<usize>,
    sizes: Option<usize>,
) -> Built<'g> {
    let value = call.input(0)?;
    let rank = value.rank();
    let axes: Vec<usize> = match call.ints("axes") {
        Some(axes) => axes
            .iter()
            .map(|&a| axis_of(a, rank))
            .collect::<Result<_>>()?,
        None => (0..rank).collect(),
    };
    let numbers = |at: Option<usize>| -> Result<Option<Vec<f64>>> {
        let array = at.map(|at| call.array(at)).transpose()?.flatten();
        Ok(array.filter(|a| !a.is_empty()).map(|a| a.iter().collect()))
    };
    let scales = match call.floats("scales") {
        Some(scales) => Some(scales),
        None => numbers(scales)?,
    };
    let (sizes, roi) = (numbers(sizes)?, numbers(roi)?);
    let fits = |list: &Option<Vec<f64>>| list.as_ref().is_none_or(|l| l.len() == axes.len());
    if !fits(&scales) || !fits(&sizes) || (scales.is_none() && sizes.is_none()) {
        return Err(refused("its scales or sizes do not fit its axes"));
    }
    let mut parts = Vec::new();
    for (i, &axis) in axes.iter().enumerate() {
        let inputs = value.dims[axis];
        let extent = inputs as f64;
        let (outputs, scale) = match (&sizes, &scales) {
            (Some(sizes), _) => {
                let ratios = sizes
                    .iter()
                    .zip(&axes)
                    .map(|(s, &a)| s / value.dims[a] as f64);
                let scale = match call.text("keep_aspect_ratio_policy", "stretch").as_str() {
                    "not_larger" => ratios.fold(f64::INFINITY, f64::min),
                    "not_smaller" => ratios.fold(0.0, f64::max),
                    _ => sizes[i] / extent,
                };
                ((scale * extent).round(), scale)
            }
            (None, Some(scales)) => ((extent * scales[i]).floor(), scales[i]),
            (None, None) => (extent, 1.0),
        };
        if !(outputs >= 1.0 && outputs <= LARGEST_COUNT as f64 && scale > 0.0) {
            return Err(refused(format!(
                "it would resize {inputs} to {outputs} elements"
            )));
        }
        let roi = match &roi {
            Some(roi) if roi.len() == 2 * axes.len() => [roi[i], roi[i + axes.len()]],
            _ => [0.0, 1.0],
        };
        on_host(outputs as usize)?;
        parts.push(Axis {
            inputs,
            outputs: outputs as usize,
            scale,
            roi,
        });
    }
    let older = if call.opset() < 11 {
        "asymmetric"
    } else {
        "half_pixel"
    };
    let mut coordinates = Coordinates::of(&call.text("coordinate_transformation_mode", older))?;
    if call.node.op_type == "Upsample" {
        coordinates = Coordinates::Asymmetric;
    }
    let older = if call.opset() < 11 {
        "floor"
    } else {
        "round_prefer_floor"
    };
    let weights = match call.text("mode", "nearest").as_str() {
        "nearest" => Weights::Nearest(call.text("nearest_mode", older)),
        "linear" | "bilinear" => Weights::Linear,
        "cubic" => Weights::Cubic(call.float("cubic_coeff_a", -0.75)),
        other => return Err(refused(format!("it has no mode {other}"))),
    };
    let antialias = call.int("antialias", 0) != 0;
    if let Some(y) = bilinear(
        call,
        &value,
        &axes,
        &parts,
        coordinates,
        &weights,
        antialias,
    )? {
        return Ok(vec![y]);
    }
    let order = value.order().map(<[usize]>::to_vec);
    let order = order.unwrap_or_else(|| (0..rank).collect());
    let place = inverse(&order);
    let (_, mut x) = call.own(0)?;
    let excludes = call.int("exclude_outside", 0) != 0;
    let outside = call.float("extrapolation_value", 0.0);
    let mut inside: Option<Var<'g>> = None;
    for (part, &axis) in parts.iter().zip(&axes) {
        let is_cropped = coordinates == Coordinates::CropAndResize;
        if part.outputs == part.inputs && part.scale == 1.0 && !is_cropped {
            continue;
        }
        let at = place[axis];
        let spots: Vec<f64> = (0..part.outputs)
            .map(|o| coordinates.place(o, part))
            .collect();
        let rows: Vec<Vec<(usize, f64)>> = spots
            .iter()
            .map(|&spot| row(spot, part, &weights, antialias, excludes))
            .collect();
        let single: Option<Vec<usize>> = rows
            .iter()
            .map(
                |row| match (&weights, row.iter().find(|(_, w)| *w == 1.0)) {
                    (Weights::Nearest(_), Some((i, _))) => Some(*i),
                    _ => None,
                },
            )
            .collect();
        x = match single {
            Some(single) => repeated(call, x, at, &single)?,
            None => {
                let matrix = || {
                    let mut matrix = vec![0.0; part.outputs * part.inputs];
                    for (o, row) in rows.iter().enumerate() {
                        for &(i, weight) in row {
                            matrix[o * part.inputs + i] += weight;
                        }
                    }
                    matrix
                };
                multiplied(call, x, at, part.outputs, matrix)?
            }
        };
        if is_cropped {
            let last = part.inputs as f64 - 1.0;
            let mask = spots
                .iter()
                .map(|&s| f64::from(u8::from(s >= 0.0 && s <= last)));
            let mut dims = vec![1; rank];
            dims[at] = part.outputs;
            let mask = call.table(&dims, mask.collect())?;
            inside = Some(match inside {
                Some(inside) => inside.mul(mask)?,
                None => mask,
            });
        }
    }
    if let Some(inside) = inside {
        x = inside.select(x, call.constant(outside))?;
    }
    Ok(vec![NodeValue::ordered(value.element, x, &order)])
}

/// The positions that `spot` reads, with their weights.
fn row(
    spot: f64,
    axis: &Axis,
    weights: &Weights,
    antialias: bool,
    excludes: bool,
) -> Vec<(usize, f64)> {
    let left = spot.ceil() - 1.0;
    let coefficients = weights.at(spot - left, axis.scale, antialias);
    let first = left as i64 - (coefficients.len() as i64 / 2 - 1);
    let last = axis.inputs as i64 - 1;
    let mut row: Vec<(i64, f64)> = (first..).zip(coefficients).collect();
    if excludes {
        row.retain(|(i, _)| (0..=last).contains(i));
        let sum: f64 = row.iter().map(|(_, w)| w).sum();
        row.iter_mut().for_each(|(_, w)| *w /= sum);
    }
    let clamped = row.into_iter().map(|(i, w)| (i.clamp(0, last) as usize, w));
    clamped.collect()
}

/// The positions `at` along `axis`; whole multiples are repeated without a table.
fn repeated<'g>(
    call: &mut Call<'_, '_, 'g>,
    x: Var<'g>,
    axis: usize,
    at: &[usize],
) -> Result<Var<'g>> {
    let shape = x.shape();
    let inputs = shape.dims()[axis];
    let times = at.len() / inputs.max(1);
    let repeats = times > 0
        && at.len() == times * inputs
        && at.iter().enumerate().all(|(o, &i)| i == o / times);
    if !repeats {
        return taken(call, x, axis, at);
    }
    let mut dims = shape.dims().to_vec();
    let outer: usize = dims[..axis].iter().product();
    let inner: usize = dims[axis + 1..].iter().product();
    let spread = x
        .reshape([outer, inputs, 1, inner])?
        .broadcast_to(&[outer, inputs, times, inner].into())?;
    dims[axis] = at.len();
    spread.reshape(dims)
}

/// The result if it is an enlarged image as the engine interpolates them.
fn bilinear<'g>(
    call: &mut Call<'_, '_, 'g>,
    value: &NodeValue<'g>,
    axes: &[usize],
    parts: &[Axis],
    coordinates: Coordinates,
    weights: &Weights,
    antialias: bool,
) -> Result<Option<NodeValue<'g>>> {
    let along = |axis: usize| axes.iter().position(|&a| a == axis).map(|i| &parts[i]);
    let same = |axis: usize| along(axis).is_none_or(|p| p.outputs == p.inputs);
    let half = matches!(coordinates, Coordinates::HalfPixel);
    if value.rank() != 4 || !half || antialias || !matches!(weights, Weights::Linear) {
        return Ok(None);
    }
    let (Some(y), Some(x)) = (along(2), along(3)) else {
        return Ok(None);
    };
    let grows = |p: &Axis| p.outputs >= p.inputs && p.scale == p.outputs as f64 / p.inputs as f64;
    if !(same(0) && same(1) && grows(y) && grows(x)) {
        return Ok(None);
    }
    let image = super::conv::channels_last(call, value)?;
    let result = image.upsample_bilinear2d([y.outputs, x.outputs])?;
    Ok(Some(NodeValue::ordered(
        value.element,
        result,
        &[0, 2, 3, 1],
    )))
}

fn blocks<'g>(call: &Call<'_, '_, 'g>) -> Result<(NodeValue<'g>, [usize; 4], usize)> {
    let value = call.input(0)?;
    let block = usize::try_from(call.int("blocksize", 0)).unwrap_or(0);
    match (&value.dims[..], block) {
        (&[n, c, h, w], 1..) => Ok((value, [n, c, h, w], block)),
        _ => Err(refused("it takes an image and a blocksize of at least 1")),
    }
}

fn depth_to_space<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, [n, c, h, w], b) = blocks(call)?;
    if !c.is_multiple_of(b * b) {
        return Err(refused(format!("{c} channels are no blocks of {b} by {b}")));
    }
    let depth = c / (b * b);
    let is_columns = call.text("mode", "DCR") == "CRD";
    // By its own layout, [N, H, W, C]: the channels of a block become its pixels.
    let x = super::conv::channels_last(call, &value)?;
    let x = match is_columns {
        true => x
            .reshape([n * h, w, depth, b, b])?
            .permute(&[0, 3, 1, 4, 2])?,
        false => x
            .reshape([n * h, w, b, b, depth])?
            .permute(&[0, 2, 1, 3, 4])?,
    };
    let y = x.reshape([n, h * b, w * b, depth])?;
    Ok(vec![NodeValue::ordered(value.element, y, &[0, 2, 3, 1])])
}

fn space_to_depth<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, [n, c, h, w], b) = blocks(call)?;
    if !h.is_multiple_of(b) || !w.is_multiple_of(b) {
        return Err(refused(format!(
            "{h} by {w} pixels are no blocks of {b} by {b}"
        )));
    }
    let x = super::conv::channels_last(call, &value)?;
    let x = match call.text("mode", "DCR") == "CRD" {
        true => x
            .reshape([n * (h / b), b, w / b, b, c])?
            .permute(&[0, 2, 4, 1, 3])?,
        false => x
            .reshape([n * (h / b), b, w / b, b * c])?
            .permute(&[0, 2, 1, 3])?,
    };
    let y = x.reshape([n, h / b, w / b, b * b * c])?;
    Ok(vec![NodeValue::ordered(value.element, y, &[0, 2, 3, 1])])
}

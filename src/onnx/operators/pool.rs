//! Pooling over any number of axes.

use super::axes::strided;
use super::conv::{channels_last, counts, image, windows};
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, refused};
use crate::onnx::element::Element;
use crate::onnx::value::NodeValue;
use crate::ops::avg_pool2d::AvgPool2d;
use crate::ops::max_pool2d::MaxPool2d;

pub const OPERATORS: &[Operator] = &[
    operator("MaxPool", max_pool),
    operator("AveragePool", average_pool),
    operator("GlobalMaxPool", |call| {
        let (value, x) = images(call)?;
        let axes: Vec<usize> = (1..value.rank() - 1).collect();
        let y = x.max_keep(&axes)?;
        Ok(image(&value, y))
    }),
    operator("GlobalAveragePool", |call| {
        let (value, x) = images(call)?;
        let axes: Vec<usize> = (1..value.rank() - 1).collect();
        let y = match value.rank() {
            4 => {
                let dims = x.shape().dims().to_vec();
                x.global_avg_pool2d()?.reshape([dims[0], 1, 1, dims[3]])?
            }
            _ => {
                let shape = x.shape();
                let count: usize = shape.dims()[1..value.rank() - 1].iter().product();
                x.sum_keep(&axes)?.scale(1.0 / count as f64)?
            }
        };
        Ok(image(&value, y))
    }),
];

/// Operand 0 as `[N, ..., C]`.
fn images<'g>(call: &mut Call<'_, '_, 'g>) -> Result<(NodeValue<'g>, Var<'g>)> {
    let value = call.input(0)?;
    if value.rank() < 3 || value.elements() == 0 {
        return Err(refused(format!("{:?} is not an image", value.dims)));
    }
    let x = channels_last(call, &value)?;
    Ok((value, x))
}

/// Windows of a pooling.
struct Pool {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    /// What the file asks for.
    pads: Vec<[usize; 2]>,
    /// Elements that the last window reaches beyond the padding, with `ceil_mode`.
    beyond: Vec<usize>,
    outputs: Vec<usize>,
}

impl Pool {
    fn of(call: &Call<'_, '_, '_>, extents: &[usize]) -> Result<Pool> {
        let axes = extents.len();
        let kernel = counts(call, "kernel_shape", axes)?;
        let kernel = kernel.ok_or_else(|| refused("it has no kernel_shape"))?;
        let w = windows(call, &kernel, extents)?;
        let is_ceil = call.int("ceil_mode", 0) != 0;
        let (mut beyond, mut outputs) = (Vec::new(), Vec::new());
        for i in 0..axes {
            let [before, after] = w.pads[i];
            let span = w.dilations[i] * (kernel[i] - 1) + 1;
            let padded = extents[i] + before + after;
            let stride = w.strides[i];
            let free = padded.checked_sub(span);
            let mut count = match (free, is_ceil) {
                (Some(free), false) => free / stride + 1,
                (Some(free), true) => free.div_ceil(stride) + 1,
                (None, _) => {
                    return Err(refused(format!(
                        "a window of {span} does not fit into {padded}"
                    )));
                }
            };
            // The last window starts within the input or the padding before it.
            if is_ceil && (count - 1) * stride >= extents[i] + before {
                count -= 1;
            }
            beyond.push(((count - 1) * stride + span).saturating_sub(padded));
            outputs.push(count);
        }
        Ok(Pool {
            kernel,
            strides: w.strides,
            dilations: w.dilations,
            pads: w.pads,
            beyond,
            outputs,
        })
    }

    /// Whether the engine's pooling of images has these windows.
    fn is_plain(&self, extents: &[usize]) -> bool {
        let inside = |i: usize| {
            let before = self.pads[i][0];
            before < self.kernel[i]
                && (self.outputs[i] - 1) * self.strides[i] < extents[i] + before
                && self.pads[i][1] < self.kernel[i]
        };
        self.kernel.len() == 2
            && self.dilations == [1, 1]
            && self.beyond == [0, 0]
            && (0..2).all(inside)
    }

    /// Places of a window.
    ///
    /// # Errors
    /// If they are too many to be read one by one.
    fn taps(&self) -> Result<usize> {
        let mut sides = self.kernel.iter();
        let taps = sides.try_fold(1_usize, |n, &k| n.checked_mul(k));
        taps.filter(|&n| n <= 8192)
            .ok_or_else(|| refused(format!("windows of {:?} are too large", self.kernel)))
    }

    /// Where place `tap` of the first window is.
    fn offset(&self, tap: usize) -> Vec<usize> {
        let mut rest = tap;
        let mut at = vec![0; self.kernel.len()];
        for i in (0..at.len()).rev() {
            at[i] = rest % self.kernel[i] * self.dilations[i];
            rest /= self.kernel[i];
        }
        at
    }

    /// `x [N, ..., C]` with `number` around it.
    fn padded<'g>(&self, x: Var<'g>, number: f64) -> Result<Var<'g>> {
        let mut padding = vec![[0, 0]];
        let sides = self.pads.iter().zip(&self.beyond);
        padding.extend(sides.map(|(&[before, after], beyond)| [before, after + beyond]));
        padding.push([0, 0]);
        x.pad(&padding, number)
    }

    /// Held `tap` of all windows of `padded`.
    fn tap<'g>(&self, padded: Var<'g>, tap: usize) -> Result<Var<'g>> {
        let mut part = padded;
        for (i, start) in self.offset(tap).into_iter().enumerate() {
            part = strided(part, 1 + i, start, self.strides[i], self.outputs[i])?;
        }
        Ok(part)
    }
}

fn max_pool<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, x) = images(call)?;
    let extents = value.dims[2..].to_vec();
    let pool = Pool::of(call, &extents)?;
    let wants_indices = call.node.output.len() > 1 && !call.node.output[1].is_empty();
    if !wants_indices && pool.is_plain(&extents) {
        let plain = MaxPool2d {
            kernel: [pool.kernel[0], pool.kernel[1]],
            stride: [pool.strides[0], pool.strides[1]],
            padding: [pool.pads[0], pool.pads[1]],
        };
        return Ok(image(&value, x.max_pool2d(plain)?));
    }
    const LOWEST: f64 = -3.402_823_466_385_288_6e38;
    let padded = pool.padded(x, LOWEST)?;
    let mut best = pool.tap(padded, 0)?;
    let mut at = place_of(call, &value, &pool, 0)?;
    for tap in 1..pool.taps()? {
        let other = pool.tap(padded, tap)?;
        if wants_indices {
            let place = place_of(call, &value, &pool, tap)?;
            at = other.gt(best)?.select(place, at)?;
        }
        best = best.maximum(other)?;
    }
    let mut results = image(&value, best);
    if wants_indices {
        // Every sample and channel has its own range of places.
        let size: usize = extents.iter().product();
        let (samples, channels) = (value.dims[0], value.dims[1]);
        let planes = (0..samples * channels).map(|i| (i * size) as f64).collect();
        let mut dims = vec![1; value.rank()];
        (dims[0], dims[value.rank() - 1]) = (samples, channels);
        let planes = call.table(&dims, planes)?;
        let places = at.add(planes)?;
        let order = super::conv::last_order(value.rank());
        results.push(NodeValue::ordered(Element::Int64, places, &order));
    }
    Ok(results)
}

/// The place in an image of what place `tap` of each window reads, `[1, ..., 1]`.
fn place_of<'g>(
    call: &mut Call<'_, '_, 'g>,
    value: &NodeValue<'g>,
    pool: &Pool,
    tap: usize,
) -> Result<Var<'g>> {
    let extents = &value.dims[2..];
    let is_columns = call.int("storage_order", 0) == 1;
    let offset = pool.offset(tap);
    let count: usize = pool.outputs.iter().product();
    let numbers = (0..count).map(|i| {
        let mut rest = i;
        let mut position = vec![0.0; extents.len()];
        for a in (0..extents.len()).rev() {
            let o = rest % pool.outputs[a];
            rest /= pool.outputs[a];
            position[a] = (o * pool.strides[a] + offset[a]) as f64 - pool.pads[a][0] as f64;
        }
        let along = |place: f64, a: usize| place * extents[a] as f64 + position[a];
        match is_columns {
            true => (0..extents.len()).rev().fold(0.0, along),
            false => (0..extents.len()).fold(0.0, along),
        }
    });
    let mut dims = vec![1; value.rank()];
    dims[1..value.rank() - 1].copy_from_slice(&pool.outputs);
    let numbers = numbers.collect();
    call.table(&dims, numbers)
}

fn average_pool<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, x) = images(call)?;
    let extents = value.dims[2..].to_vec();
    let pool = Pool::of(call, &extents)?;
    let counts_padding = call.int("count_include_pad", 0) != 0;
    if pool.is_plain(&extents) {
        let plain = AvgPool2d {
            kernel: [pool.kernel[0], pool.kernel[1]],
            stride: [pool.strides[0], pool.strides[1]],
            padding: [pool.pads[0], pool.pads[1]],
            count_include_pad: counts_padding,
        };
        return Ok(image(&value, x.avg_pool2d(plain)?));
    }
    let padded = pool.padded(x, 0.0)?;
    let mut sum = pool.tap(padded, 0)?;
    for tap in 1..pool.taps()? {
        sum = sum.add(pool.tap(padded, tap)?)?;
    }
    // How many places of each window count.
    let windows: usize = pool.outputs.iter().product();
    let share = (0..windows).map(|window| {
        let mut rest = window;
        let mut count = 1;
        for a in (0..extents.len()).rev() {
            let o = rest % pool.outputs[a];
            rest /= pool.outputs[a];
            let (low, high) = match counts_padding {
                true => (0, extents[a] + pool.pads[a][0] + pool.pads[a][1]),
                false => (pool.pads[a][0], extents[a] + pool.pads[a][0]),
            };
            let places = (0..pool.kernel[a]).map(|k| o * pool.strides[a] + k * pool.dilations[a]);
            count *= places.filter(|&p| p >= low && p < high).count();
        }
        1.0 / count.max(1) as f64
    });
    let mut dims = vec![1; value.rank()];
    dims[1..value.rank() - 1].copy_from_slice(&pool.outputs);
    let share = share.collect();
    let share = call.table(&dims, share)?;
    Ok(image(&value, sum.mul(share)?))
}

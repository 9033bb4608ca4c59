//! Operators that cut, join, repeat and pad tensors.

use super::axes::{strided, taken};
use super::shape::empty;
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, axes_of, axis_of, refused};
use crate::onnx::value::{NodeValue, inverse};

pub const OPERATORS: &[Operator] = &[
    operator("Concat", join),
    operator("Split", split),
    operator("Slice", slice),
    operator("Tile", tile),
    operator("Pad", pad),
];

fn join<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let values: Vec<NodeValue<'g>> = call.inputs.iter().flatten().cloned().collect();
    let first = call.input(0)?;
    let rank = first.rank();
    let axis = axis_of(call.int("axis", 0), rank)?;
    let full: Vec<&NodeValue<'g>> = values.iter().filter(|v| v.elements() > 0).collect();
    if full.is_empty() {
        let mut dims = first.dims.clone();
        dims[axis] = values.iter().map(|v| v.dims[axis]).sum();
        return Ok(vec![empty(first.element, &dims)]);
    }
    if let Some(other) = full.iter().find(|v| v.rank() != rank) {
        return Err(refused(format!(
            "its operands have {rank} and {} axes",
            other.rank()
        )));
    }
    let order = full.iter().find_map(|v| v.order().map(<[usize]>::to_vec));
    let order = order.unwrap_or_else(|| (0..rank).collect());
    let place = inverse(&order)[axis];
    let mut vars = Vec::new();
    for value in full {
        vars.push(call.walk.var_in(value, &order)?);
    }
    let result = Var::concat(&vars, place)?;
    Ok(vec![NodeValue::ordered(first.element, result, &order)])
}

fn split<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, var) = call.own(0)?;
    let axis = axis_of(call.int("axis", 0), value.rank())?;
    let extent = value.dims[axis];
    let sizes: Vec<usize> = match call.ints_or_operand("split", 1)? {
        Some(sizes) => super::shape::extents(&sizes)?,
        None => {
            let parts = usize::try_from(call.int("num_outputs", call.node.output.len() as i64));
            let parts = parts.unwrap_or(1).max(1);
            let size = extent.div_ceil(parts);
            (0..parts)
                .map(|i| size.min(extent.saturating_sub(i * size)))
                .collect()
        }
    };
    if sizes.iter().sum::<usize>() != extent {
        return Err(refused(format!(
            "parts of {sizes:?} are not the {extent} elements of axis {axis}"
        )));
    }
    let order = value.order().map(<[usize]>::to_vec);
    let order = order.unwrap_or_else(|| (0..value.rank()).collect());
    let place = inverse(&order)[axis];
    let mut start = 0;
    let mut parts = Vec::new();
    for size in sizes {
        if size == 0 {
            let mut dims = value.dims.clone();
            dims[axis] = 0;
            parts.push(empty(value.element, &dims));
            continue;
        }
        let part = var.slice_axis(place, start..start + size)?;
        parts.push(NodeValue::ordered(value.element, part, &order));
        start += size;
    }
    Ok(parts)
}

fn slice<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    let needed = |ints: Option<Vec<i64>>| ints.ok_or_else(|| refused("it has no starts or ends"));
    let starts = needed(call.ints_or_operand("starts", 1)?)?;
    let ends = needed(call.ints_or_operand("ends", 2)?)?;
    let axes = match call.ints_or_operand("axes", 3)? {
        Some(axes) => axes,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = call.known_ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()]
        .iter()
        .any(|&n| n != starts.len())
    {
        return Err(refused("its starts, ends, axes and steps differ in number"));
    }
    let order = value.order().map(<[usize]>::to_vec);
    let order = order.unwrap_or_else(|| (0..value.rank()).collect());
    let place = inverse(&order);
    let mut dims = value.dims.clone();
    let mut cuts = Vec::new();
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = axis_of(axis, value.rank())?;
        let extent = value.dims[axis] as i64;
        let from_end = |x: i64| if x < 0 { x.saturating_add(extent) } else { x };
        let (start, end) = (from_end(start), from_end(end));
        let positions: Vec<usize> = match step {
            0 => return Err(refused("its step is 0")),
            1.. => {
                let (start, end) = (start.clamp(0, extent), end.clamp(0, extent));
                let step = usize::try_from(step).unwrap_or(usize::MAX);
                (start as usize..(end.max(start)) as usize)
                    .step_by(step)
                    .collect()
            }
            _ => {
                let (start, end) = (start.clamp(-1, extent - 1), end.clamp(-1, extent - 1));
                let step = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
                (end + 1..start + 1)
                    .rev()
                    .step_by(step)
                    .map(|i| i as usize)
                    .collect()
            }
        };
        dims[axis] = positions.len();
        cuts.push((place[axis], step, positions));
    }
    if dims.contains(&0) {
        return Ok(vec![empty(value.element, &dims)]);
    }
    let (value, mut var) = call.own(0)?;
    for (axis, step, positions) in cuts {
        var = match step {
            1.. => strided(var, axis, positions[0], step as usize, positions.len())?,
            _ => taken(call, var, axis, &positions)?,
        };
    }
    Ok(vec![NodeValue::ordered(value.element, var, &order)])
}

fn tile<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    let repeats = call
        .known_ints(1)?
        .ok_or_else(|| refused("it has no repeats"))?;
    let repeats = super::shape::extents(&repeats)?;
    if repeats.len() != value.rank() {
        return Err(refused(format!(
            "{} repeats do not fit {} axes",
            repeats.len(),
            value.rank()
        )));
    }
    let counts = value.dims.iter().zip(&repeats);
    let dims: Option<Vec<i64>> = counts
        .map(|(&d, &r)| i64::try_from(d.checked_mul(r)?).ok())
        .collect();
    let dims = super::shape::extents(&dims.ok_or_else(|| refused("its result is too large"))?)?;
    if dims.contains(&0) {
        return Ok(vec![empty(value.element, &dims)]);
    }
    let mut var = call.walk.var(&value)?;
    for (axis, &count) in repeats.iter().enumerate() {
        if count > 1 {
            let (x, [outer, extent, inner]) = super::axes::around(var, axis)?;
            let mut dims = var.shape().dims().to_vec();
            dims[axis] = extent * count;
            var = x
                .reshape([outer, 1, extent * inner])?
                .broadcast_to(&[outer, count, extent * inner].into())?
                .reshape(dims)?;
        }
    }
    Ok(vec![NodeValue::live(value.element, var)])
}

/// Mode of padding.
fn pad<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, mut var) = call.own(0)?;
    let pads = call
        .ints_or_operand("pads", 1)?
        .ok_or_else(|| refused("it has no pads"))?;
    let axes: Vec<usize> = match call.known_ints(3)? {
        Some(axes) => axes
            .iter()
            .map(|&a| axis_of(a, value.rank()))
            .collect::<Result<_>>()?,
        None => (0..value.rank()).collect(),
    };
    axes_of(
        &axes.iter().map(|&a| a as i64).collect::<Vec<_>>(),
        value.rank(),
    )?;
    if pads.len() != 2 * axes.len() {
        return Err(refused(format!(
            "{} pads do not fit {} axes",
            pads.len(),
            axes.len()
        )));
    }
    let number = match call.known_number(2)? {
        Some(number) => number,
        None => call.float("value", 0.0),
    };
    let mode = call.text("mode", "constant");
    let order = value.order().map(<[usize]>::to_vec);
    let order = order.unwrap_or_else(|| (0..value.rank()).collect());
    let place = inverse(&order);
    for (i, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[i], pads[i + axes.len()]);
        let extent = value.dims[axis] as i64;
        let at = place[axis];
        // Negative padding cuts.
        let cut = |pad: i64| (-pad).clamp(0, extent);
        let (first, last) = (cut(before), extent - cut(after));
        if first >= last {
            return Err(refused(format!(
                "pads of {before} and {after} leave nothing of {extent}"
            )));
        }
        let kept = last - first;
        var = var.slice_axis(at, first as usize..last as usize)?;
        let (before, after) = (before.max(0), after.max(0));
        if before.max(after) > i64::from(i32::MAX) {
            return Err(refused(format!(
                "pads of {before} and {after} are too large"
            )));
        }
        if (before, after) == (0, 0) {
            continue;
        }
        let source = |i: i64| match mode.as_str() {
            "edge" => i.clamp(0, kept - 1),
            "wrap" => i.rem_euclid(kept),
            _ => {
                let period = (2 * (kept - 1)).max(1);
                let i = i.rem_euclid(period);
                i.min(period - i)
            }
        };
        var = match mode.as_str() {
            "constant" => padded(var, at, [before as usize, after as usize], number)?,
            "reflect" | "edge" | "wrap" => {
                super::shape::on_host((before + kept + after) as usize)?;
                let positions = (-before..kept + after).map(|i| source(i) as usize);
                taken(call, var, at, &positions.collect::<Vec<_>>())?
            }
            other => return Err(refused(format!("it has no mode {other}"))),
        };
    }
    Ok(vec![NodeValue::ordered(value.element, var, &order)])
}

fn padded<'g>(var: Var<'g>, axis: usize, around: [usize; 2], number: f64) -> Result<Var<'g>> {
    let mut padding = vec![[0, 0]; var.shape().rank()];
    padding[axis] = around;
    var.pad(&padding, number)
}

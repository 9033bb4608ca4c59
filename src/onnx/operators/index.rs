//! Operators that read and write at indices.

use super::axes::{picked, taken};
use super::shape::{empty, on_host};
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::onnx::array::Array;
use crate::onnx::call::{Call, axis_of, refused};
use crate::onnx::value::NodeValue;
use crate::tensor::Shape;

pub const OPERATORS: &[Operator] = &[
    operator("Gather", gather),
    operator("GatherElements", gather_elements),
    operator("GatherND", gather_nd),
    operator("OneHot", one_hot),
    operator("ScatterElements", scatter_elements),
    operator("ScatterND", scatter_nd),
    operator("Trilu", trilu),
];

/// `index` within `extent`; negative ones count from the end.
fn wrapped(index: f64, extent: usize) -> Result<usize> {
    let at = if index < 0.0 {
        index + extent as f64
    } else {
        index
    };
    match at >= 0.0 && at < extent as f64 {
        true => Ok(at as usize),
        false => Err(refused(format!(
            "the index {index} is outside of an axis of {extent}"
        ))),
    }
}

fn gather<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, indices) = (call.input(0)?, call.input(1)?);
    let axis = axis_of(call.int("axis", 0), value.rank())?;
    let extent = value.dims[axis];
    let dims = [&value.dims[..axis], &indices.dims, &value.dims[axis + 1..]].concat();
    if dims.contains(&0) {
        return Ok(vec![empty(value.element, &dims)]);
    }
    if let Some(array) = indices.array().filter(|array| array.len() < 64) {
        let at: Vec<usize> = array
            .iter()
            .map(|x| wrapped(x, extent))
            .collect::<Result<_>>()?;
        let var = call.var(0)?;
        let var = taken(call, var, axis, &at)?.reshape(dims)?;
        return Ok(vec![NodeValue::live(value.element, var)]);
    }
    if let Some(array) = indices.array() {
        for x in array.iter() {
            wrapped(x, extent)?;
        }
    }
    let at = call.walk.indices(&indices, extent)?;
    let var = call.var(0)?;
    // The rows that are read, first.
    let rank = value.rank();
    let axes: Vec<usize> = std::iter::once(axis)
        .chain((0..rank).filter(|&a| a != axis))
        .collect();
    let rows = var.permute(&axes)?;
    let columns: usize = rows.shape().dims()[1..].iter().product();
    let read = rows.reshape([extent, columns])?.gather(at)?;
    let rest: Vec<usize> = axes[1..].iter().map(|&a| value.dims[a]).collect();
    let read = read.reshape([&indices.dims[..], &rest].concat())?;
    // The indices' axes go where the axis was.
    let (before, inner) = (axis, indices.rank());
    let order: Vec<usize> = (inner..inner + before)
        .chain(0..inner)
        .chain(inner + before..inner + rank - 1)
        .collect();
    Ok(vec![NodeValue::live(value.element, read.permute(&order)?)])
}

fn gather_elements<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, indices) = (call.input(0)?, call.input(1)?);
    let axis = axis_of(call.int("axis", 0), value.rank())?;
    let places = element_places(&value, &indices, call.array(1)?.as_deref(), axis)?;
    let var = call.var(0)?;
    let result = picked(call, var, &places, &indices.dims)?;
    Ok(vec![NodeValue::live(value.element, result)])
}

/// The places in `value` that `indices` name along `axis`.
fn element_places(
    value: &NodeValue<'_>,
    indices: &NodeValue<'_>,
    array: Option<&Array>,
    axis: usize,
) -> Result<Vec<usize>> {
    let fits = indices.rank() == value.rank()
        && (0..value.rank()).all(|a| a == axis || indices.dims[a] <= value.dims[a]);
    let array = array.filter(|_| fits);
    let array = array.ok_or_else(|| {
        refused(format!(
            "indices of {:?} do not fit {:?}",
            indices.dims, value.dims
        ))
    })?;
    let (own, strides) = (
        Shape::from(&indices.dims[..]).strides(),
        Shape::from(&value.dims[..]).strides(),
    );
    (0..array.len())
        .map(|i| {
            let mut place = 0;
            for a in 0..value.rank() {
                let at = match a == axis {
                    true => wrapped(array.at(i), value.dims[a])?,
                    false => i / own[a] % indices.dims[a],
                };
                place += at * strides[a];
            }
            Ok(place)
        })
        .collect()
}

fn gather_nd<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, indices) = (call.input(0)?, call.input(1)?);
    let batch = call.int("batch_dims", 0) as usize;
    let array = call.array(1)?.ok_or_else(|| refused("it has no indices"))?;
    let (places, block) = block_places(&value, &indices, &array, batch)?;
    let tail = indices.dims.last().map_or(0, |&d| d) + batch;
    let dims = [&indices.dims[..indices.rank() - 1], &value.dims[tail..]].concat();
    let each: Vec<usize> = places.iter().flat_map(|&p| p..p + block).collect();
    let var = call.var(0)?;
    let result = picked(call, var, &each, &dims)?;
    Ok(vec![NodeValue::live(value.element, result)])
}

/// Where the blocks that rows of `indices` name begin in `value`, and the size of a block.
fn block_places(
    value: &NodeValue<'_>,
    indices: &NodeValue<'_>,
    array: &Array,
    batch: usize,
) -> Result<(Vec<usize>, usize)> {
    let depth = indices.dims.last().copied().unwrap_or(0);
    if depth == 0 || indices.rank() <= batch || depth + batch > value.rank() {
        return Err(refused(format!(
            "indices of {:?} do not fit {:?}",
            indices.dims, value.dims
        )));
    }
    let strides = Shape::from(&value.dims[..]).strides();
    let block: usize = value.dims[batch + depth..].iter().product();
    let rows = array.len() / depth;
    let outer: usize = value.dims[..batch].iter().product();
    let per_batch = rows / outer.max(1);
    let batch_stride = match batch {
        0 => 0,
        _ => strides[batch - 1],
    };
    let places = (0..rows).map(|row| {
        let mut place = row / per_batch.max(1) * batch_stride;
        for d in 0..depth {
            let at = wrapped(array.at(row * depth + d), value.dims[batch + d])?;
            place += at * strides[batch + d];
        }
        Ok(place)
    });
    Ok((places.collect::<Result<_>>()?, block))
}

/// Writes `updates` to `places` of `value`. Of several writes to one place, the last one counts, or all are reduced.
fn scattered<'g>(
    call: &mut Call<'_, '_, 'g>,
    value: &NodeValue<'g>,
    places: &[usize],
) -> Built<'g> {
    let (data, updates) = (call.var(0)?, call.var(2)?);
    let reduction = call.text("reduction", "none");
    let n = on_host(value.elements())?;
    let mut writers: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (i, &place) in places.iter().enumerate() {
        writers[place].push(i);
    }
    let rounds = match reduction.as_str() {
        "none" => 1,
        _ => writers.iter().map(Vec::len).max().unwrap_or(0),
    };
    if rounds > 64 {
        return Err(refused(format!("it writes {rounds} times to one place")));
    }
    let mut result = data.reshape([n])?;
    for round in 0..rounds {
        let writer = |w: &Vec<usize>| match reduction.as_str() {
            "none" => w.last().copied(),
            _ => w.get(round).copied(),
        };
        let which: Vec<Option<usize>> = writers.iter().map(writer).collect();
        let at: Vec<usize> = which.iter().map(|w| w.unwrap_or(0)).collect();
        let written = picked(call, updates, &at, &[n])?;
        let mask = which.iter().map(|w| f64::from(u8::from(w.is_some())));
        let mask = call.table(&[n], mask.collect())?;
        let combined = match reduction.as_str() {
            "none" => written,
            "add" => result.add(written)?,
            "mul" => result.mul(written)?,
            "max" => result.maximum(written)?,
            "min" => result.minimum(written)?,
            other => return Err(refused(format!("it has no reduction {other}"))),
        };
        result = mask.select(combined, result)?;
    }
    let result = result.reshape(value.dims.clone())?;
    Ok(vec![NodeValue::live(value.element, result)])
}

fn scatter_elements<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, indices) = (call.input(0)?, call.input(1)?);
    let axis = axis_of(call.int("axis", 0), value.rank())?;
    let places = element_places(&value, &indices, call.array(1)?.as_deref(), axis)?;
    if call.input(2)?.dims != indices.dims {
        return Err(refused("its indices and updates have different shapes"));
    }
    scattered(call, &value, &places)
}

fn scatter_nd<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, indices) = (call.input(0)?, call.input(1)?);
    let array = call.array(1)?.ok_or_else(|| refused("it has no indices"))?;
    let (places, block) = block_places(&value, &indices, &array, 0)?;
    let each: Vec<usize> = places.iter().flat_map(|&p| p..p + block).collect();
    if call.input(2)?.elements() != each.len() {
        return Err(refused("its updates do not fit its indices"));
    }
    scattered(call, &value, &each)
}

fn one_hot<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let indices = call.input(0)?;
    let depth = call
        .known_number(1)?
        .ok_or_else(|| refused("it has no depth"))?;
    let depth = on_host(depth.max(0.0) as usize)?;
    let values = call.array(2)?.filter(|array| array.len() == 2);
    let values = values.ok_or_else(|| refused("it has no two values"))?;
    let element = call.input(2)?.element;
    let rank = indices.rank() + 1;
    let axis = axis_of(call.int("axis", -1), rank)?;
    let mut dims = indices.dims.clone();
    dims.insert(axis, 1);
    let x = call.var(0)?.reshape(dims)?;
    let zero = call.constant(0.0);
    let from_end = x.lt(zero)?.mul(call.constant(depth as f64))?;
    let mut along = vec![1; rank];
    along[axis] = depth;
    let classes = call.table(&along, (0..depth).map(|i| i as f64).collect())?;
    let (off, on) = (call.constant(values.at(0)), call.constant(values.at(1)));
    let result = x.add(from_end)?.eq(classes)?.select(on, off)?;
    Ok(vec![NodeValue::live(element, result)])
}

fn trilu<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    let &[.., rows, columns] = &value.dims[..] else {
        return Err(refused("it takes matrices"));
    };
    if value.elements() == 0 {
        return Ok(vec![value]);
    }
    let k = call.known_number(1)?.unwrap_or(0.0) as i64;
    let is_upper = call.int("upper", 1) != 0;
    let kept = |i: usize| {
        let (row, column) = ((i / columns) as i64, (i % columns) as i64);
        match is_upper {
            true => column - row >= k,
            false => column - row <= k,
        }
    };
    let mask: Vec<f64> = (0..rows * columns)
        .map(|i| f64::from(u8::from(kept(i))))
        .collect();
    let mask = call.table(&[rows, columns], mask)?;
    let x = call.var(0)?;
    let result = mask.select(x, call.constant(0.0))?;
    Ok(vec![NodeValue::live(value.element, result)])
}

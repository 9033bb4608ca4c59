//! Operators that change shapes only, and those that make constants.

use super::{Built, Operator, operator};
use crate::error::Result;
use crate::onnx::array::Array;
use crate::onnx::call::{Call, axes_of, axis_of, refused};
use crate::onnx::element::Element;
use crate::onnx::value::{Held, NodeValue, inverse};
use crate::tensor::LARGEST_COUNT;

pub const OPERATORS: &[Operator] = &[
    operator("Constant", constant),
    operator("ConstantOfShape", constant_of_shape),
    operator("Identity", |call| Ok(vec![call.input(0)?])),
    operator("Shape", |call| {
        let dims = call.input(0)?.dims;
        let place = |at: i64| {
            let at = if at < 0 { at + dims.len() as i64 } else { at };
            at.clamp(0, dims.len() as i64) as usize
        };
        let start = place(call.int("start", 0));
        let end = place(call.int("end", dims.len() as i64)).max(start);
        Ok(vec![NodeValue::known(Array::integers(&dims[start..end]))])
    }),
    operator("Size", |call| {
        let array = Array::integers(&[call.input(0)?.elements()]);
        Ok(vec![NodeValue::known(array.reshaped(&[]))])
    }),
    operator("Range", range),
    operator("EyeLike", eye_like),
    operator("Reshape", reshape),
    operator("Flatten", |call| {
        let value = call.input(0)?;
        let axis = call.int("axis", 1);
        let at = match usize::try_from(axis) {
            Ok(at) if at == value.rank() => at,
            _ if value.rank() == 0 => 0,
            _ => axis_of(axis, value.rank())?,
        };
        let (outer, inner) = value.dims.split_at(at);
        let dims = [outer.iter().product(), inner.iter().product()];
        reshaped(call, &value, &dims)
    }),
    operator("Squeeze", |call| {
        let value = call.input(0)?;
        let axes = match call.ints_or_operand("axes", 1)? {
            Some(axes) => axes_of(&axes, value.rank())?,
            None => (0..value.rank()).filter(|&a| value.dims[a] == 1).collect(),
        };
        if let Some(axis) = axes.iter().find(|&&a| value.dims[a] != 1) {
            return Err(refused(format!(
                "axis {axis} has {} elements, and only an axis of 1 can be removed",
                value.dims[*axis]
            )));
        }
        let kept = (0..value.rank()).filter(|a| !axes.contains(a));
        let dims: Vec<usize> = kept.map(|a| value.dims[a]).collect();
        reshaped(call, &value, &dims)
    }),
    operator("Unsqueeze", |call| {
        let value = call.input(0)?;
        let axes = call.ints_or_operand("axes", 1)?;
        let axes = axes.ok_or_else(|| refused("it names no axes"))?;
        let rank = value.rank() + axes.len();
        let axes = axes_of(&axes, rank)?;
        let mut own = value.dims.iter().copied();
        let dims: Vec<usize> = (0..rank)
            .map(|a| match axes.contains(&a) {
                true => 1,
                false => own.next().unwrap_or(1),
            })
            .collect();
        reshaped(call, &value, &dims)
    }),
    operator("Transpose", |call| {
        let value = call.input(0)?;
        let axes = match call.ints("perm") {
            Some(perm) => perm
                .iter()
                .map(|&a| axis_of(a, value.rank()))
                .collect::<Result<Vec<_>>>()?,
            None => (0..value.rank()).rev().collect(),
        };
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        if sorted.len() != value.rank() || sorted.iter().enumerate().any(|(a, &b)| a != b) {
            return Err(refused(format!(
                "perm {axes:?} does not name each of the {} axes once",
                value.rank()
            )));
        }
        if let Held::Known(array) = &value.place {
            return Ok(vec![NodeValue::known(array.permuted(&axes))]);
        }
        // Only the names of the axes change.
        let (value, var) = call.own(0)?;
        let own: Vec<usize> = match value.order() {
            Some(order) => order.to_vec(),
            None => (0..value.rank()).collect(),
        };
        let place = inverse(&axes);
        let order: Vec<usize> = own.iter().map(|&a| place[a]).collect();
        Ok(vec![NodeValue::ordered(value.element, var, &order)])
    }),
    operator("Expand", |call| {
        let value = call.input(0)?;
        let shape = call
            .known_ints(1)?
            .ok_or_else(|| refused("it has no shape"))?;
        let shape = extents(&shape)?;
        let dims = crate::tensor::Shape::from(&value.dims[..]).broadcast(&shape.clone().into());
        let dims = dims
            .ok_or_else(|| refused(format!("{:?} does not broadcast to {shape:?}", value.dims)))?;
        if dims.dims() == value.dims {
            return Ok(vec![value]);
        }
        if dims.elements() == 0 {
            return Ok(vec![empty(value.element, dims.dims())]);
        }
        let var = call.walk.var(&value)?.broadcast_to(&dims)?;
        Ok(vec![NodeValue::live(value.element, var)])
    }),
];

/// A value without elements.
pub fn empty<'g>(element: Element, dims: &[usize]) -> NodeValue<'g> {
    NodeValue::known(Array::new(element, dims.to_vec(), Vec::new()))
}

/// Arrays on the host have up to this many elements, so that a small file can't ask for much memory.
pub const MOST_ON_HOST: usize = 1 << 22;

/// `count` elements on the host, if that is not too many.
///
/// # Errors
/// If it is.
pub fn on_host(count: usize) -> Result<usize> {
    match count <= MOST_ON_HOST {
        true => Ok(count),
        false => Err(refused(format!(
            "it computes {count} numbers from constants, and {MOST_ON_HOST} are the limit"
        ))),
    }
}

/// Extents from integers.
pub fn extents(ints: &[i64]) -> Result<Vec<usize>> {
    let extents: Option<Vec<usize>> = ints.iter().map(|&x| usize::try_from(x).ok()).collect();
    let extents = extents.filter(|extents| {
        let count = extents.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        count.is_some_and(|n| n <= LARGEST_COUNT)
    });
    extents.ok_or_else(|| refused(format!("{ints:?} is not a possible shape")))
}

/// The elements of `value` with the extents `dims`.
pub fn reshaped<'g>(
    call: &mut Call<'_, '_, 'g>,
    value: &NodeValue<'g>,
    dims: &[usize],
) -> Built<'g> {
    if dims.iter().product::<usize>() != value.elements() {
        return Err(refused(format!(
            "{:?} has {} elements, and {dims:?} has {}",
            value.dims,
            value.elements(),
            dims.iter().product::<usize>()
        )));
    }
    if let Held::Known(array) = &value.place {
        return Ok(vec![NodeValue::known(array.reshaped(dims))]);
    }
    if let Held::Live { var, order, .. } = &value.place {
        // Axes of one element come and go without moving anything, also between the axes of an image.
        if let Some(moved) = inserted(&value.dims, order, dims) {
            let extents: Vec<usize> = moved.iter().map(|&a| dims[a]).collect();
            let var = var.reshape(extents)?;
            return Ok(vec![NodeValue::ordered(value.element, var, &moved)]);
        }
        if order.is_sorted() {
            let var = var.reshape(dims.to_vec())?;
            return Ok(vec![NodeValue::live(value.element, var)]);
        }
    }
    let var = call.walk.var(value)?.reshape(dims.to_vec())?;
    Ok(vec![NodeValue::live(value.element, var)])
}

/// The order of the axes `to` if they are the axes `from`, whose order is `order`, apart from axes of one element.
fn inserted(from: &[usize], order: &[usize], to: &[usize]) -> Option<Vec<usize>> {
    if order.is_sorted() {
        return None;
    }
    let long =
        |dims: &[usize]| -> Vec<usize> { (0..dims.len()).filter(|&a| dims[a] != 1).collect() };
    let (ours, theirs) = (long(from), long(to));
    let same =
        ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(&a, &b)| from[a] == to[b]);
    if !same {
        return None;
    }
    let moved = order.iter().filter_map(|a| {
        let at = ours.iter().position(|b| a == b)?;
        Some(theirs[at])
    });
    let ones = (0..to.len()).filter(|&a| to[a] == 1);
    Some(ones.chain(moved).collect())
}

fn constant<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    if let Some(array) = call.tensor("value")? {
        return Ok(vec![NodeValue::known(array)]);
    }
    let list = |element, numbers: Vec<f64>| Array::new(element, vec![numbers.len()], numbers);
    let array = if call.has("value_float") {
        list(Element::Float, vec![call.float("value_float", 0.0)]).reshaped(&[])
    } else if call.has("value_int") {
        list(Element::Int64, vec![call.int("value_int", 0) as f64]).reshaped(&[])
    } else if let Some(numbers) = call
        .floats("value_floats")
        .filter(|_| call.has("value_floats"))
    {
        list(Element::Float, numbers)
    } else if let Some(ints) = call.ints("value_ints") {
        list(Element::Int64, ints.iter().map(|&x| x as f64).collect())
    } else {
        return Err(refused(
            "its value is a text or sparse, which is not supported",
        ));
    };
    Ok(vec![NodeValue::known(array)])
}

fn constant_of_shape<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let shape = call
        .known_ints(0)?
        .ok_or_else(|| refused("it has no shape"))?;
    let dims = extents(&shape)?;
    let value = call.tensor("value")?;
    let (element, number) = match value.filter(|array| array.len() == 1) {
        Some(array) => (array.element, array.at(0)),
        None => (Element::Float, 0.0),
    };
    let count = on_host(dims.iter().product())?;
    Ok(vec![NodeValue::known(Array::new(
        element,
        dims,
        vec![number; count],
    ))])
}

fn range<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let element = call.input(0)?.element;
    let number = |at| {
        let number = call.known_number(at)?;
        number.ok_or_else(|| refused("its start, limit and delta must be constants"))
    };
    let (start, limit, delta) = (number(0)?, number(1)?, number(2)?);
    let count = ((limit - start) / delta).ceil().max(0.0);
    if count.is_nan() || count > LARGEST_COUNT as f64 {
        return Err(refused(format!(
            "it would have {count} elements from {start} to {limit} by {delta}"
        )));
    }
    let numbers: Vec<f64> = (0..on_host(count as usize)?)
        .map(|i| start + i as f64 * delta)
        .collect();
    Ok(vec![NodeValue::known(Array::new(
        element,
        vec![numbers.len()],
        numbers,
    ))])
}

fn eye_like<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    let &[rows, columns] = &value.dims[..] else {
        return Err(refused("it takes a matrix"));
    };
    let element = match call.has("dtype") {
        true => Element::of(call.int("dtype", 1) as i32).map_err(refused)?,
        false => value.element,
    };
    let k = call.int("k", 0);
    let place = |i: usize| (i / columns) as i64 + k == (i % columns) as i64;
    let numbers = (0..rows * columns).map(|i| f64::from(u8::from(place(i))));
    Ok(vec![NodeValue::known(Array::new(
        element,
        value.dims.clone(),
        numbers.collect(),
    ))])
}

fn reshape<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    let shape = call.ints_or_operand("shape", 1)?;
    let shape = shape.ok_or_else(|| refused("it has no shape"))?;
    let allow_zero = call.int("allowzero", 0) != 0;
    let copied = |(axis, &extent): (usize, &i64)| match extent {
        0 if !allow_zero => value.dims.get(axis).map(|&d| d as i64),
        extent => Some(extent),
    };
    let impossible = || {
        refused(format!(
            "{:?} can't be given the shape {shape:?}",
            value.dims
        ))
    };
    let wanted: Option<Vec<i64>> = shape.iter().enumerate().map(copied).collect();
    let mut wanted = wanted.ok_or_else(impossible)?;
    // A file that was exported for one number of samples is run with another: the first extent has them.
    if let (Some([exported, fed]), Some(first)) = (call.walk.samples, wanted.first_mut())
        && *first == exported as i64
    {
        *first = fed as i64;
    }
    let free: Vec<usize> = (0..wanted.len()).filter(|&a| wanted[a] == -1).collect();
    let mut others = wanted.iter().filter(|&&d| d != -1);
    let known = others.try_fold(1_i64, |n, &d| n.checked_mul(d));
    let known = known.ok_or_else(impossible)?;
    let count = value.elements() as i64;
    match free[..] {
        [] => {}
        [axis] if known > 0 && count % known == 0 => wanted[axis] = count / known,
        _ => return Err(impossible()),
    }
    let dims = extents(&wanted)?;
    reshaped(call, &value, &dims)
}

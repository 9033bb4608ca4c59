//! Reductions over axes, and softmax.

use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::array::Array;
use crate::onnx::call::{Call, axes_of, axis_of};
use crate::onnx::element::Element;
use crate::onnx::value::{NodeValue, inverse};

pub const OPERATORS: &[Operator] = &[
    operator("ReduceL1", |call| {
        reduce(call, |x, axes| x.abs()?.sum_keep(axes))
    }),
    operator("ReduceL2", |call| {
        reduce(call, |x, axes| x.mul(x)?.sum_keep(axes)?.sqrt())
    }),
    operator("ReduceLogSum", |call| {
        reduce(call, |x, axes| x.sum_keep(axes)?.log())
    }),
    operator("ReduceLogSumExp", |call| {
        reduce(call, |x, axes| {
            let largest = x.max_keep(axes)?;
            x.sub(largest)?.exp()?.sum_keep(axes)?.log()?.add(largest)
        })
    }),
    operator("ReduceMax", |call| reduce(call, largest)),
    operator("ReduceMean", |call| {
        reduce(call, |x, axes| {
            let count: usize = axes.iter().map(|&a| x.shape().dims()[a]).product();
            x.sum_keep(axes)?.scale(1.0 / count.max(1) as f64)
        })
    }),
    operator("ReduceMin", |call| {
        reduce(call, |x, axes| largest(x.neg()?, axes)?.neg())
    }),
    operator("ReduceProd", |call| reduce(call, products)),
    operator("ReduceSum", |call| reduce(call, |x, axes| x.sum_keep(axes))),
    operator("ReduceSumSquare", |call| {
        reduce(call, |x, axes| x.mul(x)?.sum_keep(axes))
    }),
    operator("Softmax", |call| {
        softmax(call, |x, axis| x.softmax_along(axis))
    }),
    operator("LogSoftmax", |call| {
        softmax(call, |x, axis| x.log_softmax_along(axis))
    }),
];

/// A reduction over the attribute or operand `axes`; all axes where there is none.
fn reduce<'g>(
    call: &mut Call<'_, '_, 'g>,
    compute: for<'v> fn(Var<'v>, &[usize]) -> Result<Var<'v>>,
) -> Built<'g> {
    let value = call.input(0)?;
    let axes = call
        .ints_or_operand("axes", 1)?
        .filter(|axes| !axes.is_empty());
    let axes = match axes {
        Some(axes) => axes_of(&axes, value.rank())?,
        None if call.int("noop_with_empty_axes", 0) != 0 => return Ok(vec![call.input(0)?]),
        None => (0..value.rank()).collect(),
    };
    if value.elements() == 0 {
        let keeps = call.int("keepdims", 1) != 0;
        let mut dims = Vec::new();
        for (axis, &extent) in value.dims.iter().enumerate() {
            match (axes.contains(&axis), keeps) {
                (false, _) => dims.push(extent),
                (true, true) => dims.push(1),
                (true, false) => {}
            }
        }
        let number = of_nothing(&call.node.op_type, value.element);
        let count = dims.iter().product();
        let array = Array::new(value.element, dims, vec![number; count]);
        return Ok(vec![NodeValue::known(array)]);
    }
    let (value, x) = call.own(0)?;
    let order = value.order().map(<[usize]>::to_vec);
    let order = order.unwrap_or_else(|| (0..value.rank()).collect());
    let place = inverse(&order);
    let own: Vec<usize> = axes.iter().map(|&a| place[a]).collect();
    let y = match own.is_empty() {
        // A number without axes is a row of one element.
        true => compute(x.reshape([1])?, &[0])?.reshape(Vec::new())?,
        false => compute(x, &own)?,
    };
    let kept = NodeValue::ordered(value.element, y, &order);
    match call.int("keepdims", 1) {
        0 => {
            let dims = (0..value.rank()).filter(|a| !axes.contains(a));
            let dims: Vec<usize> = dims.map(|a| value.dims[a]).collect();
            super::shape::reshaped(call, &kept, &dims)
        }
        _ => Ok(vec![kept]),
    }
}

/// The largest element over `axes`. The engine's is a finite number also where all are minus infinity; halves tell that from the
/// lowest number.
fn largest<'v>(x: Var<'v>, axes: &[usize]) -> Result<Var<'v>> {
    let lowest = f64::from(f32::MIN);
    let is_finite = x
        .scale(0.5)?
        .max_keep(axes)?
        .gt(x.builder().constant(lowest))?;
    let shape = x.shape();
    let extents = shape.dims().iter().enumerate();
    let ranges = extents.map(|(a, &d)| 0..if axes.contains(&a) { 1 } else { d });
    let least = x.slice(&ranges.collect::<Vec<_>>())?;
    is_finite.select(x.max_keep(axes)?, least)
}

/// What an empty set is reduced to by the operator `name`.
fn of_nothing(name: &str, element: Element) -> f64 {
    let (low, high) = element.range();
    match name {
        "ReduceMax" => low,
        "ReduceMin" => high,
        "ReduceProd" => 1.0,
        "ReduceMean" => f64::NAN,
        "ReduceLogSum" | "ReduceLogSumExp" => f64::NEG_INFINITY,
        _ => 0.0,
    }
}

/// Products over `axes`, one after another by halves.
fn products<'v>(x: Var<'v>, axes: &[usize]) -> Result<Var<'v>> {
    let mut x = x;
    for &axis in axes {
        loop {
            let extent = x.shape().dims()[axis];
            if extent < 2 {
                break;
            }
            let half = extent / 2;
            let pairs = x
                .slice_axis(axis, 0..half)?
                .mul(x.slice_axis(axis, half..2 * half)?)?;
            x = match extent % 2 {
                0 => pairs,
                _ => Var::concat(&[pairs, x.slice_axis(axis, extent - 1..extent)?], axis)?,
            };
        }
    }
    Ok(x)
}

/// Along the attribute `axis`; up to version 12 over all elements from that axis on.
fn softmax<'g>(
    call: &mut Call<'_, '_, 'g>,
    compute: for<'v> fn(Var<'v>, usize) -> Result<Var<'v>>,
) -> Built<'g> {
    let default = if call.opset() < 13 { 1 } else { -1 };
    let (value, x) = call.own(0)?;
    let axis = axis_of(call.int("axis", default), value.rank())?;
    if call.opset() < 13 && axis + 1 != value.rank() {
        let outer: usize = value.dims[..axis].iter().product();
        let inner: usize = value.dims[axis..].iter().product();
        let x = call.walk.var(&value)?.reshape([outer, inner])?;
        let y = compute(x, 1)?.reshape(value.dims.clone())?;
        return Ok(vec![NodeValue::live(value.element, y)]);
    }
    let place = match value.order() {
        Some(order) => inverse(order)[axis],
        None => axis,
    };
    let y = compute(x, place)?;
    Ok(vec![call.like(&value, value.element, y)])
}

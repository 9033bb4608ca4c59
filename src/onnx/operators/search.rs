//! Places of the largest elements, and running sums.

use super::axes::multiplied;
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, axis_of, refused};
use crate::onnx::element::Element;
use crate::onnx::value::NodeValue;

pub const OPERATORS: &[Operator] = &[
    operator("ArgMax", |call| arg_extreme(call, false)),
    operator("ArgMin", |call| arg_extreme(call, true)),
    operator("CumSum", cumulative_sum),
    operator("TopK", top_k),
];

/// Elements of a row that are compared with one another.
const LONGEST_ROW: usize = 4096;

fn arg_extreme<'g>(call: &mut Call<'_, '_, 'g>, is_min: bool) -> Built<'g> {
    let value = call.input(0)?;
    let axis = axis_of(call.int("axis", 0), value.rank())?;
    let x = call.var(0)?;
    let x = if is_min { x.neg()? } else { x };
    let extent = value.dims[axis];
    let last = value.rank() - 1;
    let mut rows = x.transpose(axis, last)?;
    let from_end = call.int("select_last_index", 0) != 0;
    if from_end {
        let back: Vec<usize> = (0..extent).rev().collect();
        rows = super::axes::taken(call, rows, last, &back)?;
    }
    let mut at = rows.argmax()?.to_float()?;
    if from_end {
        at = call.constant((extent - 1) as f64).sub(at)?;
    }
    // The axis that was last is where `axis` was.
    let mut swapped = value.dims.clone();
    swapped.swap(axis, last);
    swapped[last] = 1;
    let kept = at.reshape(swapped)?.transpose(axis, last)?;
    let mut dims = value.dims.clone();
    dims[axis] = 1;
    if call.int("keepdims", 1) == 0 {
        dims.remove(axis);
    }
    Ok(vec![NodeValue::live(Element::Int64, kept.reshape(dims)?)])
}

fn cumulative_sum<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    let axis = call
        .known_number(1)?
        .ok_or_else(|| refused("it has no axis"))?;
    let axis = axis_of(axis as i64, value.rank())?;
    let n = value.dims[axis];
    if n > LONGEST_ROW {
        return Err(refused(format!(
            "running sums over {n} elements are not supported; {LONGEST_ROW} are"
        )));
    }
    let (exclusive, reverse) = (call.int("exclusive", 0) != 0, call.int("reverse", 0) != 0);
    let adds = |i: usize| {
        let (to, from) = (i / n, i % n);
        let (to, from) = if reverse { (from, to) } else { (to, from) };
        match exclusive {
            true => from < to,
            false => from <= to,
        }
    };
    let matrix = || (0..n * n).map(|i| f64::from(u8::from(adds(i)))).collect();
    let x = call.var(0)?;
    let y = multiplied(call, x, axis, n, matrix)?;
    Ok(vec![NodeValue::live(value.element, y)])
}

/// Every element's rank is the number of those before it; rank r goes to place r.
fn top_k<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    let k = match call.has("k") {
        true => call.int("k", 1) as f64,
        false => call
            .known_number(1)?
            .ok_or_else(|| refused("it has no k"))?,
    };
    let axis = axis_of(call.int("axis", -1), value.rank())?;
    let n = value.dims[axis];
    if !(k >= 1.0 && k <= n as f64) {
        return Err(refused(format!("it asks for {k} of {n} elements")));
    }
    if n > LONGEST_ROW {
        return Err(refused(format!(
            "sorting {n} elements is not supported; {LONGEST_ROW} are"
        )));
    }
    let k = k as usize;
    let last = value.rank() - 1;
    let x = call.var(0)?.transpose(axis, last)?;
    let moved = x.shape().dims().to_vec();
    let outer: usize = moved[..last].iter().product();
    let rows = x.reshape([outer, n])?;
    let (own, other): (Var<'g>, Var<'g>) =
        (rows.reshape([outer, n, 1])?, rows.reshape([outer, 1, n])?);
    let before = match call.int("largest", 1) {
        0 => other.lt(own)?,
        _ => other.gt(own)?,
    };
    let earlier = (0..n * n)
        .map(|i| f64::from(u8::from(i % n < i / n)))
        .collect();
    let earlier = call.table(&[1, n, n], earlier)?;
    let ties = other.eq(own)?.mul(earlier)?;
    let rank = before.add(ties)?.sum(&[2])?;
    let places = call.table(&[1, k, 1], (0..k).map(|i| i as f64).collect())?;
    let hits = rank.reshape([outer, 1, n])?.eq(places)?;
    let zero = call.constant(0.0);
    let values = hits.select(rows.reshape([outer, 1, n])?, zero)?.sum(&[2])?;
    let numbers = call.table(&[1, 1, n], (0..n).map(|i| i as f64).collect())?;
    let indices = hits.mul(numbers)?.sum(&[2])?;
    let mut dims = moved;
    dims[last] = k;
    let placed = |y: Var<'g>| -> Result<Var<'g>> { y.reshape(dims.clone())?.transpose(axis, last) };
    Ok(vec![
        NodeValue::live(value.element, placed(values)?),
        NodeValue::live(Element::Int64, placed(indices)?),
    ])
}

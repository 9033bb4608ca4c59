//! Arithmetic of several operands, with NumPy's broadcasting.

use super::shape::reshaped;
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, refused};
use crate::onnx::element::Element;
use crate::onnx::value::NodeValue;

pub const OPERATORS: &[Operator] = &[
    operator("Add", |call| binary(call, |_, a, b| a.add(b))),
    operator("Sub", |call| binary(call, |_, a, b| a.sub(b))),
    operator("Mul", |call| binary(call, |_, a, b| a.mul(b))),
    operator("Div", |call| binary(call, divided)),
    operator("Mod", modulo),
    operator("Pow", power),
    operator("PRelu", prelu),
    operator("Sum", |call| several(call, |a, b| a.add(b))),
    operator("Max", |call| several(call, |a, b| a.maximum(b))),
    operator("Min", |call| several(call, |a, b| a.minimum(b))),
    operator("Mean", |call| {
        let count = call.inputs.len().max(1);
        let sum = several(call, |a, b| a.add(b))?;
        let mut means = Vec::new();
        for value in sum {
            let var = call.walk.var(&value)?.scale(1.0 / count as f64)?;
            means.push(NodeValue::live(value.element, var));
        }
        Ok(means)
    }),
];

/// The operands `values` in the graph, in a common order of axes, and that order.
pub fn aligned<'g>(
    call: &mut Call<'_, '_, 'g>,
    values: &[NodeValue<'g>],
) -> Result<(Vec<Var<'g>>, Vec<usize>)> {
    let rank = values.iter().map(NodeValue::rank).max().unwrap_or(0);
    let full = values.iter().filter(|value| value.rank() == rank);
    let ordered = full.filter_map(|value| Some((value.elements(), value.order()?.to_vec())));
    let order = ordered.max_by_key(|(elements, _)| *elements);
    let order = order.map_or_else(|| (0..rank).collect(), |(_, order)| order);
    let mut vars = Vec::new();
    for value in values {
        vars.push(match value.rank() == rank {
            true => call.walk.var_in(value, &order)?,
            false if order.is_sorted() => call.walk.var(value)?,
            false => {
                let var = call.walk.var(value)?;
                let dims = [&vec![1; rank - value.rank()][..], &value.dims].concat();
                var.reshape(dims)?.permute(&order)?
            }
        });
    }
    Ok((vars, order))
}

/// What `compute` makes of operands in a common order; the result has elements of type `element`.
pub fn pointwise<'g>(
    call: &mut Call<'_, '_, 'g>,
    values: &[NodeValue<'g>],
    element: Element,
    compute: impl FnOnce(&[Var<'g>]) -> Result<Var<'g>>,
) -> Built<'g> {
    let (vars, order) = aligned(call, values)?;
    let result = compute(&vars)?;
    let mut dims = vec![1; order.len()];
    for var in &vars {
        let shape = var.shape();
        let missing = dims.len() - shape.rank();
        for (axis, &extent) in shape.dims().iter().enumerate() {
            let own = &mut dims[missing + axis];
            match (*own, extent) {
                (1, extent) => *own = extent,
                (have, extent) if extent == have || extent == 1 => {}
                _ => return Err(refused("the shapes of its operands do not broadcast")),
            }
        }
    }
    let result = result.broadcast_to(&dims.into())?;
    Ok(vec![NodeValue::ordered(element, result, &order)])
}

/// An operator of two operands.
fn binary<'g>(
    call: &mut Call<'_, '_, 'g>,
    compute: fn(Element, Var<'g>, Var<'g>) -> Result<Var<'g>>,
) -> Built<'g> {
    let values = [call.input(0)?, call.input(1)?];
    let element = values[0].element;
    pointwise(call, &values, element, |vars| {
        compute(element, vars[0], vars[1])
    })
}

fn prelu<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (x, mut slope) = (call.input(0)?, call.input(1)?);
    let element = x.element;
    // Before version 7 a row of slopes was one for each channel.
    if call.opset() < 7 && slope.rank() == 1 && x.rank() > 2 {
        let dims: Vec<usize> = slope
            .dims
            .iter()
            .copied()
            .chain(vec![1; x.rank() - 2])
            .collect();
        slope = reshaped(call, &slope, &dims)?.remove(0);
    }
    pointwise(call, &[x, slope], element, |vars| {
        let zero = vars[0].builder().constant(0.0);
        let below = vars[0].minimum(zero)?.mul(vars[1])?;
        vars[0].maximum(zero)?.add(below)
    })
}

/// An operator of any number of operands, one after another.
fn several<'g>(
    call: &mut Call<'_, '_, 'g>,
    compute: fn(Var<'g>, Var<'g>) -> Result<Var<'g>>,
) -> Built<'g> {
    let values: Vec<NodeValue<'g>> = call.inputs.iter().flatten().cloned().collect();
    let element = call.input(0)?.element;
    pointwise(call, &values, element, |vars| {
        let mut result = vars[0];
        for &var in &vars[1..] {
            result = compute(result, var)?;
        }
        Ok(result)
    })
}

/// The integer between 0 and `x` that is nearest to `x`.
pub fn truncated(x: Var<'_>) -> Result<Var<'_>> {
    let zero = x.builder().constant(0.0);
    let size = x.abs()?.floor()?;
    x.lt(zero)?.select(size.neg()?, size)
}

fn divided<'g>(element: Element, a: Var<'g>, b: Var<'g>) -> Result<Var<'g>> {
    let quotient = a.div(b)?;
    match element.is_float() {
        true => Ok(quotient),
        false => truncated(quotient),
    }
}

/// With `fmod` the result has the sign of the dividend, as in C; otherwise that of the divisor, as in Python.
fn modulo<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    match call.int("fmod", 0) {
        0 => binary(call, |_, a, b| {
            let finite = a.sub(a.div(b)?.floor()?.mul(b)?)?;
            // Within an infinite span nothing changes but the sign.
            let zero = a.builder().constant(0.0);
            let is_infinite = b.abs()?.gt(a.builder().constant(f64::from(f32::MAX)))?;
            let differs = a.mul(b)?.lt(zero)?;
            is_infinite.select(differs.select(b, a)?, finite)
        }),
        _ => binary(call, |_, a, b| a.sub(truncated(a.div(b)?)?.mul(b)?)),
    }
}

fn power<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let values = [call.input(0)?, call.input(1)?];
    let element = values[0].element;
    let exponent = values[1].array().filter(|array| array.len() == 1);
    if let Some(exponent) = exponent.map(|array| array.at(0)) {
        let whole = exponent.fract() == 0.0 && (1.0..=8.0).contains(&exponent);
        if (whole || exponent == 0.5) && values[1].rank() <= values[0].rank() {
            return pointwise(call, &values[..1], element, |vars| {
                let x = vars[0];
                if !whole {
                    return x.sqrt();
                }
                let mut result = x;
                for _ in 1..exponent as usize {
                    result = result.mul(x)?;
                }
                Ok(result)
            });
        }
    }
    pointwise(call, &values, element, |vars| {
        signed_power(vars[0], vars[1])
    })
}

/// `a` to the power of `b`; the kernels' power is for positive numbers only.
fn signed_power<'g>(a: Var<'g>, b: Var<'g>) -> Result<Var<'g>> {
    let (zero, one) = (a.builder().constant(0.0), a.builder().constant(1.0));
    let size = a.abs()?.pow(b)?;
    let is_odd = b.sub(b.scale(0.5)?.floor()?.scale(2.0)?)?.eq(one)?;
    let whole = is_odd.select(size.neg()?, size)?;
    // The root of a negative number is no number, as its other powers are.
    let negative = b.floor()?.eq(b)?.select(whole, a.sqrt()?)?;
    a.lt(zero)?.select(negative, size)
}

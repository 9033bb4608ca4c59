//! Numbers as integers with a scale and a zero point.

use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, axis_of, refused};
use crate::onnx::element::Element;
use crate::onnx::value::NodeValue;

pub const OPERATORS: &[Operator] = &[
    operator("QuantizeLinear", quantize),
    operator("DequantizeLinear", dequantize),
];

/// Scale or zero point, operand `at`, in the shape that broadcasts to `value`: one number, one for each position of the attribute
/// `axis`, or one for each block of it.
fn spread<'g>(
    call: &mut Call<'_, '_, 'g>,
    value: &NodeValue<'g>,
    at: usize,
) -> Result<Option<Var<'g>>> {
    let Some(part) = call.optional(at).cloned() else {
        return Ok(None);
    };
    let var = call.walk.var(&part)?;
    if part.elements() == 1 {
        return Ok(Some(var.reshape(Vec::new())?));
    }
    let axis = axis_of(call.int("axis", 1), value.rank())?;
    let block = usize::try_from(call.int("block_size", 0)).unwrap_or(0);
    if block == 0 {
        let mut dims = vec![1; value.rank()];
        dims[axis] = part.elements();
        return Ok(Some(var.reshape(dims)?));
    }
    if part.rank() != value.rank() {
        return Err(refused("its scales do not fit its blocks"));
    }
    let outer: usize = part.dims[..axis].iter().product();
    let inner: usize = part.dims[axis + 1..].iter().product();
    let count = part.dims[axis];
    let each = var
        .reshape([outer, count, 1, inner])?
        .broadcast_to(&[outer, count, block, inner].into())?
        .reshape([outer, count * block, inner])?
        .slice_axis(1, 0..value.dims[axis])?;
    Ok(Some(each.reshape(value.dims.clone())?))
}

fn quantize<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    let element = match (call.optional(2), call.int("output_dtype", 0)) {
        (Some(zero), _) => zero.element,
        (None, 0) => Element::Uint8,
        (None, code) => {
            Element::of(code as i32).map_err(|why| refused(format!("it makes {why}")))?
        }
    };
    let scale = spread(call, &value, 1)?.ok_or_else(|| refused("it has no scale"))?;
    let zero = spread(call, &value, 2)?;
    let x = call.var(0)?.div(scale)?.round()?;
    let x = match zero {
        Some(zero) => x.add(zero)?,
        None => x,
    };
    let (low, high) = element.range();
    Ok(vec![NodeValue::live(element, x.clamp(low, high)?)])
}

fn dequantize<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    let element = call.input(1)?.element;
    let scale = spread(call, &value, 1)?.ok_or_else(|| refused("it has no scale"))?;
    let zero = spread(call, &value, 2)?;
    let x = call.var(0)?;
    let x = match zero {
        Some(zero) => x.sub(zero)?,
        None => x,
    };
    Ok(vec![NodeValue::live(element, x.mul(scale)?)])
}

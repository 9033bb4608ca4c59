//! Comparisons and logic; true is 1.

use super::arithmetic::pointwise;
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::Call;
use crate::onnx::element::Element;

pub const OPERATORS: &[Operator] = &[
    operator("And", |call| truth(call, |a, b| a.mul(b))),
    operator("Or", |call| truth(call, |a, b| a.maximum(b))),
    operator("Xor", |call| truth(call, |a, b| a.ne(b))),
    operator("Not", |call| {
        let (value, x) = call.own(0)?;
        let result = call.constant(1.0).sub(x)?;
        Ok(vec![call.like(&value, Element::Bool, result)])
    }),
    operator("Equal", |call| truth(call, |a, b| a.eq(b))),
    operator("Greater", |call| truth(call, |a, b| a.gt(b))),
    operator("GreaterOrEqual", |call| truth(call, |a, b| a.ge(b))),
    operator("Less", |call| truth(call, |a, b| a.lt(b))),
    operator("LessOrEqual", |call| truth(call, |a, b| a.le(b))),
    operator("Where", |call| {
        let values = [call.input(0)?, call.input(1)?, call.input(2)?];
        let element = values[1].element;
        pointwise(call, &values, element, |x| x[0].select(x[1], x[2]))
    }),
];

fn truth<'g>(
    call: &mut Call<'_, '_, 'g>,
    compute: fn(Var<'g>, Var<'g>) -> Result<Var<'g>>,
) -> Built<'g> {
    let values = [call.input(0)?, call.input(1)?];
    pointwise(call, &values, Element::Bool, |x| compute(x[0], x[1]))
}

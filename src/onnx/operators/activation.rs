//! Functions of one operand, element by element.

use super::arithmetic::truncated;
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, refused};
use crate::onnx::element::Element;
use crate::onnx::value::NodeValue;

pub const OPERATORS: &[Operator] = &[
    operator("Abs", |call| unary(call, |_, x| x.abs())),
    operator("Celu", |call| {
        unary(call, |call, x| {
            let alpha = call.float("alpha", 1.0);
            let zero = call.constant(0.0);
            let below = x.minimum(zero)?.scale(1.0 / alpha)?.elu(1.0)?;
            x.maximum(zero)?.add(below.scale(alpha)?)
        })
    }),
    operator("Ceil", |call| unary(call, |_, x| x.neg()?.floor()?.neg())),
    operator("Clip", clip),
    operator("Elu", |call| {
        unary(call, |call, x| x.elu(call.float("alpha", 1.0)))
    }),
    operator("Erf", |call| unary(call, |_, x| x.erf())),
    operator("Exp", |call| unary(call, |_, x| x.exp())),
    operator("Floor", |call| unary(call, |_, x| x.floor())),
    operator("Gelu", |call| {
        unary(call, |call, x| {
            match call.text("approximate", "none").as_str() {
                "none" => x.gelu(),
                "tanh" => x.gelu_tanh(),
                other => Err(refused(format!("it has no approximation {other}"))),
            }
        })
    }),
    operator("HardSigmoid", |call| {
        unary(call, |call, x| {
            hard_sigmoid(
                x,
                call.float("alpha", f64::from(0.2_f32)),
                call.float("beta", 0.5),
            )
        })
    }),
    operator("HardSwish", |call| {
        unary(call, |_, x| x.mul(hard_sigmoid(x, 1.0 / 6.0, 0.5)?))
    }),
    operator("LeakyRelu", |call| {
        unary(call, |call, x| {
            x.leaky_relu(call.float("alpha", f64::from(0.01_f32)))
        })
    }),
    operator("Log", |call| unary(call, |_, x| x.log())),
    operator("Mish", |call| {
        unary(call, |_, x| x.mul(softplus(x)?.tanh()?))
    }),
    operator("Neg", |call| unary(call, |_, x| x.neg())),
    operator("Reciprocal", |call| {
        unary(call, |call, x| call.constant(1.0).div(x))
    }),
    operator("Relu", |call| unary(call, |_, x| x.relu())),
    operator("Round", |call| unary(call, |_, x| x.round())),
    operator("Selu", |call| {
        unary(call, |call, x| {
            let alpha = call.float("alpha", f64::from(1.673_263_2_f32));
            x.elu(alpha)?
                .scale(call.float("gamma", f64::from(1.050_701_f32)))
        })
    }),
    operator("Shrink", |call| {
        unary(call, |call, x| {
            let (bias, bound) = (call.float("bias", 0.0), call.float("lambd", 0.5));
            let (low, high) = (call.constant(-bound), call.constant(bound));
            let (zero, bias) = (call.constant(0.0), call.constant(bias));
            let below = x.lt(low)?.select(x.add(bias)?, zero)?;
            x.gt(high)?.select(x.sub(bias)?, below)
        })
    }),
    operator("Sigmoid", |call| unary(call, |_, x| x.sigmoid())),
    operator("Sign", |call| {
        unary(call, |call, x| {
            let zero = call.constant(0.0);
            x.gt(zero)?.sub(x.lt(zero)?)
        })
    }),
    operator("Softplus", |call| unary(call, |_, x| softplus(x))),
    operator("Softsign", |call| {
        unary(call, |call, x| x.div(x.abs()?.add(call.constant(1.0))?))
    }),
    operator("Sqrt", |call| unary(call, |_, x| x.sqrt())),
    operator("Swish", |call| {
        unary(call, |call, x| {
            let alpha = call.float("alpha", 1.0);
            x.mul(x.scale(alpha)?.sigmoid()?)
        })
    }),
    operator("Tanh", |call| unary(call, |_, x| x.tanh())),
    operator("ThresholdedRelu", |call| {
        unary(call, |call, x| {
            let bound = call.constant(call.float("alpha", 1.0));
            x.gt(bound)?.select(x, call.constant(0.0))
        })
    }),
    operator("Cast", |call| {
        let element = Element::of(call.int("to", 1) as i32);
        cast(
            call,
            element.map_err(|why| refused(format!("it makes {why}")))?,
        )
    }),
    operator("CastLike", |call| {
        let element = call.input(1)?.element;
        cast(call, element)
    }),
];

/// An operator whose result has the type and the order of axes of its operand.
fn unary<'g>(
    call: &mut Call<'_, '_, 'g>,
    compute: fn(&Call<'_, '_, 'g>, Var<'g>) -> Result<Var<'g>>,
) -> Built<'g> {
    let (value, var) = call.own(0)?;
    let result = compute(call, var)?;
    Ok(vec![call.like(&value, value.element, result)])
}

fn hard_sigmoid(x: Var<'_>, alpha: f64, beta: f64) -> Result<Var<'_>> {
    let moved = x.scale(alpha)?.add(x.builder().constant(beta))?;
    moved.clamp(0.0, 1.0)
}

/// `log(1 + e^x)`, without overflow.
pub fn softplus(x: Var<'_>) -> Result<Var<'_>> {
    let one = x.builder().constant(1.0);
    let rest = x.abs()?.neg()?.exp()?.add(one)?.log()?;
    x.relu()?.add(rest)
}

fn clip<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, mut x) = call.own(0)?;
    for (at, name, is_min) in [(1, "min", true), (2, "max", false)] {
        let bound = match call.optional(at).cloned() {
            Some(bound) => call.walk.var(&bound)?.reshape(Vec::new())?,
            None if call.has(name) => call.constant(call.float(name, 0.0)),
            None => continue,
        };
        x = match is_min {
            true => x.maximum(bound)?,
            false => x.minimum(bound)?,
        };
    }
    Ok(vec![call.like(&value, value.element, x)])
}

fn cast<'g>(call: &mut Call<'_, '_, 'g>, element: Element) -> Built<'g> {
    let value = call.input(0)?;
    if let Some(array) = value.array().filter(|_| value.is_known()) {
        return Ok(vec![NodeValue::known(array.cast(element))]);
    }
    let (value, x) = call.own(0)?;
    let x = match element {
        Element::Bool => x.ne(call.constant(0.0))?,
        _ if !element.is_float() && value.element.is_float() => truncated(x)?,
        _ => x,
    };
    Ok(vec![call.like(&value, element, x)])
}

//! Operations of `keras.ops` between layers.

use super::{Class, KerasOperand, KerasSite, Made, class};
use crate::onnx::keras::net::{KerasValue, float, int};
use serde_json::Value as Json;

pub(super) const CLASSES: &[Class] = &[
    class("Transpose", transpose),
    class("Matmul", matmul),
    class("Power", |site| pair(site, "Pow")),
    class("Less", |site| pair(site, "Less")),
    class("Greater", |site| pair(site, "Greater")),
    class("Equal", |site| pair(site, "Equal")),
    class("Where", choose),
    class("Sum", |site| reduce(site, "ReduceSum")),
    class("Mean", |site| reduce(site, "ReduceMean")),
    class("Max", |site| reduce(site, "ReduceMax")),
    class("Min", |site| reduce(site, "ReduceMin")),
    class("Argmax", arg_max),
    class("Clip", clip),
    class("Cast", cast),
    class("Erf", |site| unary(site, "Erf")),
    class("Exp", |site| unary(site, "Exp")),
    class("Log", |site| unary(site, "Log")),
    class("Sqrt", |site| unary(site, "Sqrt")),
    class("Negative", |site| unary(site, "Neg")),
    class("Absolute", |site| unary(site, "Abs")),
    class("Reciprocal", |site| unary(site, "Reciprocal")),
    class("Floor", |site| unary(site, "Floor")),
    class("Sin", |site| unary(site, "Sin")),
    class("Cos", |site| unary(site, "Cos")),
    class("Tanh", |site| unary(site, "Tanh")),
    class("Sigmoid", |site| unary(site, "Sigmoid")),
    class("Relu", |site| unary(site, "Relu")),
    class("LogSoftmax", |site| {
        let axis = site.number("axis", -1.0) as i64;
        let x = site.x()?;
        Ok(site.net.same("LogSoftmax", &x, vec![int("axis", axis)]))
    }),
    class("Elu", |site| {
        let (x, alpha) = (site.x()?, site.number("alpha", 1.0));
        Ok(site.net.same("Elu", &x, vec![float("alpha", alpha)]))
    }),
    class("LeakyRelu", |site| {
        let (x, slope) = (site.x()?, site.number("negative_slope", 0.2));
        Ok(site.net.same("LeakyRelu", &x, vec![float("alpha", slope)]))
    }),
    class("ExpandDims", |site| with_axes(site, "Unsqueeze")),
    class("Squeeze", |site| with_axes(site, "Squeeze")),
    class("Pad", pad),
    class("GetItem", part),
    class("Take", take),
];

fn unary(site: &mut KerasSite<'_, '_>, op: &str) -> Made {
    let x = site.x()?;
    Ok(site.net.same(op, &x, Vec::new()))
}

fn pair(site: &mut KerasSite<'_, '_>, op: &str) -> Made {
    let (a, b) = (site.operand(0)?, site.operand(1)?);
    Ok(KerasValue {
        name: site.net.node(op, &[&a.name, &b.name], Vec::new()),
        rank: a.rank.max(b.rank),
    })
}

fn matmul(site: &mut KerasSite<'_, '_>) -> Made {
    pair(site, "MatMul")
}

fn choose(site: &mut KerasSite<'_, '_>) -> Made {
    let operands = [site.operand(0)?, site.operand(1)?, site.operand(2)?];
    let names = [&*operands[0].name, &*operands[1].name, &*operands[2].name];
    Ok(KerasValue {
        name: site.net.node("Where", &names, Vec::new()),
        rank: operands.iter().map(|x| x.rank).max().unwrap_or(0),
    })
}

/// Integers of a setting: one, or a list.
fn axes(site: &KerasSite<'_, '_>, key: &str) -> Result<Vec<i64>, String> {
    let list = match site.setting(key) {
        Some(Json::Array(list)) => list.iter().map(Json::as_i64).collect(),
        Some(one) => one.as_i64().map(|axis| vec![axis]),
        None => None,
    };
    list.ok_or_else(|| format!("has no {key}, which is not supported"))
}

fn transpose(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let perm: Vec<usize> = match site.setting("axes") {
        Some(_) => axes(site, "axes")?
            .iter()
            .map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX))
            .collect(),
        None => (0..x.rank).rev().collect(),
    };
    Ok(KerasValue {
        name: site.net.transposed(&x.name, &perm),
        rank: x.rank,
    })
}

fn reduce(site: &mut KerasSite<'_, '_>, op: &str) -> Made {
    let x = site.x()?;
    let over = axes(site, "axis")?;
    let keep = site.flag("keepdims", false);
    let count = over.len();
    let over = site.net.integers(&over);
    Ok(KerasValue {
        name: site.net.node(
            op,
            &[&x.name, &over],
            vec![int("keepdims", i64::from(keep))],
        ),
        rank: if keep {
            x.rank
        } else {
            x.rank.saturating_sub(count)
        },
    })
}

fn arg_max(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let axis = axes(site, "axis")?.first().copied().unwrap_or(-1);
    let keep = site.flag("keepdims", false);
    let attributes = vec![int("axis", axis), int("keepdims", i64::from(keep))];
    Ok(KerasValue {
        name: site.net.node("ArgMax", &[&x.name], attributes),
        rank: if keep {
            x.rank
        } else {
            x.rank.saturating_sub(1)
        },
    })
}

fn clip(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let low = site.number("x_min", f64::from(f32::MIN));
    let high = site.number("x_max", f64::from(f32::MAX));
    let (low, high) = (site.net.number(low), site.net.number(high));
    Ok(KerasValue {
        name: site.net.node("Clip", &[&x.name, &low, &high], Vec::new()),
        rank: x.rank,
    })
}

fn cast(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    // The numbers of ONNX: float and int64.
    let to = if site.text("dtype", "float32").contains("int") {
        7
    } else {
        1
    };
    Ok(site.net.same("Cast", &x, vec![int("to", to)]))
}

/// Adds or takes away the axes `axis`.
fn with_axes(site: &mut KerasSite<'_, '_>, op: &str) -> Made {
    let x = site.x()?;
    let over = axes(site, "axis")?;
    let rank = match op {
        "Unsqueeze" => x.rank + over.len(),
        _ => x.rank.saturating_sub(over.len()),
    };
    let over = site.net.integers(&over);
    Ok(KerasValue {
        name: site.net.node(op, &[&x.name, &over], Vec::new()),
        rank,
    })
}

fn pad(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let refused = || "has a pad_width that does not fit; save the model again".to_string();
    let widths = site
        .setting("pad_width")
        .and_then(Json::as_array)
        .ok_or_else(refused)?;
    let widths: Option<Vec<[i64; 2]>> = widths
        .iter()
        .map(|pair| match pair.as_array().map(Vec::as_slice) {
            Some([before, after]) => Some([before.as_i64()?, after.as_i64()?]),
            _ => None,
        })
        .collect();
    let widths = widths
        .filter(|widths| widths.len() == x.rank)
        .ok_or_else(refused)?;
    if site.text("mode", "constant") != "constant" {
        return Err("pads with another mode than constant, which is not supported".to_string());
    }
    let value = site
        .call
        .settings
        .get("constant_values")
        .and_then(Json::as_f64);
    let starts = widths.iter().map(|pair| pair[0]);
    let pads: Vec<i64> = starts.chain(widths.iter().map(|pair| pair[1])).collect();
    let pads = site.net.integers(&pads);
    let value = site.net.number(value.unwrap_or(0.0));
    Ok(KerasValue {
        name: site.net.node("Pad", &[&x.name, &pads, &value], Vec::new()),
        rank: x.rank,
    })
}

/// A part of each axis: slices.
fn part(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let refused = || "takes another part than slices, which is not supported".to_string();
    let Some(KerasOperand::Constant(parts)) = site.call.inputs.get(1) else {
        return Err(refused());
    };
    let parts = parts.as_array().ok_or_else(refused)?;
    let (mut starts, mut ends, mut over, mut steps) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (axis, part) in parts.iter().enumerate() {
        if part.get("class_name").and_then(Json::as_str) != Some("__slice__") {
            return Err(refused());
        }
        let number = |key: &str, default: i64| {
            let value = part.get("config").and_then(|config| config.get(key));
            value.and_then(Json::as_i64).unwrap_or(default)
        };
        starts.push(number("start", 0));
        ends.push(number("stop", i64::from(i32::MAX)));
        steps.push(number("step", 1));
        over.push(axis as i64);
    }
    let operands = [starts, ends, over, steps].map(|list| site.net.integers(&list));
    let [starts, ends, over, steps] = &operands;
    Ok(KerasValue {
        name: site
            .net
            .node("Slice", &[&x.name, starts, ends, over, steps], Vec::new()),
        rank: x.rank,
    })
}

fn take(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let axis = axes(site, "axis")?.first().copied().unwrap_or(0);
    let indices = match site.call.inputs.get(1) {
        // A single number takes its axis away.
        Some(KerasOperand::Constant(Json::Number(number))) => {
            let index = number
                .as_i64()
                .ok_or("takes an element at no whole number")?;
            let row = site.net.integers(&[index]);
            let kept = site
                .net
                .node("Gather", &[&x.name, &row], vec![int("axis", axis)]);
            let over = site.net.integers(&[axis]);
            return Ok(KerasValue {
                name: site.net.node("Squeeze", &[&kept, &over], Vec::new()),
                rank: x.rank.saturating_sub(1),
            });
        }
        _ => site.operand(1)?,
    };
    Ok(KerasValue {
        name: site
            .net
            .node("Gather", &[&x.name, &indices.name], vec![int("axis", axis)]),
        rank: (x.rank + indices.rank).saturating_sub(1),
    })
}

//! Normalisations.

use super::{Class, KerasSite, Made, class};
use crate::onnx::array::Array;
use crate::onnx::element::Element;
use crate::onnx::keras::net::{KerasValue, float, int};
use crate::onnx::keras::stored::Weight;
use serde_json::Value as Json;

pub(super) const CLASSES: &[Class] = &[
    class("BatchNormalization", batch),
    class("LayerNormalization", layer),
    class("GroupNormalization", group),
    class("RMSNormalization", rms),
];

/// The axis `key`, which must be the last one.
fn last_axis(site: &KerasSite<'_, '_>, rank: usize) -> Result<(), String> {
    let axis = match site.setting("axis") {
        Some(Json::Array(list)) if list.len() == 1 => list[0].as_i64(),
        Some(axis) => axis.as_i64(),
        None => Some(-1),
    };
    match axis {
        Some(axis) if axis == -1 || axis == rank as i64 - 1 => Ok(()),
        _ => Err("normalises another axis than the last one, which is not supported; export the model as ONNX".to_string()),
    }
}

/// The weight `name`, number `number` of those that the layer has, or `value` for each of `channels`.
fn given(
    site: &mut KerasSite<'_, '_>,
    has: bool,
    number: &mut usize,
    name: &'static str,
    channels: usize,
    value: f64,
) -> Result<String, String> {
    if !has {
        return Ok(site.net.floats(vec![value; channels]));
    }
    let array = site.stored(Weight::own(*number, name), 1)?;
    *number += 1;
    Ok(site.net.weight(name, array))
}

fn batch(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    last_axis(site, x.rank)?;
    let (scale, center) = (site.flag("scale", true), site.flag("center", true));
    let before = usize::from(scale) + usize::from(center);
    let mean = site.stored(Weight::own(before, "moving_mean"), 1)?;
    let variance = site.stored(Weight::own(before + 1, "moving_variance"), 1)?;
    let channels = mean.len();
    let mut number = 0;
    let gamma = given(site, scale, &mut number, "gamma", channels, 1.0)?;
    let beta = given(site, center, &mut number, "beta", channels, 0.0)?;
    let mean = site.net.weight("moving_mean", mean);
    let variance = site.net.weight("moving_variance", variance);
    let attributes = vec![
        float("epsilon", site.number("epsilon", 1e-3)),
        float("momentum", site.number("momentum", 0.99)),
    ];
    let operands = |x: &str| {
        [
            x.to_string(),
            gamma.clone(),
            beta.clone(),
            mean.clone(),
            variance.clone(),
        ]
    };
    if x.rank == 2 {
        let operands = operands(&x.name);
        let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
        let name = site.net.node("BatchNormalization", &operands, attributes);
        return Ok(KerasValue { name, rank: 2 });
    }
    let first = site.net.channels_first(&x);
    let operands = operands(&first);
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let y = site.net.node("BatchNormalization", &operands, attributes);
    Ok(site.net.channels_last(&y, x.rank))
}

fn layer(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    last_axis(site, x.rank)?;
    if site.flag("rms_scaling", false) {
        return Err(
            "has rms_scaling, which is not supported; export the model as ONNX".to_string(),
        );
    }
    let (scale, center) = (site.flag("scale", true), site.flag("center", true));
    let mut number = 0;
    let channels = ["gamma", "beta"]
        .iter()
        .find_map(|name| site.optional(Weight::own(0, name)));
    let channels = channels.map_or(1, |array| array.len());
    let gamma = given(site, scale, &mut number, "gamma", channels, 1.0)?;
    let mut operands = vec![x.name.clone(), gamma];
    if center {
        operands.push(given(site, true, &mut number, "beta", channels, 0.0)?);
    }
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let epsilon = site.number("epsilon", 1e-3);
    let attributes = vec![int("axis", -1), float("epsilon", epsilon)];
    Ok(KerasValue {
        name: site.net.node("LayerNormalization", &operands, attributes),
        rank: x.rank,
    })
}

fn rms(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    last_axis(site, x.rank)?;
    let scale = site.stored(Weight::own(0, "scale"), 1)?;
    let scale = site.net.weight("scale", scale);
    let epsilon = site.number("epsilon", 1e-6);
    let attributes = vec![int("axis", -1), float("epsilon", epsilon)];
    Ok(KerasValue {
        name: site
            .net
            .node("RMSNormalization", &[&x.name, &scale], attributes),
        rank: x.rank,
    })
}

fn group(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    last_axis(site, x.rank)?;
    let (scale, center) = (site.flag("scale", true), site.flag("center", true));
    let weight = site.optional(Weight::own(0, if scale { "gamma" } else { "beta" }));
    let channels = weight.as_ref().map(Array::len);
    let channels = channels.ok_or("has no weights in the file, which is not supported")?;
    let mut number = 0;
    let gamma = given(site, scale, &mut number, "gamma", channels, 1.0)?;
    let beta = given(site, center, &mut number, "beta", channels, 0.0)?;
    let groups = match site.setting("groups").and_then(Json::as_i64) {
        Some(-1) => channels as i64,
        Some(groups) => groups,
        None => 32,
    };
    let first = site.net.channels_first(&x);
    let attributes = vec![
        int("num_groups", groups),
        float("epsilon", site.number("epsilon", 1e-3)),
    ];
    let y = site
        .net
        .node("GroupNormalization", &[&first, &gamma, &beta], attributes);
    Ok(site.net.channels_last(&y, x.rank))
}

/// Statistics of the data that `Normalization` was adapted to.
pub(super) fn statistics(
    site: &KerasSite<'_, '_>,
    number: usize,
    name: &'static str,
) -> Option<Array> {
    let stored = site.optional(Weight::own(number, name));
    stored.or_else(|| {
        let given = site.setting(name)?;
        let list = match given {
            Json::Array(_) => flat(given, 0),
            number => vec![number.as_f64()?],
        };
        Some(Array::new(Element::Float, vec![list.len()], list))
    })
}

/// The numbers in nested lists.
fn flat(json: &Json, depth: usize) -> Vec<f64> {
    match json {
        Json::Array(list) if depth < 8 => {
            list.iter().flat_map(|one| flat(one, depth + 1)).collect()
        }
        other => other.as_f64().into_iter().collect(),
    }
}

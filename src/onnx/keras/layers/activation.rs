//! Activations.

use super::{Class, KerasSite, Made, class};
use crate::onnx::keras::net::{KerasValue, Net, float, int, text};
use crate::onnx::keras::stored::Weight;
use serde_json::Value as Json;

pub(super) const CLASSES: &[Class] = &[
    class("Activation", |site| {
        let x = site.x()?;
        site.activated(x)
    }),
    class("ReLU", relu),
    class("LeakyReLU", |site| {
        let slope = site.number("negative_slope", site.number("alpha", 0.3));
        let x = site.x()?;
        Ok(site.net.same("LeakyRelu", &x, vec![float("alpha", slope)]))
    }),
    class("ELU", |site| {
        let (x, alpha) = (site.x()?, site.number("alpha", 1.0));
        Ok(site.net.same("Elu", &x, vec![float("alpha", alpha)]))
    }),
    class("PReLU", prelu),
    class("Softmax", |site| {
        let axis = site.number("axis", -1.0) as i64;
        let x = site.x()?;
        Ok(site.net.same("Softmax", &x, vec![int("axis", axis)]))
    }),
];

/// `y` after `activation`: its name, or its configuration.
pub(super) fn apply(net: &mut Net, activation: &Json, y: KerasValue) -> Made {
    let name = match activation {
        Json::String(name) => name.as_str(),
        other => {
            let config = other.get("config");
            let name = config.and_then(Json::as_str);
            let name = name.or_else(|| config?.get("name")?.as_str());
            name.or_else(|| other.get("class_name")?.as_str())
                .unwrap_or("?")
        }
    };
    let op = match name {
        "linear" => return Ok(y),
        "relu" => "Relu",
        "sigmoid" => "Sigmoid",
        "tanh" => "Tanh",
        "softplus" => "Softplus",
        "softsign" => "Softsign",
        "exponential" => "Exp",
        "selu" => "Selu",
        "mish" => "Mish",
        "elu" => return Ok(net.same("Elu", &y, vec![float("alpha", 1.0)])),
        "softmax" => return Ok(net.same("Softmax", &y, vec![int("axis", -1)])),
        "log_softmax" => return Ok(net.same("LogSoftmax", &y, vec![int("axis", -1)])),
        "leaky_relu" => return Ok(net.same("LeakyRelu", &y, vec![float("alpha", 0.2)])),
        "gelu" => return Ok(net.same("Gelu", &y, vec![text("approximate", "none")])),
        "relu6" => return Ok(clipped(net, &y, 6.0)),
        "hard_sigmoid" => return Ok(hard_sigmoid(net, &y)),
        "silu" | "swish" => {
            let gate = net.node("Sigmoid", &[&y.name], Vec::new());
            return Ok(product(net, &y, &gate));
        }
        "hard_silu" | "hard_swish" => {
            let gate = hard_sigmoid(net, &y);
            return Ok(product(net, &y, &gate.name));
        }
        other => {
            return Err(format!(
                "has the activation {other}, which is not supported"
            ));
        }
    };
    Ok(net.same(op, &y, Vec::new()))
}

fn product(net: &mut Net, x: &KerasValue, by: &str) -> KerasValue {
    KerasValue {
        name: net.node("Mul", &[&x.name, by], Vec::new()),
        rank: x.rank,
    }
}

/// `max(0, min(1, x / 6 + 1 / 2))`, and in Keras 2 `max(0, min(1, x / 5 + 1 / 2))`.
fn hard_sigmoid(net: &mut Net, x: &KerasValue) -> KerasValue {
    let is_old = net.version.starts_with("Keras 2") || net.version == "Keras";
    let slope = if is_old { 0.2 } else { 1.0 / 6.0 };
    net.same(
        "HardSigmoid",
        x,
        vec![float("alpha", slope), float("beta", 0.5)],
    )
}

fn clipped(net: &mut Net, x: &KerasValue, most: f64) -> KerasValue {
    let (low, high) = (net.number(0.0), net.number(most));
    KerasValue {
        name: net.node("Clip", &[&x.name, &low, &high], Vec::new()),
        rank: x.rank,
    }
}

fn relu(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let (slope, threshold) = (
        site.number("negative_slope", 0.0),
        site.number("threshold", 0.0),
    );
    if threshold != 0.0 {
        return Err("has a threshold, which is not supported".to_string());
    }
    let most = site.setting("max_value").and_then(Json::as_f64);
    match (most, slope == 0.0) {
        (Some(most), true) => Ok(clipped(site.net, &x, most)),
        (None, true) => Ok(site.net.same("Relu", &x, Vec::new())),
        (None, false) => Ok(site.net.same("LeakyRelu", &x, vec![float("alpha", slope)])),
        (Some(_), false) => {
            Err("has max_value and negative_slope, which is not supported".to_string())
        }
    }
}

fn prelu(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let slope = site.optional(Weight::own(0, "alpha"));
    let slope = slope.ok_or("has no weight alpha in the file; save the model again, whole")?;
    let slope = site.net.weight("alpha", slope);
    Ok(KerasValue {
        name: site.net.node("PRelu", &[&x.name, &slope], Vec::new()),
        rank: x.rank,
    })
}

//! Dense layers and embeddings.

use super::{Class, KerasSite, Made, class};
use crate::onnx::keras::net::{KerasValue, int};
use crate::onnx::keras::stored::Weight;

pub(super) const CLASSES: &[Class] = &[
    class("Dense", |site| dense(site, "", "")),
    class("TimeDistributed", time_distributed),
    class("Embedding", embedding),
];

/// `x kernel + bias`, over the last axis. The weights are in `within` and `path` of the layer.
fn dense(site: &mut KerasSite<'_, '_>, within: &'static str, path: &'static str) -> Made {
    let weight = |number, name| Weight {
        within,
        path,
        number,
        name,
    };
    let x = site.x()?;
    let kernel = site.stored(weight(0, "kernel"), 2)?;
    let kernel = site.net.weight("kernel", kernel);
    let y = KerasValue {
        name: site.net.node("MatMul", &[&x.name, &kernel], Vec::new()),
        rank: x.rank,
    };
    let y = site.biased(y, weight(1, "bias"))?;
    site.activated(y)
}

/// A dense layer or an activation at every step, which they are by themselves.
fn time_distributed(site: &mut KerasSite<'_, '_>) -> Made {
    let layer = site.setting("layer").cloned();
    let within = layer.as_ref().and_then(|layer| layer.get("class_name"));
    let within = within.and_then(serde_json::Value::as_str).unwrap_or("?");
    if within != "Dense" {
        return Err(format!(
            "wraps a layer {within}, and only Dense is supported; export the model as ONNX"
        ));
    }
    let config = layer
        .as_ref()
        .and_then(|layer| layer.get("config").cloned());
    let inner = super::LayerConfig {
        class: within.to_string(),
        name: site.layer.name.clone(),
        config: config.unwrap_or_default(),
        calls: Vec::new(),
        input_shape: None,
    };
    let mut site = KerasSite {
        net: site.net,
        layer: &inner,
        call: site.call,
        inputs: site.inputs.clone(),
        named: Vec::new(),
        weights: site.weights,
    };
    dense(&mut site, "layer", "")
}

fn embedding(site: &mut KerasSite<'_, '_>) -> Made {
    if site.flag("mask_zero", false) {
        return Err(
            "has mask_zero, whose masks are not supported; build the network without it"
                .to_string(),
        );
    }
    let x = site.x()?;
    let table = site.stored(Weight::own(0, "embeddings"), 2)?;
    let table = site.net.weight("embeddings", table);
    Ok(KerasValue {
        name: site
            .net
            .node("Gather", &[&table, &x.name], vec![int("axis", 0)]),
        rank: x.rank + 1,
    })
}

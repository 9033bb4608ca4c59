//! Attention with several heads.

use super::{Class, KerasSite, Made, class};
use crate::onnx::array::Array;
use crate::onnx::keras::net::{KerasValue, int};
use crate::onnx::keras::stored::Weight;
use serde_json::Value as Json;

pub(super) const CLASSES: &[Class] = &[class("MultiHeadAttention", attention)];

fn attention(site: &mut KerasSite<'_, '_>) -> Made {
    let operand = |name: &str, at: usize| {
        let named = site.named.iter().find(|(known, _)| *known == name);
        let named = named.map(|(_, value)| value.clone());
        named.or_else(|| site.inputs.get(at).cloned().flatten())
    };
    let query = operand("query", 0).ok_or("reads nothing; save the model again")?;
    let value = operand("value", 1).ok_or("has no value to read; save the model again")?;
    let key = operand("key", 2).unwrap_or_else(|| value.clone());
    if operand("attention_mask", 3).is_some() {
        return Err(
            "is given a mask, which is not supported; export the model as ONNX".to_string(),
        );
    }
    if query.rank != 3 || key.rank != 3 || value.rank != 3 {
        return Err("reads other values than sequences, which is not supported".to_string());
    }
    let heads = site
        .count("num_heads")
        .ok_or("has no num_heads; save the model again")?;
    let q = projected(site, &query, "query_dense", "query")?;
    let k = projected(site, &key, "key_dense", "key")?;
    let v = projected(site, &value, "value_dense", "value")?;
    let causal = site.call.settings.get("use_causal_mask");
    let causal = causal.and_then(Json::as_bool).unwrap_or(false);
    let attributes = vec![
        int("q_num_heads", heads as i64),
        int("kv_num_heads", heads as i64),
        int("is_causal", i64::from(causal)),
    ];
    let y = site.net.node("Attention", &[&q, &k, &v], attributes);
    // [heads, size, D] as [heads size, D].
    let kernel = site.stored(weight("output_dense", "attention_output", 0, "kernel"), 3)?;
    let dims = [kernel.dims[0] * kernel.dims[1], kernel.dims[2]];
    let kernel = site
        .net
        .weight("attention_output/kernel", kernel.reshaped(&dims));
    let mut y = site.net.node("MatMul", &[&y, &kernel], Vec::new());
    if site.flag("use_bias", true) {
        let bias = site.stored(weight("output_dense", "attention_output", 1, "bias"), 1)?;
        let bias = site.net.weight("attention_output/bias", bias);
        y = site.net.node("Add", &[&y, &bias], Vec::new());
    }
    Ok(KerasValue { name: y, rank: 3 })
}

fn weight(within: &'static str, path: &'static str, number: usize, name: &'static str) -> Weight {
    Weight {
        within,
        path,
        number,
        name,
    }
}

/// `x [N, T, D]` times the kernel `[D, heads, size]`, as `[N, T, heads size]`.
fn projected(
    site: &mut KerasSite<'_, '_>,
    x: &KerasValue,
    within: &'static str,
    path: &'static str,
) -> Result<String, String> {
    let kernel = site.stored(weight(within, path, 0, "kernel"), 3)?;
    let width = kernel.dims[1] * kernel.dims[2];
    let flat = kernel.reshaped(&[kernel.dims[0], width]);
    let kernel = site.net.weight(&format!("{path}/kernel"), flat);
    let y = site.net.node("MatMul", &[&x.name, &kernel], Vec::new());
    if !site.flag("use_bias", true) {
        return Ok(y);
    }
    let bias: Array = site.stored(weight(within, path, 1, "bias"), 2)?;
    if bias.len() != width {
        return Err(format!(
            "has a bias of {:?} for a kernel of {width} columns; save the model again",
            bias.dims
        ));
    }
    let bias = site
        .net
        .weight(&format!("{path}/bias"), bias.reshaped(&[width]));
    Ok(site.net.node("Add", &[&y, &bias], Vec::new()))
}

//! Normalisations.

use super::super::tensor::Kept;
use super::{Made, Site, channels_last, plain};
use crate::onnx::array::Array;
use serde_json::json;

pub(super) fn batch(site: &mut Site<'_>) -> Made {
    let rank = site.operand(0)?.rank();
    let order = channels_last(rank);
    let x = site.layer_in(0, &order)?;
    let weights = (1..5).map(|at| Ok(site.constant(at)?.as_ref().clone()));
    let weights = weights.collect::<Result<Vec<Array>, String>>()?;
    let config = [
        ("axis", json!(-1)),
        ("epsilon", json!(site.float("epsilon", 1e-5))),
        ("momentum", json!(site.float("momentum", 0.9))),
    ];
    let layer = site.weighted("BatchNormalization", &config, x, weights);
    Ok(Kept::Tensor { layer, order })
}

pub(super) fn layer(site: &mut Site<'_>) -> Made {
    let rank = site.operand(0)?.rank();
    let axis = site.int("axis", -1);
    if axis != -1 && axis != rank as i64 - 1 {
        return Err("normalises over several axes, which is not written for Keras".to_string());
    }
    let x = site.plain(0)?;
    let mut weights = vec![site.constant(1)?.as_ref().clone()];
    if site.has(2) {
        weights.push(site.constant(2)?.as_ref().clone());
    }
    let config = [
        ("axis", json!(-1)),
        ("epsilon", json!(site.float("epsilon", 1e-5))),
        ("center", json!(site.has(2))),
    ];
    let layer = site.weighted("LayerNormalization", &config, x, weights);
    Ok(plain(layer, rank))
}

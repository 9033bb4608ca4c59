//! Shapes, parts, and tables.

use super::super::order::{identity, without};
use super::super::tensor::{Kept, KerasArg};
use super::super::write::{LAYERS, NUMPY};
use super::{Made, Site, axis_of, plain};
use serde_json::{Value as Json, json};

/// The axes change only in name.
pub(super) fn transpose(site: &mut Site<'_>) -> Made {
    let kept = site.operand(0)?;
    let rank = kept.rank();
    let reversed: Vec<usize> = (0..rank).rev().collect();
    let perm = match site.attribute("perm") {
        Some(_) => site.counts("perm", rank, 0),
        None => reversed,
    };
    let Kept::Tensor { layer, order } = kept else {
        return Err("transposes a constant of another kind".to_string());
    };
    let renamed = order
        .iter()
        .map(|axis| perm.iter().position(|p| p == axis).unwrap_or(0));
    Ok(Kept::Tensor {
        layer,
        order: renamed.collect(),
    })
}

pub(super) fn reshape(site: &mut Site<'_>) -> Made {
    let mut shape = site.integers(1)?;
    let x = site.plain(0)?;
    // The number of samples is found by Keras.
    if let Some(first) = shape.first_mut().filter(|first| **first == 0) {
        *first = -1;
    }
    if shape.contains(&0) || shape.iter().filter(|&&d| d == -1).count() > 1 {
        return Err(format!(
            "has the shape {shape:?}, which is not written for Keras"
        ));
    }
    let rank = shape.len();
    let layer = site.add(
        NUMPY,
        "Reshape",
        &[("newshape", json!(shape))],
        vec![KerasArg::Layer(x)],
    );
    Ok(plain(layer, rank))
}

pub(super) fn flatten(site: &mut Site<'_>) -> Made {
    if site.int("axis", 1) != 1 {
        return Err("flattens from another axis, which is not written for Keras".to_string());
    }
    let x = site.plain(0)?;
    let layer = site.add(LAYERS, "Flatten", &[], vec![KerasArg::Layer(x)]);
    Ok(plain(layer, 2))
}

/// Axes of operand 1, or of the attribute in older versions.
fn axes(site: &Site<'_>) -> Result<Vec<i64>, String> {
    match site.has(1) {
        true => site.integers(1),
        false => Ok(site
            .attribute("axes")
            .map(|a| a.ints.clone())
            .unwrap_or_default()),
    }
}

pub(super) fn squeeze(site: &mut Site<'_>) -> Made {
    let axes = axes(site)?;
    let kept = site.operand(0)?;
    let Kept::Tensor { layer, order } = kept.clone() else {
        return Err("squeezes a constant of another kind".to_string());
    };
    let places = axes
        .iter()
        .map(|&axis| axis_of(&kept, axis))
        .collect::<Result<Vec<_>, _>>()?;
    let order = without(&order, &places);
    let layer = site.add(
        NUMPY,
        "Squeeze",
        &[("axis", json!(places))],
        vec![KerasArg::Layer(layer)],
    );
    Ok(Kept::Tensor { layer, order })
}

pub(super) fn unsqueeze(site: &mut Site<'_>) -> Made {
    let mut axes = axes(site)?;
    let mut layer = site.plain(0)?;
    let rank = site.operand(0)?.rank() + axes.len();
    for axis in &mut axes {
        if *axis < 0 {
            *axis += rank as i64;
        }
    }
    axes.sort_unstable();
    for axis in axes {
        layer = site.add(
            NUMPY,
            "ExpandDims",
            &[("axis", json!(axis))],
            vec![KerasArg::Layer(layer)],
        );
    }
    Ok(plain(layer, rank))
}

pub(super) fn concat(site: &mut Site<'_>) -> Made {
    let operands = (0..site.node.input.len()).map(|at| site.operand(at));
    let operands = operands.collect::<Result<Vec<Kept>, _>>()?;
    let first = operands.iter().find_map(|kept| match kept {
        Kept::Tensor { order, .. } => Some(order.clone()),
        Kept::Constant(_) => None,
    });
    let order = first.ok_or("joins constants alone")?;
    let mut args = Vec::new();
    for kept in &operands {
        args.push(KerasArg::Layer(site.writer.ordered(kept, &order)?));
    }
    let axis = super::place(&order, site.int("axis", 0))?;
    let layer = site.add(NUMPY, "Concatenate", &[("axis", json!(axis))], args);
    site.writer.layers[layer].as_list = true;
    Ok(Kept::Tensor { layer, order })
}

pub(super) fn slice(site: &mut Site<'_>) -> Made {
    let kept = site.operand(0)?;
    let Kept::Tensor { layer, order } = kept.clone() else {
        return Err("takes a part of a constant".to_string());
    };
    let (starts, ends) = (site.integers(1)?, site.integers(2)?);
    let axes = match site.has(3) {
        true => site.integers(3)?,
        false => (0..starts.len() as i64).collect(),
    };
    let steps = match site.has(4) {
        true => site.integers(4)?,
        false => vec![1; starts.len()],
    };
    let all = json!({ "class_name": "__slice__", "config": { "start": null, "stop": null, "step": null } });
    let mut parts = vec![all; order.len()];
    for (((start, end), axis), step) in starts.iter().zip(&ends).zip(axes).zip(steps) {
        if step < 1 {
            return Err("takes elements backwards, which is not written for Keras".to_string());
        }
        let stop = if *end >= i64::from(i32::MAX) {
            Json::Null
        } else {
            json!(end)
        };
        parts[axis_of(&kept, axis)?] = json!({
            "class_name": "__slice__",
            "config": { "start": start, "stop": stop, "step": step },
        });
    }
    let args = vec![KerasArg::Layer(layer), KerasArg::Value(Json::Array(parts))];
    let layer = site.add(NUMPY, "GetItem", &[], args);
    Ok(Kept::Tensor { layer, order })
}

pub(super) fn pad(site: &mut Site<'_>) -> Made {
    let kept = site.operand(0)?;
    let mode = site.text("mode");
    if !matches!(mode.as_str(), "" | "constant") || site.has(3) {
        return Err(format!("pads by {mode}, which is not written for Keras"));
    }
    let Kept::Tensor { layer, order } = kept else {
        return Err("pads a constant".to_string());
    };
    let pads = site.integers(1)?;
    let rank = order.len();
    if pads.len() != 2 * rank || pads.iter().any(|&p| p < 0) {
        return Err(format!("pads by {pads:?}, which is not written for Keras"));
    }
    let value = match site.has(2) {
        true => site.constant(2)?.at(0),
        false => 0.0,
    };
    let widths: Vec<[i64; 2]> = order
        .iter()
        .map(|&axis| [pads[axis], pads[axis + rank]])
        .collect();
    let config = [("pad_width", json!(widths)), ("mode", json!("constant"))];
    let layer = site.add(NUMPY, "Pad", &config, vec![KerasArg::Layer(layer)]);
    let named = &mut site.writer.layers[layer].kwargs;
    named.insert("constant_values".to_string(), json!(value));
    Ok(Kept::Tensor { layer, order })
}

/// Rows of a table, or elements along an axis.
pub(super) fn gather(site: &mut Site<'_>) -> Made {
    let axis = site.int("axis", 0);
    if let Ok(table) = site.constant(0) {
        if table.dims.len() != 2 || axis != 0 {
            return Err(
                "reads a table that is no matrix, which is not written for Keras".to_string(),
            );
        }
        let rank = site.operand(1)?.rank();
        let x = site.plain(1)?;
        let config = [
            ("input_dim", json!(table.dims[0])),
            ("output_dim", json!(table.dims[1])),
        ];
        let layer = site.weighted("Embedding", &config, x, vec![table.as_ref().clone()]);
        return Ok(plain(layer, rank + 1));
    }
    let indices = site.constant(1)?;
    let kept = site.operand(0)?;
    let rank = kept.rank();
    let x = site.writer.ordered(&kept, &identity(rank))?;
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    let list: Vec<i64> = indices.iter().map(|x| x as i64).collect();
    let value = match indices.dims.len() {
        0 => json!(list[0]),
        1 => json!({ "class_name": "__numpy__", "config": { "value": list, "dtype": "int32" } }),
        _ => {
            return Err(
                "reads at indices with several axes, which is not written for Keras".to_string(),
            );
        }
    };
    let args = vec![KerasArg::Layer(x), KerasArg::Value(value)];
    let layer = site.add(NUMPY, "Take", &[("axis", json!(at))], args);
    Ok(plain(layer, rank - 1 + indices.dims.len()))
}

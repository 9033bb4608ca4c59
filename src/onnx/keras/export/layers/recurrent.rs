//! Recurrent layers in one direction. Keras orders the gates of an LSTM input, forget, cell, output, and ONNX input, output, forget,
//! cell.

use super::super::tensor::{Kept, KerasArg};
use super::super::write::NUMPY;
use super::{Made, Site};
use crate::onnx::array::Array;
use serde_json::json;

pub(super) fn recurrent(site: &mut Site<'_>) -> Made {
    let (class, gates): (_, &[usize]) = match site.node.op_type.as_str() {
        "LSTM" => ("LSTM", &[0, 2, 3, 1]),
        "GRU" => ("GRU", &[0, 1, 2]),
        _ => ("SimpleRNN", &[0]),
    };
    let way = site.text("direction");
    if !matches!(way.as_str(), "" | "forward") || (4..8).any(|at| site.has(at)) {
        return Err(
            "has another direction, lengths or states, which is not written for Keras".to_string(),
        );
    }
    if site.attribute("activations").is_some() {
        return Err("has activations of its own, which is not written for Keras".to_string());
    }
    let hidden = usize::try_from(site.int("hidden_size", 0)).unwrap_or(0);
    let (w, r) = (site.constant(1)?, site.constant(2)?);
    // [T, N, I] among the nodes, [N, T, I] in Keras.
    let x = site.layer_in(0, &[1, 0, 2])?;
    let mut weights = vec![kernel(&w, gates, hidden), kernel(&r, gates, hidden)];
    let after = site.int("linear_before_reset", 0) != 0;
    if site.has(3) {
        weights.push(bias(
            &*site.constant(3)?,
            gates,
            hidden,
            class == "GRU" && after,
        ));
    }
    let mut config = vec![
        ("units", json!(hidden)),
        ("return_sequences", json!(true)),
        ("use_bias", json!(site.has(3))),
    ];
    if class == "GRU" {
        config.push(("reset_after", json!(after)));
    }
    let layer = site.weighted(class, &config, x, weights);
    site.writer.layers[layer].within = "cell";
    // [N, T, H] as [N, 1, T, H], whose axes are those of [T, 1, N, H].
    let layer = site.add(
        NUMPY,
        "ExpandDims",
        &[("axis", json!(1))],
        vec![KerasArg::Layer(layer)],
    );
    Ok(Kept::Tensor {
        layer,
        order: vec![2, 1, 0, 3],
    })
}

/// `[1, gates H, I]` as `[I, gates H]` with the gates in Keras's order: each is given by its place in ONNX.
fn kernel(w: &Array, gates: &[usize], hidden: usize) -> Array {
    let inputs = w.dims[2];
    let width = gates.len() * hidden;
    let mut numbers = Vec::with_capacity(w.len());
    for input in 0..inputs {
        for &gate in gates {
            numbers.extend((0..hidden).map(|unit| w.at((gate * hidden + unit) * inputs + input)));
        }
    }
    Array::new(w.element, vec![inputs, width], numbers)
}

/// `[1, 2 gates H]` as `[2, gates H]`, or their sum.
fn bias(b: &Array, gates: &[usize], hidden: usize, is_separate: bool) -> Array {
    let width = gates.len() * hidden;
    let row = |row: usize| {
        let units = gates
            .iter()
            .flat_map(|gate| (0..hidden).map(move |unit| gate * hidden + unit));
        units.map(|at| b.at(row * width + at)).collect::<Vec<f64>>()
    };
    match is_separate {
        true => Array::new(b.element, vec![2, width], [row(0), row(1)].concat()),
        false => {
            let sums = row(0).into_iter().zip(row(1)).map(|(a, b)| a + b);
            Array::new(b.element, vec![width], sums.collect())
        }
    }
}

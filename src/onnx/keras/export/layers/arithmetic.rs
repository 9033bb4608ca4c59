//! Products, sums over axes, and what works element by element.

use super::super::order::{identity, place, without};
use super::super::tensor::{Kept, KerasArg};
use super::super::write::{CORE, LAYERS, MATH, NN, NUMPY};
use super::{Made, Site, axis_of, plain, written};
use crate::onnx::array::Array;
use serde_json::{Value as Json, json};

/// A product with a constant matrix is a dense layer.
pub(super) fn product(site: &mut Site<'_>) -> Made {
    let is_gemm = site.node.op_type == "Gemm";
    let rank = site.operand(0)?.rank();
    if let Ok(matrix) = site.constant(1)
        && matrix.dims.len() == 2
        && !(is_gemm && (site.int("transA", 0) != 0 || site.float("alpha", 1.0) != 1.0))
    {
        let kernel = match is_gemm && site.int("transB", 0) != 0 {
            true => matrix.permuted(&[1, 0]),
            false => matrix.as_ref().clone(),
        };
        let units = kernel.dims[1];
        let mut weights = vec![kernel];
        let has_bias = is_gemm && site.has(2);
        if has_bias {
            let bias = site.constant(2)?;
            if bias.len() != units || site.float("beta", 1.0) != 1.0 {
                return Err(
                    "adds another constant than a bias, which is not written for Keras".to_string(),
                );
            }
            weights.push(bias.reshaped(&[units]));
        }
        let x = site.plain(0)?;
        let config = [("units", json!(units)), ("use_bias", json!(has_bias))];
        let layer = site.weighted("Dense", &config, x, weights);
        return Ok(plain(layer, rank));
    }
    if is_gemm {
        return Err(
            "multiplies by another matrix than a weight, which is not written for Keras"
                .to_string(),
        );
    }
    let other = site.operand(1)?.rank();
    let args = vec![argument(site, 0)?, argument(site, 1)?];
    let layer = site.add(NUMPY, "Matmul", &[], args);
    Ok(plain(layer, rank.max(other)))
}

/// Operand `at` with the axes of the nodes.
fn argument(site: &mut Site<'_>, at: usize) -> Result<KerasArg, String> {
    match site.operand(at)? {
        Kept::Constant(array) => {
            let order = identity(array.dims.len());
            Ok(KerasArg::Value(written(&array, &order)))
        }
        Kept::Tensor { .. } => Ok(KerasArg::Layer(site.plain(at)?)),
    }
}

pub(super) fn reduce(site: &mut Site<'_>) -> Made {
    let class = match site.node.op_type.as_str() {
        "ReduceSum" => "Sum",
        "ReduceMean" => "Mean",
        "ReduceMax" => "Max",
        _ => "Min",
    };
    let axes = match site.has(1) {
        true => site.integers(1)?,
        false => site
            .attribute("axes")
            .map(|a| a.ints.clone())
            .unwrap_or_default(),
    };
    let kept = site.operand(0)?;
    let Kept::Tensor { layer, order } = kept.clone() else {
        return Err("reduces a constant".to_string());
    };
    if axes.is_empty() {
        return Err("reduces all axes, which is not written for Keras".to_string());
    }
    let places = axes
        .iter()
        .map(|&axis| axis_of(&kept, axis))
        .collect::<Result<Vec<_>, _>>()?;
    let keep = site.int("keepdims", 1) != 0;
    let config = [("axis", json!(places)), ("keepdims", json!(keep))];
    let layer = site.add(NUMPY, class, &config, vec![KerasArg::Layer(layer)]);
    if keep {
        return Ok(Kept::Tensor { layer, order });
    }
    let order = without(&order, &places);
    Ok(Kept::Tensor { layer, order })
}

pub(super) fn arg_max(site: &mut Site<'_>) -> Made {
    let rank = site.operand(0)?.rank();
    let axis = site.int("axis", 0);
    let x = site.plain(0)?;
    let keep = site.int("keepdims", 1) != 0;
    let config = [("axis", json!(axis)), ("keepdims", json!(keep))];
    let layer = site.add(NUMPY, "Argmax", &config, vec![KerasArg::Layer(x)]);
    Ok(plain(layer, if keep { rank } else { rank - 1 }))
}

/// Module, class and settings of an operation.
type Operation = (&'static str, &'static str, Vec<(&'static str, Json)>);

/// The operation on one value that `op` is.
fn unary(site: &Site<'_>, op: &str) -> Option<Operation> {
    let activation = |name: &str| (LAYERS, "Activation", vec![("activation", json!(name))]);
    Some(match op {
        "Relu" => activation("relu"),
        "Sigmoid" => activation("sigmoid"),
        "Tanh" => activation("tanh"),
        "Softplus" => activation("softplus"),
        "Softsign" => activation("softsign"),
        "Selu" => activation("selu"),
        "Mish" => activation("mish"),
        "HardSwish" => activation("hard_silu"),
        "Elu" => (NN, "Elu", vec![("alpha", json!(site.float("alpha", 1.0)))]),
        "LeakyRelu" => {
            let slope = site.float("alpha", 0.01);
            (NN, "LeakyRelu", vec![("negative_slope", json!(slope))])
        }
        "Erf" => (MATH, "Erf", Vec::new()),
        "Exp" => (NUMPY, "Exp", Vec::new()),
        "Log" => (NUMPY, "Log", Vec::new()),
        "Sqrt" => (NUMPY, "Sqrt", Vec::new()),
        "Neg" => (NUMPY, "Negative", Vec::new()),
        "Abs" => (NUMPY, "Absolute", Vec::new()),
        "Reciprocal" => (NUMPY, "Reciprocal", Vec::new()),
        "Floor" => (NUMPY, "Floor", Vec::new()),
        "Sin" => (NUMPY, "Sin", Vec::new()),
        "Cos" => (NUMPY, "Cos", Vec::new()),
        "Cast" => {
            let dtype = if site.int("to", 1) == 1 {
                "float32"
            } else {
                "int32"
            };
            (CORE, "Cast", vec![("dtype", json!(dtype))])
        }
        _ => return None,
    })
}

/// The class of the operation on several values that `op` is.
fn binary(op: &str) -> Option<&'static str> {
    Some(match op {
        "Add" => "Add",
        "Sub" => "Subtract",
        "Mul" => "Multiply",
        "Div" => "Divide",
        "Pow" => "Power",
        "Max" => "Maximum",
        "Min" => "Minimum",
        "Less" => "Less",
        "Greater" => "Greater",
        "Equal" => "Equal",
        "Where" => "Where",
        _ => return None,
    })
}

pub(super) fn pointwise(site: &mut Site<'_>) -> Made {
    let op = site.node.op_type.as_str();
    if matches!(op, "Identity" | "Dropout") {
        return site.operand(0);
    }
    if matches!(op, "Softmax" | "LogSoftmax") {
        let (layer, order) = site.tensor()?;
        let axis = place(&order, site.int("axis", -1))?;
        let class = if op == "Softmax" {
            "Softmax"
        } else {
            "LogSoftmax"
        };
        let layer = site.add(
            NN,
            class,
            &[("axis", json!(axis))],
            vec![KerasArg::Layer(layer)],
        );
        return Ok(Kept::Tensor { layer, order });
    }
    if op == "Clip" {
        return clip(site);
    }
    if let Some((module, class, config)) = unary(site, op) {
        let (layer, order) = site.tensor()?;
        // Tokens are integers already.
        if class == "Cast" && site.writer.layers[layer].class == "InputLayer" {
            return Ok(Kept::Tensor { layer, order });
        }
        let layer = site.add(module, class, &config, vec![KerasArg::Layer(layer)]);
        return Ok(Kept::Tensor { layer, order });
    }
    let class = binary(op).ok_or("has no form in Keras")?;
    let operands = (0..site.node.input.len()).map(|at| site.operand(at));
    let operands = operands.collect::<Result<Vec<Kept>, _>>()?;
    let rank = operands.iter().map(Kept::rank).max().unwrap_or(0);
    // All take the order of the first tensor with all axes.
    let whole = operands.iter().find_map(|kept| match kept {
        Kept::Tensor { order, .. } if order.len() == rank => Some(order.clone()),
        _ => None,
    });
    let is_lower = |kept: &Kept| matches!(kept, Kept::Tensor { order, .. } if order.len() < rank);
    let order = match operands.iter().any(is_lower) {
        true => identity(rank),
        false => whole.unwrap_or_else(|| identity(rank)),
    };
    let mut args = Vec::new();
    for kept in &operands {
        args.push(match kept {
            Kept::Constant(array) if array.len() == 1 => KerasArg::Value(json!(array.at(0) as f32)),
            Kept::Constant(array) => {
                let wide = widened(array, rank);
                KerasArg::Value(written(&wide, &order))
            }
            Kept::Tensor { order: own, .. } if own.len() == rank => {
                KerasArg::Layer(site.writer.ordered(kept, &order)?)
            }
            Kept::Tensor { order: own, .. } => {
                KerasArg::Layer(site.writer.ordered(kept, &identity(own.len()))?)
            }
        });
    }
    if class == "Power" && args.len() != 2 {
        return Err("has no form in Keras".to_string());
    }
    let layer = site.add(NUMPY, class, &[], args);
    Ok(Kept::Tensor { layer, order })
}

/// `array` with `rank` axes, of which the first new ones have one element.
fn widened(array: &Array, rank: usize) -> Array {
    let before = rank - array.dims.len().min(rank);
    let dims: Vec<usize> = std::iter::repeat_n(1, before)
        .chain(array.dims.iter().copied())
        .collect();
    array.reshaped(&dims)
}

fn clip(site: &mut Site<'_>) -> Made {
    let (layer, order) = site.tensor()?;
    let bound = |site: &Site<'_>, at: usize, default: f64| match site.has(at) {
        true => Ok::<f64, String>(site.constant(at)?.at(0)),
        false => Ok(default),
    };
    let low = bound(site, 1, f64::from(f32::MIN))?;
    let high = bound(site, 2, f64::from(f32::MAX))?;
    let config = [("x_min", json!(low)), ("x_max", json!(high))];
    let layer = site.add(NUMPY, "Clip", &config, vec![KerasArg::Layer(layer)]);
    Ok(Kept::Tensor { layer, order })
}

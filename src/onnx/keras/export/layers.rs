//! The layer or operation of Keras that a node of ONNX becomes.

mod arithmetic;
mod normal;
mod recurrent;
mod shapes;
mod windows;

use super::order::{identity, place};
use super::tensor::{Kept, KerasArg};
use super::write::{KerasWriter, LAYERS};
use crate::onnx::array::Array;
use crate::onnx::messages::{AttributeProto, NodeProto};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// A value, or why there is none, as the rest of a sentence about the node.
type Made = Result<Kept, String>;

/// A node that becomes a layer.
struct Site<'w> {
    writer: &'w mut KerasWriter,
    node: &'w NodeProto,
}

/// What `node` becomes.
///
/// # Errors
/// If it has no form in Keras, as the rest of a sentence.
pub fn layer(writer: &mut KerasWriter, node: &NodeProto) -> Made {
    let mut site = Site { writer, node };
    match node.op_type.as_str() {
        "Conv" => windows::conv(&mut site),
        "ConvTranspose" => windows::transposed(&mut site),
        "MaxPool" => windows::pool(&mut site, "MaxPooling"),
        "AveragePool" => windows::pool(&mut site, "AveragePooling"),
        "GlobalAveragePool" => windows::global(&mut site),
        "Resize" => windows::resize(&mut site),
        "Gemm" | "MatMul" => arithmetic::product(&mut site),
        "Gather" => shapes::gather(&mut site),
        "BatchNormalization" => normal::batch(&mut site),
        "LayerNormalization" => normal::layer(&mut site),
        "LSTM" | "GRU" | "RNN" => recurrent::recurrent(&mut site),
        "Transpose" => shapes::transpose(&mut site),
        "Reshape" => shapes::reshape(&mut site),
        "Flatten" => shapes::flatten(&mut site),
        "Squeeze" => shapes::squeeze(&mut site),
        "Unsqueeze" => shapes::unsqueeze(&mut site),
        "Concat" => shapes::concat(&mut site),
        "Slice" => shapes::slice(&mut site),
        "Pad" => shapes::pad(&mut site),
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" => arithmetic::reduce(&mut site),
        "ArgMax" => arithmetic::arg_max(&mut site),
        _ => arithmetic::pointwise(&mut site),
    }
}

impl Site<'_> {
    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|a| a.name == name)
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|a| a.i).unwrap_or(default)
    }

    fn float(&self, name: &str, default: f64) -> f64 {
        let given = self.attribute(name).and_then(|a| a.f);
        given.map_or(default, f64::from)
    }

    fn text(&self, name: &str) -> String {
        let given = self.attribute(name).and_then(|a| a.s.as_deref());
        String::from_utf8_lossy(given.unwrap_or_default()).into_owned()
    }

    /// Counts, or `axes` times `default`.
    fn counts(&self, name: &str, axes: usize, default: usize) -> Vec<usize> {
        match self.attribute(name).filter(|a| !a.ints.is_empty()) {
            Some(a) => a
                .ints
                .iter()
                .map(|&x| usize::try_from(x).unwrap_or(0))
                .collect(),
            None => vec![default; axes],
        }
    }

    /// Operand `at`.
    fn operand(&self, at: usize) -> Made {
        let name = self.node.input.get(at).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| format!("has no operand {at}"))?;
        self.writer.value(name)
    }

    /// The first operand, which must be computed: its layer, and the order of its axes.
    fn tensor(&self) -> Result<(usize, Vec<usize>), String> {
        match self.operand(0)? {
            Kept::Tensor { layer, order } => Ok((layer, order)),
            Kept::Constant(_) => Err("works on a constant".to_string()),
        }
    }

    /// Operand `at`, which must be a constant.
    fn constant(&self, at: usize) -> Result<Arc<Array>, String> {
        match self.operand(at)? {
            Kept::Constant(array) => Ok(array),
            Kept::Tensor { .. } => Err(format!("has an operand {at} that is computed")),
        }
    }

    fn has(&self, at: usize) -> bool {
        self.node.input.get(at).is_some_and(|name| !name.is_empty())
    }

    /// The integers of operand `at`.
    fn integers(&self, at: usize) -> Result<Vec<i64>, String> {
        Ok(self.constant(at)?.iter().map(|x| x as i64).collect())
    }

    /// The layer that makes operand `at` with its axes in the order `wanted`.
    fn layer_in(&mut self, at: usize, wanted: &[usize]) -> Result<usize, String> {
        let kept = self.operand(at)?;
        self.writer.ordered(&kept, wanted)
    }

    /// The layer that makes operand `at` with the axes of the nodes.
    fn plain(&mut self, at: usize) -> Result<usize, String> {
        let rank = self.operand(at)?.rank();
        self.layer_in(at, &identity(rank))
    }

    /// A layer or operation, whose name is that of the node.
    fn add(
        &mut self,
        module: &'static str,
        class: &'static str,
        config: &[(&str, Json)],
        args: Vec<KerasArg>,
    ) -> usize {
        let name = self.node.output.first().cloned().unwrap_or_default();
        self.writer.add(module, class, &name, config, args)
    }

    /// A layer with weights, on the result of the layer `x`.
    fn weighted(
        &mut self,
        class: &'static str,
        config: &[(&str, Json)],
        x: usize,
        weights: Vec<Array>,
    ) -> usize {
        let layer = self.add(LAYERS, class, config, vec![KerasArg::Layer(x)]);
        self.writer.layers[layer].weights = weights;
        layer
    }
}

/// The order `[N, ..., C]` of the axes `[N, C, ...]`.
fn channels_last(rank: usize) -> Vec<usize> {
    std::iter::once(0).chain(2..rank).chain([1]).collect()
}

/// A constant as Keras writes it, its axes in `order`; a single number as it is.
fn written(array: &Array, order: &[usize]) -> Json {
    if array.dims.is_empty() {
        return json!(array.at(0) as f32);
    }
    let array = array.permuted(order);
    let numbers: Vec<f32> = array.singles();
    json!({
        "class_name": "__numpy__",
        "config": { "value": nested(&array.dims, &numbers), "dtype": "float32" },
    })
}

fn nested(dims: &[usize], numbers: &[f32]) -> Json {
    match dims {
        [] => json!(numbers.first()),
        [_] => json!(numbers),
        [_, rest @ ..] => {
            let each: usize = rest.iter().product();
            let rows = numbers.chunks(each.max(1)).map(|row| nested(rest, row));
            Json::Array(rows.collect())
        }
    }
}

/// The tensor `layer` whose axes are those of the nodes.
fn plain(layer: usize, rank: usize) -> Kept {
    Kept::Tensor {
        layer,
        order: identity(rank),
    }
}

/// The place of an axis of the value in its tensor.
fn axis_of(kept: &Kept, axis: i64) -> Result<usize, String> {
    match kept {
        Kept::Tensor { order, .. } => place(order, axis),
        Kept::Constant(_) => Err("reads a constant where Keras takes a tensor".to_string()),
    }
}

//! Values of the nodes, as Keras has them.

use crate::onnx::array::Array;
use std::sync::Arc;

/// A value.
#[derive(Clone, Debug)]
pub enum Kept {
    /// A constant, with the axes of the nodes.
    Constant(Arc<Array>),
    /// The result of a layer: its axis `a` is axis `order[a]` of the value.
    Tensor {
        /// Which layer.
        layer: usize,
        /// The order of its axes.
        order: Vec<usize>,
    },
}

impl Kept {
    /// Number of axes.
    pub fn rank(&self) -> usize {
        match self {
            Kept::Constant(array) => array.dims.len(),
            Kept::Tensor { order, .. } => order.len(),
        }
    }
}

/// A layer or operation.
#[derive(Clone, Debug)]
pub struct KerasLayer {
    /// Where its class is: `keras.layers`.
    pub module: &'static str,
    /// Its class.
    pub class: &'static str,
    /// Its name.
    pub name: String,
    /// Its settings, except for the name.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What it reads.
    pub args: Vec<KerasArg>,
    /// Whether it reads them as one list.
    pub as_list: bool,
    /// Named arguments that are constants.
    pub kwargs: serde_json::Map<String, serde_json::Value>,
    /// Its weights, and the group in it where they are.
    pub weights: Vec<Array>,
    /// Group of the weights within the layer.
    pub within: &'static str,
}

/// What a layer reads.
#[derive(Clone, Debug)]
pub enum KerasArg {
    /// The result of a layer.
    Layer(usize),
    /// A constant.
    Value(serde_json::Value),
}

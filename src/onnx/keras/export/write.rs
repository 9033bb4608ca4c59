//! The layers of a file that is written.

use super::order::permutation;
use super::tensor::{Kept, KerasArg, KerasLayer};
use crate::error::{Error, Result};
use crate::onnx::array::Array;
use crate::onnx::file::array_of;
use crate::onnx::messages::OnnxTensor;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Layers of Keras.
pub const LAYERS: &str = "keras.layers";
/// Operations on arrays.
pub const NUMPY: &str = "keras.src.ops.numpy";
/// Operations of networks.
pub const NN: &str = "keras.src.ops.nn";
/// Further functions.
pub const MATH: &str = "keras.src.ops.math";
/// Changes of type and others.
pub const CORE: &str = "keras.src.ops.core";

/// Layers, and the values that they make.
pub struct KerasWriter {
    /// The layers, each after those that it reads.
    pub layers: Vec<KerasLayer>,
    kept: HashMap<String, Kept>,
    names: HashMap<String, usize>,
}

impl KerasWriter {
    /// No layers, with the constants `initializers`.
    ///
    /// # Errors
    /// If a constant is damaged: a defect.
    pub fn new(initializers: &BTreeMap<String, OnnxTensor>) -> Result<KerasWriter> {
        let mut kept = HashMap::new();
        for (name, tensor) in initializers {
            let array = array_of(tensor, Path::new("")).map_err(Error::Graph)?;
            kept.insert(name.clone(), Kept::Constant(Arc::new(array)));
        }
        Ok(KerasWriter {
            layers: Vec::new(),
            kept,
            names: HashMap::new(),
        })
    }

    /// Adds the input `name` for samples of `shape`, images with their channels last.
    pub fn input(&mut self, name: &str, shape: &[usize], is_tokens: bool) {
        let extents = shape.iter().map(|&extent| json!(extent));
        let batch: Vec<Json> = std::iter::once(Json::Null).chain(extents).collect();
        let dtype = if is_tokens { "int32" } else { "float32" };
        let config = [("batch_shape", json!(batch)), ("dtype", json!(dtype))];
        let layer = self.add(LAYERS, "InputLayer", name, &config, Vec::new());
        let order = match shape.len() {
            3 => vec![0, 2, 3, 1],
            rank => (0..=rank).collect(),
        };
        self.keep(name, Kept::Tensor { layer, order });
    }

    /// Keeps the value `name`.
    pub fn keep(&mut self, name: &str, kept: Kept) {
        self.kept.insert(name.to_string(), kept);
    }

    /// The constant `name`, if it is one.
    pub fn constant(&self, name: &str) -> Option<Arc<Array>> {
        match self.kept.get(name) {
            Some(Kept::Constant(array)) => Some(array.clone()),
            _ => None,
        }
    }

    /// The value `name`.
    ///
    /// # Errors
    /// If no node makes it.
    pub fn value(&self, name: &str) -> std::result::Result<Kept, String> {
        let kept = self.kept.get(name).cloned();
        kept.ok_or_else(|| format!("reads {name}, which no node makes"))
    }

    /// A name that no other layer has, from that of a node: Keras allows no slashes.
    fn name(&mut self, stem: &str) -> String {
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        };
        let stem: String = stem.chars().map(safe).collect();
        let stem = stem.trim_matches('_').to_string();
        let count = self.names.entry(stem.clone()).or_default();
        *count += 1;
        match *count {
            1 => stem,
            n => format!("{stem}__{n}"),
        }
    }

    /// Adds a layer without weights.
    pub fn add(
        &mut self,
        module: &'static str,
        class: &'static str,
        name: &str,
        config: &[(&str, Json)],
        args: Vec<KerasArg>,
    ) -> usize {
        let mut settings = Map::new();
        for (key, value) in config {
            settings.insert(key.to_string(), value.clone());
        }
        let name = self.name(name);
        self.layers.push(KerasLayer {
            module,
            class,
            name,
            config: settings,
            args,
            as_list: false,
            kwargs: Map::new(),
            weights: Vec::new(),
            within: "",
        });
        self.layers.len() - 1
    }

    /// The layer whose axes are those of `kept` in the order `wanted`.
    pub fn ordered(&mut self, kept: &Kept, wanted: &[usize]) -> std::result::Result<usize, String> {
        let Kept::Tensor { layer, order } = kept else {
            return Err("reads a constant where Keras takes a tensor".to_string());
        };
        if order.len() != wanted.len() {
            return Err(format!(
                "reads a value with {} axes, not {}",
                order.len(),
                wanted.len()
            ));
        }
        let Some(axes) = permutation(order, wanted) else {
            return Ok(*layer);
        };
        let config = [("axes", json!(axes))];
        let name = format!("{}_transposed", self.layers[*layer].name);
        let args = vec![KerasArg::Layer(*layer)];
        Ok(self.add(NUMPY, "Transpose", &name, &config, args))
    }

    /// The layer that makes the value `name` with its axes in the order `wanted`.
    ///
    /// # Errors
    /// If it is a constant, or has another number of axes.
    pub fn tensor_in(
        &mut self,
        name: &str,
        wanted: &[usize],
    ) -> std::result::Result<usize, String> {
        let kept = self.value(name)?;
        self.ordered(&kept, wanted)
    }
}

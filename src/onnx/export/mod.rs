//! Networks as ONNX files: the graph of a forward pass, operation by operation ([`Op::onnx`](crate::ops::Op::onnx)), with its
//! weights under their names and in PyTorch's layouts.
//!
//! The graph is built for two numbers of samples: extents that differ between the two depend on that number, and are left open in
//! the file. What follows from weights alone is computed, and transpositions that undo one another are removed (`transposes`), sums with a bias become
//! part of convolutions and products (`biases`), and flattened images have their channels first again (`flattened`).

mod biases;
mod flattened;
mod graph;
mod pixels;
mod storage;
mod temperature;
mod transposes;

use super::messages::{DimensionProto, OnnxShape, TensorTypeProto, TypeProto};
use super::messages::{
    GraphProto, ModelProto, NodeProto, OnnxTensor, OperatorSetIdProto, StringStringEntryProto,
    ValueInfoProto,
};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::nn::{Model, inference_graph};
use crate::tensor::{DType, TensorType};
use graph::Writer;
use prost::Message;
use std::collections::BTreeMap;

/// What a file is written with.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Version of ONNX's operators.
    pub opset: i64,
    /// Notes in the file: classes, normalization, and others.
    pub metadata: Vec<(String, String)>,
    /// How weights are stored.
    pub storage: WeightStorage,
    /// If images are given as pixels from 0 to 255, which the network normalises: mean and standard deviation of each channel, of
    /// pixels from 0 to 1.
    pub pixels: Option<[Vec<f32>; 2]>,
    /// The temperature by which the output, the logits of a classifier, is divided.
    pub temperature: Option<f64>,
}

/// How weights are stored in a file. They are computed with as 32-bit floats in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightStorage {
    /// As they are.
    #[default]
    Float32,
    /// As 16-bit floats.
    Float16,
    /// As 8-bit integers with a scale for each output, except for biases and other rows.
    Int8,
}

/// The versions of ONNX's operators that can be written.
pub const WRITTEN_OPSETS: std::ops::RangeInclusive<i64> = 13..=21;
/// Numbers of samples for which the graph is built.
const SAMPLES: [usize; 2] = [2, 3];

/// The content of an ONNX file of `model` with the `values` of its state, for inference.
///
/// # Errors
/// If an operation has no form in ONNX; the message names the layer.
pub fn export(
    model: &dyn Model,
    values: &[Tensor<f32>],
    options: &ExportOptions,
) -> Result<Vec<u8>> {
    if !WRITTEN_OPSETS.contains(&options.opset) {
        return Err(Error::Config(format!(
            "versions {} to {} of ONNX's operators can be written, not {}",
            WRITTEN_OPSETS.start(),
            WRITTEN_OPSETS.end(),
            options.opset
        )));
    }
    let [small, large] = SAMPLES;
    let (graph, other) = (
        inference_graph(model, small)?,
        inference_graph(model, large)?,
    );
    let mut writer = Writer::new(options.opset, model, values);
    writer.write(&graph, &other)?;
    let inputs = model.inputs().iter().map(|input| {
        let mut sample = input.spec.sample();
        let element = if input.spec.tokens().is_some() { 7 } else { 1 };
        if let [height, width, channels] = sample[..] {
            sample = vec![channels, height, width];
        }
        declared(&input.name, element, &sample)
    });
    let outputs = model.outputs().iter().map(|output| {
        let mut sample = output.shape.clone();
        if let [height, width, channels] = sample[..] {
            sample = vec![channels, height, width];
        }
        declared(&output.name, 1, &sample)
    });
    let (mut nodes, mut initializers) = nodes(model, values, options.opset)?;
    storage::apply(options.storage, &mut nodes, &mut initializers);
    if let Some([mean, std]) = &options.pixels {
        pixels::normalise(model, mean, std, &mut nodes, &mut initializers)?;
    }
    if let Some(temperature) = options.temperature {
        temperature::divide(model, temperature, &mut nodes, &mut initializers)?;
    }
    let metadata = options.metadata.iter();
    let proto = ModelProto {
        ir_version: 8,
        producer_name: "wgrad".to_string(),
        producer_version: env!("CARGO_PKG_VERSION").to_string(),
        graph: Some(GraphProto {
            node: nodes,
            name: match model.name() {
                "" => "network".to_string(),
                name => name.to_string(),
            },
            initializer: initializers.into_values().collect(),
            input: inputs.collect(),
            output: outputs.collect(),
        }),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: options.opset,
        }],
        metadata_props: metadata
            .map(|(key, value)| StringStringEntryProto {
                key: key.clone(),
                value: value.clone(),
            })
            .collect(),
        functions: Vec::new(),
    };
    Ok(proto.encode_to_vec())
}

/// The nodes and constants of `model` with the `values` of its state, in version `opset` of ONNX's operators.
///
/// # Errors
/// If an operation has no form in ONNX; the message names the layer.
pub(super) fn nodes(
    model: &dyn Model,
    values: &[Tensor<f32>],
    opset: i64,
) -> Result<(Vec<NodeProto>, BTreeMap<String, OnnxTensor>)> {
    let [small, large] = SAMPLES;
    let (graph, other) = (
        inference_graph(model, small)?,
        inference_graph(model, large)?,
    );
    let mut writer = Writer::new(opset, model, values);
    writer.write(&graph, &other)?;
    Ok(writer.finish())
}

/// An input or output with an open first axis.
fn declared(name: &str, elem_type: i32, sample: &[usize]) -> ValueInfoProto {
    let extent = |&d: &usize| DimensionProto {
        dim_value: Some(d as i64),
        dim_param: String::new(),
    };
    let samples = DimensionProto {
        dim_value: None,
        dim_param: "N".to_string(),
    };
    let dim = std::iter::once(samples).chain(sample.iter().map(extent));
    ValueInfoProto {
        name: name.to_string(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type,
                shape: Some(OnnxShape { dim: dim.collect() }),
            }),
        }),
    }
}

/// A constant of floats.
fn floats(name: String, dims: &[usize], values: &[f32]) -> OnnxTensor {
    OnnxTensor {
        dims: dims.iter().map(|&d| d as i64).collect(),
        data_type: 1,
        name,
        raw_data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        ..OnnxTensor::default()
    }
}

/// A constant of integers.
fn integers(name: String, dims: &[usize], values: &[i64]) -> OnnxTensor {
    OnnxTensor {
        dims: dims.iter().map(|&d| d as i64).collect(),
        data_type: 7,
        name,
        raw_data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        ..OnnxTensor::default()
    }
}

/// Whether a type is floats.
fn is_real(ty: &TensorType) -> bool {
    ty.dtype == DType::F32
}

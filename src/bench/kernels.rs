//! Memory-bound workloads: one operation or a few, without contractions.

use super::{Workload, leaves, random, update, update_scalars, with_gradients};
use crate::cpu::Tensor;
use crate::error::Result;
use crate::graph::{Builder, Graph};
use crate::ops::avg_pool2d::AvgPool2d;
use crate::ops::max_pool2d::MaxPool2d;
use crate::optim::Adam;
use crate::plan::Scalar;
use crate::tensor::TensorType;

/// Elements of the memory-bound workloads: 64 MiB per tensor, larger than any cache.
const MANY: usize = 16 << 20;

pub(super) fn workloads() -> Vec<Box<dyn Workload>> {
    vec![
        Box::new(MaxPool),
        Box::new(AvgPool),
        Box::new(Softmax),
        Box::new(CrossEntropy),
        Box::new(Add),
        Box::new(Sum),
        Box::new(AdamStep),
    ]
}

/// 2x2 max pooling with its gradient.
struct MaxPool;

impl Workload for MaxPool {
    fn name(&self) -> String {
        "maxpool2x2_fwdbwd_32x32x26x26".to_string()
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let x = builder.variable("x", TensorType::f32([32, 26, 26, 32]))?;
        let y = x.max_pool2d(MaxPool2d {
            kernel: [2, 2],
            stride: [2, 2],
            padding: [[0, 0]; 2],
        })?;
        with_gradients(&builder, y, &[x])?;
        builder.finish()
    }
}

/// 2x2 average pooling with its gradient.
struct AvgPool;

impl Workload for AvgPool {
    fn name(&self) -> String {
        "avgpool2x2_fwdbwd_32x32x26x26".to_string()
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let x = builder.variable("x", TensorType::f32([32, 26, 26, 32]))?;
        let y = x.avg_pool2d(AvgPool2d {
            kernel: [2, 2],
            stride: [2, 2],
            padding: [[0, 0]; 2],
            count_include_pad: true,
        })?;
        with_gradients(&builder, y, &[x])?;
        builder.finish()
    }
}

/// Softmax over the rows of a large matrix, as in attention, with its gradient.
struct Softmax;

impl Workload for Softmax {
    fn name(&self) -> String {
        "softmax_fwdbwd_4096x1024".to_string()
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let x = builder.variable("x", TensorType::f32([4096, 1024]))?;
        with_gradients(&builder, x.softmax()?, &[x])?;
        builder.finish()
    }
}

/// The loss of 128 samples of 10 classes, with its gradient.
struct CrossEntropy;

impl Workload for CrossEntropy {
    fn name(&self) -> String {
        "softmax_cross_entropy_128x10".to_string()
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let logits = builder.variable("logits", TensorType::f32([128, 10]))?;
        let labels = builder.variable("labels", TensorType::u32([128]))?;
        let valid = builder.input("valid", TensorType::u32([]));
        let losses = logits.softmax_cross_entropy(labels, valid, 0.0)?;
        with_gradients(&builder, losses, &[logits])?;
        builder.finish()
    }

    fn scalars(&self) -> Vec<(String, Scalar)> {
        vec![("valid".to_string(), Scalar::U32(128))]
    }
}

/// Adds two large tensors: the bandwidth of elementwise operations.
struct Add;

impl Workload for Add {
    fn name(&self) -> String {
        "add_16m".to_string()
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let a = builder.variable("a", TensorType::f32([MANY]))?;
        let b = builder.variable("b", TensorType::f32([MANY]))?;
        builder.output("y", a.add(b)?);
        builder.finish()
    }
}

/// Sums a large tensor to a scalar.
struct Sum;

impl Workload for Sum {
    fn name(&self) -> String {
        "sum_16m".to_string()
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let x = builder.variable("x", TensorType::f32([MANY]))?;
        builder.output("y", x.sum_all()?);
        builder.finish()
    }
}

/// Adam's update of a million weights.
struct AdamStep;

impl Workload for AdamStep {
    fn name(&self) -> String {
        "adam_1m".to_string()
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let ty = TensorType::f32([1 << 20]);
        let weight = builder.variable("weight", ty.clone())?;
        let grad = builder.variable("grad", ty)?;
        let parameters = [("weight".to_string(), weight)];
        update(&builder, &Adam::default().into(), &parameters, &[grad])?;
        builder.finish()
    }

    fn variables(&self, graph: &Graph) -> Result<Vec<(String, Tensor<f32>)>> {
        let value = |name: &str, ty: &TensorType| match name {
            "weight" | "grad" => random(ty, 0),
            _ => Tensor::zeros(ty),
        };
        Ok(leaves(graph)
            .map(|(name, ty)| (name.to_string(), value(name, ty)))
            .collect())
    }

    fn scalars(&self) -> Vec<(String, Scalar)> {
        update_scalars(&Adam::default().into())
    }
}

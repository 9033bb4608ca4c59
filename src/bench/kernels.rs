//! Workloads of one operation or a few.

use super::{Workload, leaves, random};
use crate::autodiff::vjp;
use crate::cpu::Tensor;
use crate::error::Result;
use crate::graph::{Builder, Graph, Var};
use crate::ops::conv2d::Conv2d;
use crate::ops::max_pool2d::MaxPool2d;
use crate::optim::{Adam, Optimizer};
use crate::plan::Scalar;
use crate::tensor::TensorType;

/// Elements of the workloads that are bound by memory: 64 MiB a tensor, larger than any cache.
const MANY: usize = 16 << 20;

pub(super) fn workloads() -> Vec<Box<dyn Workload>> {
    let mut all: Vec<Box<dyn Workload>> = Vec::new();
    for [m, k, n] in [[256; 3], [512; 3], [1024; 3], [128, 784, 128]] {
        all.push(Box::new(Matmul { m, k, n }));
    }
    for [batch, channels, size, filters, padding] in
        [[32, 1, 28, 32, 0], [32, 32, 13, 64, 0], [16, 64, 32, 64, 1]]
    {
        for backward in [false, true] {
            all.push(Box::new(Convolution {
                batch,
                channels,
                size,
                filters,
                padding,
                backward,
            }));
        }
    }
    all.push(Box::new(MaxPool));
    all.push(Box::new(CrossEntropy));
    all.push(Box::new(Add));
    all.push(Box::new(Sum));
    all.push(Box::new(AdamStep));
    all
}

/// Outputs `y` and its gradients for each of `wrt` under a random upstream gradient.
pub(super) fn with_gradients(builder: &Builder, y: Var<'_>, wrt: &[Var<'_>]) -> Result<()> {
    let upstream = builder.variable("upstream", y.ty())?;
    builder.output("y", y);
    for (n, grad) in vjp(y, upstream, wrt)?.into_iter().enumerate() {
        builder.output(&format!("grad{n}"), grad);
    }
    Ok(())
}

/// `[m, k]` times `[k, n]`.
struct Matmul {
    m: usize,
    k: usize,
    n: usize,
}

impl Workload for Matmul {
    fn name(&self) -> String {
        format!("matmul_{}x{}x{}", self.m, self.k, self.n)
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let a = builder.variable("a", TensorType::f32([self.m, self.k]))?;
        let b = builder.variable("b", TensorType::f32([self.k, self.n]))?;
        builder.output("y", a.matmul(b)?);
        builder.finish()
    }
}

/// A 3x3 convolution of square images, alone or with both gradients.
struct Convolution {
    batch: usize,
    channels: usize,
    /// Height and width.
    size: usize,
    filters: usize,
    /// On every side.
    padding: usize,
    backward: bool,
}

impl Workload for Convolution {
    fn name(&self) -> String {
        let pass = if self.backward { "fwdbwd" } else { "fwd" };
        format!(
            "conv2d_{pass}_{}x{}x{}x{}_to{}_k3_p{}",
            self.batch, self.channels, self.size, self.size, self.filters, self.padding
        )
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let x = [self.batch, self.size, self.size, self.channels];
        let x = builder.variable("x", TensorType::f32(x))?;
        let w = builder.variable("w", TensorType::f32([self.filters, 3, 3, self.channels]))?;
        let padding = [[self.padding; 2]; 2];
        let y = x.conv2d(
            w,
            Conv2d {
                padding,
                ..Conv2d::default()
            },
        )?;
        if self.backward {
            with_gradients(&builder, y, &[x, w])?;
        } else {
            builder.output("y", y);
        }
        builder.finish()
    }
}

/// A 2x2 max-pool with its gradient.
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

    fn scalars(&self) -> Vec<(&'static str, Scalar)> {
        vec![("valid", Scalar::U32(128))]
    }
}

/// Two large tensors into a third: the bandwidth of elementwise work.
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

/// A large tensor to one number.
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
        Adam::default().apply(&builder, &[("weight".to_string(), weight)], &[grad])?;
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

    fn scalars(&self) -> Vec<(&'static str, Scalar)> {
        let optimizer = Adam::default();
        let scalars = optimizer.scalars(1, optimizer.lr());
        scalars
            .into_iter()
            .map(|(name, value)| (name, Scalar::F32(value)))
            .collect()
    }
}

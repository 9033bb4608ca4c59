//! Workloads of sequence models: attention and recurrent layers with their gradients, and the training step of an LSTM.

use super::{Workload, leaves, random, with_gradients};
use crate::autodiff::gradients;
use crate::cpu::Tensor;
use crate::error::Result;
use crate::graph::{Builder, Graph};
use crate::ops::RecurrentWeights;
use crate::optim::{Adam, Optimizer};
use crate::plan::Scalar;
use crate::tensor::TensorType;

pub(super) fn workloads() -> Vec<Box<dyn Workload>> {
    let mut all: Vec<Box<dyn Workload>> = Vec::new();
    for time in [64, 128, 256] {
        for backward in [false, true] {
            all.push(Box::new(Attention { time, backward }));
        }
    }
    all.push(Box::new(LstmTrain));
    all
}

/// Causal attention by 4 heads of 32 numbers, 8 sequences, alone or with the gradient of queries, keys and values.
struct Attention {
    time: usize,
    backward: bool,
}

impl Workload for Attention {
    fn name(&self) -> String {
        let pass = if self.backward { "fwdbwd" } else { "fwd" };
        format!("attention_{pass}_8x4x{}x32", self.time)
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let qkv = builder.variable("qkv", TensorType::f32([8, self.time, 3 * 128]))?;
        let y = qkv.attention(4, true, None)?;
        if self.backward {
            with_gradients(&builder, y, &[qkv])?;
        } else {
            builder.output("y", y);
        }
        builder.finish()
    }
}

/// A training step of an LSTM of 128 units that reads 64 images of 28 x 28 row by row, with a dense layer on its last state.
struct LstmTrain;

const BATCH: usize = 64;
const SIDE: usize = 28;
const HIDDEN: usize = 128;
const CLASSES: usize = 10;

impl Workload for LstmTrain {
    fn name(&self) -> String {
        format!("lstm_train_b{BATCH}")
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let variable = |name: &str, dims: &[usize]| builder.variable(name, TensorType::f32(dims));
        let x = variable("x", &[BATCH, SIDE, SIDE])?;
        let labels = builder.variable("labels", TensorType::u32([BATCH]))?;
        let valid = builder.input("valid", TensorType::u32([]));
        let weights = RecurrentWeights {
            input: variable("lstm.weight_ih_l0", &[4 * HIDDEN, SIDE])?,
            state: variable("lstm.weight_hh_l0", &[4 * HIDDEN, HIDDEN])?,
            input_bias: variable("lstm.bias_ih_l0", &[4 * HIDDEN])?,
            state_bias: variable("lstm.bias_hh_l0", &[4 * HIDDEN])?,
        };
        let head = variable("head.weight", &[CLASSES, HIDDEN])?;
        let bias = variable("head.bias", &[CLASSES])?;
        let states = x.lstm(weights, None, false)?;
        let last = states
            .slice_axis(1, SIDE - 1..SIDE)?
            .reshape([BATCH, HIDDEN])?;
        let logits = last.linear(head)?.add(bias)?;
        let loss = logits
            .softmax_cross_entropy(labels, valid, 0.0)?
            .mean(&[0])?;
        builder.output("loss", loss);
        let parameters = [
            weights.input,
            weights.state,
            weights.input_bias,
            weights.state_bias,
            head,
            bias,
        ];
        let grads = gradients(loss, &parameters)?;
        let names = [
            "weight_ih",
            "weight_hh",
            "bias_ih",
            "bias_hh",
            "head.weight",
            "head.bias",
        ];
        let named: Vec<_> = names
            .iter()
            .map(ToString::to_string)
            .zip(parameters)
            .collect();
        Adam::default().apply(&builder, &named, &grads)?;
        builder.finish()
    }

    fn variables(&self, graph: &Graph) -> Result<Vec<(String, Tensor<f32>)>> {
        let starts_random = |name: &str| {
            ["x", "labels"].contains(&name)
                || name.starts_with("lstm.")
                || name.starts_with("head.")
        };
        let value = |(n, (name, ty)): (usize, (&str, &TensorType))| {
            let value = match starts_random(name) && !name.contains("bias") {
                true => random(ty, n as u64),
                false => Tensor::zeros(ty),
            };
            (name.to_string(), value)
        };
        Ok(leaves(graph).enumerate().map(value).collect())
    }

    fn scalars(&self) -> Vec<(&'static str, Scalar)> {
        let optimizer = Adam::default();
        let numbers = optimizer.scalars(1, optimizer.lr());
        let numbers = numbers
            .into_iter()
            .map(|(name, value)| (name, Scalar::F32(value)));
        numbers
            .chain([("valid", Scalar::U32(BATCH as u32))])
            .collect()
    }
}

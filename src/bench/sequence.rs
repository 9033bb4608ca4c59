//! Workloads of sequence models: attention and recurrent layers with their gradients, and the training steps of an LSTM
//! and a GPT.

use super::{Workload, leaves, random, update, update_scalars, with_gradients};
use crate::autodiff::gradients;
use crate::cpu::Tensor;
use crate::error::Result;
use crate::graph::{Builder, Graph, Var};
use crate::ops::RecurrentWeights;
use crate::optim::{Adam, AdamW, OptimizerConfig};
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
    all.push(Box::new(GptTrain));
    all
}

/// Causal attention with 4 heads of 32 elements on 8 sequences, alone or with the gradient of queries, keys and values.
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

/// A training step of an LSTM of 128 units that reads 64 images of 28 x 28 row by row, with a dense layer on its last
/// state.
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
        update(&builder, &Adam::default().into(), &named, &grads)?;
        builder.finish()
    }

    fn variables(&self, graph: &Graph) -> Result<Vec<(String, Tensor<f32>)>> {
        Ok(started(graph, &["x", "labels", "lstm.", "head."]))
    }

    fn scalars(&self) -> Vec<(String, Scalar)> {
        scalars(&Adam::default().into(), BATCH)
    }
}

/// Initial values of all variables: random if the name starts with one of `random_stems` and is not a bias, else 0.
fn started(graph: &Graph, random_stems: &[&str]) -> Vec<(String, Tensor<f32>)> {
    let value = |(n, (name, ty)): (usize, (&str, &TensorType))| {
        let stem = random_stems.iter().any(|stem| name.starts_with(stem));
        let value = match stem && !name.contains("bias") {
            true => random(ty, n as u64),
            false => Tensor::zeros(ty),
        };
        (name.to_string(), value)
    };
    leaves(graph).enumerate().map(value).collect()
}

/// The scalars of a step with `valid` samples.
fn scalars(config: &OptimizerConfig, valid: usize) -> Vec<(String, Scalar)> {
    let valid = ("valid".to_string(), Scalar::from(valid));
    update_scalars(config).into_iter().chain([valid]).collect()
}

/// A training step of a GPT with 4 blocks of 4 causal heads and a width of 128, on 8 texts of 128 letters from an
/// alphabet of 65, with `AdamW`.
struct GptTrain;

const TEXTS: usize = 8;
const CONTEXT: usize = 128;
const LETTERS: usize = 65;
const WIDTH: usize = 128;
const BLOCKS: usize = 4;
const HEADS: usize = 4;

/// Creates parameters and keeps a list of them.
struct Parameters<'g> {
    builder: &'g Builder,
    named: Vec<(String, Var<'g>)>,
}

impl<'g> Parameters<'g> {
    fn add(&mut self, name: String, dims: &[usize]) -> Result<Var<'g>> {
        let variable = self
            .builder
            .variable(&format!("gpt.{name}"), TensorType::f32(dims))?;
        self.named.push((name, variable));
        Ok(variable)
    }

    fn dense(&mut self, x: Var<'g>, name: &str, width: usize) -> Result<Var<'g>> {
        let weight = self.add(format!("{name}.weight"), &[width, x.shape().last()])?;
        let bias = self.add(format!("{name}.bias"), &[width])?;
        x.linear(weight)?.add(bias)
    }

    fn norm(&mut self, x: Var<'g>, name: &str) -> Result<Var<'g>> {
        let weight = self.add(format!("{name}.weight"), &[WIDTH])?;
        let bias = self.add(format!("{name}.bias"), &[WIDTH])?;
        x.layer_norm_affine(weight, bias, 1e-5)
    }

    /// A block: attention, then two dense layers, each after a normalization and with a residual connection.
    fn block(&mut self, x: Var<'g>, name: &str) -> Result<Var<'g>> {
        let y = self.norm(x, &format!("{name}.n1"))?;
        let y = self.dense(y, &format!("{name}.qkv"), 3 * WIDTH)?;
        let y = y.attention(HEADS, true, None)?;
        let x = x.add(self.dense(y, &format!("{name}.proj"), WIDTH)?)?;
        let y = self.norm(x, &format!("{name}.n2"))?;
        let y = self
            .dense(y, &format!("{name}.up"), 4 * WIDTH)?
            .gelu_tanh()?;
        x.add(self.dense(y, &format!("{name}.down"), WIDTH)?)
    }
}

impl Workload for GptTrain {
    fn name(&self) -> String {
        format!("gpt_train_b{TEXTS}")
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let letters = builder.variable("letters", TensorType::u32([TEXTS, CONTEXT]))?;
        let labels = builder.variable("labels", TensorType::u32([TEXTS * CONTEXT]))?;
        let valid = builder.input("valid", TensorType::u32([]));
        let mut parameters = Parameters {
            builder: &builder,
            named: Vec::new(),
        };
        let tokens = parameters.add("tok.weight".into(), &[LETTERS, WIDTH])?;
        let positions = parameters.add("pos.weight".into(), &[CONTEXT, WIDTH])?;
        let mut x = tokens.gather(letters)?.add(positions)?;
        for n in 0..BLOCKS {
            x = parameters.block(x, &format!("blocks.{n}"))?;
        }
        let x = parameters.norm(x, "norm")?;
        let head = parameters.add("head.weight".into(), &[LETTERS, WIDTH])?;
        let logits = x.linear(head)?.reshape([TEXTS * CONTEXT, LETTERS])?;
        let loss = logits
            .softmax_cross_entropy(labels, valid, 0.0)?
            .mean(&[0])?;
        builder.output("loss", loss);
        let variables: Vec<_> = parameters.named.iter().map(|(_, v)| *v).collect();
        let grads = gradients(loss, &variables)?;
        update(
            &builder,
            &AdamW::default().into(),
            &parameters.named,
            &grads,
        )?;
        builder.finish()
    }

    fn variables(&self, graph: &Graph) -> Result<Vec<(String, Tensor<f32>)>> {
        Ok(started(graph, &["gpt.", "letters", "labels"]))
    }

    fn scalars(&self) -> Vec<(String, Scalar)> {
        scalars(&AdamW::default().into(), TEXTS * CONTEXT)
    }
}

//! Building the graph of a model, layer by layer.

use super::expand::{Placed, Source, expand};
use super::model::ModelSpec;
use super::parameter::Parameter;
use super::site::{Declared, Site};
use super::time::Padding;
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::tensor::{DType, Shape};

/// Whether a network is built for training or for use.
#[derive(Clone, Copy)]
pub enum Mode<'g> {
    /// Dropout drops, batch statistics are those of the batch.
    Train(Training<'g>),
    /// Nothing is random, and samples do not see each other.
    Eval,
}

/// What layers need to know of a training step.
#[derive(Clone, Copy)]
pub struct Training<'g> {
    /// Number of the step: a scalar input of type u32.
    pub step: Var<'g>,
    /// Samples of the batch that count: a scalar input of type u32.
    pub valid: Var<'g>,
    /// One over that: a scalar input of type f32.
    pub inverse_valid: Var<'g>,
    /// Seed of the run.
    pub seed: u64,
}

/// A model that was checked: every layer fits those that it takes its input from.
#[derive(Clone, Debug)]
pub struct Network {
    /// As written.
    pub spec: ModelSpec,
    /// Trainable weights in the order of the layers.
    pub parameters: Vec<Parameter>,
    /// State that is not trained: running statistics.
    pub buffers: Vec<Parameter>,
    /// Names under which files hold the number of training steps.
    pub counters: Vec<String>,
    /// Names under which files hold a weight a second time, with the weight that it is: those of tied layers.
    pub aliases: Vec<(String, String)>,
    /// Names of the layers, blocks filled in, and the shape of what each gives, without the batch.
    pub layers: Vec<(String, Vec<usize>)>,
    /// Length of the logits: classes, or tokens to choose from.
    pub classes: usize,
    /// Whether there are logits for every token of a sample, in place of one row for the sample.
    pub per_token: bool,
    placed: Vec<Placed>,
}

impl Network {
    /// Checks `spec`.
    ///
    /// # Errors
    /// If a layer does not fit what it takes; the message names both and their shapes.
    pub fn new(spec: ModelSpec) -> Result<Network> {
        spec.input
            .check()
            .map_err(|why| Error::Config(format!("model {} {why}", spec.name)))?;
        if spec.layers.is_empty() {
            return Err(Error::Config(format!(
                "model {} has no layers; give it at least a dense layer",
                spec.name
            )));
        }
        let placed = expand(&spec)?;
        let mut network = Network {
            spec,
            parameters: Vec::new(),
            buffers: Vec::new(),
            counters: Vec::new(),
            aliases: Vec::new(),
            layers: Vec::new(),
            classes: 0,
            per_token: false,
            placed,
        };
        let builder = Builder::new();
        let x = builder.input("x", network.spec.input.ty(1));
        let (values, declared) = network.walk(x, Mode::Eval)?;
        let shape = |v: &Var<'_>| v.shape().dims()[1..].to_vec();
        let names = network.placed.iter().map(|placed| placed.name.clone());
        network.layers = names.zip(values.iter().map(shape)).collect();
        let last = values.last().map(shape).unwrap_or_default();
        network.classes = match (&last[..], network.spec.input.tokens()) {
            (&[classes], _) => classes,
            (&[time, classes], Some(input)) if time == input.tokens => classes,
            _ => {
                return Err(Error::Config(format!(
                    "model {}: the last layer gives {} for each sample; end with a dense layer of one unit for each class",
                    network.spec.name,
                    Shape::from(last)
                )));
            }
        };
        network.per_token = last.len() == 2;
        (network.parameters, network.buffers) = (declared.parameters, declared.buffers);
        (network.counters, network.aliases) = (declared.counters, declared.aliases);
        Ok(network)
    }

    /// Logits `[N, classes]` of `x [N, ...input]`; `[N, tokens, classes]` of a model [`per_token`](Network::per_token). Weights and buffers are variables under their names; in training the
    /// buffers are updated.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn forward<'g>(&self, x: Var<'g>, mode: Mode<'g>) -> Result<Var<'g>> {
        let (values, _) = self.walk(x, mode)?;
        Ok(values.last().copied().unwrap_or(x))
    }

    /// Number of trainable numbers.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|p| p.ty.elements()).sum()
    }

    /// What weights and buffers start at with `seed`, in the order of [`Network::state`].
    pub fn initial_state(&self, seed: u64) -> Vec<Tensor<f32>> {
        let numbered = self.state().zip(0..);
        numbered
            .map(|(part, index)| part.initial(seed, index))
            .collect()
    }

    /// Everything that files hold: weights, then buffers.
    pub fn state(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().chain(&self.buffers)
    }

    /// Builds every layer on `x`: their results in order, and what they declared.
    fn walk<'g>(&self, x: Var<'g>, mode: Mode<'g>) -> Result<(Vec<Var<'g>>, Declared)> {
        let builder = x.builder();
        let mut declared = Declared::default();
        let tokens = self.spec.input.tokens();
        let padding = match tokens {
            Some(input) if input.padded => Some(Padding::of(x, input.vocabulary)?),
            _ => None,
        };
        let mut values: Vec<Var<'g>> = Vec::with_capacity(self.placed.len());
        // The image that each result is a row of, until a dense layer has taken it.
        let mut flattened: Vec<Option<[usize; 3]>> = Vec::with_capacity(self.placed.len());
        for placed in &self.placed {
            let value = |source: &Source| match *source {
                Source::Input => x,
                Source::Layer(at) => values[at],
            };
            let inputs: Vec<Var<'g>> = placed.takes.iter().map(value).collect();
            let image = match placed.takes[0] {
                Source::Input => None,
                Source::Layer(at) => flattened[at],
            };
            let layer = placed.kind.layer_type();
            let mut site = Site {
                builder,
                mode,
                flattened: image,
                name: &placed.name,
                weight_init: self.spec.weight_init,
                tokens,
                padding,
                declared: &mut declared,
            };
            let _scope = builder.scope(&placed.name);
            let built = match layer.takes_tokens() {
                true => layer.build(&mut site, &inputs),
                false => numbers(&inputs).and_then(|()| layer.build(&mut site, &inputs)),
            };
            let kept = site.flattened.filter(|_| layer.keeps_features());
            let y = built.map_err(|e| self.misfit(e, placed, &inputs))?;
            values.push(y);
            flattened.push(kept);
        }
        Ok((values, declared))
    }

    /// The error of a layer that does not fit the `inputs` that it takes, with their names and shapes.
    fn misfit(&self, error: Error, placed: &Placed, inputs: &[Var<'_>]) -> Error {
        let Error::Shape { message, .. } = error else {
            return error;
        };
        let given = placed.takes.iter().zip(inputs).map(|(source, input)| {
            let name = match source {
                Source::Input => "the input".to_string(),
                Source::Layer(at) => format!("layer {}", self.placed[*at].name),
            };
            (name, Shape::from(&input.shape().dims()[1..]))
        });
        let given: Vec<_> = given.collect();
        let text = match &given[..] {
            [(name, shape)] => format!("{name}, which gives {shape} for each sample"),
            _ => {
                let each = given
                    .iter()
                    .map(|(name, shape)| format!("{name} ({shape})"));
                each.collect::<Vec<_>>().join(" and ")
            }
        };
        Error::Config(format!(
            "model {}: layer {} does not fit {text}: {message}",
            self.spec.name, placed.name
        ))
    }
}

/// Checks that `inputs` are numbers, as all layers but few take them.
fn numbers(inputs: &[Var<'_>]) -> Result<()> {
    match inputs.iter().any(|x| x.dtype() == DType::U32) {
        true => Err(Site::misfit(
            "it takes numbers, not tokens; put an embedding layer before it",
        )),
        false => Ok(()),
    }
}

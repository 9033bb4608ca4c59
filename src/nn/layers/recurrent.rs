//! Recurrent layers, which carry a state from position to position.

use super::dropout::dropped;
use super::sequence;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::{bounded, is_false};
use crate::nn::layer::LayerType;
use crate::nn::parameter::{Init, Layout};
use crate::nn::site::Site;
use crate::ops::RecurrentWeights;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Long short-term memory (Hochreiter and Schmidhuber 1997) over a sequence: `[time, features]` to `[time, units]`, or twice
/// as many if bidirectional. PyTorch `LSTM(batch_first=True)`, with its names and initialisation: all weights and biases
/// uniform within `1 / sqrt(units)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lstm {
    /// Units per direction.
    pub units: usize,
    /// Number of stacked layers.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub layers: usize,
    /// Whether to add a pass in reverse, whose states are concatenated with those of the first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bidirectional: bool,
    /// Share of the states between layers that is zeroed in training; below 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
}

/// Gated recurrent units (Cho et al. 2014) over a sequence, as [`Lstm`]. PyTorch `GRU(batch_first=True)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gru {
    /// Units per direction.
    pub units: usize,
    /// Number of stacked layers.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub layers: usize,
    /// Whether to add a pass in reverse, whose states are concatenated with those of the first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bidirectional: bool,
    /// Share of the states between layers that is zeroed in training; below 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
}

fn one() -> usize {
    1
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

impl Lstm {
    /// One layer with `units` units in forward direction.
    pub fn new(units: usize) -> Lstm {
        Lstm {
            units,
            layers: 1,
            bidirectional: false,
            dropout: 0.0,
        }
    }
}

impl Gru {
    /// One layer with `units` units in forward direction.
    pub fn new(units: usize) -> Gru {
        Gru {
            units,
            layers: 1,
            bidirectional: false,
            dropout: 0.0,
        }
    }
}

/// Maximum number of steps of all passes of a layer together, since each is a launch.
const MOST_STEPS: usize = 1 << 16;

/// Layers of either kind.
struct Stack {
    units: usize,
    layers: usize,
    bidirectional: bool,
    dropout: f64,
    gates: usize,
}

/// Builds the states of a pass over a sequence.
type Walk<'g> = fn(Var<'g>, RecurrentWeights<'g>, Option<Var<'g>>, bool) -> Result<Var<'g>>;

impl Stack {
    fn build<'g>(&self, site: &mut Site<'g, '_>, x: Var<'g>, walk: Walk<'g>) -> Result<Var<'g>> {
        bounded(1, "units", &[self.units])
            .and_then(|()| bounded(1, "layers", &[self.layers]))
            .map_err(Site::misfit)?;
        let [time, _] = sequence(x)?;
        let directions = if self.bidirectional { 2 } else { 1 };
        if time * self.layers * directions > MOST_STEPS {
            return Err(Site::misfit(format!(
                "its {time} positions in {} passes exceed the maximum of {MOST_STEPS} steps; make the sequence shorter",
                self.layers * directions
            )));
        }
        let lengths = site.padding(time)?.map(|padding| padding.lengths);
        let mut x = x;
        for layer in 0..self.layers {
            if layer > 0 {
                x = dropped(site, x, "dropout", self.dropout)?;
            }
            let mut states = Vec::with_capacity(directions);
            for reverse in [false, true].into_iter().take(directions) {
                let weights = self.weights(site, layer, reverse, x.shape().last())?;
                states.push(walk(x, weights, lengths, reverse)?);
            }
            x = match states[..] {
                [one] => one,
                _ => Var::concat(&states, 2)?,
            };
        }
        Ok(x)
    }

    /// The weights of one pass over `features`.
    fn weights<'g>(
        &self,
        site: &mut Site<'g, '_>,
        layer: usize,
        reverse: bool,
        features: usize,
    ) -> Result<RecurrentWeights<'g>> {
        let limit = 1.0 / (self.units as f64).sqrt();
        let rows = self.gates * self.units;
        let suffix = if reverse { "_reverse" } else { "" };
        let mut part = |name: &str, dims: &[usize]| {
            let name = format!("{name}_l{layer}{suffix}");
            site.parameter(&name, dims, Init::Uniform { limit }, Layout::Same)
        };
        Ok(RecurrentWeights {
            input: part("weight_ih", &[rows, features])?,
            state: part("weight_hh", &[rows, self.units])?,
            input_bias: part("bias_ih", &[rows])?,
            state_bias: part("bias_hh", &[rows])?,
        })
    }
}

impl LayerType for Lstm {
    fn stem(&self) -> &'static str {
        "lstm"
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let stack = Stack {
            units: self.units,
            layers: self.layers,
            bidirectional: self.bidirectional,
            dropout: self.dropout,
            gates: 4,
        };
        stack.build(site, inputs[0], Var::lstm)
    }
}

impl LayerType for Gru {
    fn stem(&self) -> &'static str {
        "gru"
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let stack = Stack {
            units: self.units,
            layers: self.layers,
            bidirectional: self.bidirectional,
            dropout: self.dropout,
            gates: 3,
        };
        stack.build(site, inputs[0], Var::gru)
    }
}

//! Embeddings of tokens and positions.

use super::sequence;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::bounded;
use crate::nn::init::WeightInit;
use crate::nn::layer::LayerType;
use crate::nn::parameter::{Init, Layout, PositionTable};
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A trained vector for each token: `[tokens]` to `[tokens, width]`. PyTorch `Embedding`. Its table has a row for each token of
/// the model's vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Size of a vector.
    pub width: usize,
    /// Initialisation, if not normal with variance 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_init: Option<WeightInit>,
}

impl Embedding {
    /// Vectors of size `width`.
    pub fn new(width: usize) -> Embedding {
        Embedding {
            width,
            weight_init: None,
        }
    }
}

/// Adds a vector to every position of a sequence, which encodes their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Positions {
    /// Kind of vectors.
    #[serde(default)]
    pub kind: PositionKind,
    /// Initialisation of trained vectors, if not normal with variance 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_init: Option<WeightInit>,
}

/// Position vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PositionKind {
    /// Trained, as in GPT-2.
    #[default]
    Learned,
    /// Sines and cosines of the position, as in the first transformer (Vaswani et al. 2017); not trained.
    Sinusoidal,
}

/// Initialisation of a table: by default that of PyTorch's `Embedding`.
fn start(own: Option<WeightInit>, rows: usize, width: usize) -> Init {
    own.map_or(Init::Normal { std: 1.0 }, |own| own.weights(rows, width))
}

impl LayerType for Embedding {
    fn stem(&self) -> &'static str {
        "embedding"
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn takes_tokens(&self) -> bool {
        true
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        bounded(1, "width", &[self.width]).map_err(Site::misfit)?;
        let (Some(tokens), [_, _]) = (site.tokens(), inputs[0].shape().dims()) else {
            return Err(Site::misfit(
                "it takes tokens: give the model an input = { tokens = ..., vocabulary = ... }, and this layer input = \"input\"",
            ));
        };
        let rows = tokens.vocabulary;
        let start = start(self.weight_init, rows, self.width);
        let table = site.parameter("weight", &[rows, self.width], start, Layout::Same)?;
        let vectors = table.embedding(inputs[0], None)?;
        site.cx.embedded(vectors)
    }
}

impl LayerType for Positions {
    fn stem(&self) -> &'static str {
        "positions"
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [time, width] = sequence(inputs[0])?;
        let rows = site.positions(time);
        let table = match self.kind {
            PositionKind::Learned => {
                let start = start(self.weight_init, rows, width);
                site.parameter("weight", &[rows, width], start, Layout::Same)?
            }
            PositionKind::Sinusoidal => {
                site.table("table", [rows, width], PositionTable::Sinusoidal)?
            }
        };
        let rows = site.positioned(table, time)?;
        match site.cx.decode_step() {
            Some(_) => inputs[0].add(rows.reshape(inputs[0].shape())?),
            None => inputs[0].add(rows),
        }
    }
}

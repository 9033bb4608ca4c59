//! What a forward pass for explanations shows beside its outputs: embeddings on the way from zero, what attention reads, and how
//! sequences are pooled.

use super::layers::TimePoolKind;
use crate::error::Result;
use crate::graph::Var;

/// See the module.
#[derive(Clone, Default)]
pub struct Observed<'g> {
    /// What the embeddings of each sample are multiplied by, `[N, 1, 1]`.
    share: Option<Var<'g>>,
    /// The outputs of the embedding layers.
    pub embeddings: Vec<ObservedEmbedding<'g>>,
    /// What each attention layer reads, in the order of the layers.
    pub attention: Vec<ObservedAttention<'g>>,
    /// How the last sequence became one row, if one did.
    pub pooling: Option<TimePoolKind>,
}

/// The output of an embedding layer.
#[derive(Clone, Copy)]
pub struct ObservedEmbedding<'g> {
    /// The vectors of the tokens, `[N, time, width]`.
    pub whole: Var<'g>,
    /// What the other layers take in their place.
    pub taken: Var<'g>,
}

/// What an attention layer reads.
#[derive(Clone)]
pub struct ObservedAttention<'g> {
    /// Name of the layer.
    pub name: String,
    /// Queries, keys and values, `[N, time, 3 width]`, rotated by their positions if the layer does that.
    pub qkv: Var<'g>,
    /// Number of heads.
    pub heads: usize,
    /// Whether a position only attends to itself and earlier ones.
    pub causal: bool,
}

impl<'g> Observed<'g> {
    /// A pass in which the embeddings of each sample are multiplied by its number in `share`, `[N, 1, 1]`.
    pub fn along(share: Var<'g>) -> Observed<'g> {
        Observed {
            share: Some(share),
            ..Observed::default()
        }
    }

    /// Keeps the vectors `whole` of an embedding layer, and returns what the other layers take in their place.
    pub(super) fn embedding(&mut self, whole: Var<'g>) -> Result<Var<'g>> {
        let taken = match self.share {
            Some(share) => whole.mul(share)?,
            None => whole,
        };
        self.embeddings.push(ObservedEmbedding { whole, taken });
        Ok(taken)
    }
}

//! Attention to another sequence.

use super::sequence;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::bounded;
use crate::nn::layer::{LayerType, Takes};
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Attention of the positions of a sequence to those of another: queries `[time, width]`, and keys with values
/// `[keys, 2 width]`, to `[time, width]`. The dense layers that make them are layers of their own. PyTorch
/// `scaled_dot_product_attention`. Padding of the other sequence is ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossAttention {
    /// Number of heads, a divisor of the width.
    pub heads: usize,
}

impl LayerType for CrossAttention {
    fn stem(&self) -> &'static str {
        "attention"
    }

    fn takes(&self) -> Takes {
        Takes::Memory
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        const MOST_OF_A_HEAD: usize = 128;
        let (queries, keys_values) = (inputs[0], inputs[1]);
        let ([_, width], [keys, double]) = (sequence(queries)?, sequence(keys_values)?);
        let heads = self.heads;
        bounded(1, "heads", &[heads]).map_err(Site::misfit)?;
        if double != 2 * width {
            return Err(Site::misfit(format!(
                "it takes queries of some width, here {width}, and keys with values of twice that width, not {double}; put dense \
                 layers before it"
            )));
        }
        if !width.is_multiple_of(heads) || width / heads > MOST_OF_A_HEAD {
            return Err(Site::misfit(format!(
                "its {heads} heads must divide the width, {width}, into parts of at most {MOST_OF_A_HEAD}"
            )));
        }
        let lengths = site.memory_padding(keys)?.map(|padding| padding.lengths);
        let (rows, samples) = (queries.shape().dims()[0], keys_values.shape().dims()[0]);
        if rows == samples {
            return queries.cross_attention(keys_values, heads, lengths);
        }
        // Several sequences are decoded for a sample: its queries.
        let together = queries.reshape([samples, rows / samples, width])?;
        let y = together.cross_attention(keys_values, heads, lengths)?;
        y.reshape(queries.shape())
    }
}

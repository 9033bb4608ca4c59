//! Attention among the positions of a sequence.

use super::sequence;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::{bounded, yes};
use crate::nn::init::{NamedInit, WeightInit};
use crate::nn::layer::LayerType;
use crate::nn::observed::ObservedAttention;
use crate::nn::parameter::{Init, Layout, PositionTable};
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Attention among all positions, from queries, keys and values as the output of one dense layer: `[time, 3 width]` to
/// `[time, width]`. PyTorch `scaled_dot_product_attention`. Padding is ignored as a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Number of heads, a divisor of the width.
    pub heads: usize,
    /// Whether a position only attends to itself and earlier ones.
    #[serde(default)]
    pub causal: bool,
    /// Base of rotary positions (Su et al. 2021), usually 10,000: queries and keys are rotated by their positions. `None` for
    /// no rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotary: Option<f64>,
}

/// Attention with its dense layers for queries, keys, values and output: `[time, width]` to `[time, width]`. PyTorch
/// `MultiheadAttention(width, heads, batch_first=True)`, with its names and initialisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelfAttention {
    /// Number of heads, a divisor of the width.
    pub heads: usize,
    /// Whether a position only attends to itself and earlier ones.
    #[serde(default)]
    pub causal: bool,
    /// Base of rotary positions, as for [`Attention`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotary: Option<f64>,
    /// Whether the dense layers have biases.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Initialisation of the weights, if not that of PyTorch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_init: Option<WeightInit>,
}

impl Attention {
    /// With `heads` heads, not causal.
    pub fn new(heads: usize) -> Attention {
        Attention {
            heads,
            causal: false,
            rotary: None,
        }
    }

    /// The result for queries, keys and values `[N, time, 3 width]`.
    fn attend<'g>(&self, site: &mut Site<'g, '_>, qkv: Var<'g>) -> Result<Var<'g>> {
        const MOST_OF_A_HEAD: usize = 128;
        // An invocation visits every position in one loop, and some drivers end a loop at 65,535.
        const MOST_POSITIONS: usize = 1 << 15;
        let [time, triple] = sequence(qkv)?;
        bounded(1, "heads", &[self.heads]).map_err(Site::misfit)?;
        if time > MOST_POSITIONS {
            return Err(Site::misfit(format!(
                "its {time} positions are more than the maximum of {MOST_POSITIONS}; make the sequence shorter"
            )));
        }
        if !triple.is_multiple_of(3) {
            return Err(Site::misfit(format!(
                "it takes queries, keys and values of the same width, but {triple} is not a multiple of 3; put a dense layer of \
                 three times the width before it, or use self_attention"
            )));
        }
        let (width, heads) = (triple / 3, self.heads);
        if !width.is_multiple_of(heads) {
            return Err(Site::misfit(format!(
                "its {heads} heads must divide the width, {width}"
            )));
        }
        let size = width / heads;
        if size > MOST_OF_A_HEAD {
            return Err(Site::misfit(format!(
                "each of its {heads} heads has {size} of a width of {width}, but at most {MOST_OF_A_HEAD} are supported; use more heads"
            )));
        }
        let step = site.cx.decode_step();
        let padding = match step {
            Some(_) => None,
            None => site.padding(time)?,
        };
        let qkv = match self.rotary {
            Some(base) if !(base > 1.0 && base.is_finite()) => {
                return Err(Site::misfit(format!(
                    "its rotary must be above 1, not {base}"
                )));
            }
            Some(_) if !size.is_multiple_of(2) => {
                return Err(Site::misfit(format!(
                    "rotary needs an even number of elements per head, but each of its {heads} heads has {size}; change the width or the heads"
                )));
            }
            Some(base) => {
                let table = PositionTable::Rotary { base };
                let table = site.table("rotary", [site.positions(time), size], table)?;
                let table = site.positioned(table, time)?;
                let shape = qkv.shape();
                // The sequences that are decoded have a position each, as the positions of one sequence have.
                let [samples, places] = match step {
                    Some(_) => [1, shape.dims()[0]],
                    None => [shape.dims()[0], time],
                };
                let groups = qkv.reshape([samples, places, 3 * heads, size])?;
                groups.rotary(table, 2 * heads)?.reshape(shape)?
            }
            None => qkv,
        };
        let keys_values = || qkv.slice_axis(2, width..triple);
        if let Some(step) = step {
            let keys_values = site.cx.remembered(site.name, keys_values()?)?;
            let queries = qkv.slice_axis(2, 0..width)?;
            return queries.cross_attention(keys_values, heads, Some(step.lengths));
        }
        site.cx.keep(site.name, keys_values)?;
        site.cx.attends(|| ObservedAttention {
            name: site.name.to_string(),
            qkv,
            heads,
            causal: self.causal,
        });
        qkv.attention(heads, self.causal, padding.map(|padding| padding.lengths))
    }
}

impl SelfAttention {
    /// With `heads` heads, not causal.
    pub fn new(heads: usize) -> SelfAttention {
        SelfAttention {
            heads,
            causal: false,
            rotary: None,
            bias: true,
            weight_init: None,
        }
    }

    /// One of the dense layers, whose weight and bias have these `names`.
    fn dense<'g>(
        &self,
        site: &mut Site<'g, '_>,
        x: Var<'g>,
        names: [&str; 2],
        units: usize,
        init: WeightInit,
    ) -> Result<Var<'g>> {
        let features = x.shape().last();
        let start = init.weights(features, units);
        let y = site.linear(x, names[0], units, start, Layout::Same)?;
        match self.bias {
            true => {
                let start = Init::Constant(0.0);
                y.add(site.parameter(names[1], &[units], start, Layout::Same)?)
            }
            false => Ok(y),
        }
    }
}

impl LayerType for Attention {
    fn stem(&self) -> &'static str {
        "attention"
    }

    fn is_stepwise(&self) -> bool {
        self.causal
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        self.attend(site, inputs[0])
    }
}

impl LayerType for SelfAttention {
    fn stem(&self) -> &'static str {
        "attention"
    }

    fn is_stepwise(&self) -> bool {
        self.causal
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [_, width] = sequence(inputs[0])?;
        let [projection, result] = match self.weight_init {
            Some(own) => [own, own],
            None => [NamedInit::GlorotUniform.into(), NamedInit::Pytorch.into()],
        };
        let names = ["in_proj_weight", "in_proj_bias"];
        let qkv = self.dense(site, inputs[0], names, 3 * width, projection)?;
        let attention = Attention {
            heads: self.heads,
            causal: self.causal,
            rotary: self.rotary,
        };
        let y = attention.attend(site, qkv)?;
        let names = ["out_proj.weight", "out_proj.bias"];
        self.dense(site, y, names, width, result)
    }
}

//! Conversion to and from sequences.

use super::{image, sequence};
use crate::error::Result;
use crate::graph::Var;
use crate::nn::layer::LayerType;
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An image as a sequence of its rows: `[height, width, channels]` to `[height, width * channels]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rows {}

/// A sequence to one row of features: `[time, features]` to `[features]`. Padding is ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimePool {
    /// How to pool.
    pub by: TimePoolKind,
}

/// How to pool a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimePoolKind {
    /// The mean of all positions.
    Mean,
    /// The first position.
    First,
    /// The last position; zeros for a sample that is all padding.
    Last,
}

impl LayerType for Rows {
    fn stem(&self) -> &'static str {
        "rows"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [height, width, channels] = image(inputs[0])?;
        inputs[0].reshape([inputs[0].shape().dims()[0], height, width * channels])
    }
}

impl LayerType for TimePool {
    fn stem(&self) -> &'static str {
        "pool"
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let x = inputs[0];
        let [time, features] = sequence(x)?;
        let batch = x.shape().dims()[0];
        site.cx.pools(self.by);
        let position = |at: usize| x.slice_axis(1, at..at + 1)?.reshape([batch, features]);
        // The sum over time of the positions times their weights.
        let weighed = |weights: Var<'g>| x.mul(weights.reshape([batch, time, 1])?)?.sum(&[1]);
        match (self.by, site.padding(time)?) {
            (TimePoolKind::First, _) => position(0),
            (TimePoolKind::Last, None) => position(time - 1),
            (TimePoolKind::Last, Some(padding)) => weighed(padding.last()?),
            (TimePoolKind::Mean, None) => x.mean(&[1]),
            (TimePoolKind::Mean, Some(padding)) => {
                let count = padding.real.sum_keep(&[1])?;
                let one = site.builder.constant(1.0);
                weighed(padding.real)?.div(count.maximum(one)?)
            }
        }
    }
}

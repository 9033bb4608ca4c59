//! Enlarging images.

use super::image;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::{Pair, bounded};
use crate::nn::layer::LayerType;
use crate::nn::site::Site;
use serde::{Deserialize, Serialize};

/// Repeats every pixel. PyTorch `Upsample(mode="nearest")`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// How many times, down and across.
    pub factor: Pair,
}

impl LayerType for Upsample {
    fn stem(&self) -> &'static str {
        "upsample"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [height, width, channels] = image(inputs[0])?;
        let [down, across] = self.factor.each();
        bounded(1, "factor", &[down, across]).map_err(Site::misfit)?;
        let n = inputs[0].shape().dims()[0];
        inputs[0]
            .reshape([n, height, 1, width, 1, channels])?
            .broadcast_to(&[n, height, down, width, across, channels].into())?
            .reshape([n, height * down, width * across, channels])
    }
}

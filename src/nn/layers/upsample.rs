//! Upsampling.

use super::image;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::{Pair, bounded};
use crate::nn::layer::LayerType;
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Upsamples images by an integer factor. PyTorch `Upsample`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// Factors for height and width.
    pub factor: Pair,
    /// Interpolation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Interpolation,
}

/// Interpolation of upsampled images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Every pixel is repeated.
    #[default]
    Nearest,
    /// Bilinear interpolation without aligned corners: PyTorch's `align_corners=False`.
    Bilinear,
}

fn is_default(mode: &Interpolation) -> bool {
    *mode == Interpolation::Nearest
}

impl LayerType for Upsample {
    fn stem(&self) -> &'static str {
        "upsample"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [height, width, channels] = image(inputs[0])?;
        let [down, across] = self.factor.each();
        bounded(1, "factor", &[down, across]).map_err(Site::misfit)?;
        if self.mode == Interpolation::Bilinear {
            return inputs[0].upsample_bilinear2d([height * down, width * across]);
        }
        let n = inputs[0].shape().dims()[0];
        inputs[0]
            .reshape([n, height, 1, width, 1, channels])?
            .broadcast_to(&[n, height, down, width, across, channels].into())?
            .reshape([n, height * down, width * across, channels])
    }
}

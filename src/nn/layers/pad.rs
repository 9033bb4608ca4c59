//! Padding of channels.

use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::bounded;
use crate::nn::features::{FeatureOrder, Taken};
use crate::nn::layer::LayerType;
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Adds channels of zeros on both sides, up to a given number: the shortcut without weights of He et al. 2015 (option A). An odd
/// channel is added at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PadChannels {
    /// Channels of the result.
    pub channels: usize,
}

impl PadChannels {
    /// Channels to add before and after.
    fn sides(&self, have: usize) -> [usize; 2] {
        let more = self.channels.saturating_sub(have);
        [more / 2, more - more / 2]
    }
}

impl LayerType for PadChannels {
    fn stem(&self) -> &'static str {
        "pad"
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        let (zeros, features) = (FeatureOrder::default(), taken[0].features());
        let [before, after] = self.sides(features);
        let rows = [
            (&zeros, before),
            (&taken[0].order, features),
            (&zeros, after),
        ];
        Ok(FeatureOrder::beside(rows))
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let shape = inputs[0].shape();
        let have = shape.last();
        bounded(1, "channels", &[self.channels]).map_err(Site::misfit)?;
        if self.channels < have {
            return Err(Site::misfit(format!(
                "it pads to {} channels, fewer than the {have} of its input",
                self.channels
            )));
        }
        let mut sides = vec![[0, 0]; shape.rank()];
        sides[shape.rank() - 1] = self.sides(have);
        inputs[0].pad(&sides, 0.0)
    }
}

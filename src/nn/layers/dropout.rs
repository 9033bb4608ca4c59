//! Dropout.

use super::image;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::features::{FeatureOrder, Taken};
use crate::nn::forward::Mode;
use crate::nn::layer::LayerType;
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Zeroes random elements in training, and scales the others up. PyTorch `Dropout`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Share of elements or channels that is zeroed, below 1.
    pub rate: f64,
}

impl LayerType for Dropout {
    fn stem(&self) -> &'static str {
        "dropout"
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        Ok(taken[0].order.clone())
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        dropped(site, inputs[0], "rate", self.rate)
    }
}

/// `x` with a share of its elements, the layer's `attribute`, zeroed in training.
///
/// # Errors
/// If `rate` is not in [0, 1).
pub(super) fn dropped<'g>(
    site: &mut Site<'g, '_>,
    x: Var<'g>,
    attribute: &str,
    rate: f64,
) -> Result<Var<'g>> {
    checked(attribute, rate)?;
    let stream = site.cx.dropout_stream();
    match site.mode() {
        Mode::Train(training) => x.dropout(training.step, rate, training.seed, stream),
        Mode::Eval => Ok(x),
    }
}

/// Zeroes random channels in training. PyTorch `Dropout2d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dropout2d {
    /// Share of elements or channels that is zeroed, below 1.
    pub rate: f64,
}

impl LayerType for Dropout2d {
    fn stem(&self) -> &'static str {
        "dropout"
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        image(inputs[0])?;
        checked("rate", self.rate)?;
        let stream = site.cx.dropout_stream();
        match site.mode() {
            Mode::Train(training) => {
                let dims = inputs[0].shape().dims().to_vec();
                let ones = site
                    .builder
                    .constant(1.0)
                    .broadcast_to(&[dims[0], 1, 1, dims[3]].into())?;
                inputs[0].mul(ones.dropout(training.step, self.rate, training.seed, stream)?)
            }
            Mode::Eval => Ok(inputs[0]),
        }
    }
}

fn checked(attribute: &str, rate: f64) -> Result<()> {
    match (0.0..1.0).contains(&rate) {
        true => Ok(()),
        false => Err(Site::misfit(format!(
            "its {attribute} must be at least 0 and below 1, not {rate}"
        ))),
    }
}

//! Activations as layers of their own.

use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::Activation;
use crate::nn::features::{FeatureOrder, Taken};
use crate::nn::layer::LayerType;
use crate::nn::site::Site;
use serde::{Deserialize, Serialize};

/// A function of every element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationLayer {
    /// Which.
    pub function: Activation,
}

impl LayerType for ActivationLayer {
    fn stem(&self) -> &'static str {
        "activation"
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        Ok(taken[0].order.clone())
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        self.function.apply(inputs[0])
    }
}

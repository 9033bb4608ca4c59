//! Activations as layers of their own.

use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::Activation;
use crate::nn::features::{FeatureOrder, Taken};
use crate::nn::layer::LayerType;
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A function of every element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivationLayer {
    /// The function.
    pub function: Activation,
    /// The slope of `leaky_relu` below 0; 0.01 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slope: Option<f64>,
}

impl LayerType for ActivationLayer {
    fn stem(&self) -> &'static str {
        "activation"
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        Ok(taken[0].order.clone())
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        match (self.slope, self.function) {
            (None, function) => function.apply(inputs[0]),
            (Some(slope), Activation::LeakyRelu) if slope.is_finite() => {
                inputs[0].leaky_relu(slope)
            }
            (Some(_), Activation::LeakyRelu) => {
                Err(Site::misfit("its slope must be a finite number"))
            }
            (Some(_), _) => Err(Site::misfit(
                "it has a slope, which only the function leaky_relu takes; leave it out",
            )),
        }
    }
}

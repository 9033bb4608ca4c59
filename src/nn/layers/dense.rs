//! Dense layers, and the flatten before them.

use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::{Activation, Units, yes};
use crate::nn::features::{FeatureOrder, Taken};
use crate::nn::init::WeightInit;
use crate::nn::layer::LayerType;
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All axes into one: rows, then pixels, then channels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl LayerType for Flatten {
    fn stem(&self) -> &'static str {
        "flatten"
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        Ok(match taken[0].shape[..] {
            [height, width, channels] => FeatureOrder::image([height, width, channels]),
            _ => taken[0].order.clone(),
        })
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let shape = inputs[0].shape();
        let batch = shape.dims()[0];
        inputs[0].reshape([batch, shape.elements() / batch])
    }
}

/// A fully connected layer, applied to a row of features or to every position of a sequence. PyTorch `Linear`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Outputs.
    pub units: Units,
    /// Whether a bias is added.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Activation of the output.
    #[serde(default)]
    pub activation: Activation,
    /// Initialisation of the weights, if not that of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_init: Option<WeightInit>,
    /// Initial value of the biases, if not that of the weights' initialisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_init: Option<f64>,
    /// Full name of the layer whose weight it shares: the output layer of a language model can be tied to its embedding (Press
    /// and Wolf 2017).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tied: Option<String>,
}

impl Dense {
    /// With a bias and no activation.
    pub fn new(units: impl Into<Units>) -> Dense {
        Dense {
            units: units.into(),
            bias: true,
            activation: Activation::None,
            weight_init: None,
            bias_init: None,
            tied: None,
        }
    }
}

impl LayerType for Dense {
    fn stem(&self) -> &'static str {
        "dense"
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let (&[_, features] | &[_, _, features]) = inputs[0].shape().dims() else {
            return Err(Site::misfit(
                "it takes one row of features, or one for each position; put a flatten layer before it",
            ));
        };
        let units = self.units.number(site)?;
        let layout = site.layout();
        let init = site.weight_init(self.weight_init);
        let weights = init.weights(features, units);
        let y = match &self.tied {
            Some(other) => inputs[0].linear(site.tied(other, &[units, features])?)?,
            None => site.linear(inputs[0], "weight", units, weights, layout)?,
        };
        let bias = site.bias_init(self.bias, self.bias_init, init, features);
        site.finish(y, units, bias, self.activation)
    }
}

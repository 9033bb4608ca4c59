//! Layers that put several values together.

use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::Activation;
use crate::nn::layer::{LayerType, Takes};
use crate::nn::site::Site;
use serde::{Deserialize, Serialize};

/// Sum of values of one shape: what joins a shortcut.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// Applied to the result.
    #[serde(default)]
    pub activation: Activation,
}

/// Product of values, element by element; one of extent 1 along an axis stretches: a gate for each channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multiply {
    /// Applied to the result.
    #[serde(default)]
    pub activation: Activation,
}

/// Values side by side along the last axis, the channels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {}

impl LayerType for Add {
    fn stem(&self) -> &'static str {
        "add"
    }

    fn takes(&self) -> Takes {
        Takes::Several
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let shape = inputs[0].shape();
        if inputs.iter().any(|x| x.shape() != shape) {
            return Err(Site::misfit("it adds values of one shape"));
        }
        let (first, rest) = (inputs[0], &inputs[1..]);
        let sum = rest.iter().try_fold(first, |sum, &x| sum.add(x))?;
        self.activation.apply(sum)
    }
}

impl LayerType for Multiply {
    fn stem(&self) -> &'static str {
        "multiply"
    }

    fn takes(&self) -> Takes {
        Takes::Several
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        // Rows of channels beside images: one number for each channel of each image.
        let rank = inputs.iter().map(|x| x.shape().rank()).max().unwrap_or(0);
        let mut product: Option<Var<'g>> = None;
        for x in inputs {
            let x = match (rank, x.shape().dims()) {
                (4, &[n, channels]) => x.reshape([n, 1, 1, channels])?,
                _ => *x,
            };
            product = Some(match product {
                Some(product) => product.mul(x)?,
                None => x,
            });
        }
        match product {
            Some(product) => self.activation.apply(product),
            None => Err(Site::misfit("it takes two values or more")),
        }
    }
}

impl LayerType for Concat {
    fn stem(&self) -> &'static str {
        "concat"
    }

    fn takes(&self) -> Takes {
        Takes::Several
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let outer = |x: &Var<'g>| x.shape().dims()[..x.shape().rank() - 1].to_vec();
        if inputs.iter().any(|x| outer(x) != outer(&inputs[0])) {
            return Err(Site::misfit(
                "it puts channels side by side: all else must be the same",
            ));
        }
        Var::concat(inputs, inputs[0].shape().rank() - 1)
    }
}

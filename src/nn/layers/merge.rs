//! Layers with several inputs.

use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::Activation;
use crate::nn::features::{FeatureOrder, Taken};
use crate::nn::layer::{LayerType, Takes};
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sum of inputs of the same shape, such as a shortcut. A row of channels is broadcast over the positions of a sequence or the
/// pixels of an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// Activation of the output.
    #[serde(default)]
    pub activation: Activation,
}

/// Element-wise product. A row of channels, such as gates, is broadcast over the positions of a sequence or the pixels of an
/// image. Extents of 1 are broadcast, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Multiply {
    /// Activation of the output.
    #[serde(default)]
    pub activation: Activation,
}

/// Concatenation along the last axis, the channels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concat {}

/// `inputs` so that element-wise operations pair them within each sample: a row `[channels]` beside sequences or images gets
/// axes of extent 1 between the batch and its channels.
///
/// # Errors
/// If an input is neither a row nor has as many axes as the others.
fn paired<'g>(inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
    let rank = inputs.iter().map(|x| x.shape().rank()).max().unwrap_or(0);
    let pair = |x: &Var<'g>| match x.shape().dims() {
        dims if dims.len() == rank => Ok(*x),
        &[n, channels] => {
            let mut dims = vec![1; rank];
            (dims[0], dims[rank - 1]) = (n, channels);
            x.reshape(dims)
        }
        _ => Err(Site::misfit(
            "it takes inputs of the same shape, or rows of channels; a sequence does not fit an image",
        )),
    };
    inputs.iter().map(pair).collect()
}

/// The order of the features of an element-wise result, on which all inputs agree except those with a single feature.
fn one_order(taken: &[Taken]) -> Result<FeatureOrder> {
    let mut many = taken.iter().filter(|taken| taken.features() > 1);
    let Some(first) = many.next() else {
        return Ok(FeatureOrder::default());
    };
    match many.all(|other| other.order == first.order) {
        true => Ok(first.order.clone()),
        false => Err(Site::misfit(
            "the features of a flattened image have another order than those of the other inputs; flatten images of the same shape, \
             or put a dense layer after the flatten",
        )),
    }
}

impl LayerType for Add {
    fn stem(&self) -> &'static str {
        "add"
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn takes(&self) -> Takes {
        Takes::Several
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        one_order(taken)
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let largest = inputs
            .iter()
            .map(|x| x.shape())
            .max_by_key(|shape| shape.rank());
        let largest = largest.unwrap_or_default();
        let row = [largest.dims()[0], largest.last()];
        let fits = |x: &Var<'g>| x.shape() == largest || x.shape().dims() == row;
        if !inputs.iter().all(fits) {
            return Err(Site::misfit(
                "it adds inputs of the same shape, and rows with the same number of channels",
            ));
        }
        let pairs = paired(inputs)?;
        let (first, rest) = (pairs[0], &pairs[1..]);
        let sum = rest.iter().try_fold(first, |sum, &x| sum.add(x))?;
        self.activation.apply(sum)
    }
}

impl LayerType for Multiply {
    fn stem(&self) -> &'static str {
        "multiply"
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn takes(&self) -> Takes {
        Takes::Several
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        one_order(taken)
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let pairs = paired(inputs)?;
        let (first, rest) = (pairs[0], &pairs[1..]);
        let product = rest.iter().try_fold(first, |product, &x| {
            let (a, b) = (product.shape(), x.shape());
            let mut axes = a.dims().iter().zip(b.dims()).skip(1);
            match axes.all(|(a, b)| a == b || *a == 1 || *b == 1) {
                true => product.mul(x),
                false => Err(Site::misfit(
                    "it multiplies inputs of the same shape; extents of 1 and rows with the same number of channels are broadcast",
                )),
            }
        })?;
        self.activation.apply(product)
    }
}

impl LayerType for Concat {
    fn stem(&self) -> &'static str {
        "concat"
    }

    fn is_stepwise(&self) -> bool {
        true
    }

    fn takes(&self) -> Takes {
        Takes::Several
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        let rows = taken.iter().map(|taken| (&taken.order, taken.features()));
        Ok(FeatureOrder::beside(rows))
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let outer = |x: &Var<'g>| x.shape().dims()[..x.shape().rank() - 1].to_vec();
        if inputs.iter().any(|x| outer(x) != outer(&inputs[0])) {
            return Err(Site::misfit(
                "it concatenates channels: all other extents must be the same",
            ));
        }
        Var::concat(inputs, inputs[0].shape().rank() - 1)
    }
}

//! A row of features as an image or a sequence.

use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::bounded;
use crate::nn::features::{FeatureOrder, Taken};
use crate::nn::layer::LayerType;
use crate::nn::site::Site;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A row of features to an image `[height, width, channels]` or a sequence `[time, features]`. PyTorch `Unflatten`: an image is
/// filled channel by channel, in the order of PyTorch's `[channels, height, width]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unflatten {
    /// Extents of the result.
    pub shape: Vec<usize>,
}

impl LayerType for Unflatten {
    fn stem(&self) -> &'static str {
        "reshape"
    }

    fn feature_order(&self, taken: &[Taken]) -> Result<FeatureOrder> {
        match taken[0].order.is_same() {
            true => Ok(FeatureOrder::default()),
            false => Err(Site::misfit(
                "it takes the output of a dense layer, but its input is a flattened image; put a dense layer before it",
            )),
        }
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        bounded(1, "shape", &self.shape).map_err(Site::misfit)?;
        let &[batch, features] = inputs[0].shape().dims() else {
            return Err(Site::misfit(
                "it takes one row of features; put a flatten layer before it",
            ));
        };
        let elements = self
            .shape
            .iter()
            .try_fold(1_usize, |product, &extent| product.checked_mul(extent));
        if elements != Some(features) {
            return Err(Site::misfit(format!(
                "its shape {:?} does not have the {features} features of its input",
                self.shape
            )));
        }
        match self.shape[..] {
            [height, width, channels] => inputs[0]
                .reshape([batch, channels, height, width])?
                .permute(&[0, 2, 3, 1]),
            [time, columns] => inputs[0].reshape([batch, time, columns]),
            _ => Err(Site::misfit(format!(
                "its shape must be [height, width, channels] or [time, features], not {:?}",
                self.shape
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, Variables, interpret};
    use crate::graph::Builder;
    use crate::nn::{Forward, Layer, Model, ModelSpec, Network};
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    fn network(input: Vec<usize>, shape: &[usize]) -> Result<Network> {
        let shape = shape.to_vec();
        Network::new(ModelSpec::new("m", input).layer(Layer::new(Unflatten { shape })))
    }

    #[test]
    fn an_image_takes_its_features_channel_by_channel() {
        let builder = Builder::new();
        let x = builder.input("x", TensorType::f32([1, 12]));
        let mut cx = Forward::evaluation(&builder);
        let y = network(vec![12], &[2, 3, 2])
            .unwrap()
            .forward_one(&mut cx, x)
            .unwrap();
        builder.output("y", y);
        let graph = builder.finish().unwrap();
        let row: Vec<f64> = (0..12).map(f64::from).collect();
        let fed = HashMap::from([("x".to_string(), Arc::new(Tensor::real([1, 12], row)))]);
        let y = interpret(&graph, &mut Variables::new(), &fed)
            .unwrap()
            .remove(0);
        assert_eq!(y.dims(), [1, 2, 3, 2]);
        assert_eq!(
            y.reals(),
            [0.0, 6.0, 1.0, 7.0, 2.0, 8.0, 3.0, 9.0, 4.0, 10.0, 5.0, 11.0]
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |input: Vec<usize>, shape: &[usize], part: &str| {
            let error = network(input, shape).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refused(vec![12], &[2, 3, 3], "12 features");
        refused(vec![12], &[12], "[height, width, channels]");
        refused(vec![12], &[0, 3, 4], "shape");
        refused(vec![2, 3, 2], &[3, 2, 2], "flatten");
    }
}

//! L2 norms of parameters, updates and gradients by layer, after every epoch.
//!
//! All are computed on the host from the variables that the checkpoint of the epoch reads anyway, so that a step costs nothing
//! more and no bit of the training changes. The gradients themselves exist within a step only; their norms follow from the running
//! mean of squared gradients that Adam, AdamW, LAMB and RMSprop (and Muon, for parameters that are not matrices) keep.

use super::Checkpoint;
use crate::cpu::{Data, Tensor};
use crate::error::Result;
use crate::train::Trainer;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The norms of a line of `norms.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EpochNorms {
    /// Epoch, from 1.
    pub epoch: u64,
    /// The layers with parameters, in the order of the model.
    pub layers: Vec<LayerNorms>,
}

/// The norms of a layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LayerNorms {
    /// Its name: that of its parameters without the last part.
    pub layer: String,
    /// Number of parameters.
    pub count: u64,
    /// Norm of the parameters after the epoch.
    pub parameters: f64,
    /// Norm of their change over the epoch, divided by their norm before it; absent if the epoch began in another process, or with
    /// parameters of 0.
    pub update: Option<f64>,
    /// Root mean square, over the recent steps, of the norm of the gradients; absent if the optimizer keeps no mean of their squares.
    pub gradient: Option<f64>,
}

/// The parameters at the start of an epoch, if they are known.
#[derive(Debug, Default)]
pub(super) struct EpochStart {
    parameters: Option<HashMap<String, Tensor<f32>>>,
}

/// Names of all parameters, in the order of the models.
fn parameters(trainer: &Trainer<'_>) -> Vec<String> {
    let models = trainer.models().iter();
    let parameters = models.flat_map(|(_, model)| model.parameters());
    parameters.map(|parameter| parameter.name.clone()).collect()
}

impl EpochStart {
    /// Notes the parameters before the first epoch of this process.
    ///
    /// # Errors
    /// If the device failed.
    pub fn note(&mut self, trainer: &Trainer<'_>) -> Result<()> {
        let names = parameters(trainer).into_iter();
        let read = names.map(|name| {
            let value = trainer.device().get(&name)?;
            Ok((name, value))
        });
        self.parameters = Some(read.collect::<Result<_>>()?);
        Ok(())
    }

    /// The norms after `epoch`, whose state is `checkpoint`, which is also the start of the next.
    pub fn advance(
        &mut self,
        trainer: &Trainer<'_>,
        checkpoint: &Checkpoint,
        epoch: u32,
    ) -> EpochNorms {
        let variables = checkpoint.variables.iter();
        let variables: HashMap<&str, &Tensor<f32>> = variables
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let squares = trainer.squared_gradients();
        let gradients: HashMap<&str, (&str, f64)> = squares
            .iter()
            .map(|(name, variable, factor)| (*name, (variable.as_str(), *factor)))
            .collect();
        let names = parameters(trainer);
        let mut layers: Vec<Sums> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for name in &names {
            let Some(Data::Real(after)) = variables.get(name.as_str()).map(|value| &value.data)
            else {
                continue;
            };
            let layer = name
                .rsplit_once('.')
                .map_or(name.as_str(), |(layer, _)| layer);
            let place = *places.entry(layer).or_insert_with(|| {
                layers.push(Sums::new(layer));
                layers.len() - 1
            });
            let before = self.parameters.as_ref().and_then(|known| known.get(name));
            let mean = gradients
                .get(name.as_str())
                .and_then(|(variable, factor)| match &variables.get(variable)?.data {
                    Data::Real(values) => Some((&values[..], *factor)),
                    Data::Index(_) => None,
                });
            let before = before.map(|value| value.reals());
            layers[place].add(after, before, mean);
        }
        let kept = names.iter().filter_map(|name| {
            let value = *variables.get(name.as_str())?;
            Some((name.clone(), value.clone()))
        });
        self.parameters = Some(kept.collect());
        EpochNorms {
            epoch: epoch.into(),
            layers: layers.into_iter().map(Sums::norms).collect(),
        }
    }
}

/// Sums of squares over the parameters of a layer.
struct Sums {
    layer: String,
    count: u64,
    after: f64,
    /// Of the change, and of the parameters before it; `None` if one of them is not known.
    update: Option<[f64; 2]>,
    gradient: Option<f64>,
}

impl Sums {
    fn new(layer: &str) -> Sums {
        Sums {
            layer: layer.to_string(),
            count: 0,
            after: 0.0,
            update: Some([0.0; 2]),
            gradient: Some(0.0),
        }
    }

    /// Adds a parameter: its values after and before the epoch, and the mean of its squared gradients with the factor for it.
    fn add(&mut self, after: &[f32], before: Option<&[f32]>, mean: Option<(&[f32], f64)>) {
        let square = |x: f64| x * x;
        self.count += after.len() as u64;
        self.after += after.iter().map(|&x| square(f64::from(x))).sum::<f64>();
        self.update = self.update.zip(before).map(|([change, own], before)| {
            let pairs = after.iter().zip(before);
            let changes = pairs.map(|(&a, &b)| square(f64::from(a) - f64::from(b)));
            let squares = before.iter().map(|&x| square(f64::from(x)));
            [change + changes.sum::<f64>(), own + squares.sum::<f64>()]
        });
        self.gradient = self.gradient.zip(mean).map(|(sum, (values, factor))| {
            sum + factor * values.iter().map(|&x| f64::from(x)).sum::<f64>()
        });
    }

    fn norms(self) -> LayerNorms {
        let update = self.update.filter(|[_, before]| *before > 0.0);
        LayerNorms {
            layer: self.layer,
            count: self.count,
            parameters: self.after.sqrt(),
            update: update.map(|[change, before]| (change / before).sqrt()),
            gradient: self.gradient.map(f64::sqrt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_are_over_all_parameters_of_a_layer() {
        let mut sums = Sums::new("dense1");
        sums.add(&[3.0, 0.0], Some(&[3.0, 1.0]), Some((&[0.5, 0.25], 2.0)));
        sums.add(&[4.0], Some(&[2.0]), Some((&[1.25], 2.0)));
        let norms = sums.norms();
        assert_eq!((norms.count, norms.parameters), (3, 5.0));
        // The change is (0, -1, 2), the parameters before were (3, 1, 2).
        assert_eq!(norms.update, Some((5.0_f64 / 14.0).sqrt()));
        assert_eq!(norms.gradient, Some(2.0));
    }

    #[test]
    fn what_is_not_known_of_every_parameter_is_absent() {
        let mut sums = Sums::new("dense1");
        sums.add(&[3.0], Some(&[3.0]), Some((&[0.5], 1.0)));
        sums.add(&[4.0], None, None);
        let norms = sums.norms();
        assert_eq!((norms.update, norms.gradient), (None, None));
        let mut zero = Sums::new("bias");
        zero.add(&[1.0], Some(&[0.0]), None);
        assert_eq!(zero.norms().update, None);
        let line = r#"{"epoch":1,"layers":[{"layer":"a","count":1,"parameters":2.0,"update":null,"gradient":null}]}"#;
        let read: EpochNorms = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
    }
}

//! The models of a run, by the names of their roles.

use crate::cpu::Tensor;
use crate::device::{Device, set_all};
use crate::error::{Error, Result};
use crate::nn::weights::StateSpec;
use crate::nn::{Model, Parameter};
use std::sync::Arc;

/// The models of a run: one, or several with names, such as `generator` and `discriminator`. The name of a model is the prefix
/// of its variables.
#[derive(Clone)]
pub struct Models {
    models: Vec<(String, Arc<dyn Model>)>,
}

impl Models {
    /// One model.
    pub fn one(model: impl Model + 'static) -> Models {
        Models {
            models: vec![(String::new(), Arc::new(model))],
        }
    }

    /// Several, with their names.
    pub fn named(models: Vec<(String, Arc<dyn Model>)>) -> Models {
        Models { models }
    }

    /// The model of a role.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, role: &str) -> Result<&dyn Model> {
        let found = self.models.iter().find(|(name, _)| name == role);
        found.map(|(_, model)| &**model).ok_or_else(|| {
            Error::Config(format!("the run has no model {role}; add [models.{role}]"))
        })
    }

    /// The first model, which is the only one in most tasks.
    ///
    /// # Errors
    /// If there is none.
    pub fn first(&self) -> Result<&dyn Model> {
        let first = self.models.first().map(|(_, model)| &**model);
        first.ok_or_else(|| Error::Config("the run has no model".to_string()))
    }

    /// The same models for inputs of `tokens` tokens instead of more.
    ///
    /// # Errors
    /// If one can't be.
    pub fn shortened(&self, tokens: usize) -> Result<Models> {
        let models = self.models.iter();
        let models = models.map(|(name, model)| Ok((name.clone(), model.shortened(tokens)?)));
        Ok(Models {
            models: models.collect::<Result<_>>()?,
        })
    }

    /// All models with their roles.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &dyn Model)> {
        self.models
            .iter()
            .map(|(role, model)| (role.as_str(), &**model))
    }

    /// Parameters of the models of these roles, in order.
    pub fn parameters<'a>(&'a self, roles: &'a [&str]) -> impl Iterator<Item = &'a Parameter> {
        self.iter()
            .filter(|(role, _)| roles.contains(role))
            .flat_map(|(_, model)| model.parameters())
    }

    /// The state that is saved to files: the weights of each model, then its buffers.
    pub fn state(&self) -> impl Iterator<Item = &Parameter> {
        self.iter()
            .flat_map(|(_, model)| model.parameters().iter().chain(model.buffers()))
    }

    /// The description of the files that hold this state.
    pub fn spec(&self) -> StateSpec<'_> {
        let models = || self.iter().map(|(_, model)| model);
        StateSpec {
            parameters: self.state().collect(),
            aliases: models().flat_map(|m| m.aliases().to_vec()).collect(),
            counters: models().flat_map(|m| m.counters().to_vec()).collect(),
        }
    }

    /// Initial weights and buffers with `seed`, in the order of [`Models::state`].
    pub fn initial_state(&self, seed: u64) -> Vec<Tensor<f32>> {
        let numbered = self.state().zip(0..);
        numbered
            .map(|(part, index)| part.initial(seed, index))
            .collect()
    }

    /// Those of `values`, the state of all models, that belong to the model of a role.
    ///
    /// # Errors
    /// If there is no such model, or there are too few values.
    pub fn values_of<'v>(
        &self,
        role: &str,
        values: &'v [Tensor<f32>],
    ) -> Result<&'v [Tensor<f32>]> {
        self.get(role)?;
        let before = self.iter().take_while(|(name, _)| *name != role);
        let start: usize = before.map(|(_, model)| model.state().count()).sum();
        let count = self.get(role)?.state().count();
        values
            .get(start..start + count)
            .ok_or_else(|| Error::Config(format!("there are too few values for the model {role}")))
    }

    /// Sets the variables of weights and buffers on `device` to `values`, in the order of [`Models::state`].
    ///
    /// # Errors
    /// If there are more or fewer values, or the device has no room.
    pub fn put(&self, device: &mut dyn Device, values: &[Tensor<f32>]) -> Result<()> {
        set_all(device, self.state().map(|part| part.name.as_str()), values)
    }

    /// Number of elements of all parameters.
    pub fn parameter_count(&self) -> usize {
        self.iter().map(|(_, model)| model.parameter_count()).sum()
    }
}

//! Optimizers: the update of every parameter as ordinary nodes of the training graph.
//!
//! State is variables named after the optimizer's term and the parameter, as in `optimizer.m.conv1.weight`; what
//! changes from step to step alone (the learning rate, bias corrections) is computed on the host in double precision and
//! fed through scalar inputs, so that one plan serves the whole run. The formulas are PyTorch's.

mod adam;
mod adamw;
mod clip;
mod schedule;
mod sgd;

pub use adam::Adam;
pub use adamw::AdamW;
pub use clip::clip_grad_norm;
pub use schedule::Schedule;
pub use sgd::Sgd;

use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::tensor::TensorType;
use serde::{Deserialize, Serialize};

/// Scalar inputs of an optimizer, without an allocation: every step asks for them.
pub type Scalars = arrayvec::ArrayVec<(&'static str, f32), 4>;

/// A rule that moves parameters along their gradients.
pub trait Optimizer {
    /// Learning rate that a [`Schedule`] scales.
    fn lr(&self) -> f64;

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of its range.
    fn validate(&self) -> Result<()>;

    /// State variables for parameters of these names and types; all start at zero.
    fn state(&self, params: &[(String, TensorType)]) -> Vec<(String, TensorType)>;

    /// Adds the update of `params`, variables with their names, and of their state. `grads` are in the same order.
    ///
    /// # Errors
    /// If a gradient does not fit its parameter.
    fn apply<'g>(
        &self,
        builder: &'g Builder,
        params: &[(String, Var<'g>)],
        grads: &[Var<'g>],
    ) -> Result<()>;

    /// Names and values of the scalar inputs at step number `step`, from 1, with learning rate `lr`; always in one order.
    fn scalars(&self, step: u64, lr: f64) -> Scalars;
}

/// The `[optimizer]` table of a run: `name` says which, the other settings have PyTorch's defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum OptimizerConfig {
    /// `sgd`
    Sgd(Sgd),
    /// `adam`
    Adam(Adam),
    /// `adamw`
    AdamW(AdamW),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig::Adam(Adam::default())
    }
}

impl OptimizerConfig {
    /// The optimizer called `name`, with PyTorch's defaults.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "sgd" => Ok(OptimizerConfig::Sgd(Sgd::default())),
            "adam" => Ok(OptimizerConfig::Adam(Adam::default())),
            "adamw" => Ok(OptimizerConfig::AdamW(AdamW::default())),
            _ => Err(Error::Config(format!(
                "there is no optimizer \"{name}\"; there are sgd, adam and adamw"
            ))),
        }
    }

    /// Sets the learning rate.
    pub fn set_lr(&mut self, lr: f64) {
        match self {
            OptimizerConfig::Sgd(sgd) => sgd.lr = lr,
            OptimizerConfig::Adam(adam) => adam.lr = lr,
            OptimizerConfig::AdamW(adamw) => adamw.lr = lr,
        }
    }

    /// The optimizer with its settings.
    pub fn optimizer(&self) -> &dyn Optimizer {
        match self {
            OptimizerConfig::Sgd(sgd) => sgd,
            OptimizerConfig::Adam(adam) => adam,
            OptimizerConfig::AdamW(adamw) => adamw,
        }
    }
}

/// The state variables of `terms` for each parameter.
fn state(terms: &[&str], params: &[(String, TensorType)]) -> Vec<(String, TensorType)> {
    let named = |term: &&str| {
        let of = |(name, ty): &(String, TensorType)| (state_name(term, name), ty.clone());
        params.iter().map(of).collect::<Vec<_>>()
    };
    terms.iter().flat_map(named).collect()
}

fn state_name(term: &str, param: &str) -> String {
    format!("optimizer.{term}.{param}")
}

/// A scalar input.
fn scalar<'g>(builder: &'g Builder, name: &str) -> Var<'g> {
    builder.input(name, TensorType::f32([]))
}

/// Checks one setting.
fn require(holds: bool, name: &str, range: &str, value: f64) -> Result<()> {
    let range = match value.is_finite() {
        true if holds => return Ok(()),
        true => range,
        false => "a finite number",
    };
    Err(Error::Config(format!(
        "[optimizer] {name} must be {range}, not {value:?}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_left_out_are_those_of_pytorch() {
        let read = |text: &str| toml::from_str::<OptimizerConfig>(text).unwrap();
        assert_eq!(read("name = 'sgd'").optimizer().lr(), 0.01);
        assert_eq!(
            read("name = 'adam'"),
            OptimizerConfig::Adam(Adam::default())
        );
        let OptimizerConfig::AdamW(adamw) = read("name = 'adamw'\nlr = 0.002") else {
            panic!("another optimizer was read");
        };
        assert_eq!(
            (adamw.lr, adamw.weight_decay, adamw.eps),
            (0.002, 0.01, 1e-8)
        );
    }

    #[test]
    fn a_setting_that_the_optimizer_does_not_have_is_refused() {
        let error = toml::from_str::<OptimizerConfig>("name = 'adam'\nmomentum = 0.9").unwrap_err();
        assert!(error.to_string().contains("momentum"), "{error}");
        let error = toml::from_str::<OptimizerConfig>("name = 'adagrad'").unwrap_err();
        assert!(error.to_string().contains("adagrad"), "{error}");
    }

    #[test]
    fn settings_survive_being_written_and_read() {
        let config = OptimizerConfig::Sgd(Sgd {
            momentum: 0.9,
            nesterov: true,
            ..Sgd::default()
        });
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<OptimizerConfig>(&text).unwrap(), config);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let error = Adam {
            beta2: 1.0,
            ..Adam::default()
        }
        .validate()
        .unwrap_err();
        assert!(error.to_string().contains("beta2"), "{error}");
        let error = Sgd {
            nesterov: true,
            ..Sgd::default()
        }
        .validate()
        .unwrap_err();
        assert!(error.to_string().contains("momentum"), "{error}");
    }
}

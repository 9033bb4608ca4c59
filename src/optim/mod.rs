//! Optimizers: the update of every parameter as ordinary nodes of the training graph.
//!
//! One optimizer is one file: its settings, its state, its scalar inputs, and the update of one parameter. To add one, write
//! its file and add a line to the list of [`OptimizerConfig`] in this file. Common code is in the other files: an
//! [`OptimizerInstance`] applies an optimizer to the parameters of a graph, with parameter groups ([`GroupSettings`]); a
//! [`Schedule`] gives the learning rate of a step; gradients are clipped before, and parameters averaged after the update.
//!
//! State is kept in variables named after the instance, the optimizer's term and the parameter, as in
//! `optimizer.m.conv1.weight`. Values that only depend on the step (learning rate, bias corrections) are computed on the host in
//! double precision and fed through scalar inputs, so that one plan serves the whole run. The formulas are PyTorch's where PyTorch has the optimizer.

mod average;
mod clip;
mod group;
mod instance;
mod schedule;

pub use average::Average;
pub use clip::{clip_grad_norm, clip_grad_value};
pub use group::{GroupSettings, Patterns};
pub use instance::{DEFAULT_PREFIX, OptimizerInstance, ParameterStep};
pub use schedule::{
    ConstantLr, CosineLr, CosineRestartsLr, ExponentialLr, LinearLr, OneCycleLr, PlateauLr,
    PlateauState, Schedule, StepLr,
};

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nearest::did_you_mean;
use crate::schema;
use crate::tensor::TensorType;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The scalar input that is the learning rate itself.
const LR: &str = "lr";

/// Implements the access to learning rate and weight decay for an optimizer with fields of these names.
macro_rules! rates {
    () => {
        fn lr(&self) -> f64 {
            self.lr
        }

        fn lr_mut(&mut self) -> &mut f64 {
            &mut self.lr
        }

        fn weight_decay_mut(&mut self) -> &mut f64 {
            &mut self.weight_decay
        }
    };
}
use rates;

/// An update rule, applied to one parameter at a time.
pub trait Optimizer {
    /// Learning rate that a [`Schedule`] scales.
    fn lr(&self) -> f64;

    /// The learning rate, to change it.
    fn lr_mut(&mut self) -> &mut f64;

    /// The weight decay, to change it.
    fn weight_decay_mut(&mut self) -> &mut f64;

    /// The setting that names parameters, if there is one: its name and value. Each pattern must match a parameter.
    fn patterns(&self) -> Option<(&'static str, &Patterns)> {
        None
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of its range.
    fn validate(&self) -> Result<()>;

    /// Terms of the state of the parameter `name`, each a variable of the parameter's type that starts at zero.
    fn state(&self, name: &str, ty: &TensorType) -> Vec<&'static str>;

    /// The term of the state of the parameter `name` that is a running mean of its squared gradients, and the factor that corrects
    /// its start at zero after `step` steps; `None` if it keeps none.
    fn squared_gradients(
        &self,
        _name: &str,
        _ty: &TensorType,
        _step: u64,
    ) -> Option<(&'static str, f64)> {
        None
    }

    /// Terms of the scalar inputs, which all parameters of a group share.
    fn scalars(&self) -> &'static [&'static str];

    /// Appends the values of [`Optimizer::scalars`] at step number `step`, from 1, with learning rate `lr`.
    fn scalar_values(&self, step: u64, lr: f64, out: &mut Vec<f32>);

    /// Updates the state of one parameter, and returns the parameter's next value.
    ///
    /// # Errors
    /// If the gradient does not fit the parameter.
    fn update<'g>(&self, parameter: &ParameterStep<'_, 'g>) -> Result<Var<'g>>;
}

macro_rules! optimizers {
    ($($name:ident: $Settings:ident),* $(,)?) => {
        $(
            mod $name;
            pub use $name::$Settings;
        )*

        /// The `[optimizer]` table of a run: `name` selects one, the other settings have the defaults of its type.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name", rename_all = "lowercase")]
        pub enum OptimizerConfig {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                $Settings($Settings),
            )*
        }

        impl OptimizerConfig {
            /// Names of all optimizers.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// The optimizer called `name`, with the defaults of its settings.
            ///
            /// # Errors
            /// If there is none.
            pub fn named(name: &str) -> Result<Self> {
                match name {
                    $(stringify!($name) => Ok(OptimizerConfig::$Settings($Settings::default())),)*
                    _ => Err(Error::Config(format!(
                        "there is no optimizer \"{name}\"; there are {}{}",
                        listed(Self::NAMES),
                        did_you_mean(name, Self::NAMES.iter().copied())
                    ))),
                }
            }

            /// The optimizer with its settings.
            pub fn optimizer(&self) -> &dyn Optimizer {
                match self {
                    $(OptimizerConfig::$Settings(settings) => settings,)*
                }
            }

            /// The optimizer, to change its settings.
            pub fn optimizer_mut(&mut self) -> &mut dyn Optimizer {
                match self {
                    $(OptimizerConfig::$Settings(settings) => settings,)*
                }
            }
        }

        impl JsonSchema for OptimizerConfig {
            fn schema_name() -> Cow<'static, str> {
                "optimizer".into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                schema::one_of(vec![$(schema::kind::<$Settings>("name", stringify!($name), generator)),*])
            }
        }

        $(
            impl From<$Settings> for OptimizerConfig {
                fn from(settings: $Settings) -> Self {
                    OptimizerConfig::$Settings(settings)
                }
            }
        )*
    };
}

// Name in settings and of the file, which is the type's name in lower case: type of the settings.
optimizers! {
    sgd: Sgd,
    adam: Adam,
    adamw: AdamW,
    rmsprop: RmsProp,
    adagrad: Adagrad,
    lamb: Lamb,
    lion: Lion,
    muon: Muon,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig::Adam(Adam::default())
    }
}

impl OptimizerConfig {
    /// Learning rate that a [`Schedule`] scales.
    pub fn lr(&self) -> f64 {
        self.optimizer().lr()
    }

    /// Sets the learning rate.
    pub fn set_lr(&mut self, lr: f64) {
        *self.optimizer_mut().lr_mut() = lr;
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of its range.
    pub fn validate(&self) -> Result<()> {
        self.optimizer().validate()
    }
}

/// `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_string(),
        [names @ .., last] => format!("{} and {last}", names.join(", ")),
    }
}

/// Checks one setting of `[optimizer]`.
fn require(holds: bool, name: &str, range: &str, value: f64) -> Result<()> {
    require_in("[optimizer]", holds, name, range, value)
}

/// Checks one setting of `table`.
fn require_in(table: &str, holds: bool, name: &str, range: &str, value: f64) -> Result<()> {
    let range = match value.is_finite() {
        true if holds => return Ok(()),
        true => range,
        false => "a finite number",
    };
    Err(Error::Config(format!(
        "{table} {name} must be {range}, not {value:?}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_optimizer_is_written_under_its_name() {
        for name in OptimizerConfig::NAMES {
            let config = OptimizerConfig::named(name).unwrap();
            config.validate().unwrap();
            let text = toml::to_string(&config).unwrap();
            assert!(text.contains(&format!("name = \"{name}\"")), "{text}");
            assert_eq!(toml::from_str::<OptimizerConfig>(&text).unwrap(), config);
        }
    }

    #[test]
    fn settings_that_are_left_out_are_those_of_pytorch() {
        let read = |text: &str| toml::from_str::<OptimizerConfig>(text).unwrap();
        assert_eq!(read("name = 'sgd'").lr(), 0.01);
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
    }

    #[test]
    fn an_optimizer_that_there_is_not_is_refused_with_those_that_there_are() {
        let table = toml::from_str::<OptimizerConfig>("name = 'adagrab'")
            .unwrap_err()
            .to_string();
        let word = OptimizerConfig::named("adagrab").unwrap_err().to_string();
        for error in [table, word] {
            assert!(error.contains("adagrab"), "{error}");
            assert!(
                OptimizerConfig::NAMES.iter().all(|n| error.contains(n)),
                "{error}"
            );
        }
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

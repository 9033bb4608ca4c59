//! The table `[environment]` of a run.

use super::{RegisteredEnvironment, named};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most environments that are stepped together.
const MOST: usize = 4096;

/// The environment of a run in which an agent learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnvironmentSettings {
    /// Name, see `wgrad environments`; empty if the run learns from data.
    pub name: String,
    /// Number of environments that are stepped together.
    pub count: usize,
    /// Steps of an epoch, those of all environments together.
    pub epoch_steps: u64,
}

impl Default for EnvironmentSettings {
    fn default() -> Self {
        EnvironmentSettings {
            name: String::new(),
            count: 4,
            epoch_steps: 25_000,
        }
    }
}

impl EnvironmentSettings {
    /// Whether the run has no environment.
    pub fn is_unset(&self) -> bool {
        self.name.is_empty()
    }

    /// The environment.
    ///
    /// # Errors
    /// If there is none of this name, or a number is out of its range.
    pub fn registered(&self) -> Result<&'static RegisteredEnvironment> {
        if !(1..=MOST).contains(&self.count) {
            return Err(Error::Config(format!(
                "environment.count must be from 1 to {MOST}, not {}",
                self.count
            )));
        }
        if self.epoch_steps == 0 || i64::try_from(self.epoch_steps).is_err() {
            return Err(Error::Config(
                "environment.epoch_steps must be at least 1 and below 2^63".to_string(),
            ));
        }
        named(&self.name)
    }
}

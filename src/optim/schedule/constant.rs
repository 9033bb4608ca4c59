//! The same learning rate for the whole run.

use super::Course;
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantLr {}

impl Course for ConstantLr {
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn lr(&self, base: f64, _step: u64, _total_steps: u64) -> f64 {
        base
    }
}

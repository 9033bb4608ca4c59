//! Plans of launches that no graph led to: those that measure an adapter.

use super::lower::Lowered;
use super::{Launch, Plan, Step, Target, ValueId};
use crate::error::Result;
use crate::tensor::TensorType;

/// Launches with their memory, in the order in which they will run.
#[derive(Debug, Default)]
pub struct Launches(Lowered);

impl Launches {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Memory for a tensor of type `ty`, zeros at first. It is shared with other tensors once no later launch uses it.
    pub fn temporary(&mut self, ty: &TensorType, label: &str) -> ValueId {
        self.0.temporary(ty, label.to_string())
    }

    /// Adds a launch.
    pub fn push(&mut self, launch: Launch) {
        self.0.steps.push(Step::Launch(launch));
    }

    /// Plans them for `target`.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn plan(self, target: &Target) -> Result<Plan> {
        Plan::of(self.0, target)
    }
}

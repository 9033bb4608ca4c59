//! Plans built directly from launches rather than from a graph, for measuring an adapter.

use super::lower::Lowered;
use super::{Launch, Plan, Step, Target, ValueId};
use crate::error::Result;
use crate::tensor::TensorType;

/// Launches and their memory, in execution order.
#[derive(Debug, Default)]
pub struct Launches(Lowered);

impl Launches {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Memory for a tensor of type `ty`, initially zero. It is shared with other tensors once no later launch uses it.
    pub fn temporary(&mut self, ty: &TensorType, label: &str) -> ValueId {
        self.0.temporary(ty, label.to_string())
    }

    /// Adds a launch.
    pub fn push(&mut self, launch: Launch) {
        self.0.steps.push(Step::Launch(launch));
    }

    /// Plans the launches for `target`.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn plan(self, target: &Target) -> Result<Plan> {
        Plan::of(self.0, target)
    }
}

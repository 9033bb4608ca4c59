//! The kernel variants that operations use instead of their defaults: plain data, made by a tuner.

use crate::ops::ErasedOp;
use crate::tensor::TensorType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names of variants by [`key`](Choices::key). An operation without an entry, or with an entry that names a variant it
/// does not have, uses its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Choices(BTreeMap<String, String>);

impl Choices {
    /// The key that identifies one operation on one set of operands: its name with its attributes, and the types of the
    /// operands.
    pub fn key(op: &dyn ErasedOp, inputs: &[&TensorType]) -> String {
        let types: Vec<String> = inputs.iter().map(|ty| ty.to_string()).collect();
        format!("{op:?} ({})", types.join(", "))
    }

    /// The variant for the operation with this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Chooses `variant` for the operation with this key.
    pub fn set(&mut self, key: String, variant: &str) {
        self.0.insert(key, variant.to_string());
    }

    /// Restores the default for the operation with this key.
    pub fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Keys with their variants, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, variant)| (&**key, &**variant))
    }

    /// Number of operations with a chosen variant.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all operations use their defaults.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

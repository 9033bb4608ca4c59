//! A trained model that teaches another one.

use crate::cpu::Tensor;
use crate::nn::ModelSpec;

/// The model of a trained run. It is not trained further.
#[derive(Clone, Debug, PartialEq)]
pub struct Teacher {
    /// The folder of the run, for messages.
    pub name: String,
    /// Its task.
    pub task: String,
    /// Its model.
    pub model: ModelSpec,
    /// Weights and buffers, in the order of [`Model::state`](crate::nn::Model::state).
    pub values: Vec<Tensor<f32>>,
    /// The names of its classes.
    pub classes: Vec<String>,
}

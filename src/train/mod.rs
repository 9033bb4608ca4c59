//! Training and evaluation steps: the graphs of a task, prepared on a device.
//!
//! [`Trainer`] takes steps over data on the device or fed batches; [`Evaluator`] passes over a set; [`Predictor`] runs a model
//! alone. Epochs, folders and checkpoints are in [`run`](crate::run).

mod evaluator;
mod graphs;
mod loaded;
mod pace;
mod predictor;
mod scalars;
mod trainer;

pub use evaluator::{Collected, Evaluator, Outputs, Sizes, outputs_of};
pub use graphs::{BatchSource, PhaseGraphs, evaluation_graph, prediction_graph, training_graphs};
pub(crate) use loaded::Loaded;
pub(crate) use pace::Pace;
pub use predictor::Predictor;
pub use trainer::{FedBatch, Recipe, Trainer};
pub(crate) use trainer::{Place, planned_graphs, suggest_batch};

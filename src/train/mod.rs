//! Training and evaluation steps: the graphs of a task, prepared on a device.
//!
//! [`Trainer`] takes steps over data on the device or fed batches; [`Evaluator`] passes over a set; [`Predictor`] runs a model
//! alone. Epochs, folders and checkpoints are in [`run`](crate::run).

mod anchor;
mod decoding;
mod evaluator;
mod fed_model;
mod fed_prediction;
mod graphs;
mod image_classifier;
mod importance;
mod loaded;
mod loss_scale;
mod pace;
mod predictor;
mod prepared;
mod recipe;
mod row_model;
mod scalars;
mod text_classifier;
mod trainer;

pub use anchor::{Anchor, AnchorTerm, summed_terms};
pub use evaluator::{Collected, Evaluator, Outputs, Sizes, outputs_of};
pub use fed_prediction::FedPrediction;
pub use graphs::{BatchSource, PhaseGraphs, evaluation_graph, prediction_graph, training_graphs};
pub(crate) use graphs::{CLIPPED, planned_graphs};
pub use image_classifier::{ClassifierGraph, ImageClassifier};
pub(crate) use importance::importance;
pub(crate) use loaded::Loaded;
pub use loss_scale::LossScaling;
pub(crate) use pace::Pace;
pub use predictor::Predictor;
pub(crate) use prepared::PreparedSteps;
pub(crate) use recipe::suggest_batch;
pub use recipe::{Recipe, Replay};
pub use row_model::RowModel;
pub use text_classifier::{AttentionInput, TextClassifier};
pub use trainer::{FedBatch, Trainer};
pub(crate) use trainer::{NextBatch, Place};

//! Differential privacy: what a training that clips gradients and adds noise to them reveals of single samples.

mod accountant;
mod settings;
mod steps;

pub use accountant::{PrivacyLoss, SampledGaussian};
pub use settings::PrivacySettings;
pub use steps::PrivateSteps;

//! Differential privacy: what a training that clips gradients and adds noise to them reveals of single samples.

mod accountant;

pub use accountant::{PrivacyLoss, SampledGaussian};

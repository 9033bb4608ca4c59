//! Agreement with recorded results of PyTorch.

mod layers;
mod models;
mod ops;
mod optimizers;
mod step;
#[path = "../support/mod.rs"]
mod support;

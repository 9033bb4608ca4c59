//! Training: every task, algorithm and kind of data, on an adapter and in the reference.

mod agents;
mod autoencoder;
mod continual;
mod drawing;
mod efficientnet_lite0;
mod folds;
mod gan;
mod manifest;
mod phases;
mod pictures_on_disk;
mod resume;
mod set;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
mod text;
mod trainer;
mod training;

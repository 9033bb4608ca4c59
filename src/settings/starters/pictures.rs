//! Pictures of one small size, as MNIST and CIFAR-10 have.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, Samples};
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/pictures.toml");

/// See the module.
pub(super) struct Pictures;

impl Starter for Pictures {
    fn formats(&self) -> &'static [&'static str] {
        &["digits", "idx", "cifar", "npz"]
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, _data: &DataSettings) -> Option<Start> {
        start(task, dataset)
    }
}

/// The start for pictures of any small size.
pub(super) fn start(task: &str, dataset: &Dataset<Samples>) -> Option<Start> {
    let shape = dataset.train.pictures()?.shape;
    let [height, width, channels] = shape;
    let (model, batch, steps) = match (task, shape) {
        ("classification", [28, 28, 1]) if dataset.classes.len() == 10 => ("mnist-cnn", 128, 1500),
        ("classification" | "regression", _) => ("small-cnn", 64, 3000),
        _ => return None,
    };
    let colour = if channels == 1 { "grey" } else { "colour" };
    Some(Start {
        model,
        epochs: epochs(dataset, batch, steps, [3, 40]),
        batch,
        rest: REST,
        why: format!("pictures of {height} x {width} pixels in {colour} suit {model}"),
    })
}

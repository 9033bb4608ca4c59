//! Whether network, data, settings and device fit together: asked before anything is allocated.

use super::engine::Engine;
use super::graphs::{DataShape, Target, training_graph};
use super::loss::Loss;
use super::source::target_of;
use crate::data::{Dataset, Samples, WindowNorm};
use crate::error::{Error, Result};
use crate::nn::Network;
use crate::settings::Settings;

/// Checks that `network` can be trained on `dataset` as `settings` ask.
///
/// # Errors
/// If shapes, classes or labels don't fit, or a batch is larger than the training set.
pub fn check_fit(network: &Network, dataset: &Dataset<Samples>, settings: &Settings) -> Result<()> {
    let classes = dataset.classes.len();
    if classes > settings.loss.classes(network.classes) {
        let hint = match settings.loss {
            Loss::Bce(_) => {
                "use \"cross_entropy\" in place of \"bce\", which is for two".to_string()
            }
            _ if (classes, network.classes) == (2, 1) => {
                "give its last layer 2 units, or set loss = \"bce\"".to_string()
            }
            _ => format!("give its last layer {classes} units"),
        };
        return Err(Error::Config(format!(
            "the data has {classes} classes but model {} ends in {} units; {hint}",
            network.spec.name, network.classes
        )));
    }
    check_set(network, &dataset.train, "training", settings)?;
    check_set(network, &dataset.test, "test", settings)?;
    let samples = dataset.train.len();
    if settings.batch > samples {
        return Err(Error::Config(format!(
            "a batch of {} is larger than the {samples} training {}; use --batch {samples} or less",
            settings.batch,
            dataset.train.noun()
        )));
    }
    if !settings.augment.is_off() && dataset.train.images().is_none() {
        return Err(Error::Config(format!(
            "[augment] changes pictures, but the data are {}; leave it out",
            dataset.train.noun()
        )));
    }
    if dataset.train.target_values().is_some() && settings.label_smoothing > 0.0 {
        return Err(Error::Config(
            "label_smoothing is for classes, but the data has numbers to predict; set it to 0"
                .to_string(),
        ));
    }
    Ok(())
}

pub(super) fn check_set(
    network: &Network,
    set: &Samples,
    name: &str,
    settings: &Settings,
) -> Result<()> {
    let (sample, noun) = (set.shape(), set.noun());
    if network.spec.input != sample {
        return Err(Error::Config(format!(
            "model {} takes {:?} but the {name} {noun} are {sample:?}; change its input, or make it \"auto\"",
            network.spec.name, network.spec.input
        )));
    }
    settings.loss.check_target(
        &target_of(set),
        &network.spec.name,
        network.classes,
        settings.label_smoothing,
    )?;
    let (target, norm) = (target_of(set), settings.data.window_norm);
    let is_series = matches!(target, Target::Values { offset, .. } if offset > 1);
    if norm != WindowNorm::None && !(is_series && sample.len() == 2) {
        return Err(Error::Config(format!(
            "data.window_norm is for windows of a series of two rows or more, but the data are {noun} of {sample:?}; leave it out"
        )));
    }
    if set.is_empty() {
        return Err(Error::Data(format!("the {name} set has no {noun}")));
    }
    if let Some(outputs) = set.outputs().filter(|&outputs| outputs != network.classes) {
        let what = match set.vocabulary() {
            Some(_) => format!("there are {outputs} tokens to choose from"),
            None => format!("{outputs} numbers are to be predicted for each sample"),
        };
        return Err(Error::Config(format!(
            "{what} but model {} ends in {} units; give its last layer {outputs} units",
            network.spec.name, network.classes
        )));
    }
    let labels = set.labels().unwrap_or_default();
    let classes = settings.loss.classes(network.classes);
    match labels.iter().position(|&label| label as usize >= classes) {
        Some(at) => Err(Error::Data(format!(
            "{name} {} {at} is labelled {}, but model {} has only {} outputs",
            noun.trim_end_matches('s'),
            labels[at],
            network.spec.name,
            network.classes
        ))),
        None => Ok(()),
    }
}

/// Adds to a memory error the batch that would fit.
pub(super) fn suggest_batch(
    error: Error,
    engine: &Engine,
    network: &Network,
    settings: &Settings,
    shape: &DataShape,
) -> Error {
    let Error::Memory(message) = &error else {
        return error;
    };
    let halves = std::iter::successors(Some(shape.batch / 2), |batch| Some(batch / 2));
    let fits = |&batch: &usize| {
        let smaller = DataShape {
            batch,
            ..shape.clone()
        };
        training_graph(network, settings, &smaller)
            .and_then(|graph| engine.check(&graph))
            .is_ok()
    };
    match halves.take_while(|&batch| batch > 0).find(fits) {
        Some(batch) => Error::Memory(format!("{message}; --batch {batch} fits")),
        None => error,
    }
}

//! Whether network, data, settings and device fit together: asked before anything is allocated.

use super::engine::Engine;
use super::graphs::{DataShape, Target, training_graph};
use super::loss::Loss;
use super::source::target_of;
use crate::data::{Dataset, Samples, WindowNorm};
use crate::error::{Error, Result};
use crate::nn::Network;
use crate::optim::Schedule;
use crate::settings::Settings;

/// Checks that `network` can be trained on `dataset` as `settings` ask.
///
/// # Errors
/// If shapes, classes or labels don't fit, or a batch is larger than the training set.
pub fn check_fit(network: &Network, dataset: &Dataset<Samples>, settings: &Settings) -> Result<()> {
    let classes = dataset.classes.len();
    if let (Target::Class, 0 | 1) = (target_of(&dataset.train), classes) {
        return Err(Error::Data(format!(
            "{} has {}, and a model learns to tell classes apart; if it is a folder of images, name the one whose folders are the \
             classes, or train and test with such folders",
            dataset.name,
            match dataset.classes.first() {
                Some(only) => format!("one class only, {only}"),
                None => "no classes".to_string(),
            }
        )));
    }
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
    match dataset.train.images() {
        Some(set) => settings.augment.check_size(set.height, set.width)?,
        None if settings.augment.is_off() => {}
        None => {
            return Err(Error::Config(format!(
                "[augment] changes pictures, but the data are {}; leave it out",
                dataset.train.noun()
            )));
        }
    }
    if dataset.train.target_values().is_some() && settings.label_smoothing > 0.0 {
        return Err(Error::Config(
            "label_smoothing is for classes, but the data has numbers to predict; set it to 0"
                .to_string(),
        ));
    }
    Ok(())
}

/// What can be trained, but is seldom meant: a sentence for each.
pub fn remarks(network: &Network, dataset: &Dataset<Samples>, settings: &Settings) -> Vec<String> {
    let mut told = Vec::new();
    let (classes, scores) = (
        dataset.classes.len(),
        settings.loss.classes(network.classes),
    );
    if classes > 0 && classes < scores && target_of(&dataset.train) == Target::Class {
        told.push(format!(
            "model {} tells {scores} classes apart, and the data have {classes}: its last layer could have {classes} units",
            network.spec.name
        ));
    }
    let of_epoch = dataset.train.len().div_ceil(settings.batch.max(1));
    let all = settings.steps_per_epoch.unwrap_or(of_epoch) as u64 * u64::from(settings.epochs);
    let steps = settings.steps.unwrap_or(all);
    if let Schedule::Cosine(cosine) = &settings.schedule
        && cosine.warmup_steps >= steps
    {
        told.push(format!(
            "the learning rate rises for {} steps, and the run has {steps}: it ends before the full rate",
            cosine.warmup_steps
        ));
    }
    told
}

/// Training samples of an epoch. Where they begin anywhere, `set` gets as many as `steps_per_epoch` asks for.
///
/// # Errors
/// If an epoch would have more steps than the set.
pub fn samples_of_epoch(set: &mut Samples, settings: &Settings) -> Result<usize> {
    let Some(steps) = settings.steps_per_epoch else {
        return Ok(set.len());
    };
    let wanted = steps * settings.batch;
    match set {
        Samples::Rows(rows) if rows.random_starts && settings.shuffle => {
            rows.starts.resize(wanted, 0);
        }
        _ => {
            let all = set.len().div_ceil(settings.batch);
            if steps > all {
                return Err(Error::Config(format!(
                    "steps_per_epoch is {steps}, but the training set has {all} batches of {}; make it smaller",
                    settings.batch
                )));
            }
        }
    }
    Ok(wanted.min(set.len()))
}

pub(super) fn check_set(
    network: &Network,
    set: &Samples,
    name: &str,
    settings: &Settings,
) -> Result<()> {
    let (sample, noun) = (set.shape(), set.noun());
    check_input(network, set, name)?;
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
    check_outputs(network, set)?;
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

/// Whether the model takes samples such as those of `set`.
fn check_input(network: &Network, set: &Samples, name: &str) -> Result<()> {
    let (sample, noun, model) = (set.shape(), set.noun(), &network.spec.name);
    let takes = network.spec.input.sample();
    let wrong = |text: String| Err(Error::Config(text));
    match (network.spec.input.tokens(), set.vocabulary()) {
        (None, None) if takes != sample => wrong(format!(
            "model {model} takes {takes:?} but the {name} {noun} are {sample:?}; change its input, or make it \"auto\""
        )),
        (Some(_), None) => wrong(format!(
            "model {model} takes tokens but the {name} {noun} are {sample:?}; give it a text or a table of texts"
        )),
        (None, Some(_)) => wrong(format!(
            "model {model} takes {takes:?} but the {name} {noun} are texts, which are tokens; give it the input \"auto\" and begin \
             with an embedding layer, or take a built-in model for texts"
        )),
        (Some(input), Some(_)) if takes != sample => wrong(format!(
            "model {model} takes {} tokens but the {name} {noun} have {}; make data.context {}",
            input.tokens, sample[0], input.tokens
        )),
        (Some(input), Some(vocabulary)) if vocabulary > input.vocabulary => wrong(format!(
            "the {name} {noun} are made of {vocabulary} different tokens but model {model} knows {}; give its input vocabulary = \
             {vocabulary}, or auto = true",
            input.vocabulary
        )),
        _ => Ok(()),
    }
}

/// Whether the model gives what is to be learned of `set`.
fn check_outputs(network: &Network, set: &Samples) -> Result<()> {
    let (model, classes) = (&network.spec.name, network.classes);
    let wrong = |text: String| Err(Error::Config(text));
    match (set.predicts_next(), network.per_token, set.outputs()) {
        (true, false, _) => wrong(format!(
            "the token after each is to be predicted but model {model} gives one answer for the whole sample; leave out what pools \
             over time, and end with a dense layer of units = \"vocabulary\""
        )),
        (false, true, _) => wrong(format!(
            "one answer for each sample is to be learned but model {model} gives one for every token; pool over time before its \
             last layer"
        )),
        (true, true, Some(outputs)) if classes < outputs => wrong(format!(
            "there are {outputs} tokens to choose from but model {model} ends in {classes} units; give its last layer units = \
             \"vocabulary\""
        )),
        (false, false, Some(outputs)) if classes != outputs => wrong(format!(
            "{outputs} numbers are to be predicted for each sample but model {model} ends in {classes} units; give its last layer \
             {outputs} units"
        )),
        _ => Ok(()),
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

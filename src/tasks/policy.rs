//! What the tasks of agents share: default networks, probabilities of actions, checks, predictions.

use super::scores::softmax;
use super::{
    Decoded, Fit, Models, Prediction, PredictionLine, StepGraph, TaskSettings, check_input,
};
use crate::data::{Field, FieldValues, Samples, SetLayout, Starts, WindowNorm, WindowRows, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::{Model, ModelSpec};
use crate::toml_text::parse;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The model that gives a number for each action, from which probabilities follow by a softmax.
pub(super) const ACTOR: &str = "actor";
/// The output of the numbers of the actions, of which the largest is the best.
pub(super) const LOGITS: &str = "logits";

/// The default network for `role`: two hidden layers of `units`, and an output of as many numbers as `outputs` says, a number or
/// the name of a size.
///
/// # Errors
/// Never, unless its text is broken.
pub(super) fn network(
    role: &str,
    activation: &str,
    units: [usize; 2],
    outputs: &str,
) -> Result<ModelSpec> {
    let hidden = |units: usize| {
        format!("{{ type = \"dense\", units = {units}, activation = \"{activation}\" }}")
    };
    let [first, second] = units.map(hidden);
    // Orthogonal weights, as in OpenAI's baselines: the first actions are almost equally likely.
    let (init, last) = match (activation, role) {
        ("tanh", ACTOR) => (
            "{ orthogonal = 1.4142135623730951 }",
            ", weight_init = { orthogonal = 0.01 }",
        ),
        ("tanh", _) => (
            "{ orthogonal = 1.4142135623730951 }",
            ", weight_init = { orthogonal = 1.0 }",
        ),
        _ => ("\"pytorch\"", ""),
    };
    let text = format!(
        "name = \"{role}\"\ninput = \"auto\"\nweight_init = {init}\nlayer = [{first}, {second}, \
         {{ type = \"dense\", units = {outputs}{last} }}]\n"
    );
    parse(&text, "a built-in network")
}

/// Refuses shared settings that mean nothing to the task `name` of an agent.
///
/// # Errors
/// Names the setting.
pub(super) fn refuse_shared(settings: &TaskSettings, name: &str, own_loss: bool) -> Result<()> {
    let wrong = |what: &str| {
        Err(Error::Config(format!(
            "the task {name} learns from rewards, and {what} means nothing to it; leave it out"
        )))
    };
    match () {
        () if own_loss && !settings.loss.is_auto() => Err(Error::Config(format!(
            "the task {name} has its own loss; leave loss out"
        ))),
        () if settings.label_smoothing != 0.0 => wrong("label_smoothing"),
        () if !settings.augment.is_off() => wrong("[augment]"),
        () if settings.window_norm != WindowNorm::None => wrong("data.window_norm"),
        () => Ok(()),
    }
}

/// Checks a setting of `[task]`.
///
/// # Errors
/// Names it with its range.
pub(super) fn require(holds: bool, key: &str, range: &str, value: f64) -> Result<()> {
    match holds && value.is_finite() {
        true => Ok(()),
        false => Err(Error::Config(format!(
            "task.{key} must be {range}, not {value:?}"
        ))),
    }
}

/// Checks that `model` takes the rows of the samples and gives `outputs` numbers for each.
///
/// # Errors
/// Says what it gives.
pub(super) fn check_model(fit: &Fit<'_>, model: &dyn Model, outputs: Option<usize>) -> Result<()> {
    check_input(model, fit)?;
    let first = model.outputs().first().map(|output| output.shape.clone());
    match first.as_deref() {
        Some(&[units]) if units > 0 && outputs.is_none_or(|outputs| outputs == units) => Ok(()),
        gives => Err(Error::Config(format!(
            "model {} gives {:?} for each observation; end it with a dense layer of {}",
            model.name(),
            gives.unwrap_or_default(),
            match outputs {
                Some(1) => "1 unit".to_string(),
                Some(outputs) => format!("{outputs} units"),
                None => "one unit for each action".to_string(),
            }
        ))),
    }
}

/// The first output of the model of a role for the observations `x`.
///
/// # Errors
/// If there is none.
pub(super) fn first_output<'g>(
    step: &mut StepGraph<'g, '_>,
    role: &str,
    x: Var<'g>,
) -> Result<Var<'g>> {
    let outputs = step.run(role, &[x])?;
    let first = outputs.first().copied();
    first.ok_or_else(|| Error::Graph("the model has no output".to_string()))
}

/// A field with one number for each sample, `[batch]`.
///
/// # Errors
/// If there is none of that name.
pub(super) fn number<'g>(step: &StepGraph<'g, '_>, name: &str) -> Result<Var<'g>> {
    step.batch.field(name)?.reshape([step.batch.size()])
}

/// Logarithms of the probabilities of the actions that were taken, `[batch]`, and the entropies of the policy, `[batch]`; 0 for
/// padding samples.
///
/// # Errors
/// If a node can't be built.
pub(super) fn log_probabilities<'g>(
    step: &StepGraph<'g, '_>,
    logits: Var<'g>,
) -> Result<[Var<'g>; 2]> {
    let valid = step.batch.valid();
    let action = step.batch.field(field::ACTION)?;
    let taken = logits.softmax_cross_entropy(action, valid, 0.0)?.neg()?;
    let all = logits.log_softmax()?;
    let entropy = all.exp()?.mul(all)?.sum(&[1])?.neg()?;
    Ok([taken, entropy.mask_rows(valid)?])
}

/// The actions, the best first, with what `shown` makes of their numbers.
///
/// # Errors
/// If there is no output.
pub(super) fn decode(sample: &Decoded<'_>, probabilities: bool) -> Result<Prediction> {
    let scores = sample.output(LOGITS)?;
    let shown = match probabilities {
        true => softmax(scores),
        false => scores.iter().map(|&score| f64::from(score)).collect(),
    };
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by(|&a, &b| shown[b].total_cmp(&shown[a]));
    order.truncate(sample.top);
    let name = |action: usize| {
        let name = sample.fitted.classes.get(action).cloned();
        name.unwrap_or_else(|| action.to_string())
    };
    let text = |&action: &usize| match probabilities {
        true => format!("{} {:.1}%", name(action), 100.0 * shown[action]),
        false => format!("{} {:.3}", name(action), shown[action]),
    };
    let key = if probabilities {
        "probability"
    } else {
        "value"
    };
    let top: Vec<Value> = order
        .iter()
        .map(|&action| json!({"action": name(action), key: shown[action]}))
        .collect();
    Ok(Prediction {
        lines: vec![PredictionLine {
            suffix: String::new(),
            text: order.iter().map(text).collect(),
            json: Map::from_iter([("top".to_string(), top.into())]),
        }],
        files: Vec::new(),
    })
}

/// Adds the field `name` of observations that the model of `role` takes, for plans without an environment.
///
/// # Errors
/// If there is no such model.
pub(super) fn example_rows(
    models: &Models,
    role: &str,
    name: &'static str,
    layout: SetLayout,
) -> Result<SetLayout> {
    let inputs = models.get(role)?.inputs();
    let shape = inputs
        .first()
        .map(|input| input.spec.sample())
        .unwrap_or_default();
    Ok(layout.numbers(name, &shape))
}

/// The name of a field with one number for each sample, and what is made of a number from 0 to 1.
pub(super) type Recorded = (&'static str, fn(f32) -> f32);

/// A dozen recorded samples of noise for a sample case: observations of three numbers, actions below `actions`, and a field with
/// one number for each of `numbers`, which are given by their names and what is made of a number from 0 to 1.
pub(super) fn recorded(actions: u32, numbers: &[Recorded]) -> Samples {
    const COUNT: usize = 12;
    const COLUMNS: usize = 3;
    let rows = |name, seed: u32, columns: usize, of: fn(f32) -> f32| Field {
        name,
        values: FieldValues::Windows {
            rows: Arc::new(WindowRows::Floats {
                values: super::case::noise(seed)
                    .map(of)
                    .take(COUNT * columns)
                    .collect(),
                columns,
            }),
            offset: 0,
            length: 1,
        },
    };
    let mut fields = vec![rows(field::ROW, 7, COLUMNS, |x| 4.0 * x - 2.0)];
    let taken = super::case::noise(11).map(|x| (x * actions as f32) as u32);
    fields.push(Field {
        name: field::ACTION,
        values: FieldValues::Labels(taken.take(COUNT).collect()),
    });
    for (seed, (name, of)) in (13..).zip(numbers) {
        let columns = if *name == field::NEXT_ROW { COLUMNS } else { 1 };
        fields.push(rows(name, seed, columns, *of));
    }
    let starts = Starts {
        first: (0..COUNT as u32).collect(),
        anywhere: false,
        span: 1,
        rows: COUNT,
    };
    Samples::new(COUNT, fields, Some(starts))
}

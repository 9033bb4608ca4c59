//! Regression: a number, or several such as key points, for each row of a table, or each image.

mod report;

use super::fit::{check_input, inputs};
use super::loss::Loss;
use super::metric::{Counters, Metric};
use super::scores::NumberErrors;
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, Known, Need, Objective, Prediction,
    PredictionLine, Registered, Reported, Section, StepGraph, Task, TaskCase, TaskSettings,
    WorstSample, case,
};
use crate::data::{Field, Fitted, Scale, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::Averaging;
use crate::ops::squared_error::SquaredError;
use crate::schema::empty_table;
use serde_json::{Map, Value, json};

pub(super) const OUTPUT: &str = "logits";
const SQUARED_ERROR: &str = "squared_error";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "regression",
    about: "numbers for each row of a table, or each image",
    needs: &[
        Need {
            field: "row|image|tokens|window",
            about: "the input",
            input: true,
        },
        Need {
            field: field::VALUE,
            about: "the numbers to predict",
            input: false,
        },
    ],
    metrics,
    suits: |samples| samples.field(field::VALUE).is_some(),
    suits_model: |_| false,
    settings: empty_table,
    make: |settings| {
        settings.no_own("regression")?;
        Ok(Box::new(Regression::new(settings)))
    },
    sample,
};

fn sample() -> Result<TaskCase> {
    let mut case = TaskCase::new("regression", case::rows(1, 0, 1, 1))?.model(
        "",
        r#"
        name = "tiny"
        input = [2]
        layer = [
            { type = "dense", units = 32, activation = "relu" },
            { type = "dense", units = 1 },
        ]
        "#,
    )?;
    case.epochs = 200;
    case.fitted.scale = Some(Scale {
        mean: 10.0,
        std: 3.0,
    });
    Ok(case)
}

pub(super) fn metrics() -> Vec<Metric> {
    vec![
        Metric::error("mae", |c: &Counters| c.mean("score")).in_epoch_line(),
        Metric::error("mse", |c| c.mean(SQUARED_ERROR)),
        Metric::error("rmse", |c| c.mean(SQUARED_ERROR).map(f64::sqrt)),
    ]
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Regression {
    /// Squared, absolute or Huber loss.
    pub loss: Loss,
    label_smoothing: f64,
    augment: AugmentSettings,
}

impl Regression {
    /// From the settings of a run.
    pub fn new(settings: &TaskSettings) -> Regression {
        Regression {
            loss: settings.loss.clone(),
            label_smoothing: settings.label_smoothing,
            augment: settings.augment.clone(),
        }
    }
}

/// Numbers of a sample in their own units, as text and JSON: one under the key `one`, several by their names under the key `several`.
fn in_units(
    numbers: &[f32],
    fitted: &Fitted,
    [one, several]: [&str; 2],
) -> (String, Map<String, Value>) {
    let targets = fitted.numbers();
    let each = numbers.iter().zip(&targets);
    let each: Vec<(&str, f64)> = each
        .map(|(&x, (name, scale))| (*name, scale.restore(x)))
        .collect();
    if let [(_, number)] = each[..] {
        let json = Map::from_iter([(one.to_string(), number.into())]);
        return (format!("{number:.4}"), json);
    }
    let text = each
        .iter()
        .map(|(name, number)| format!("{name} {number:.4}"));
    let by_name: Map<String, Value> = each
        .iter()
        .map(|(name, number)| (name.to_string(), (*number).into()))
        .collect();
    (
        text.collect::<Vec<_>>().join(", "),
        Map::from_iter([(several.to_string(), by_name.into())]),
    )
}

/// The input field.
fn input(step: &StepGraph<'_, '_>) -> &'static str {
    [field::IMAGE, field::ROW, field::TOKENS, field::WINDOW]
        .into_iter()
        .find(|name| step.batch.has(name))
        .unwrap_or(field::ROW)
}

/// Checks that the only model gives as many numbers as the targets have, and that the loss is for numbers.
///
/// # Errors
/// Says how many it gives.
pub(super) fn check_numbers(
    fit: &Fit<'_>,
    target: &str,
    loss: &Loss,
    smoothing: f64,
) -> Result<()> {
    let (model, _) = fit.output()?;
    check_input(model, fit)?;
    loss.check_numbers(smoothing)?;
    let units = fit.units()?;
    let numbers = fit.samples.field(target).map(|field| field.shape());
    match numbers.map(|shape| shape.iter().product::<usize>()) {
        Some(numbers) if numbers != units => Err(Error::Config(format!(
            "the number of target values per sample is {numbers} but model {} ends in {units} units; set units = {numbers} in \
             its last layer{}",
            model.name(),
            match (numbers, units) {
                (1, 2..) => ", or data.predict = \"class\" if the column of a table holds classes",
                _ => "",
            }
        ))),
        _ => fit.not_empty(),
    }
}

/// Returns the objective of `outputs` against `y` of the same shape, and in an evaluation counts the errors for the metrics.
pub(super) fn objective<'g>(
    step: &StepGraph<'g, '_>,
    loss: &Loss,
    outputs: Var<'g>,
    y: Var<'g>,
    evaluated: bool,
) -> Result<Objective<'g>> {
    let valid = step.batch.valid();
    let losses = loss.of_numbers(outputs, y, valid)?;
    if evaluated {
        let squares = step.builder().op(SquaredError, &[outputs, y])?;
        let squares = squares.mean(&[1])?.mask_rows(valid)?;
        step.count(SQUARED_ERROR, squares.sum_all()?)?;
    }
    let errors = outputs.sub(y)?.abs()?.mean(&[1])?.mask_rows(valid)?;
    step.count("score", errors.sum_all()?)?;
    losses.objective()
}

/// Mean squared error as text and JSON.
pub(super) fn errors(found: &Evaluated<'_>) -> Reported {
    let mut reported = Reported::default();
    if let Some(mse) = found.counters.mean(SQUARED_ERROR) {
        reported.lines.push(format!(
            "mse {mse:.4}, rmse {:.4}, in units of the standard deviation",
            mse.sqrt()
        ));
        reported.json.insert("mse".to_string(), mse.into());
    }
    reported
}

impl Task for Regression {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        check_numbers(fit, field::VALUE, &self.loss, self.label_smoothing)?;
        if self.augment.mixes() {
            return Err(Error::Config(
                "augment.mixup and augment.cutmix mix the classes of images, but the targets are numbers; leave them out"
                    .to_string(),
            ));
        }
        self.augment.check_pictures(fit)
    }

    fn remarks(&self, fit: &Fit<'_>) -> Vec<String> {
        let numbers = fit.samples.field(field::VALUE).map(Field::shape);
        let numbers: usize = numbers.unwrap_or_default().iter().product();
        match numbers > 1 && self.augment.moves() {
            true => vec![
                "[augment] moves what is in the images, but not the numbers to predict: leave out flips, shifts and rotations if these are \
                 places in the images"
                    .to_string(),
            ],
            false => Vec::new(),
        }
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        if !self.augment.is_off() {
            let picture = step.batch.field(field::IMAGE)?;
            let changed = self.augment.apply(&mut step.forward, picture)?;
            step.batch.put(field::IMAGE, changed);
        }
        let x = inputs(step, input(step))?;
        let outputs = step.run_first(&x)?;
        let _scope = step.builder().scope("loss");
        let y = step.batch.field(field::VALUE)?.reshape(outputs.shape())?;
        objective(step, &self.loss, outputs, y, false)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let x = inputs(step, input(step))?;
        let outputs = step.run_first(&x)?;
        step.output(OUTPUT, outputs);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let x = inputs(step, input(step))?;
        let outputs = step.run_first(&x)?;
        step.output(OUTPUT, outputs);
        let _scope = step.builder().scope("loss");
        let y = step.batch.field(field::VALUE)?.reshape(outputs.shape())?;
        objective(step, &self.loss, outputs, y, true)
    }

    fn averaging(&self) -> Option<Averaging> {
        Some(Averaging::Numbers)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let (text, json) = in_units(sample.output(OUTPUT)?, sample.fitted, ["value", "values"]);
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text: vec![text],
                json,
            }],
            files: Vec::new(),
        })
    }

    /// The numbers, in their own units.
    fn known(&self, sample: &Decoded<'_>) -> Vec<Known> {
        let numbers = sample.samples.numbers(field::VALUE, sample.index);
        let known = numbers.map(|(numbers, _)| {
            let (text, json) = in_units(numbers, sample.fitted, ["target", "targets"]);
            Known {
                text: format!("target {text}"),
                json,
            }
        });
        known.into_iter().collect()
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let mut brief = errors(found);
        let mut targets = Vec::new();
        for (at, (name, _)) in found.fitted.numbers().into_iter().enumerate() {
            let pairs = report::pairs(found, at);
            let errors = NumberErrors::of(pairs.iter().copied());
            if let Some(errors) = errors.filter(|_| pairs.len() == found.samples.len()) {
                brief.lines.push(format!("{name}: {}", errors.show()));
                targets.push(json!({
                    "name": name,
                    "mae": errors.mae,
                    "rmse": errors.rmse,
                    "mape": errors.mape,
                    "r2": errors.r2,
                }));
            }
        }
        if !targets.is_empty() {
            brief.json.insert("targets".to_string(), targets.into());
        }
        Findings {
            brief,
            full: Reported::default(),
        }
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        report::section(found).into_iter().collect()
    }

    fn reported_outputs(&self) -> &'static [&'static str] {
        &[OUTPUT]
    }

    fn worst_samples(&self, found: &Evaluated<'_>, most: usize) -> Vec<WorstSample> {
        report::largest_residuals(found, most)
    }
}

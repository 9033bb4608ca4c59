//! Forecasting: predicts the rows that follow a window of a series. Forecasts that repeat past rows are the baseline.

mod report;
mod targets;

use super::fit::inputs;
use super::loss::Loss;
use super::metric::Metric;
use super::regression::{OUTPUT, check_numbers, errors, metrics, objective};
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, Known, Need, Objective, Prediction,
    PredictionLine, Registered, Reported, Section, StepGraph, Task, TaskCase, TaskSettings, case,
};
use crate::data::{
    Column, ColumnKind, Field, Scale, WindowNorm, field, naive_forecasts, target_scales,
};
use crate::error::Result;
use crate::graph::Var;
use crate::nn::Averaging;
use crate::schema::empty_table;
use serde_json::{Map, Value, json};

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "forecasting",
    about: "the rows of a series that follow a window of it",
    needs: &[
        Need {
            field: field::WINDOW,
            about: "the rows of the window",
            input: true,
        },
        Need {
            field: field::PAST,
            about: "the columns to predict, within that window",
            input: true,
        },
        Need {
            field: field::TARGET,
            about: "the rows to predict",
            input: false,
        },
    ],
    metrics,
    suits: |samples| samples.field(field::TARGET).is_some(),
    suits_model: |_| false,
    settings: empty_table,
    make: |settings| {
        settings.no_own("forecasting")?;
        Ok(Box::new(Forecasting::new(settings)))
    },
    sample,
};

fn sample() -> Result<TaskCase> {
    let mut case = TaskCase::new("forecasting", case::rows(4, 4, 2, 2))?.model(
        "",
        r#"
        name = "tiny"
        input = [4, 2]
        layer = [
            { type = "flatten" },
            { type = "dense", units = 32, activation = "relu" },
            { type = "dense", units = 4 },
        ]
        "#,
    )?;
    case.task.window_norm = WindowNorm::Instance;
    let column = |name: &str| Column {
        name: name.to_string(),
        kind: ColumnKind::Number {
            mean: 3.0,
            std: 2.0,
            missing: false,
            pieces: Vec::new(),
            form: Default::default(),
        },
    };
    case.fitted.columns = vec![column("load"), column("temperature")];
    Ok(case)
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Forecasting {
    /// Squared, absolute or Huber loss.
    pub loss: Loss,
    /// Normalisation of each window before the model sees it.
    pub norm: WindowNorm,
    label_smoothing: f64,
    augment: AugmentSettings,
}

impl Forecasting {
    /// From the settings of a run.
    pub fn new(settings: &TaskSettings) -> Forecasting {
        Forecasting {
            loss: settings.loss.clone(),
            norm: settings.window_norm,
            label_smoothing: settings.label_smoothing,
            augment: settings.augment.clone(),
        }
    }

    /// The forecasts for the windows of the batch, transformed back to the level of the windows.
    fn forecast<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
        let mut x = inputs(step, field::WINDOW)?;
        if self.norm != WindowNorm::None {
            x[0] = self.norm.apply(x[0])?;
        }
        let outputs = step.run_first(&x)?;
        match self.norm {
            WindowNorm::None => Ok(outputs),
            norm => {
                let _scope = step.builder().scope("loss");
                norm.undo(outputs, step.batch.field(field::PAST)?)
            }
        }
    }

    fn objective<'g>(
        &self,
        step: &StepGraph<'g, '_>,
        outputs: Var<'g>,
        evaluated: bool,
    ) -> Result<Objective<'g>> {
        let _scope = step.builder().scope("loss");
        let y = step.batch.field(field::TARGET)?.reshape(outputs.shape())?;
        objective(step, &self.loss, outputs, y, evaluated)
    }
}

/// The scaled `values` of a row in the units of the columns, whose names and scales are `scales`, as text and JSON.
fn in_units(values: &[f32], scales: &[(String, Scale)]) -> (String, Map<String, Value>) {
    let own = values.iter().zip(scales);
    let own: Vec<(&String, f64)> = own
        .map(|(&x, (name, scale))| (name, scale.restore(x)))
        .collect();
    let text: Vec<String> = own
        .iter()
        .map(|(name, value)| format!("{name} {value:.4}"))
        .collect();
    let values = own
        .into_iter()
        .map(|(name, value)| (name.clone(), value.into()));
    (text.join(", "), values.collect())
}

impl Task for Forecasting {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        check_numbers(fit, field::TARGET, &self.loss, self.label_smoothing)?;
        self.norm.only_of_series(fit)?;
        self.augment.needs_pictures(fit.samples.noun())
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let outputs = self.forecast(step)?;
        self.objective(step, outputs, false)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let outputs = self.forecast(step)?;
        step.output(OUTPUT, outputs);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let outputs = self.forecast(step)?;
        step.output(OUTPUT, outputs);
        self.objective(step, outputs, true)
    }

    fn averaging(&self) -> Option<Averaging> {
        Some(Averaging::Numbers)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    /// One line for each predicted row, with its date or number if it has one, in the units of the columns.
    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let scales = target_scales(sample.data, sample.fitted);
        let window = sample.samples.field(field::WINDOW).map(Field::shape);
        let context = window.map_or(0, |shape| shape[0]);
        let rows = sample.output(OUTPUT)?.chunks(scales.len().max(1));
        let line = |(row, values): (usize, &[f32])| {
            let (text, values) = in_units(values, &scales);
            let name = sample.samples.row_name(sample.index, context + row);
            let at = name
                .as_ref()
                .map_or(String::new(), |name| format!(", {name}"));
            let mut json = Map::from_iter([("after".to_string(), (row + 1).into())]);
            json.extend(name.map(|name| (name.key.to_string(), name.value)));
            json.insert("values".to_string(), values.into());
            PredictionLine {
                suffix: format!(" + {}{at}", row + 1),
                text: vec![text],
                json,
            }
        };
        Ok(Prediction {
            lines: rows.enumerate().map(line).collect(),
            files: Vec::new(),
        })
    }

    /// The true rows, in the units of the columns.
    fn known(&self, sample: &Decoded<'_>) -> Vec<Known> {
        let scales = target_scales(sample.data, sample.fitted);
        let Some((values, columns)) = sample.samples.numbers(field::TARGET, sample.index) else {
            return Vec::new();
        };
        let known = |values: &[f32]| {
            let (text, values) = in_units(values, &scales);
            Known {
                text: format!("target {text}"),
                json: Map::from_iter([("targets".to_string(), values.into())]),
            }
        };
        values.chunks(columns.max(1)).map(known).collect()
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let mut brief = errors(found);
        let floors = naive_forecasts(found.samples, found.data.season);
        for floor in &floors {
            let what = match floor.repeats {
                1 => "the last row".to_string(),
                rows => format!("the last {rows} rows"),
            };
            brief.lines.push(format!(
                "naive forecast, repeating {what}: mse {:.4}, mae {:.4}",
                floor.mse, floor.mae
            ));
        }
        if !floors.is_empty() {
            brief.json.insert("naive".to_string(), json!(floors));
        }
        if let Some(forecasts) = report::Forecasts::of(found) {
            let by_target = targets::reported(&forecasts);
            brief.lines.extend(by_target.lines);
            brief.json.extend(by_target.json);
        }
        Findings {
            brief,
            full: Reported::default(),
        }
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        report::sections(found)
    }

    fn reported_outputs(&self) -> &'static [&'static str] {
        &[OUTPUT]
    }
}

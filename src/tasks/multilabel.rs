//! Multi-label classification: any number of several labels for a sample, such as findings in an X-ray image. The model gives a logit
//! for each label, whose sigmoid is its probability; the loss is the mean binary cross-entropy of the labels that are known.

mod scores;

use self::scores::{LabelScores, Scores};
use super::fit::{check_input, inputs};
use super::loss::{Bce, Loss};
use super::metric::{Counters, Metric};
use super::scores::label_rankings;
use super::worst::{WorstSample, worst};
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, Known, Need, Objective, Prediction,
    PredictionLine, Registered, Section, StepGraph, Task, TaskCase, TaskSettings, case,
};
use crate::data::{Field, FieldValues, Samples, Starts, WindowRows, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::html::{escape, shortened};
use crate::nn::Averaging;
use crate::schema::empty_table;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

const LOGITS: &str = "logits";
/// Most rows of a table of labels, and most characters of the name of one.
const MOST_LABELS: usize = 100;
const MOST_NAME: usize = 40;

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "multilabel",
    about: "any of several labels for each image, or row of a table",
    needs: &[
        Need {
            field: "image|row",
            about: "the input",
            input: true,
        },
        Need {
            field: field::LABELS,
            about: "whether the sample has each label",
            input: false,
        },
    ],
    metrics,
    suits: |samples| samples.field(field::LABELS).is_some(),
    suits_model: |_| false,
    settings: empty_table,
    make: |settings| {
        settings.no_own("multilabel")?;
        Ok(Box::new(Multilabel::new(settings)?))
    },
    sample,
};

fn sample() -> Result<TaskCase> {
    let row = |index: usize| {
        let has = |bit: usize| f32::from(u8::from(index >> bit & 1 == 1));
        match index {
            5 => [has(0), field::NOT_KNOWN, has(2)],
            _ => [has(0), has(1), has(2)],
        }
    };
    let values = (0..12).flat_map(row).collect();
    let labels = Field {
        name: field::LABELS,
        values: FieldValues::Windows {
            rows: Arc::new(WindowRows::Floats { values, columns: 3 }),
            offset: 0,
            length: 1,
        },
    };
    let starts = Starts {
        first: (0..12).collect(),
        anywhere: false,
        span: 1,
        rows: 12,
    };
    let fields = vec![case::pictures([6, 6, 1]), labels];
    TaskCase::new("multilabel", Samples::new(12, fields, Some(starts)))?
        .classes(&["a", "b", "c"])
        .pixels(1, 0.5, 0.25)
        .model(
            "",
            r#"
            name = "tiny"
            input = [6, 6, 1]
            layer = [
                { type = "conv2d", filters = 8, kernel = 3, activation = "relu" },
                { type = "flatten" },
                { type = "dense", units = 3 },
            ]
            "#,
        )
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::share("exact_match", |c: &Counters| c.mean("score")),
        Metric {
            shown: super::Shown::Decimals(4),
            ..Metric::share("auc", |c| c.computed("auc"))
        }
        .in_epoch_line(),
        Metric::share("macro_f1", |c| c.computed("macro_f1")).in_epoch_line(),
        Metric::share("micro_f1", |c| c.computed("micro_f1")),
    ]
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Multilabel {
    /// Factor for the loss of labels that a sample has.
    pub pos_weight: f64,
    augment: AugmentSettings,
}

impl Multilabel {
    /// From the settings of a run.
    ///
    /// # Errors
    /// If the loss is not the binary cross-entropy, or labels are to be smoothed.
    pub fn new(settings: &TaskSettings) -> Result<Multilabel> {
        let wrong = |what: &str| Err(Error::Config(what.to_string()));
        let pos_weight = match &settings.loss {
            Loss::Auto => 1.0,
            Loss::Bce(Bce { pos_weight }) => *pos_weight,
            _ => {
                return wrong(
                    "the loss of several labels is \"bce\", each label by itself; set that, or leave [loss] out",
                );
            }
        };
        if settings.label_smoothing != 0.0 {
            return wrong(
                "label_smoothing is for one class for each sample, not for several labels; leave it out",
            );
        }
        if settings.augment.mixes() {
            return wrong(
                "augment.mixup and augment.cutmix need one class for each image, not several labels; leave them out",
            );
        }
        Ok(Multilabel {
            pos_weight,
            augment: settings.augment.clone(),
        })
    }

    /// The mean loss of the labels that are known; counts the samples of which all known labels are right.
    fn objective<'g>(&self, step: &StepGraph<'g, '_>, logits: Var<'g>) -> Result<Objective<'g>> {
        let _scope = step.builder().scope("loss");
        let [zero, one] = [0.0, 1.0].map(|x| step.builder().constant(x));
        let (valid, y) = (step.batch.valid(), step.batch.field(field::LABELS)?);
        let known = y.ge(zero)?.mask_rows(valid)?;
        let target = y.maximum(zero)?;
        let mut losses = logits.bce_with_logits(target)?;
        if self.pos_weight != 1.0 {
            losses = losses.mul(target.scale(self.pos_weight - 1.0)?.add(one)?)?;
        }
        let wrong = logits.gt(zero)?.ne(target)?.mul(known)?.sum(&[1])?;
        let exact = wrong.eq(zero)?.mask_rows(valid)?;
        step.count("score", exact.sum_all()?)?;
        Objective::weighted_mean(losses.mul(known)?, Some(known))
    }
}

/// The input field of a model with a single input.
fn input(step: &StepGraph<'_, '_>) -> &'static str {
    match step.batch.has(field::IMAGE) {
        true => field::IMAGE,
        false => field::ROW,
    }
}

/// The probability of a label.
fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// The name of the label `at`.
fn name(names: &[String], at: usize) -> String {
    names.get(at).cloned().unwrap_or_else(|| at.to_string())
}

/// The scores of the samples whose logits were kept.
fn scores_of(found: &Evaluated<'_>) -> Option<Scores> {
    let (logits, labels) = found.output(LOGITS)?;
    Scores::of(logits, labels, found.samples)
}

impl Task for Multilabel {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let model = fit.models.first()?;
        check_input(model, fit)?;
        let (units, name) = (fit.units()?, model.name());
        let labels = fit.samples.field(field::LABELS).map(Field::shape);
        match labels.as_deref() {
            Some(&[labels]) if labels != units => Err(Error::Config(format!(
                "the data have {labels} labels but model {name} ends in {units} units; give its last layer units = \"targets\""
            ))),
            _ => Ok(()),
        }?;
        fit.not_empty()?;
        self.augment.check_pictures(fit)
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        if !self.augment.is_off() {
            let picture = step.batch.field(field::IMAGE)?;
            let changed = self.augment.apply(&mut step.forward, picture)?;
            step.batch.put(field::IMAGE, changed);
        }
        let x = inputs(step, input(step))?;
        let logits = step.run_first(&x)?;
        self.objective(step, logits)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let x = inputs(step, input(step))?;
        let logits = step.run_first(&x)?;
        step.output(LOGITS, logits);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let x = inputs(step, input(step))?;
        let logits = step.run_first(&x)?;
        step.output(LOGITS, logits);
        self.objective(step, logits)
    }

    fn averaging(&self) -> Option<Averaging> {
        Some(Averaging::Answers)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn monitored(&self) -> Option<&'static str> {
        Some("auc")
    }

    fn host_outputs(&self) -> &'static [&'static str] {
        &[LOGITS]
    }

    fn host_metrics(&self, found: &Evaluated<'_>) -> Vec<(&'static str, f64)> {
        let Some(scores) = scores_of(found) else {
            return Vec::new();
        };
        let f1 = [
            ("macro_f1", scores.macro_f1()),
            ("micro_f1", scores.micro_f1()),
        ];
        let area = scores.area().map(|area| ("auc", area));
        area.into_iter().chain(f1).collect()
    }

    /// The labels whose probability is above one half, the most probable first.
    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let names = &sample.fitted.classes;
        let logits = sample.output(LOGITS)?;
        let all: Vec<(String, f64)> = logits
            .iter()
            .enumerate()
            .map(|(at, &logit)| (name(names, at), sigmoid(logit)))
            .collect();
        let mut likely: Vec<&(String, f64)> = all.iter().filter(|(_, p)| *p > 0.5).collect();
        likely.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let shown = likely
            .iter()
            .map(|(name, p)| format!("{name} {:.1}%", 100.0 * p));
        let text = match likely.is_empty() {
            true => "no label".to_string(),
            false => shown.collect::<Vec<_>>().join(", "),
        };
        let labels: Vec<Value> = likely.iter().map(|(name, _)| name.clone().into()).collect();
        let probabilities = all.into_iter().map(|(name, p)| (name, p.into()));
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text: vec![text],
                json: Map::from_iter([
                    ("labels".to_string(), labels.into()),
                    (
                        "probabilities".to_string(),
                        Value::Object(probabilities.collect()),
                    ),
                ]),
            }],
            files: Vec::new(),
        })
    }

    /// The labels that the sample has.
    fn known(&self, sample: &Decoded<'_>) -> Vec<Known> {
        let labels = sample.samples.numbers(field::LABELS, sample.index);
        let known = labels.map(|(labels, _)| {
            let has = labels.iter().enumerate().filter(|&(_, &has)| has > 0.5);
            let has: Vec<String> = has
                .map(|(at, _)| name(&sample.fitted.classes, at))
                .collect();
            let text = match has.is_empty() {
                true => "target no label".to_string(),
                false => format!("target {}", has.join(", ")),
            };
            Known {
                text,
                json: Map::from_iter([("target".to_string(), has.into())]),
            }
        });
        known.into_iter().collect()
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let mut findings = Findings::default();
        let Some(scores) = scores_of(found) else {
            return findings;
        };
        let names = &found.fitted.classes;
        let full = &mut findings.full;
        full.lines.push(format!(
            "macro f1 {:.2}%, micro f1 {:.2}%, all labels right {:.2}%",
            100.0 * scores.macro_f1(),
            100.0 * scores.micro_f1(),
            100.0 * scores.exact_match
        ));
        full.lines
            .extend(scores.labels.iter().enumerate().map(|(at, label)| {
                let area = label.ranking.as_ref().map(|ranking| ranking.area);
                format!(
                    "{}: auc {}, f1 {:.2}%, precision {:.2}%, recall {:.2}%, {} of {} samples",
                    name(names, at),
                    area.map_or("-".to_string(), |area| format!("{area:.4}")),
                    100.0 * label.f1(),
                    100.0 * label.precision(),
                    100.0 * label.recall(),
                    label.positives,
                    label.known
                )
            }));
        let labels = scores.labels.iter().enumerate().map(|(at, label)| {
            let ranking = label.ranking.as_ref();
            json!({
                "name": name(names, at),
                "auc": ranking.map(|ranking| ranking.area),
                "average_precision": ranking.map(|ranking| ranking.average_precision),
                "f1": label.f1(),
                "precision": label.precision(),
                "recall": label.recall(),
                "positives": label.positives,
                "known": label.known,
            })
        });
        full.json.insert("labels".to_string(), labels.collect());
        findings
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let Some(scores) = scores_of(found) else {
            return Vec::new();
        };
        let names = &found.fitted.classes;
        let mut sections = vec![table(&scores.labels, names)];
        let rankings = scores.labels.into_iter().enumerate();
        let rankings = rankings.filter_map(|(at, label)| Some((at, label.ranking?)));
        sections.extend(label_rankings(rankings.collect(), names));
        sections
    }

    fn worst_samples(&self, found: &Evaluated<'_>, most: usize) -> Vec<WorstSample> {
        let Some((logits, labels)) = found.output(LOGITS) else {
            return Vec::new();
        };
        let truth = |index: usize| {
            found
                .samples
                .numbers(field::LABELS, index)
                .map(|(row, _)| row)
        };
        let rows = logits.chunks_exact(labels).enumerate();
        let loss = |(index, row): (usize, &[f32])| {
            let known = row.iter().zip(truth(index)?).filter(|(_, y)| **y >= 0.0);
            // PyTorch `binary_cross_entropy_with_logits`.
            let each = known.map(|(&z, &y)| {
                let (z, y) = (f64::from(z), f64::from(y));
                z.max(0.0) - z * y + (-z.abs()).exp().ln_1p()
            });
            let each: Vec<f64> = each.collect();
            Some(each.iter().sum::<f64>() / each.len().max(1) as f64)
        };
        let names = &found.fitted.classes;
        let listed = |has: &dyn Fn(usize) -> bool| {
            let own = (0..labels).filter(|&at| has(at)).map(|at| name(names, at));
            own.collect::<Vec<_>>().join(", ")
        };
        worst(rows.map_while(loss), most, |index, loss| {
            let truth = truth(index).unwrap_or_default();
            vec![
                (
                    "truth",
                    listed(&|at| truth.get(at).is_some_and(|&y| y > 0.5)),
                ),
                (
                    "prediction",
                    listed(&|at| logits[index * labels + at] > 0.0),
                ),
                ("loss", format!("{loss:.3}")),
            ]
        })
    }
}

/// A table of the scores of each label.
fn table(labels: &[LabelScores], names: &[String]) -> Section {
    let mut html = "<table>\n<tr><th class=\"name\">label<th>samples<th>with it<th>F1<th>precision<th>recall\n".to_string();
    for (at, label) in labels.iter().enumerate().take(MOST_LABELS) {
        let _ = writeln!(
            html,
            "<tr><td class=\"name\">{}<td>{}<td>{}<td>{:.2}%<td>{:.2}%<td>{:.2}%",
            escape(&shortened(&name(names, at), MOST_NAME)),
            label.known,
            label.positives,
            100.0 * label.f1(),
            100.0 * label.precision(),
            100.0 * label.recall()
        );
    }
    html.push_str("</table>\n");
    if labels.len() > MOST_LABELS {
        let _ = writeln!(
            html,
            "<p>The first {MOST_LABELS} of {} labels.</p>",
            labels.len()
        );
    }
    Section {
        title: "Labels".to_string(),
        html,
    }
}

#[cfg(test)]
mod tests;

//! Classification: one class for each sample, such as an image or a row of a table.
//!
//! The model gives a logit for each class (or one logit for the second of two classes with the loss `bce`); the loss is the
//! cross-entropy.

use super::fit::{check_input, inputs};
use super::loss::{Loss, Losses};
use super::metric::{Counters, Metric};
use super::scores::{
    self, ClassScores, Confusion, MOST_CONFUSED, cross_entropy, largest, mean_area_under_curve,
    softmax,
};
use super::worst::{WorstSample, worst};
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, GroupDecision, Models, Need, Objective,
    Prediction, PredictionLine, Registered, Section, StepGraph, Task, TaskCase, TaskSettings, case,
};
use crate::cpu::Tensor;
use crate::data::{Normalization, Samples, SetLayout, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::{Averaging, Model};
use crate::plan::Scalar;
use crate::schema::empty_table;
use serde_json::{Map, Value, json};

/// The output of the logits, by which classes are decided for.
pub const LOGITS: &str = "logits";
/// The output of the logits by which probabilities are computed, where decisions are by thresholds of groups.
pub const UNDECIDED: &str = "undecided_logits";
/// The output of the logits as the model gives them, where those of the others are divided by a temperature.
pub const UNSCALED: &str = "unscaled_logits";
const TOP_5: &str = "top_5";
const CONFUSION: &str = "confusion";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "classification",
    about: "one class for each image, row or window",
    needs: &[
        Need {
            field: "image|row|window",
            about: "the input",
            input: true,
        },
        Need {
            field: field::LABEL,
            about: "the class of each sample",
            input: false,
        },
    ],
    metrics,
    suits: |samples| {
        samples.field(field::LABEL).is_some() && samples.field(field::TOKENS).is_none()
    },
    suits_model: |model| !takes_tokens(model),
    settings: empty_table,
    make: |settings| {
        settings.no_own("classification")?;
        Ok(Box::new(Classification::new(settings)))
    },
    sample,
};

fn sample() -> Result<TaskCase> {
    let fields = vec![case::pictures([6, 6, 1]), case::labels(3)];
    TaskCase::new("classification", Samples::new(12, fields, None))?
        .classes(&["a", "b", "c"])
        .pixels(1, 0.5, 0.25)
        .model(
            "",
            r#"
            name = "tiny"
            input = [6, 6, 1]
            layer = [
                { type = "conv2d", filters = 8, kernel = 3, activation = "relu" },
                { type = "max_pool2d", size = 2 },
                { type = "flatten" },
                { type = "dense", units = 3 },
            ]
            "#,
        )
}

pub(super) fn metrics() -> Vec<Metric> {
    let mut metrics = vec![
        Metric::share("accuracy", |c: &Counters| c.mean("score")).in_epoch_line(),
        Metric::share("top_5", |c| c.mean(TOP_5)),
    ];
    metrics.extend([
        Metric::share("precision", |c| macro_mean(c, |s| s.precision)),
        Metric::share("recall", |c| macro_mean(c, |s| s.recall)),
        Metric::share("f1", |c| macro_mean(c, |s| s.f1)),
    ]);
    metrics
}

fn macro_mean(counters: &Counters, of: fn(&ClassScores) -> f64) -> Option<f64> {
    Some(of(&confusion(counters)?.macro_scores()))
}

pub(super) fn confusion(counters: &Counters) -> Option<Confusion> {
    counters.tensor(CONFUSION).map(Confusion::of)
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Classification {
    /// Cross-entropy, with or without class weights, or `bce`.
    pub loss: Loss,
    /// Label smoothing in training: share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Augmentation of training images.
    pub augment: AugmentSettings,
    /// Thresholds of groups by which a trained model decides.
    pub decision: Option<GroupDecision>,
    /// The temperature by which the logits of a trained model are divided.
    pub temperature: Option<f64>,
}

impl Classification {
    /// From the settings of a run.
    pub fn new(settings: &TaskSettings) -> Classification {
        Classification {
            loss: settings.loss.clone(),
            label_smoothing: settings.label_smoothing,
            augment: settings.augment.clone(),
            decision: settings.decision.clone(),
            temperature: settings.temperature,
        }
    }

    /// Makes logits an output, as they decide for a class: moved by the thresholds of groups if there are some, then divided by the
    /// temperature if there is one. Returns them.
    fn decided<'g>(&self, step: &StepGraph<'g, '_>, logits: Var<'g>) -> Result<Var<'g>> {
        let scaled = |logits: Var<'g>| match self.temperature {
            None => Ok(logits),
            Some(temperature) => logits.scale(1.0 / temperature),
        };
        if self.temperature.is_some() {
            step.output(UNSCALED, logits);
        }
        let decided = match &self.decision {
            None => scaled(logits)?,
            Some(decision) => {
                step.output(UNDECIDED, scaled(logits)?);
                scaled(decision.apply(step, logits)?)?
            }
        };
        step.output(LOGITS, decided);
        Ok(decided)
    }

    /// The input field.
    pub(super) fn input(samples: &StepGraph<'_, '_>) -> &'static str {
        [field::IMAGE, field::ROW, field::WINDOW, field::TOKENS]
            .into_iter()
            .find(|name| samples.batch.has(name))
            .unwrap_or(field::IMAGE)
    }

    /// Augments the images of the batch, if it has some.
    pub(super) fn augment_batch(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        if step.batch.has(field::IMAGE) {
            let image = step.batch.field(field::IMAGE)?;
            let changed = self.augment.apply(&mut step.forward, image)?;
            step.batch.put(field::IMAGE, changed);
        }
        Ok(())
    }

    /// Losses of `outputs` against the labels `y` of the batch, with label smoothing `smoothing`.
    pub(super) fn losses<'g>(
        &self,
        step: &StepGraph<'g, '_>,
        outputs: Var<'g>,
        y: Var<'g>,
        smoothing: f64,
    ) -> Result<Losses<'g>> {
        self.loss
            .of_classes(step.builder(), outputs, y, step.batch.valid(), smoothing)
    }

    /// Counts the correct predictions for the score, and returns the objective.
    pub(super) fn counted<'g>(
        &self,
        step: &StepGraph<'g, '_>,
        losses: &Losses<'g>,
        logits: Var<'g>,
        y: Var<'g>,
    ) -> Result<Objective<'g>> {
        let valid = step.batch.valid();
        step.count("score", logits.count_correct(y, valid)?)?;
        losses.objective()
    }
}

impl Task for Classification {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let model = fit.models.first()?;
        check_input(model, fit)?;
        let units = fit.units()?;
        let classes = self.loss.classes(units);
        let (name, known) = (model.name(), fit.classes.len());
        if fit.part == "training" && known < 2 {
            return Err(Error::Data(format!(
                "{} has {}, but classification needs at least two; for a folder of images, name the folder whose subfolders are the \
                 classes, or the one with such folders in train and test",
                fit.data,
                match fit.classes.first() {
                    Some(only) => format!("one class only, {only}"),
                    None => "no classes".to_string(),
                }
            )));
        }
        if known > classes && fit.part == "training" {
            let hint = match self.loss {
                Loss::Bce(_) => {
                    "use \"cross_entropy\" in place of \"bce\", which is for two".to_string()
                }
                _ if (known, units) == (2, 1) => {
                    "give its last layer 2 units, or set loss = \"bce\"".to_string()
                }
                _ => format!("give its last layer {known} units"),
            };
            return Err(Error::Config(format!(
                "the data has {known} classes but model {name} ends in {units} units; {hint}"
            )));
        }
        self.loss.check_classes(name, units, self.label_smoothing)?;
        fit.not_empty()?;
        let labels = fit.samples.labels().unwrap_or_default();
        if let Some(at) = labels.iter().position(|&label| label as usize >= classes) {
            return Err(Error::Data(format!(
                "{} {} {at} is labelled {}, but model {name} has only {units} outputs",
                fit.part,
                fit.samples.noun().trim_end_matches('s'),
                labels[at],
            )));
        }
        self.augment.check_pictures(fit)
    }

    fn remarks(&self, fit: &Fit<'_>) -> Vec<String> {
        let Ok(units) = fit.units() else {
            return Vec::new();
        };
        let (classes, scores) = (fit.classes.len(), self.loss.classes(units));
        let name = fit.models.first().map(|model| model.name().to_string());
        match classes > 0 && classes < scores {
            true => vec![format!(
                "model {} distinguishes {scores} classes but the data have only {classes}; its last layer could have {classes} units",
                name.unwrap_or_default()
            )],
            false => Vec::new(),
        }
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let mut x = inputs(step, Self::input(step))?;
        let mut mixed = None;
        if let (false, Some(training)) = (self.augment.is_off(), step.training()) {
            let picture = step.batch.field(field::IMAGE)?;
            let at = x.iter().position(|input| input.id() == picture.id());
            let mut changed = self.augment.apply(&mut step.forward, picture)?;
            if self.augment.mixes() {
                let valid = step.batch.valid();
                let mix = self
                    .augment
                    .mixed(changed, training.step, valid, training.seed)?;
                changed = mix.x;
                mixed = Some(mix);
            }
            if let Some(at) = at {
                x[at] = changed;
            }
        }
        let outputs = step.run_first(&x)?;
        let _scope = step.builder().scope("loss");
        let y = step.batch.field(field::LABEL)?;
        let of = |y| self.losses(step, outputs, y, self.label_smoothing);
        let losses = match mixed {
            Some(mixed) => mixed.losses(y, of)?,
            None => of(y)?,
        };
        self.counted(step, &losses, self.loss.logits(outputs)?, y)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let x = inputs(step, Self::input(step))?;
        let outputs = step.run_first(&x)?;
        self.decided(step, self.loss.logits(outputs)?)?;
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let x = inputs(step, Self::input(step))?;
        let outputs = step.run_first(&x)?;
        let _scope = step.builder().scope("loss");
        let (y, valid) = (step.batch.field(field::LABEL)?, step.batch.valid());
        let losses = self.losses(step, outputs, y, 0.0)?;
        let logits = self.decided(step, self.loss.logits(outputs)?)?;
        let classes = logits.shape().last();
        if classes > 5 {
            step.count(TOP_5, logits.count_in_top_k(y, valid, 5)?)?;
        }
        if classes <= MOST_CONFUSED {
            step.count(CONFUSION, logits.confusion(y, valid)?)?;
        }
        self.counted(step, &losses, logits, y)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn averaging(&self) -> Option<Averaging> {
        Some(match self.loss {
            Loss::Bce(_) => Averaging::Answers,
            _ => Averaging::Probabilities,
        })
    }

    fn variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        let variable = self.loss.variable()?;
        Ok(variable
            .map(|(name, values)| (name.to_string(), Tensor::real([values.len()], values)))
            .into_iter()
            .collect())
    }

    fn scalar(&self, name: &str, step: u64, seed: u64) -> Option<Scalar> {
        self.augment.scalar(name, step, seed)
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let input = &models.first()?.inputs()[0].spec;
        let layout = match (input.tokens(), &input.sample()[..]) {
            (Some(tokens), _) => {
                let rows = layout.samples * tokens.tokens + 1;
                layout.tokens(field::TOKENS, rows, 0, tokens.tokens)
            }
            (None, &[columns]) => layout.numbers(field::ROW, &[columns]),
            (None, &[rows, columns]) => layout.numbers(field::WINDOW, &[rows, columns]),
            (None, sample) => layout.bytes(field::IMAGE, sample, normal),
        };
        Ok(layout.labels(field::LABEL))
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        // By thresholds of groups the class that is decided for may not be the most probable one; it comes first nevertheless.
        let decided = softmax(sample.output(LOGITS)?);
        let probabilities = match sample.output(UNDECIDED) {
            Ok(logits) => softmax(logits),
            Err(_) => decided.clone(),
        };
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| decided[b].total_cmp(&decided[a]));
        order.truncate(sample.top);
        let class = |index: usize| {
            let name = sample.fitted.classes.get(index).cloned();
            name.unwrap_or_else(|| index.to_string())
        };
        let text: Vec<String> = order
            .iter()
            .map(|&index| format!("{} {:.1}%", class(index), 100.0 * probabilities[index]))
            .collect();
        let top: Vec<Value> = order
            .iter()
            .map(|&index| json!({"class": class(index), "probability": probabilities[index]}))
            .collect();
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text,
                json: Map::from_iter([("top".to_string(), top.into())]),
            }],
            files: Vec::new(),
        })
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let mut findings = Findings::default();
        let full = &mut findings.full;
        let logits = found.outputs.iter().find(|(name, ..)| name == LOGITS);
        // The AUC needs the scores of all samples at once.
        let area = logits
            .filter(|_| found.complete)
            .and_then(|(_, shape, logits)| {
                let classes = shape.iter().product();
                mean_area_under_curve(logits, classes, found.samples.labels()?)
            });
        let top_5 = found.counters.mean(TOP_5);
        let confusion = confusion(found.counters);
        full.lines
            .extend(Confusion::summary(top_5, area, confusion.as_ref()));
        full.lines.extend(
            confusion
                .iter()
                .flat_map(|matrix| matrix.table(&found.fitted.classes)),
        );
        let scores = confusion.as_ref().map(Confusion::macro_scores);
        full.json.extend([
            ("top_5".to_string(), top_5.into()),
            ("auc".to_string(), area.into()),
            (
                "confusion".to_string(),
                json!(confusion.as_ref().map(|c| &c.rows)),
            ),
            ("precision".to_string(), scores.map(|s| s.precision).into()),
            ("recall".to_string(), scores.map(|s| s.recall).into()),
            ("f1".to_string(), scores.map(|s| s.f1).into()),
        ]);
        findings
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let names = &found.fitted.classes;
        let confusion = confusion(found.counters).and_then(|matrix| matrix.html(names));
        let mut sections: Vec<Section> = confusion.into_iter().collect();
        if let Some((logits, classes, labels)) = kept(found) {
            sections.extend(scores::rankings(logits, classes, labels, names));
            sections.extend(scores::calibration_section(logits, classes, labels));
        }
        sections
    }

    fn reported_outputs(&self) -> &'static [&'static str] {
        &[LOGITS]
    }

    fn worst_samples(&self, found: &Evaluated<'_>, most: usize) -> Vec<WorstSample> {
        let Some((logits, classes, labels)) = kept(found) else {
            return Vec::new();
        };
        let rows = || logits.chunks_exact(classes).zip(labels);
        let losses = rows().map(|(row, &label)| cross_entropy(row, label as usize));
        let name = |class: usize| match found.fitted.classes.get(class) {
            Some(name) => name.clone(),
            None => class.to_string(),
        };
        worst(losses, most, |index, loss| {
            let (probabilities, label) = (
                softmax(&logits[index * classes..][..classes]),
                labels[index],
            );
            let predicted = largest(&probabilities);
            let confidence = probabilities.get(predicted).copied().unwrap_or(f64::NAN);
            vec![
                ("truth", name(label as usize)),
                ("prediction", name(predicted)),
                ("confidence", format!("{:.1}%", 100.0 * confidence)),
                ("loss", format!("{loss:.3}")),
            ]
        })
    }
}

/// The methods of [`Task`] by which a task that trains a classifier in another way, and holds a [`Classification`] in the field `$inner`,
/// predicts as it does and reports what it reports.
macro_rules! predicts_as_classification {
    ($inner:tt) => {
        fn predict(&self, step: &mut $crate::tasks::StepGraph<'_, '_>) -> $crate::Result<()> {
            self.$inner.predict(step)
        }

        fn example_layout(
            &self,
            models: &$crate::tasks::Models,
            layout: $crate::data::SetLayout,
            normal: $crate::data::Normalization<'_>,
        ) -> $crate::Result<$crate::data::SetLayout> {
            self.$inner.example_layout(models, layout, normal)
        }

        fn averaging(&self) -> Option<$crate::nn::Averaging> {
            self.$inner.averaging()
        }

        fn judged_as(&self) -> &'static str {
            self.$inner.judged_as()
        }

        fn decode(
            &self,
            sample: &$crate::tasks::Decoded<'_>,
        ) -> $crate::Result<$crate::tasks::Prediction> {
            self.$inner.decode(sample)
        }

        fn findings(&self, found: &$crate::tasks::Evaluated<'_>) -> $crate::tasks::Findings {
            self.$inner.findings(found)
        }

        fn report(&self, found: &$crate::tasks::Evaluated<'_>) -> Vec<$crate::tasks::Section> {
            self.$inner.report(found)
        }

        fn reported_outputs(&self) -> &'static [&'static str] {
            self.$inner.reported_outputs()
        }

        fn worst_samples(
            &self,
            found: &$crate::tasks::Evaluated<'_>,
            most: usize,
        ) -> Vec<$crate::tasks::WorstSample> {
            self.$inner.worst_samples(found, most)
        }
    };
}

/// The same, also for its evaluation and metrics.
macro_rules! judged_as_classification {
    ($inner:tt) => {
        $crate::tasks::classification::predicts_as_classification!($inner);

        fn evaluate<'g>(
            &self,
            step: &mut $crate::tasks::StepGraph<'g, '_>,
        ) -> $crate::Result<$crate::tasks::Objective<'g>> {
            self.$inner.evaluate(step)
        }

        fn metrics(&self) -> Vec<$crate::tasks::Metric> {
            self.$inner.metrics()
        }
    };
}
pub(super) use judged_as_classification;
pub(super) use predicts_as_classification;

/// The logits that were kept, the number of classes, and the labels of these samples.
fn kept<'a>(found: &Evaluated<'a>) -> Option<(&'a [f32], usize, &'a [u32])> {
    let (logits, classes) = found.output(LOGITS)?;
    let labels = found.samples.labels()?;
    let count = (logits.len() / classes).min(labels.len());
    (count > 0).then(|| (&logits[..count * classes], classes, &labels[..count]))
}

/// Whether `model` takes tokens.
pub(super) fn takes_tokens(model: &dyn Model) -> bool {
    model
        .inputs()
        .first()
        .is_some_and(|input| input.spec.tokens().is_some())
}

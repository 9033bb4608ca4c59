//! Knowledge distillation: a classifier learns the probabilities that one or several trained ones, its teachers, give to each sample.
//!
//! Hinton et al., "Distilling the Knowledge in a Neural Network", 2015: the loss is `weight T^2` times the divergence of the student's
//! probabilities from the teachers' mean, both of logits divided by the temperature T, plus `1 - weight` times the cross-entropy of
//! the classes. Teachers see the same augmented samples as the student. Their weights are constants of the training step and no part
//! of the run: in evaluations and predictions it is a [`Classification`].

use super::classification::{Classification, judged_as_classification};
use super::fit::inputs;
use super::{
    Fit, Need, Objective, Registered, StepGraph, Task, TaskCase, TaskSettings, Teacher, case,
    classification,
};
use crate::cpu::Tensor;
use crate::data::{Samples, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::{Forward, Model, ModelSpec, Network};
use crate::plan::Scalar;
use crate::toml_text::parse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Tasks whose runs can be teachers.
const CLASSIFIERS: [&str; 6] = [
    "classification",
    "text_classification",
    "fixmatch",
    "pseudo_labels",
    "distillation",
    "adversarial",
];

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "distillation",
    about: "one class for each sample, from what trained classifiers find probable",
    needs: &[
        Need {
            field: "image|row|window|tokens",
            about: "the input",
            input: true,
        },
        Need {
            field: field::LABEL,
            about: "the class of each sample",
            input: false,
        },
    ],
    metrics: classification::metrics,
    suits: |_| false,
    suits_model: |_| false,
    settings: Own::json_schema,
    make: |settings| Ok(Box::new(Distillation::new(settings)?)),
    sample,
};

const TINY: &str = r#"
    name = "tiny"
    input = [6, 6, 1]
    layer = [
        { type = "flatten" },
        { type = "dense", units = 24, activation = "relu" },
        { type = "dense", units = 3 },
    ]
"#;

fn sample() -> Result<TaskCase> {
    let fields = vec![case::pictures([6, 6, 1]), case::labels(3)];
    let classes = ["a", "b", "c"];
    let mut case = TaskCase::new(REGISTERED.name, Samples::new(12, fields, None))?
        .classes(&classes)
        .pixels(1, 0.5, 0.25)
        .model("", TINY)?;
    let model: ModelSpec = parse(TINY, "the teacher of a sample case")?;
    case.task.teachers = vec![Teacher {
        name: "teacher".to_string(),
        task: "classification".to_string(),
        values: Network::new(model.clone())?.initial_state(11),
        model,
        classes: classes.map(String::from).to_vec(),
    }];
    // A teacher that was not trained knows nothing; most is learned from the classes.
    case.task.own.insert("weight".to_string(), 0.05.into());
    case.reaches = ("loss", 0.3);
    Ok(case)
}

/// Runs, or one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Runs {
    One(String),
    Several(Vec<String>),
}

/// Settings of its own: the rest of `[task]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// The folder of the trained run that teaches, or several.
    teacher: Option<Runs>,
    /// Divides all logits: the larger, the more small probabilities count.
    temperature: f64,
    /// Share of the teachers in the loss; the rest is that of the classes.
    weight: f64,
}

impl Default for Own {
    fn default() -> Self {
        Own {
            teacher: None,
            temperature: 4.0,
            weight: 0.9,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Distillation {
    /// Divides all logits.
    pub temperature: f64,
    /// Share of the teachers in the loss.
    pub weight: f64,
    teachers: Vec<(Arc<Network>, Teacher)>,
    supervised: Classification,
}

impl Distillation {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<Distillation> {
        let Own {
            temperature,
            weight,
            ..
        } = settings.own()?;
        let wrong = |what: String| Err(Error::Config(what));
        if !(1e-2..=1e3).contains(&temperature) {
            return wrong(format!(
                "task.temperature must be from 0.01 to 1000, not {temperature}"
            ));
        }
        if !(0.0..=1.0).contains(&weight) {
            return wrong(format!(
                "task.weight must be a share, from 0 to 1, not {weight}"
            ));
        }
        if !settings.loss.is_auto() {
            return wrong(
                "the task distillation has its own loss, of probabilities and classes; leave loss out"
                    .to_string(),
            );
        }
        if settings.augment.mixes() {
            return wrong(
                "augment.mixup and augment.cutmix mix classes, which the task distillation does not do; leave them out"
                    .to_string(),
            );
        }
        let network = |(number, teacher): (usize, &Teacher)| -> Result<_> {
            let network = Network::new(teacher.model.clone())?;
            let network = network.with_prefix(&format!("teacher{}", number + 1));
            Ok((Arc::new(network), teacher.clone()))
        };
        let teachers = settings.teachers.iter().enumerate().map(network);
        Ok(Distillation {
            temperature,
            weight,
            teachers: teachers.collect::<Result<_>>()?,
            supervised: Classification::new(settings),
        })
    }

    /// The mean of the probabilities that the teachers give to samples `x`, at the temperature.
    fn taught<'g>(&self, step: &StepGraph<'g, '_>, x: &[Var<'g>]) -> Result<Var<'g>> {
        let mut sum: Option<Var<'g>> = None;
        for (network, _) in &self.teachers {
            let mut forward = Forward::evaluation(step.builder());
            let outputs = network.forward(&mut forward, x)?;
            let logits = outputs.first().copied();
            let logits =
                logits.ok_or_else(|| Error::Graph("the teacher has no output".to_string()))?;
            let probabilities = logits.scale(1.0 / self.temperature)?.softmax()?;
            sum = Some(match sum {
                Some(sum) => sum.add(probabilities)?,
                None => probabilities,
            });
        }
        let sum = sum.ok_or_else(|| Error::Config(NO_TEACHER.to_string()))?;
        sum.scale(1.0 / self.teachers.len() as f64)
    }

    /// Checks that a teacher takes and gives what the student does.
    fn check_teacher(&self, fit: &Fit<'_>, network: &Network, teacher: &Teacher) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        let name = &teacher.name;
        if !CLASSIFIERS.contains(&&*teacher.task) {
            return wrong(format!(
                "the teacher {name} is a run of the task {}, but only classifiers teach; name a run of {}",
                teacher.task, CLASSIFIERS[0]
            ));
        }
        if teacher.classes != fit.classes {
            let shown = |classes: &[String]| match classes.len() {
                0..=12 => classes.join(", "),
                count => format!("{count} others"),
            };
            return wrong(format!(
                "the teacher {name} knows the classes {}, but the data have {}; name one that was trained on the same classes",
                shown(&teacher.classes),
                shown(fit.classes)
            ));
        }
        let inputs = |model: &dyn Model| -> Vec<Vec<usize>> {
            model
                .inputs()
                .iter()
                .map(|input| input.spec.sample())
                .collect()
        };
        let (own, theirs) = (inputs(fit.models.first()?), inputs(network));
        if own != theirs {
            return wrong(format!(
                "the teacher {name} takes {theirs:?}, but this run's model takes {own:?}; give both the same input"
            ));
        }
        let (units, theirs) = (fit.units()?, network.outputs());
        match theirs.first() {
            Some(output) if output.shape[..] == [units] => Ok(()),
            _ => wrong(format!(
                "the teacher {name} gives {:?} for each sample, but this run's model gives {units} logits; both need one for each class",
                theirs.first().map(|output| &output.shape)
            )),
        }
    }
}

const NO_TEACHER: &str = "the task distillation needs a teacher; set task.teacher = \"RUN\", the folder of a trained run";

impl Task for Distillation {
    judged_as_classification!(supervised);

    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        self.supervised.check(fit)?;
        if fit.part != "training" {
            return Ok(());
        }
        if self.teachers.is_empty() {
            return Err(Error::Config(NO_TEACHER.to_string()));
        }
        let mut teachers = self.teachers.iter();
        teachers.try_for_each(|(network, teacher)| self.check_teacher(fit, network, teacher))
    }

    fn remarks(&self, fit: &Fit<'_>) -> Vec<String> {
        self.supervised.remarks(fit)
    }

    fn training_variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        let each = self.teachers.iter().flat_map(|(network, teacher)| {
            let names = network.state().map(|part| part.name.clone());
            names.zip(teacher.values.iter().cloned())
        });
        Ok(each.collect())
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        self.supervised.augment_batch(step)?;
        let x = inputs(step, Classification::input(step))?;
        let taught = self.taught(step, &x)?;
        let logits = step.run_first(&x)?;
        let _scope = step.builder().scope("loss");
        let _precise = step.builder().precise();
        let (label, valid) = (step.batch.field(field::LABEL)?, step.batch.valid());
        step.count("score", logits.count_correct(label, valid)?)?;
        let own = logits.scale(1.0 / self.temperature)?.log_softmax()?;
        let divergence = own.kl_div(taught)?.sum(&[1])?.mask_rows(valid)?;
        let smoothing = self.supervised.label_smoothing;
        let classes = logits.softmax_cross_entropy(label, valid, smoothing)?;
        let share = self.weight * self.temperature * self.temperature;
        let both = divergence
            .scale(share)?
            .add(classes.scale(1.0 - self.weight)?)?;
        Objective::mean_of(both)
    }

    fn scalar(&self, name: &str, step: u64, seed: u64) -> Option<Scalar> {
        self.supervised.scalar(name, step, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Normalization;
    use crate::tasks::Models;

    #[test]
    fn teachers_of_another_task_or_of_other_classes_are_refused() {
        let case = sample().unwrap();
        let refused = |change: &dyn Fn(&mut Teacher)| {
            let mut settings = case.task.clone();
            settings.teachers.iter_mut().for_each(change);
            let task = Distillation::new(&settings).unwrap();
            let models = Models::one(Network::new(case.models[0].1.clone()).unwrap());
            let fit = Fit {
                models: &models,
                samples: &case.samples,
                part: "training",
                classes: &case.fitted.classes,
                data: "tiny",
                normal: Normalization {
                    mean: &case.fitted.mean,
                    std: &case.fitted.std,
                },
            };
            task.check(&fit).map_err(|error| error.to_string())
        };
        assert_eq!(refused(&|_| ()), Ok(()));
        let other_task = refused(&|teacher| teacher.task = "vae".to_string());
        assert!(other_task.unwrap_err().contains("only classifiers teach"));
        let others = refused(&|teacher| teacher.classes[1] = "d".to_string());
        assert!(others.unwrap_err().contains("knows the classes a, d, c"));
        let smaller = TINY.replace("[6, 6, 1]", "[5, 6, 1]");
        let smaller = refused(&|teacher| teacher.model = parse(&smaller, "test").unwrap());
        assert!(smaller.unwrap_err().contains("takes [[5, 6, 1]]"));
        let mut none = case.task.clone();
        none.teachers.clear();
        assert!(Distillation::new(&none).unwrap().teachers.is_empty());
    }
}

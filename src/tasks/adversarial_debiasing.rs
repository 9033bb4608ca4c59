//! Adversarial debiasing: a classifier learns the classes while an adversary learns to tell the group of a sample from what the
//! classifier says of it, and the classifier learns to prevent that.
//!
//! Zhang, Lemoine and Mitchell, "Mitigating Unwanted Biases with Adversarial Learning", 2018. A step has two phases, each with a model
//! and an optimizer of its own. The gradient of the classifier's loss loses its part along that of the adversary's loss, and `strength`
//! times that of the adversary's loss is taken off, so that no step helps the adversary. The adversary sees the probabilities of the
//! classes for demographic parity, and these beside the true class for equalized odds. In evaluations and predictions the task is a
//! [`Classification`].

use super::classification::{Classification, judged_as_classification};
use super::fit::inputs;
use super::loss::Loss;
use super::scores::fairness::Criterion;
use super::{
    Fit, Need, Objective, Phase, Registered, StepGraph, Task, TaskCase, TaskSettings, case,
    classification, groups,
};
use crate::cpu::Tensor;
use crate::data::field;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::{Model as _, ModelSpec, Network};
use crate::plan::Scalar;
use crate::toml_text::parse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const CLASSIFIER: &str = "classifier";
const ADVERSARY: &str = "adversary";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "adversarial_debiasing",
    about: "one class for each sample, from which an adversary can't tell its group",
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
        Need {
            field: field::GROUP,
            about: "the group of each training sample, by the columns that data.groups names",
            input: false,
        },
    ],
    metrics: classification::metrics,
    suits: |_| false,
    suits_model: |_| false,
    settings: Own::json_schema,
    make: |settings| Ok(Box::new(AdversarialDebiasing::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let mut case = case::grouped(REGISTERED.name)?
        .model(CLASSIFIER, case::GROUPED_MODEL)?
        .model(
            ADVERSARY,
            "name = \"a\"\ninput = [4]\nlayer = [{ type = \"dense\", units = 2 }]",
        )?;
    case.task.own.insert("groups".to_string(), 2.into());
    case.task.own.insert("strength".to_string(), 0.05.into());
    case.reaches = ("accuracy", 0.99);
    Ok(case)
}

/// Settings of its own: the rest of `[task]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// What is to be alike: `equalized_odds` or `demographic_parity`.
    criterion: Criterion,
    /// Factor of the adversary's loss in the classifier's step.
    strength: f64,
    /// Number of groups; found in the training part when a run starts.
    groups: usize,
}

impl Default for Own {
    fn default() -> Self {
        Own {
            criterion: Criterion::EqualizedOdds,
            strength: 0.3,
            groups: 0,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct AdversarialDebiasing {
    /// What is to be alike.
    pub criterion: Criterion,
    /// Factor of the adversary's loss in the classifier's step.
    pub strength: f64,
    groups: usize,
    supervised: Classification,
}

impl AdversarialDebiasing {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<AdversarialDebiasing> {
        let Own {
            criterion,
            strength,
            groups,
        } = settings.own()?;
        let wrong = |what: String| Err(Error::Config(what));
        if !(0.0..=1e6).contains(&strength) {
            return wrong(format!(
                "task.strength must be a factor from 0 to 1000000, not {strength}"
            ));
        }
        if settings.loss.is_weighted() || matches!(settings.loss, Loss::Bce(_)) {
            return wrong(
                "the task adversarial_debiasing has a cross-entropy without class weights; leave loss out"
                    .to_string(),
            );
        }
        if !settings.augment.is_off() {
            return wrong(
                "the task adversarial_debiasing does not support augmentation; leave [augment] out"
                    .to_string(),
            );
        }
        Ok(AdversarialDebiasing {
            criterion,
            strength,
            groups,
            supervised: Classification::new(settings),
        })
    }

    /// Numbers of which the adversary sees one row for each sample, of `classes` classes.
    fn seen(&self, classes: usize) -> usize {
        match self.criterion {
            Criterion::DemographicParity => classes,
            Criterion::EqualizedOdds => classes * classes,
        }
    }

    /// The losses of the adversary, `[batch]`, which sees the `logits` of the classifier. `own` says whether its own phase is built.
    fn adversary<'g>(
        &self,
        step: &mut StepGraph<'g, '_>,
        logits: Var<'g>,
        own: bool,
    ) -> Result<Var<'g>> {
        let (rows, classes) = (step.batch.size(), logits.shape().last());
        let probabilities = logits.softmax()?;
        let seen = match self.criterion {
            Criterion::DemographicParity => probabilities,
            Criterion::EqualizedOdds => {
                // A block of probabilities for each class; only that of the sample's class is not zero.
                let label = step.one_hot(classes)?.reshape([rows, classes, 1])?;
                let each = probabilities.reshape([rows, 1, classes])?;
                label.mul(each)?.reshape([rows, classes * classes])?
            }
        };
        let outputs = match own {
            true => step.run(ADVERSARY, &[seen])?,
            false => step.run_without_updates(ADVERSARY, &[seen])?,
        };
        let guess = outputs.first().copied();
        let guess = guess.ok_or_else(|| Error::Graph("the adversary has no output".to_string()))?;
        let group = step.batch.field(field::GROUP)?;
        guess.softmax_cross_entropy(group, step.batch.valid(), 0.0)
    }
}

impl Task for AdversarialDebiasing {
    judged_as_classification!(supervised);

    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn roles(&self) -> &'static [&'static str] {
        &[CLASSIFIER, ADVERSARY]
    }

    fn phases(&self) -> Vec<Phase> {
        let phase = |name, roles| Phase {
            name,
            roles,
            every: 1,
        };
        vec![
            phase(CLASSIFIER, &[CLASSIFIER]),
            phase(ADVERSARY, &[ADVERSARY]),
        ]
    }

    /// The run's only model is the classifier, and the adversary has a hidden layer of 16 units.
    fn default_model(&self, role: &str, model: &ModelSpec) -> Result<ModelSpec> {
        if role == CLASSIFIER {
            if model.layers.is_empty() {
                return Err(Error::Config(
                    "the task adversarial_debiasing needs a model that classifies: add [model], or [models.classifier]"
                        .to_string(),
                ));
            }
            return Ok(model.clone());
        }
        let classifier = Network::new(model.clone())?;
        let classes = classifier.outputs().first();
        let classes = classes.map_or(2, |output| output.shape.iter().product());
        let text = format!(
            "name = \"adversary\"\ninput = [{}]\nlayer = [{{ type = \"dense\", units = 16, activation = \"relu\" }}, {{ type = \"dense\", \
             units = {} }}]",
            self.seen(classes),
            self.groups.max(2)
        );
        parse(&text, "the adversary")
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        self.supervised.check(fit)?;
        if fit.part != "training" {
            return Ok(());
        }
        groups::check_count(REGISTERED.name, self.groups)?;
        let adversary = fit.models.get(ADVERSARY)?;
        let seen = self.seen(fit.units()?);
        let takes: Vec<Vec<usize>> = adversary
            .inputs()
            .iter()
            .map(|input| input.spec.sample())
            .collect();
        let gives = adversary.outputs().first().map(|output| &output.shape[..]);
        if takes != [[seen]] || gives != Some(&[self.groups]) {
            return Err(Error::Config(format!(
                "the adversary {} takes {takes:?} and gives {:?}; give it the input [{seen}] and {} units at its end, one for each group",
                adversary.name(),
                gives.unwrap_or_default(),
                self.groups
            )));
        }
        Ok(())
    }

    fn remarks(&self, fit: &Fit<'_>) -> Vec<String> {
        self.supervised.remarks(fit)
    }

    fn variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        self.supervised.variables()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, phase: usize) -> Result<Objective<'g>> {
        let x = inputs(step, Classification::input(step))?;
        if phase == 1 {
            let logits = step.run_without_updates(CLASSIFIER, &x)?;
            let logits = first(&logits)?;
            return Objective::mean_of(self.adversary(step, logits, true)?);
        }
        let logits = step.run(CLASSIFIER, &x)?;
        let logits = first(&logits)?;
        let adversary = self.adversary(step, logits, false)?;
        step.oppose(Objective::mean_of(adversary)?, self.strength);
        let _scope = step.builder().scope("loss");
        let label = step.batch.field(field::LABEL)?;
        let smoothing = self.supervised.label_smoothing;
        let losses = self.supervised.losses(step, logits, label, smoothing)?;
        self.supervised.counted(step, &losses, logits, label)
    }

    fn scalar(&self, name: &str, step: u64, seed: u64) -> Option<Scalar> {
        self.supervised.scalar(name, step, seed)
    }
}

fn first<'g>(outputs: &[Var<'g>]) -> Result<Var<'g>> {
    let first = outputs.first().copied();
    first.ok_or_else(|| Error::Graph("the model has no output".to_string()))
}

//! Reweighing: classification with a weight for each sample, by which group and class are independent of each other in the training
//! part.
//!
//! Kamiran and Calders, "Data preprocessing techniques for classification without discrimination", 2012: a sample of group g and class
//! c has the weight `P(g) P(c) / P(g, c)`, with shares of the training part. In evaluations and predictions it is a
//! [`Classification`].

use super::classification::{Classification, judged_as_classification};
use super::fit::inputs;
use super::{
    Fit, Need, Objective, Registered, StepGraph, Task, TaskCase, TaskSettings, case, classification,
};
use crate::cpu::Tensor;
use crate::data::{Samples, field};
use crate::error::{Error, Result};
use crate::plan::Scalar;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The variable with the weights, `[groups, classes]`.
const WEIGHTS: &str = "reweighing.weights";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "reweighing",
    about: "one class for each sample, with weights by which groups and classes are independent",
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
    make: |settings| Ok(Box::new(Reweighing::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let mut case = case::grouped(REGISTERED.name)?.model("", case::GROUPED_MODEL)?;
    let rows = [[1.5, 0.75], [0.75, 1.25]].map(|row: [f64; 2]| row.to_vec().into());
    let weights = toml::Value::Array(rows.to_vec());
    case.task.own.insert("weights".to_string(), weights);
    Ok(case)
}

/// Settings of its own: the rest of `[task]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// The weight of samples of each group, with a number for each class; computed from the training part when a run starts.
    weights: Vec<Vec<f64>>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Reweighing {
    /// The weight of samples of each group, with a number for each class.
    pub weights: Vec<Vec<f64>>,
    supervised: Classification,
}

impl Reweighing {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown or invalid.
    pub fn new(settings: &TaskSettings) -> Result<Reweighing> {
        let Own { weights } = settings.own()?;
        let width = weights.first().map_or(0, Vec::len);
        let fits =
            |row: &Vec<f64>| row.len() == width && row.iter().all(|&w| w.is_finite() && w >= 0.0);
        if !weights.iter().all(fits) {
            return Err(Error::Config(
                "task.weights must have a list for each group, each with a number of at least 0 for each class; leave them out to have \
                 them computed"
                    .to_string(),
            ));
        }
        if settings.augment.mixes() {
            return Err(Error::Config(
                "augment.mixup and augment.cutmix mix classes, which the task reweighing does not do; leave them out"
                    .to_string(),
            ));
        }
        Ok(Reweighing {
            weights,
            supervised: Classification::new(settings),
        })
    }
}

/// Adds the weights to the own settings of the task, unless they are there, from the training part, whose samples are of these
/// `groups` and of `classes` classes. A class that a group lacks has weight 1.
pub(super) fn learn(own: &mut toml::Table, train: &Samples, groups: &[u32], classes: usize) {
    let (Some(labels), false) = (train.labels(), own.contains_key("weights")) else {
        return;
    };
    let counts = counts(groups, labels);
    let last = groups.iter().max().map_or(0, |&last| last + 1);
    let all = groups.len() as f64;
    let sum_where = |of: &dyn Fn(u32, u32) -> bool| -> f64 {
        let chosen = counts
            .iter()
            .filter(|((group, label), _)| of(*group, *label));
        chosen.map(|(_, &count)| count as f64).sum()
    };
    let weight = |group: u32, class: u32| match counts.get(&(group, class)) {
        Some(&count) => {
            let (of_group, of_class) =
                (sum_where(&|g, _| g == group), sum_where(&|_, c| c == class));
            of_group * of_class / (all * count as f64)
        }
        None => 1.0,
    };
    let row = |group: u32| -> toml::Value {
        let weights = (0..classes as u32).map(|class| weight(group, class));
        weights.collect::<Vec<f64>>().into()
    };
    let rows: Vec<toml::Value> = (0..last).map(row).collect();
    own.insert("weights".to_string(), rows.into());
}

/// The number of samples of each group and class that occur together.
fn counts(groups: &[u32], labels: &[u32]) -> BTreeMap<(u32, u32), u64> {
    let mut counts = BTreeMap::new();
    for (&group, &label) in groups.iter().zip(labels) {
        *counts.entry((group, label)).or_insert(0) += 1;
    }
    counts
}

impl Task for Reweighing {
    judged_as_classification!(supervised);

    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        self.supervised.check(fit)?;
        if fit.part != "training" {
            return Ok(());
        }
        super::groups::check_count(REGISTERED.name, self.weights.len())?;
        let classes = self.supervised.loss.classes(fit.units()?);
        let (groups, width) = (
            super::groups::of_samples(fit.samples).unwrap_or_default(),
            self.weights[0].len(),
        );
        if width != classes || groups.iter().any(|&g| g as usize >= self.weights.len()) {
            return Err(Error::Config(format!(
                "task.weights are those of {} groups and {width} classes, and the training part has others; leave them out to have them \
                 computed",
                self.weights.len()
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

    fn training_variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        let width = self.weights.first().map_or(0, Vec::len);
        let values = self.weights.iter().flatten().map(|&w| w as f32);
        let table = Tensor::real([self.weights.len(), width], values.collect());
        Ok(vec![(WEIGHTS.to_string(), table)])
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        self.supervised.augment_batch(step)?;
        let x = inputs(step, Classification::input(step))?;
        let outputs = step.run_first(&x)?;
        let builder = step.builder();
        let _scope = builder.scope("loss");
        let (label, valid) = (step.batch.field(field::LABEL)?, step.batch.valid());
        let smoothing = self.supervised.label_smoothing;
        let losses = self.supervised.losses(step, outputs, label, smoothing)?;
        let logits = self.supervised.loss.logits(outputs)?;
        step.count("score", logits.count_correct(label, valid)?)?;
        let classes = logits.shape().last();
        let table = TensorType::f32([self.weights.len(), classes]);
        let table = builder.variable(WEIGHTS, table)?;
        let own = table.gather(step.batch.field(field::GROUP)?)?;
        let own = own
            .mul(step.one_hot(classes)?)?
            .sum(&[1])?
            .mask_rows(valid)?;
        let weights = losses.weights.map_or(Ok(own), |known| known.mul(own))?;
        Objective::weighted_mean(losses.losses.mul(own)?, Some(weights))
    }

    fn scalar(&self, name: &str, step: u64, seed: u64) -> Option<Scalar> {
        self.supervised.scalar(name, step, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: of 8 samples 4 are of each group, and 3 of class 1, of which 1 is of group 0.
    #[test]
    fn weights_are_those_of_independent_groups_and_classes() {
        let groups = [0, 0, 0, 0, 1, 1, 1, 1];
        let fields = vec![
            case::labels_of(vec![0, 0, 0, 1, 0, 0, 1, 1]),
            case::groups_of(groups.to_vec()),
        ];
        let train = Samples::new(8, fields, None);
        let mut own = toml::Table::new();
        learn(&mut own, &train, &groups, 2);
        let found: Own = own.clone().try_into().unwrap();
        let wanted = [
            [4.0 * 5.0 / (8.0 * 3.0), 4.0 * 3.0 / 8.0],
            [4.0 * 5.0 / (8.0 * 2.0), 4.0 * 3.0 / (8.0 * 2.0)],
        ];
        assert_eq!(found.weights, wanted);
        // Those that are there stay.
        let given = own.clone();
        learn(&mut own, &train, &[1, 0, 0, 0, 1, 1, 1, 1], 2);
        assert_eq!(own, given);
    }

    #[test]
    fn weights_of_other_groups_are_refused() {
        let mut settings = sample().unwrap().task;
        settings.own = "weights = [[1.0, 2.0], [1.0]]".parse().unwrap();
        let message = Reweighing::new(&settings).unwrap_err().to_string();
        assert!(message.contains("task.weights"), "{message}");
        settings.own = "weight = 1".parse().unwrap();
        assert!(Reweighing::new(&settings).is_err());
    }
}

//! A penalty on the gap between groups: classification whose loss rises with the differences of mean probabilities between groups in
//! the batch.
//!
//! For each class the mean probability that samples of a group get is compared with that of all samples: of all those of the batch for
//! demographic parity, or among the samples of each class by itself for equalized odds. The penalty is the sum of the squared
//! differences; where thresholds decide, rates follow the mean probabilities (Kamishima et al., "Fairness-aware classifier with
//! prejudice remover regularizer", 2012, and Beutel et al., "Putting fairness principles into practice", 2019, penalise such
//! differences). In evaluations and predictions it is a [`Classification`].

use super::classification::{Classification, judged_as_classification};
use super::fit::inputs;
use super::scores::fairness::Criterion;
use super::{
    Fit, Need, Objective, Registered, StepGraph, Task, TaskCase, TaskSettings, case,
    classification, groups,
};
use crate::cpu::Tensor;
use crate::data::field;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::plan::Scalar;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "gap_penalty",
    about: "one class for each sample, with a penalty on the gap between groups",
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
    make: |settings| Ok(Box::new(GapPenalty::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let mut case = case::grouped(REGISTERED.name)?.model("", case::GROUPED_MODEL)?;
    case.task.own.insert("groups".to_string(), 2.into());
    Ok(case)
}

/// Settings of its own: the rest of `[task]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// What is to be alike: `equalized_odds` or `demographic_parity`.
    criterion: Criterion,
    /// Factor of the penalty.
    strength: f64,
    /// Number of groups; found in the training part when a run starts.
    groups: usize,
}

impl Default for Own {
    fn default() -> Self {
        Own {
            criterion: Criterion::EqualizedOdds,
            strength: 2.0,
            groups: 0,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct GapPenalty {
    /// What is to be alike.
    pub criterion: Criterion,
    /// Factor of the penalty.
    pub strength: f64,
    groups: usize,
    supervised: Classification,
}

impl GapPenalty {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown or out of range.
    pub fn new(settings: &TaskSettings) -> Result<GapPenalty> {
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
        if settings.augment.mixes() {
            return wrong(
                "augment.mixup and augment.cutmix mix classes, which the task gap_penalty does not do; leave them out"
                    .to_string(),
            );
        }
        Ok(GapPenalty {
            criterion,
            strength,
            groups,
            supervised: Classification::new(settings),
        })
    }

    /// The sum of the squared differences between the mean `probabilities`, `[batch, classes]`, of the groups and of all samples.
    fn penalty<'g>(&self, step: &StepGraph<'g, '_>, probabilities: Var<'g>) -> Result<Var<'g>> {
        let (rows, classes) = (step.batch.size(), probabilities.shape().last());
        let members = groups::one_hot(step, self.groups)?;
        let conditions: Vec<Var<'g>> = match self.criterion {
            Criterion::DemographicParity => vec![members],
            Criterion::EqualizedOdds => {
                let labels = step.one_hot(classes)?;
                let of_class = |class: usize| members.mul(labels.slice_axis(1, class..class + 1)?);
                (0..classes).map(of_class).collect::<Result<_>>()?
            }
        };
        let (zero, one) = (step.builder().constant(0.0), step.builder().constant(1.0));
        let spread = probabilities.reshape([rows, 1, classes])?;
        let mut sum = zero;
        for members in conditions {
            let members = members.reshape([rows, self.groups, 1])?;
            // [groups, 1] and [groups, classes].
            let counts = members.sum(&[0])?;
            let sums = members.mul(spread)?.sum(&[0])?;
            let own = sums.div(counts.maximum(one)?)?;
            let all = sums
                .sum_keep(&[0])?
                .div(counts.sum_keep(&[0])?.maximum(one)?)?;
            let apart = own.sub(all)?.mul(counts.gt(zero)?)?;
            sum = sum.add(apart.mul(apart)?.sum_all()?)?;
        }
        Ok(sum)
    }
}

impl Task for GapPenalty {
    judged_as_classification!(supervised);

    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        self.supervised.check(fit)?;
        match fit.part {
            "training" => groups::check_count(REGISTERED.name, self.groups),
            _ => Ok(()),
        }
    }

    fn remarks(&self, fit: &Fit<'_>) -> Vec<String> {
        self.supervised.remarks(fit)
    }

    fn variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        self.supervised.variables()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        self.supervised.augment_batch(step)?;
        let x = inputs(step, Classification::input(step))?;
        let outputs = step.run_first(&x)?;
        let builder = step.builder();
        let _scope = builder.scope("loss");
        let _precise = builder.precise();
        let label = step.batch.field(field::LABEL)?;
        let smoothing = self.supervised.label_smoothing;
        let losses = self.supervised.losses(step, outputs, label, smoothing)?;
        let logits = self.supervised.loss.logits(outputs)?;
        let mut objective = self.supervised.counted(step, &losses, logits, label)?;
        let penalty = self
            .penalty(step, logits.softmax()?)?
            .scale(self.strength)?;
        // It is added to the mean, and the objective is a sum.
        let divisor = match objective.weight {
            Some(weight) => weight,
            None => {
                let ones = builder.constant(1.0).broadcast_to(&losses.losses.shape())?;
                ones.mask_rows(step.batch.valid())?.sum_all()?
            }
        };
        objective.sum = objective.sum.add(penalty.mul(divisor)?)?;
        Ok(objective)
    }

    fn scalar(&self, name: &str, step: u64, seed: u64) -> Option<Scalar> {
        self.supervised.scalar(name, step, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::interpret;
    use crate::data::Batch;
    use crate::graph::Builder;
    use crate::nn::Forward;
    use crate::tasks::Models;
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    /// The penalty of five samples, the last of which is padding.
    fn penalty(own: &str) -> f32 {
        let settings = TaskSettings {
            own: own.parse().unwrap(),
            ..TaskSettings::default()
        };
        let task = GapPenalty::new(&settings).unwrap();
        let builder = Builder::new();
        let whole = |name: &str| (name.to_string(), TensorType::u32([5]));
        let batch = Batch::fed(&builder, 5, [whole(field::GROUP), whole(field::LABEL)]);
        let models = Models::named(Vec::new());
        let step = StepGraph::new(batch, Forward::evaluation(&builder), &models);
        let probabilities = builder.input("p", TensorType::f32([5, 2]));
        let found = task.penalty(&step, probabilities).unwrap();
        step.output("penalty", found);
        let graph = builder.finish().unwrap();
        let index = |values: Vec<u32>| Arc::new(Tensor::index([values.len()], values));
        let p = [0.9_f32, 0.5, 0.3, 0.2, 0.7];
        let p = p.iter().flat_map(|&p| [1.0 - p, p]).collect();
        let inputs = HashMap::from([
            (field::GROUP.to_string(), index(vec![0, 0, 1, 1, 1])),
            (field::LABEL.to_string(), index(vec![1, 0, 1, 0, 1])),
            ("valid".to_string(), Arc::new(Tensor::index([], vec![4]))),
            ("p".to_string(), Arc::new(Tensor::real([5, 2], p))),
        ]);
        let found = interpret(&graph, &mut HashMap::new(), &inputs).unwrap();
        found[0].reals()[0]
    }

    #[test]
    fn the_penalty_is_that_of_the_means_of_the_groups() {
        // The groups have means of 0.7 and 0.25, 0.225 from that of all: squared for two groups and two classes.
        let parity = penalty("criterion = \"demographic_parity\"\ngroups = 2");
        assert!((parity - 4.0 * 0.225 * 0.225).abs() < 1e-6, "{parity}");
        // Among the samples of a class there is one of each group: 0.9 and 0.3, and 0.5 and 0.2.
        let odds = penalty("groups = 2");
        let wanted = 4.0 * (0.3 * 0.3 + 0.15 * 0.15);
        assert!((odds - wanted).abs() < 1e-6, "{odds}");
        // A group without samples changes nothing.
        let third = penalty("groups = 3");
        assert!((third - odds).abs() < 1e-6, "{third}");
    }

    #[test]
    fn invalid_settings_are_named() {
        for (own, message) in [
            ("strength = -1.0", "task.strength"),
            ("strength = nan", "task.strength"),
            ("criterion = \"odds\"", "equalized_odds"),
        ] {
            let settings = TaskSettings {
                own: own.parse().unwrap(),
                ..TaskSettings::default()
            };
            let error = GapPenalty::new(&settings).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}

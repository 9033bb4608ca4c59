//! Pseudo-labels: classification of samples of which only some have classes. Those without get the class that the model itself finds
//! most probable.
//!
//! Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks", 2013. The weight of the
//! samples without classes is 0 at first, then rises evenly to its final value. In evaluations and predictions it is a
//! [`Classification`].

use super::classification::{Classification, judged_as_classification};
use super::fit::inputs;
use super::unlabelled::{self, Guesses};
use super::{
    Fit, Need, Objective, Registered, StepGraph, Task, TaskCase, TaskSettings, case, classification,
};
use crate::data::{Samples, field};
use crate::error::{Error, Result};
use crate::plan::Scalar;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The weight of samples without classes in this step.
const WEIGHT: &str = "pseudo_labels.weight";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "pseudo_labels",
    about: "one class for each sample, from a few samples with classes and many that the model itself gives one",
    needs: &[
        Need {
            field: "image|row|window",
            about: "the input",
            input: true,
        },
        Need {
            field: field::LABEL,
            about: "the class of each sample, of which training uses data.labelled",
            input: false,
        },
    ],
    metrics: classification::metrics,
    suits: |_| false,
    suits_model: |_| false,
    settings: Own::json_schema,
    make: |settings| Ok(Box::new(PseudoLabels::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let fields = vec![case::pictures([6, 6, 1]), case::labels(3)];
    let mut case = TaskCase::new(REGISTERED.name, Samples::new(12, fields, None))?
        .classes(&["a", "b", "c"])
        .pixels(1, 0.5, 0.25)
        .model(
            "",
            r#"
            name = "tiny"
            input = [6, 6, 1]
            layer = [
                { type = "flatten" },
                { type = "dense", units = 24, activation = "relu" },
                { type = "dense", units = 3 },
            ]
            "#,
        )?;
    // All samples keep their classes: those of noise can't be guessed.
    (case.data.labelled, case.data.unlabelled) = (Some(12.0), true);
    for (key, value) in [("ratio", 1), ("from_step", 20), ("to_step", 60)] {
        case.task.own.insert(key.to_string(), value.into());
    }
    Ok(case)
}

/// Settings of its own: the rest of `[task]`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// Smallest probability of a class with which a sample without one is learned.
    threshold: f64,
    /// Final weight of the loss of samples without classes.
    weight: f64,
    /// Samples without classes for each with one in a batch.
    ratio: usize,
    /// Steps before samples without classes count.
    from_step: u64,
    /// Step from which on they have their final weight.
    to_step: u64,
}

impl Default for Own {
    fn default() -> Self {
        Own {
            threshold: 0.0,
            weight: 1.0,
            ratio: 7,
            from_step: 100,
            to_step: 600,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct PseudoLabels {
    own: Own,
    supervised: Classification,
}

impl PseudoLabels {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<PseudoLabels> {
        let own: Own = settings.own()?;
        let wrong = |what: &str| Err(Error::Config(what.to_string()));
        unlabelled::check(own.threshold, own.weight, own.ratio)?;
        if own.to_step < own.from_step {
            return wrong("task.to_step must not be smaller than task.from_step");
        }
        if settings.augment.mixes() {
            return wrong(
                "augment.mixup and augment.cutmix mix images, which then have no class of their own; leave them out",
            );
        }
        if !settings.loss.is_auto() {
            return wrong("the task pseudo_labels minimises cross-entropies; leave loss out");
        }
        Ok(PseudoLabels {
            own,
            supervised: Classification::new(settings),
        })
    }

    /// The weight of samples without classes in step number `step`.
    fn weight(&self, step: u64) -> f64 {
        let Own {
            weight,
            from_step,
            to_step,
            ..
        } = self.own;
        match step {
            _ if step < from_step => 0.0,
            _ if step >= to_step => weight,
            _ => weight * (step - from_step) as f64 / (to_step - from_step) as f64,
        }
    }
}

impl Task for PseudoLabels {
    judged_as_classification!(supervised);

    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn labelled_of(&self, batch: usize) -> Option<usize> {
        Some(unlabelled::labelled_of(batch, self.own.ratio))
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        self.supervised.check(fit)
    }

    fn remarks(&self, fit: &Fit<'_>) -> Vec<String> {
        self.supervised.remarks(fit)
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        self.supervised.augment_batch(step)?;
        let x = inputs(step, Classification::input(step))?;
        let logits = step.run_first(&x)?;
        let _scope = step.builder().scope("loss");
        let _precise = step.builder().precise();
        let (batch, valid) = (step.batch.size(), step.batch.valid());
        let labelled = unlabelled::labelled_of(batch, self.own.ratio);
        let label = unlabelled::known_classes(step, labelled)?;
        let smoothing = self.supervised.label_smoothing;
        let own = logits.slice_axis(0, 0..labelled)?;
        let own = own.softmax_cross_entropy(label, valid, smoothing)?;
        let others = logits.slice_axis(0, labelled..batch)?;
        let Guesses { classes, counted } = unlabelled::guesses(others, self.own.threshold)?;
        let weight = step.builder().input(WEIGHT, TensorType::f32([]));
        let others = others.softmax_cross_entropy(classes, valid, 0.0)?;
        let others = others.mul(counted)?.mul(weight)?;
        unlabelled::objective(step, own, others)
    }

    fn scalar(&self, name: &str, step: u64, _seed: u64) -> Option<Scalar> {
        (name == WEIGHT).then(|| Scalar::F32(self.weight(step) as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_without_classes_count_more_and_more() {
        let settings = TaskSettings {
            own: crate::toml_text::parse("weight = 2\nfrom_step = 10\nto_step = 20", "task")
                .unwrap(),
            ..TaskSettings::default()
        };
        let task = PseudoLabels::new(&settings).unwrap();
        let weights = [0, 9, 10, 15, 20, 1000].map(|step| task.weight(step));
        assert_eq!(weights, [0.0, 0.0, 0.0, 1.0, 2.0, 2.0]);
        let settings = TaskSettings {
            own: crate::toml_text::parse("from_step = 10\nto_step = 9", "task").unwrap(),
            ..TaskSettings::default()
        };
        let refused = PseudoLabels::new(&settings).unwrap_err().to_string();
        assert!(refused.contains("task.to_step"));
    }
}

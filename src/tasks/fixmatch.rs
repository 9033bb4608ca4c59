//! FixMatch: classification of images of which only some have classes.
//!
//! Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", 2020. An image without a class gets
//! the one that the model gives to a weakly augmented view of it, if its probability is at least the threshold, and the loss is the
//! cross-entropy of that class for a strongly augmented view. `[augment]` is the weak augmentation, `[task.strong]` the strong one. In
//! evaluations and predictions it is a [`Classification`].

use super::classification::{Classification, judged_as_classification};
use super::unlabelled::{self, Guesses};
use super::{
    AugmentSettings, Fit, Need, Objective, Registered, StepGraph, Task, TaskCase, TaskSettings,
    case, classification,
};
use crate::data::{Samples, field};
use crate::error::{Error, Result};
use crate::toml_text::parse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "fixmatch",
    about: "one class for each image, from a few images with classes and many without",
    needs: &[
        Need {
            field: field::IMAGE,
            about: "the image",
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
    make: |settings| Ok(Box::new(FixMatch::new(settings)?)),
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
                { type = "conv2d", filters = 8, kernel = 3, activation = "relu" },
                { type = "flatten" },
                { type = "dense", units = 3 },
            ]
            "#,
        )?;
    // All samples keep their classes: those of noise can't be guessed.
    (case.data.labelled, case.data.unlabelled) = (Some(12.0), true);
    case.task.own = parse(
        "ratio = 1\nstrong = { flip = true, brightness = 0.1 }",
        "the case",
    )?;
    Ok(case)
}

/// Settings of its own: the rest of `[task]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// Smallest probability of a class with which an image without one is learned.
    threshold: f64,
    /// Weight of the loss of images without classes.
    weight: f64,
    /// Images without classes for each with one in a batch.
    ratio: usize,
    /// The strong augmentation.
    strong: AugmentSettings,
}

impl Default for Own {
    fn default() -> Self {
        Own {
            threshold: 0.95,
            weight: 1.0,
            ratio: 7,
            strong: AugmentSettings {
                rotate: 20.0,
                zoom: 1.2,
                crop: 2,
                brightness: 0.5,
                contrast: 0.5,
                cutout: 6,
                ..AugmentSettings::default()
            },
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct FixMatch {
    /// Smallest probability of a class that is learned.
    pub threshold: f64,
    /// Weight of the loss of images without classes.
    pub weight: f64,
    /// Images without classes for each with one.
    pub ratio: usize,
    /// The strong augmentation.
    pub strong: AugmentSettings,
    supervised: Classification,
}

impl FixMatch {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<FixMatch> {
        let own: Own = settings.own()?;
        let wrong = |what: &str| Err(Error::Config(what.to_string()));
        unlabelled::check(own.threshold, own.weight, own.ratio)?;
        own.strong.check()?;
        if own.strong.is_off() {
            return wrong(
                "[task.strong] changes nothing, so images without classes teach nothing; give it augmentations, or leave it out",
            );
        }
        if own.strong.mixes() || settings.augment.mixes() {
            return wrong(
                "mixup and cutmix mix images, which then have no class of their own; leave them out of [augment] and [task.strong]",
            );
        }
        if !settings.loss.is_auto() {
            return wrong("the task fixmatch minimises cross-entropies; leave loss out");
        }
        Ok(FixMatch {
            threshold: own.threshold,
            weight: own.weight,
            ratio: own.ratio,
            strong: own.strong,
            supervised: Classification::new(settings),
        })
    }
}

impl Task for FixMatch {
    judged_as_classification!(supervised);

    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn labelled_of(&self, batch: usize) -> Option<usize> {
        Some(unlabelled::labelled_of(batch, self.ratio))
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        self.supervised.check(fit)?;
        let model = fit.models.first()?;
        if model.inputs().len() > 1 {
            return Err(Error::Config(format!(
                "the task fixmatch augments images, but model {} takes other inputs, too; use pseudo_labels",
                model.name()
            )));
        }
        let strong = self.strong.check_pictures(fit);
        strong.map_err(|error| Error::Config(format!("in [task.strong]: {error}")))
    }

    fn remarks(&self, fit: &Fit<'_>) -> Vec<String> {
        self.supervised.remarks(fit)
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let image = step.batch.field(field::IMAGE)?;
        let (batch, valid) = (step.batch.size(), step.batch.valid());
        let labelled = unlabelled::labelled_of(batch, self.ratio);
        let augment = &self.supervised.augment;
        let weak = augment.apply(&mut step.forward, image)?;
        let strong = self.strong.apply(&mut step.forward, image)?;
        let weak = step.run_first(&[weak])?;
        let strong = step.run_first(&[strong])?;
        let _scope = step.builder().scope("loss");
        let _precise = step.builder().precise();
        let label = unlabelled::known_classes(step, labelled)?;
        let smoothing = self.supervised.label_smoothing;
        let own = weak.slice_axis(0, 0..labelled)?;
        let own = own.softmax_cross_entropy(label, valid, smoothing)?;
        let Guesses { classes, counted } =
            unlabelled::guesses(weak.slice_axis(0, labelled..batch)?, self.threshold)?;
        let others = strong.slice_axis(0, labelled..batch)?;
        let others = others.softmax_cross_entropy(classes, valid, 0.0)?;
        let others = others.mul(counted)?.scale(self.weight)?;
        unlabelled::objective(step, own, others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_teach_nothing_are_refused() {
        let refused = |text: &str| {
            let settings = TaskSettings {
                own: parse(text, "task").unwrap(),
                ..TaskSettings::default()
            };
            FixMatch::new(&settings).unwrap_err().to_string()
        };
        assert!(refused("threshold = 1.5").contains("task.threshold"));
        assert!(refused("ratio = 0").contains("task.ratio"));
        assert!(refused("strong = { flip = false }").contains("teach nothing"));
        assert!(refused("strong = { mixup = 0.2 }").contains("no class of their own"));
        assert!(refused("weights = 1").contains("unknown field"));
    }
}

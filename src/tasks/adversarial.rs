//! Adversarial training: classification of images that withstands small changes made to mislead it.
//!
//! Every step changes its images within a bound so that their loss rises, and trains on those: by one step along the sign of the
//! gradient from a random start (Wong et al., "Fast is better than free: Revisiting adversarial training", 2020), by several steps
//! (Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2018), or with a loss of its own that weighs accuracy
//! against stability (TRADES; Zhang et al., "Theoretically Principled Trade-off between Robustness and Accuracy", 2019). Images are
//! changed against the model as it predicts: without dropout, normalised by running statistics. In predictions it is a
//! [`Classification`]; evaluations also report the accuracy on changed images.

use super::classification::{Classification, predicts_as_classification};
use super::perturbation::{ChangeBound, ChangeNorm, PixelScale};
use super::{
    Fit, Metric, Need, Objective, Registered, StepGraph, Task, TaskCase, TaskSettings, case,
    classification,
};
use crate::data::{Samples, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::Forward;
use crate::plan::Scalar;
use crate::toml_text::parse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The counter of samples that are right after they were changed.
const ROBUST: &str = "robust";
/// Steps of the attack in evaluations, and the length of each as a share of the bound.
const JUDGED_STEPS: usize = 4;
const JUDGED_STEP: f64 = 0.5;
/// Deviation of the noise from which TRADES begins, since the gradient is zero at an unchanged image.
const TRADES_START: f64 = 0.001;

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "adversarial",
    about: "one class for each image, also of images changed to mislead the model",
    needs: &[
        Need {
            field: field::IMAGE,
            about: "the image",
            input: true,
        },
        Need {
            field: field::LABEL,
            about: "the class of each sample",
            input: false,
        },
    ],
    metrics,
    suits: |_| false,
    suits_model: |_| false,
    settings: Own::json_schema,
    make: |settings| Ok(Box::new(Adversarial::new(settings)?)),
    sample,
};

fn metrics() -> Vec<Metric> {
    let robust = Metric::share("robust_accuracy", |c| c.mean(ROBUST)).in_epoch_line();
    let mut metrics = classification::metrics();
    metrics.insert(1, robust);
    metrics
}

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
                { type = "dense", units = 24, activation = "tanh" },
                { type = "dense", units = 3 },
            ]
            "#,
        )?;
    case.task.own = parse("method = \"pgd\"\nepsilon = 0.01\nsteps = 2", "the case")?;
    Ok(case)
}

/// How images are changed, and what is learned from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdversarialMethod {
    /// One step from a random start.
    #[default]
    Fgsm,
    /// Several steps from a random start.
    Pgd,
    /// Several steps, and a loss of both images.
    Trades,
}

/// Settings of its own: the rest of `[task]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// How images are changed: `fgsm` (one step), `pgd` or `trades` (several).
    method: AdversarialMethod,
    /// The largest change of a pixel, as a share of its range.
    epsilon: f64,
    /// Length of a step, as a share of the range of a pixel; 1.25 epsilon for `fgsm`, else 2.5 epsilon divided by the steps.
    step_size: Option<f64>,
    /// Number of steps of `pgd` and `trades`.
    steps: usize,
    /// Weight of the stability of predictions in `trades`.
    beta: f64,
}

impl Default for Own {
    fn default() -> Self {
        Own {
            method: AdversarialMethod::Fgsm,
            epsilon: 8.0 / 255.0,
            step_size: None,
            steps: 7,
            beta: 6.0,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Adversarial {
    /// How images are changed.
    pub method: AdversarialMethod,
    /// The largest change of a pixel, as a share of its range.
    pub epsilon: f64,
    /// Length of a step.
    pub step_size: f64,
    /// Number of steps.
    pub steps: usize,
    /// Weight of the stability of predictions in `trades`.
    pub beta: f64,
    supervised: Classification,
}

impl Adversarial {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<Adversarial> {
        let own: Own = settings.own()?;
        let wrong = |what: String| Err(Error::Config(what));
        if !(own.epsilon > 0.0 && own.epsilon <= 1.0) {
            return wrong(format!(
                "task.epsilon must be above 0 and at most 1, the range of a pixel, not {}",
                own.epsilon
            ));
        }
        if !(1..=100).contains(&own.steps) {
            return wrong(format!(
                "task.steps must be from 1 to 100, not {}",
                own.steps
            ));
        }
        if !(own.beta >= 0.0 && own.beta.is_finite()) {
            return wrong(format!("task.beta must be at least 0, not {}", own.beta));
        }
        let steps = match own.method {
            AdversarialMethod::Fgsm => 1,
            AdversarialMethod::Pgd | AdversarialMethod::Trades => own.steps,
        };
        let step_size = own.step_size.unwrap_or(match own.method {
            AdversarialMethod::Fgsm => 1.25 * own.epsilon,
            AdversarialMethod::Pgd | AdversarialMethod::Trades => 2.5 * own.epsilon / steps as f64,
        });
        if !(step_size > 0.0 && step_size <= 1.0) {
            return wrong(format!(
                "task.step_size must be above 0 and at most 1, the range of a pixel, not {step_size}"
            ));
        }
        if !settings.loss.is_auto() {
            return wrong(
                "the task adversarial minimises the cross-entropy of changed images; leave loss out"
                    .to_string(),
            );
        }
        if settings.augment.mixes() {
            return wrong(
                "augment.mixup and augment.cutmix mix classes, which the task adversarial does not do; leave them out"
                    .to_string(),
            );
        }
        Ok(Adversarial {
            method: own.method,
            epsilon: own.epsilon,
            step_size,
            steps,
            beta: own.beta,
            supervised: Classification::new(settings),
        })
    }

    /// The logits of `pixels`, from 0 to 1, as the model predicts them.
    fn predicted<'g>(
        step: &StepGraph<'g, '_>,
        scale: PixelScale<'g>,
        pixels: Var<'g>,
    ) -> Result<Var<'g>> {
        let mut forward = Forward::evaluation(step.builder());
        let image = scale.normalised(pixels)?;
        let outputs = step.models().first()?.forward(&mut forward, &[image])?;
        let first = outputs.first().copied();
        first.ok_or_else(|| Error::Graph("the model has no output".to_string()))
    }

    /// How the images of the batch were normalised.
    fn scale<'g>(step: &StepGraph<'g, '_>) -> Result<PixelScale<'g>> {
        match step.batch.normalisation(field::IMAGE) {
            Some((mean, std)) => PixelScale::new(step.builder(), mean, std),
            None => Err(Error::Config(
                "the task adversarial changes images within the range of their pixels, which fed images do not tell; train on a set of images"
                    .to_string(),
            )),
        }
    }

    fn bound<'g>(&self, step: &StepGraph<'g, '_>, length: f64) -> ChangeBound<'g> {
        ChangeBound {
            norm: ChangeNorm::Linf,
            epsilon: step.builder().constant(self.epsilon),
            step: step.builder().constant(length),
        }
    }

    /// The images of the batch, `clean` with pixels from 0 to 1, changed to raise the loss of the training.
    fn changed<'g>(
        &self,
        step: &mut StepGraph<'g, '_>,
        scale: PixelScale<'g>,
        clean: Var<'g>,
        label: Var<'g>,
    ) -> Result<Var<'g>> {
        let bound = self.bound(step, self.step_size);
        let noise = step.noise(&clean.shape().dims()[1..])?;
        let valid = step.batch.valid();
        if self.method == AdversarialMethod::Trades {
            let own = Self::predicted(step, scale, clean)?.softmax()?;
            let start = clean.add(noise.scale(TRADES_START)?)?;
            return bound.raise(start, clean, self.steps, |pixels| {
                let logits = Self::predicted(step, scale, pixels)?;
                logits.log_softmax()?.kl_div(own)?.sum_all()
            });
        }
        let start = bound.around(clean, noise)?;
        bound.raise(start, clean, self.steps, |pixels| {
            let logits = Self::predicted(step, scale, pixels)?;
            logits.softmax_cross_entropy(label, valid, 0.0)?.sum_all()
        })
    }
}

impl Task for Adversarial {
    predicts_as_classification!(supervised);

    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        self.supervised.check(fit)?;
        let model = fit.models.first()?;
        match model.inputs().len() {
            1 => Ok(()),
            _ => Err(Error::Config(format!(
                "the task adversarial changes images, but model {} takes other inputs, too; use classification",
                model.name()
            ))),
        }
    }

    fn remarks(&self, fit: &Fit<'_>) -> Vec<String> {
        self.supervised.remarks(fit)
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        self.supervised.augment_batch(step)?;
        let image = step.batch.field(field::IMAGE)?;
        let (label, valid) = (step.batch.field(field::LABEL)?, step.batch.valid());
        let scale = Self::scale(step)?;
        let changed = {
            let _scope = step.builder().scope("attack");
            let clean = scale.pixels(image)?;
            let pixels = self.changed(step, scale, clean, label)?;
            scale.normalised(pixels)?
        };
        let smoothing = self.supervised.label_smoothing;
        let natural = match self.method {
            AdversarialMethod::Trades => Some(step.run_first(&[image])?),
            AdversarialMethod::Fgsm | AdversarialMethod::Pgd => None,
        };
        let logits = step.run_first(&[changed])?;
        let _scope = step.builder().scope("loss");
        let _precise = step.builder().precise();
        step.count("score", logits.count_correct(label, valid)?)?;
        let Some(natural) = natural else {
            return Objective::mean_of(logits.softmax_cross_entropy(label, valid, smoothing)?);
        };
        let apart = logits.log_softmax()?.kl_div(natural.softmax()?)?;
        let apart = apart.sum(&[1])?.mask_rows(valid)?.scale(self.beta)?;
        let own = natural.softmax_cross_entropy(label, valid, smoothing)?;
        Objective::mean_of(own.add(apart)?)
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let objective = self.supervised.evaluate(step)?;
        let _scope = step.builder().scope("attack");
        let (label, valid) = (step.batch.field(field::LABEL)?, step.batch.valid());
        let scale = Self::scale(step)?;
        let clean = scale.pixels(step.batch.field(field::IMAGE)?)?;
        let bound = self.bound(step, JUDGED_STEP * self.epsilon);
        let pixels = bound.raise(clean, clean, JUDGED_STEPS, |pixels| {
            let logits = Self::predicted(step, scale, pixels)?;
            logits.softmax_cross_entropy(label, valid, 0.0)?.sum_all()
        })?;
        let logits = Self::predicted(step, scale, pixels)?;
        step.count(ROBUST, logits.count_correct(label, valid)?)?;
        Ok(objective)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn monitored(&self) -> Option<&'static str> {
        Some("robust_accuracy")
    }

    fn scalar(&self, name: &str, step: u64, seed: u64) -> Option<Scalar> {
        self.supervised.scalar(name, step, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(own: &str) -> Result<Adversarial> {
        Adversarial::new(&TaskSettings {
            own: parse(own, "task").unwrap(),
            ..TaskSettings::default()
        })
    }

    #[test]
    fn steps_are_those_of_the_papers_unless_given() {
        let fast = of("epsilon = 0.3").unwrap();
        assert_eq!((fast.steps, fast.step_size), (1, 0.375));
        let several = of("method = \"pgd\"\nepsilon = 0.3\nsteps = 10").unwrap();
        assert_eq!((several.steps, several.step_size), (10, 0.075));
        let given = of("method = \"trades\"\nepsilon = 0.3\nstep_size = 0.01").unwrap();
        assert_eq!((given.steps, given.step_size), (7, 0.01));
    }

    #[test]
    fn settings_without_a_meaning_are_refused() {
        for own in [
            "epsilon = 0.0",
            "epsilon = inf",
            "epsilon = nan",
            "epsilon = 8.0",
            "steps = 0",
            "step_size = 0.0",
            "beta = -1.0",
            "method = \"hope\"",
        ] {
            assert!(of(own).is_err(), "{own}");
        }
    }
}

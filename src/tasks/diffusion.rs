//! Denoising diffusion: a model is given images with noise of some amount and gives the noise (Ho, Jain and Abbeel, "Denoising
//! Diffusion Probabilistic Models", 2020). Images are drawn from noise alone, which it removes step by step.
//!
//! In training each image gets a random time `t` of `times`, at which the image is `√ᾱ image + √(1 - ᾱ) noise`, with ᾱ of the cosine
//! schedule. The loss is the mean squared error of the noise that the model gives. A drawing takes fewer steps than there are times
//! (Song, Meng and Ermon, "Denoising Diffusion Implicit Models", 2021) and is random only in the noise that it begins with.

mod schedule;

use super::case::{self, TaskCase};
use super::figures;
use super::metric::{Counters, Metric};
use super::{
    Decoded, DrawPass, Evaluated, Fit, Models, Need, Objective, Prediction, PredictionLine,
    Registered, Section, StepGraph, Task, TaskSettings,
};
use crate::cpu::Tensor;
use crate::data::{Normalization, Samples, SetLayout, field};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::nn::ModelInput;
use crate::ops::rotary::sinusoidal_table;
use crate::plan::Scalar;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// Inputs of the model.
const TIME: &str = "time";
const CLASS: &str = "class";
/// Numbers that tell the model the time: sines and cosines of it.
const TIME_FEATURES: usize = 64;
/// Steps of a drawing, unless another number is asked for.
const STEPS: usize = 50;

/// Constants: `[times, 2]`, the factors of image and noise at each time, and `[times, TIME_FEATURES]`.
const FACTORS: &str = "diffusion:factors";
const FEATURES: &str = "diffusion:features";

/// Scalar inputs of a pass of a drawing: its time, the factors of image and noise before and after it, and 1 in the first one.
const DRAW_TIME: &str = "diffusion.time";
const SIGNAL: &str = "diffusion.signal";
const NOISE: &str = "diffusion.noise";
const NEXT_SIGNAL: &str = "diffusion.next_signal";
const NEXT_NOISE: &str = "diffusion.next_noise";
const FIRST: &str = "diffusion.first";

/// Outputs: the squared error of each sample, `[batch]`, and images.
const ERROR: &str = "mse";
const TARGET: &str = "target";
const NOISY: &str = "noisy";
const DENOISED: &str = "denoised";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "diffusion",
    about: "new images like those of the data, with a model that removes noise step by step",
    needs: &[Need {
        field: field::IMAGE,
        about: "images, whose pixels are normalised to -1 to 1",
        input: true,
    }],
    metrics,
    suits: |_| false,
    suits_model: |model| {
        let names: Vec<&str> = model.inputs().iter().map(|i| i.name.as_str()).collect();
        names.contains(&field::IMAGE) && names.contains(&TIME)
    },
    settings: Diffusion::json_schema,
    make: |settings| Ok(Box::new(Diffusion::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let samples = Samples::new(12, vec![case::pictures([4, 4, 1]), case::labels(3)], None);
    let mut case = TaskCase::new("diffusion", samples)?
        .pixels(1, 0.5, 0.5)
        .classes(&["a", "b", "c"])
        .model(
            "",
            r#"
            name = "tiny"
            inputs = { image = [4, 4, 1], time = [64] }
            layer = [
                { name = "flat", type = "flatten", input = "image" },
                { type = "concat", inputs = ["flat", "time"] },
                { type = "dense", units = 64, activation = "silu" },
                { type = "dense", units = 16 },
                { type = "reshape", shape = [4, 4, 1] },
            ]
            "#,
        )?;
    case.task.own.insert("times".to_string(), 100.into());
    case.epochs = 150;
    case.lr = 0.01;
    case.reaches = (ERROR, 0.6);
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    vec![Metric::error(ERROR, |c: &Counters| c.mean("score")).in_epoch_line()]
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Diffusion {
    /// Number of times: amounts of noise, from hardly any to nothing else.
    pub times: usize,
    /// Whether the model is given the class of an image, so that images of a class can be drawn.
    pub conditional: bool,
}

impl Default for Diffusion {
    fn default() -> Self {
        Diffusion {
            times: 1000,
            conditional: false,
        }
    }
}

/// Images with noise.
struct Noisy<'g> {
    images: Var<'g>,
    /// The images with noise, in the same shape.
    seen: Var<'g>,
    /// The noise that the model gives.
    given: Var<'g>,
    /// Factors of image and noise, `[batch, 1, 1, 1]`.
    signal: Var<'g>,
    noise: Var<'g>,
    /// Mean squared error of the given noise, `[batch]`; 0 for padding samples.
    errors: Var<'g>,
}

impl Diffusion {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<Diffusion> {
        let own: Diffusion = settings.own()?;
        let wrong = |what: String| Err(Error::Config(what));
        if !(2..=100_000).contains(&own.times) {
            return wrong(format!(
                "task.times must be from 2 to 100000, not {}; 1000 is common",
                own.times
            ));
        }
        if !settings.loss.is_auto() || settings.label_smoothing != 0.0 {
            return wrong(
                "the task diffusion minimises the mean squared error of the noise; leave loss and label_smoothing out".to_string(),
            );
        }
        if !settings.augment.is_off() {
            return wrong(
                "the task diffusion does not support augmentation; leave [augment] out".to_string(),
            );
        }
        Ok(own)
    }

    /// The noise that the model gives for `seen` with these `features` of the time, `[batch, TIME_FEATURES]`.
    fn given<'g>(
        &self,
        step: &mut StepGraph<'g, '_>,
        seen: Var<'g>,
        features: Var<'g>,
    ) -> Result<Var<'g>> {
        let of_input = |input: &ModelInput| match input.name.as_str() {
            TIME => Ok(features),
            CLASS => step.one_hot(input.spec.sample().iter().product()),
            _ => Ok(seen),
        };
        let inputs = step.models().first()?.inputs().iter().map(of_input);
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        step.run_first(&inputs)
    }

    fn features<'g>(&self, builder: &'g Builder) -> Result<Var<'g>> {
        builder.variable(FEATURES, TensorType::f32([self.times, TIME_FEATURES]))
    }

    /// The images of the batch with noise of random times, and what the model gives for them.
    fn noisy<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Noisy<'g>> {
        let (builder, batch) = (step.builder(), step.batch.size());
        let images = step.batch.field(field::IMAGE)?;
        let shape = images.shape();
        let times = step.uniform(&[])?.scale(self.times as f64)?;
        let last = builder.constant(self.times as f64 - 1.0);
        let times = times.minimum(last)?.to_index()?;
        let features = self.features(builder)?.gather(times)?;
        let factors = builder.variable(FACTORS, TensorType::f32([self.times, 2]))?;
        let factors = factors.gather(times)?;
        let factor = |at: usize| -> Result<Var<'g>> {
            factors.slice_axis(1, at..at + 1)?.reshape([batch, 1, 1, 1])
        };
        let (signal, noise) = (factor(0)?, factor(1)?);
        let drawn = step.noise(&shape.dims()[1..])?;
        let seen = images.mul(signal)?.add(drawn.mul(noise)?)?;
        let given = self.given(step, seen, features)?;
        let _scope = builder.scope("loss");
        let apart = given.sub(drawn)?;
        let errors = apart.mul(apart)?.mean(&[1, 2, 3])?;
        Ok(Noisy {
            images,
            seen,
            given,
            signal,
            noise,
            errors: errors.mask_rows(step.batch.valid())?,
        })
    }
}

/// The image in `seen`, which holds the noise `given`; pixels are from -1 to 1. `signal` and `noise` are the factors of both.
fn denoised<'g>(seen: Var<'g>, given: Var<'g>, signal: Var<'g>, noise: Var<'g>) -> Result<Var<'g>> {
    seen.sub(given.mul(noise)?)?.div(signal)?.clamp(-1.0, 1.0)
}

impl Task for Diffusion {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let wrong = |text: String| Err(Error::Config(text));
        let (model, output) = fit.output()?;
        let name = model.name();
        let image = fit.samples.shape();
        let mut takes_class = false;
        for input in model.inputs() {
            let takes = input.spec.sample();
            let wanted = match input.name.as_str() {
                TIME => vec![TIME_FEATURES],
                CLASS if !self.conditional => {
                    return wrong(format!(
                        "model {name} takes the class of an image; set task.conditional = true"
                    ));
                }
                CLASS if fit.inputs_alone() => continue,
                CLASS => {
                    takes_class = true;
                    vec![fit.classes.len()]
                }
                field::IMAGE => image.clone(),
                other => {
                    return wrong(format!(
                        "model {name} takes the input {other}, but a diffusion has image, time and, with task.conditional, class"
                    ));
                }
            };
            if takes != wanted {
                return wrong(format!(
                    "model {name} takes {takes:?} for the input {}, but a diffusion of the {} {} gives it {wanted:?}; change its inputs",
                    input.name,
                    fit.part,
                    fit.samples.noun()
                ));
            }
        }
        let has = |name: &str| model.inputs().iter().any(|input| input.name == name);
        if !has(field::IMAGE) || !has(TIME) {
            return wrong(format!(
                "model {name} needs two inputs for a diffusion: inputs = {{ image = {image:?}, time = [{TIME_FEATURES}] }}, as the built-in \
                 model diffusion-unet has them"
            ));
        }
        if self.conditional && !fit.inputs_alone() {
            if fit.samples.field(field::LABEL).is_none() {
                return wrong(format!(
                    "task.conditional needs the class of each image, but the {} set has none; leave it out",
                    fit.part
                ));
            }
            if !takes_class {
                return wrong(format!(
                    "model {name} takes no class; give it an input class = [{}], or leave task.conditional out",
                    fit.classes.len()
                ));
            }
        }
        if output != image {
            return wrong(format!(
                "model {name} gives {output:?} for each image of {image:?}; give its last layer that shape, for the noise in the image"
            ));
        }
        fit.normalised_by("diffusion", "from -1 to 1", 0.5, 0.5)?;
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let noisy = self.noisy(step)?;
        step.count("score", noisy.errors.sum_all()?)?;
        Objective::mean_of(noisy.errors)
    }

    /// The error of each image: images unlike those of the training have large ones.
    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let noisy = self.noisy(step)?;
        step.output(ERROR, noisy.errors);
        Ok(())
    }

    fn draws_samples(&self) -> bool {
        true
    }

    /// One step: what the model takes for the image, with less noise of the same direction.
    fn draw<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
        let (builder, batch) = (step.builder(), step.batch.size());
        let shape = step.models().first()?.outputs().first();
        let shape = shape.map(|output| output.shape.clone()).unwrap_or_default();
        let scalar = |name: &str| builder.input(name, TensorType::f32([]));
        let carried = step.carried(&shape)?;
        let seen = carried.add(step.noise(&shape)?.mul(scalar(FIRST))?)?;
        let time = builder.input(DRAW_TIME, TensorType::u32([])).reshape([1])?;
        let features = self.features(builder)?.gather(time)?;
        let features = features.broadcast_to(&[batch, TIME_FEATURES].into())?;
        let given = self.given(step, seen, features)?;
        let (signal, noise) = (scalar(SIGNAL), scalar(NOISE));
        let image = denoised(seen, given, signal, noise)?;
        // The noise that is left of what the model sees, which differs from what it gave where pixels were clamped.
        let left = seen.sub(image.mul(signal)?)?.div(noise)?;
        let next = image
            .mul(scalar(NEXT_SIGNAL))?
            .add(left.mul(scalar(NEXT_NOISE))?)?;
        builder.update(carried, next)?;
        Ok(next)
    }

    fn draw_passes(&self, steps: Option<usize>) -> Result<Vec<DrawPass>> {
        let steps = steps.unwrap_or(STEPS.min(self.times));
        if steps == 0 || steps > self.times {
            return Err(Error::Config(format!(
                "the run draws in 1 to {} steps, not {steps}; 50 are common",
                self.times
            )));
        }
        let left = schedule::cosine(self.times);
        let times = schedule::drawing(self.times, steps);
        let factors = |time: Option<&usize>| {
            let left = time.and_then(|&time| left.get(time)).copied();
            let left = left.unwrap_or(1.0);
            (left.sqrt() as f32, (1.0 - left).sqrt() as f32)
        };
        let pass = |(at, &time): (usize, &usize)| {
            let ((signal, noise), (next_signal, next_noise)) =
                (factors(Some(&time)), factors(times.get(at + 1)));
            let first = if at == 0 { 1.0f32 } else { 0.0 };
            vec![
                (DRAW_TIME, Scalar::from(time)),
                (SIGNAL, signal.into()),
                (NOISE, noise.into()),
                (NEXT_SIGNAL, next_signal.into()),
                (NEXT_NOISE, next_noise.into()),
                (FIRST, first.into()),
            ]
        };
        Ok(times.iter().enumerate().map(pass).collect())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let noisy = self.noisy(step)?;
        step.count("score", noisy.errors.sum_all()?)?;
        step.output(ERROR, noisy.errors);
        step.output(TARGET, noisy.images);
        step.output(NOISY, noisy.seen);
        let image = denoised(noisy.seen, noisy.given, noisy.signal, noisy.noise)?;
        step.output(DENOISED, image);
        Objective::mean_of(noisy.errors)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        let factors = schedule::cosine(self.times)
            .into_iter()
            .flat_map(|left| [left.sqrt() as f32, (1.0 - left).sqrt() as f32]);
        let factors = Tensor::real([self.times, 2], factors.collect());
        let features = sinusoidal_table(self.times, TIME_FEATURES);
        Ok(vec![
            (FACTORS.to_string(), factors),
            (FEATURES.to_string(), features),
        ])
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let mut inputs = models.first()?.inputs().iter();
        let image = inputs.find(|input| input.name == field::IMAGE);
        let Some(image) = image.and_then(|input| input.spec.image()) else {
            return Err(Error::Config(
                "the model has no input image of a fixed size; name the data with --data"
                    .to_string(),
            ));
        };
        // A model with several inputs has no channels from which means and deviations were made.
        let channels = |x: &[f32]| vec![x.first().copied().unwrap_or(0.5); image[2]];
        let (mean, std) = (channels(normal.mean), channels(normal.std));
        let normal = Normalization {
            mean: &mean,
            std: &std,
        };
        let layout = layout.bytes(field::IMAGE, &image, normal);
        Ok(match self.conditional {
            true => layout.labels(field::LABEL),
            false => layout,
        })
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let error = sample.output(ERROR)?.first().copied();
        let error = error.map_or(f64::NAN, f64::from);
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text: vec![format!("mse {error:.4}")],
                json: Map::from_iter([(ERROR.to_string(), error.into())]),
            }],
            files: Vec::new(),
        })
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let rows = [
            ("image", TARGET),
            ("with noise", NOISY),
            ("denoised in one step", DENOISED),
        ];
        let title = "Images with noise of random amounts";
        let section = figures::output_rows(title, &rows, found, self.shown_samples());
        section.into_iter().collect()
    }

    fn shown_samples(&self) -> usize {
        12
    }

    fn shown_outputs(&self) -> &'static [&'static str] {
        &[TARGET, NOISY, DENOISED]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{ModelSpec, Network};

    fn settings(own: &str) -> TaskSettings {
        TaskSettings {
            name: Some("diffusion".to_string()),
            own: toml::from_str(own).unwrap(),
            ..TaskSettings::default()
        }
    }

    fn refusal(own: &str, model: &str) -> Result<(), String> {
        let case = sample().unwrap();
        let spec: ModelSpec = match model {
            "" => case.models[0].1.clone(),
            text => toml::from_str(text).unwrap(),
        };
        let checked = Diffusion::new(&settings(own)).unwrap().check(&Fit {
            models: &Models::one(Network::new(spec).unwrap()),
            samples: &case.samples,
            part: "training",
            classes: &case.fitted.classes,
            data: "tiny",
            normal: Normalization {
                mean: &case.fitted.mean,
                std: &case.fitted.std,
            },
        });
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn settings_that_are_out_of_range_are_refused() {
        for own in ["times = 1", "times = 1000000", "steps = 3"] {
            assert!(Diffusion::new(&settings(own)).is_err(), "{own}");
        }
        let task = Diffusion::new(&settings("times = 8")).unwrap();
        assert_eq!(task.draw_passes(None).unwrap().len(), 8);
        assert_eq!(task.draw_passes(Some(3)).unwrap().len(), 3);
        for steps in [0, 9] {
            let error = task.draw_passes(Some(steps)).unwrap_err().to_string();
            assert!(error.contains("1 to 8 steps"), "{error}");
        }
    }

    #[test]
    fn the_last_step_of_a_drawing_leaves_no_noise() {
        let task = Diffusion::new(&settings("times = 10")).unwrap();
        let passes = task.draw_passes(Some(4)).unwrap();
        let value = |at: usize, name: &str| {
            let pass: &DrawPass = &passes[at];
            pass.iter().find(|(known, _)| *known == name).unwrap().1
        };
        assert_eq!(value(3, NEXT_SIGNAL), Scalar::F32(1.0));
        assert_eq!(value(3, NEXT_NOISE), Scalar::F32(0.0));
        for at in 0..3 {
            assert_eq!(value(at, NEXT_NOISE), value(at + 1, NOISE));
        }
        assert_eq!(value(0, FIRST), Scalar::F32(1.0));
        assert_eq!(value(1, FIRST), Scalar::F32(0.0));
    }

    #[test]
    fn models_that_do_not_fit_are_refused() {
        assert_eq!(refusal("", ""), Ok(()));
        let model = |inputs: &str, more: &str, units: usize| {
            format!(
                "name = \"m\"\ninputs = {{ {inputs} }}\nlayer = [{{ name = \"flat\", type = \"flatten\", input = \"image\" }}, \
                 {{ type = \"concat\", inputs = [\"flat\", \"time\"{more}] }}, {{ type = \"dense\", units = {units} }}, \
                 {{ type = \"reshape\", shape = [{units}, 1, 1] }}]"
            )
        };
        let both = "image = [4, 4, 1], time = [64]";
        let classes = |count: usize| {
            let inputs = format!("{both}, class = [{count}]");
            model(&inputs, ", \"class\"", 16)
        };
        for (own, text, message) in [
            ("", model("image = [4, 4, 1], time = [32]", "", 16), "[64]"),
            (
                "",
                model("image = [5, 4, 1], time = [64]", "", 16),
                "[4, 4, 1]",
            ),
            ("", model(both, "", 15), "for the noise in the image"),
            ("", classes(3), "task.conditional = true"),
            ("conditional = true", classes(4), "gives it [3]"),
            ("conditional = true", model(both, "", 16), "takes no class"),
        ] {
            let error = refusal(own, &text).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}

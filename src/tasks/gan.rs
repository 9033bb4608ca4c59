//! Generative adversarial networks: a generator draws images from noise, a discriminator classifies real and generated ones
//! (Goodfellow et al. 2014, with networks as those of Radford et al. 2016).
//!
//! A step has two phases. The discriminator minimises the binary cross-entropy of real images against 1 (or `real_label`, Salimans
//! et al. 2016) and of generated ones against 0. Then the generator minimises the cross-entropy of generated images against 1, the
//! non-saturating loss. Both phases draw the same noise. Each phase updates only its own model, including the running statistics
//! of batch normalisation.
//!
//! With `conditional` both models see the class of an image beside it (Mirza and Osindero, "Conditional Generative Adversarial Nets",
//! 2014): 1 for its class and 0 for the others in an input called `class`.

use super::case::{self, TaskCase};
use super::figures;
use super::metric::{Counters, Metric};
use super::{
    Decoded, EpochFile, Evaluated, Fit, Models, Need, Objective, Phase, Prediction, PredictionLine,
    Registered, Section, StepGraph, Task, TaskSettings,
};
use crate::data::{Normalization, Samples, SetLayout, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::{InputSpec, Model, ModelInput, ModelSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

const GENERATOR: &str = "generator";
const DISCRIMINATOR: &str = "discriminator";
/// The input of both models for the class.
const CLASS: &str = "class";
const LOGIT: &str = "logit";
const SAMPLE: &str = "sample";
const REAL_RIGHT: &str = "real_right";
const FAKE_RIGHT: &str = "fake_right";
const GENERATOR_LOSS: &str = "generator_loss";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "gan",
    about: "new images like those of the data, with a generator and a discriminator",
    needs: &[Need {
        field: field::IMAGE,
        about: "real images",
        input: true,
    }],
    metrics,
    suits: |_| false,
    suits_model: |model| {
        let takes = model.inputs().iter().map(|input| input.spec.sample().len());
        let gives = model.outputs().iter().map(|output| output.shape.len());
        takes.eq([1]) && gives.eq([3])
    },
    settings: Gan::json_schema,
    make: |settings| Ok(Box::new(Gan::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let samples = Samples::new(12, vec![case::pictures([4, 4, 1])], None);
    let mut case = TaskCase::new("gan", samples)?
        .pixels(1, 0.5, 0.5)
        .model(
            GENERATOR,
            "name = \"g\"\ninput = [6]\nlayer = [{ type = \"dense\", units = 32 }, { type = \"reshape\", shape = [4, 4, 2] }, \
             { type = \"batch_norm\" }, { type = \"conv2d\", filters = 1, kernel = 3, padding = \"same\", activation = \"tanh\" }]",
        )?
        .model(
            DISCRIMINATOR,
            "name = \"d\"\ninput = [4, 4, 1]\nlayer = [{ type = \"conv2d\", filters = 8, kernel = 3 }, { type = \"batch_norm\" }, \
             { type = \"activation\", function = \"leaky_relu\", slope = 0.2 }, { type = \"flatten\" }, { type = \"dense\", units = 1 }]",
        )?;
    case.task.own.insert("latent".to_string(), 6.into());
    case.lr = 0.005;
    case.epochs = 20;
    case.reaches = ("loss", 1.33);
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::share("real_accuracy", |c: &Counters| c.mean(REAL_RIGHT)).in_epoch_line(),
        Metric::share("fake_accuracy", |c| c.mean(FAKE_RIGHT)).in_epoch_line(),
        Metric::error(GENERATOR_LOSS, |c| c.mean(GENERATOR_LOSS)).in_epoch_line(),
    ]
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gan {
    /// Number of random numbers from which an image is drawn.
    pub latent: usize,
    /// Target of the discriminator for real images in training: 1, or a little less (one-sided label smoothing).
    pub real_label: f64,
    /// Whether both models are given the class of an image, so that images of a class can be drawn.
    pub conditional: bool,
}

impl Default for Gan {
    fn default() -> Self {
        Gan {
            latent: 64,
            real_label: 1.0,
            conditional: false,
        }
    }
}

impl Gan {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<Gan> {
        let gan: Gan = settings.own()?;
        let wrong = |what: &str| Err(Error::Config(what.to_string()));
        if gan.latent == 0 {
            return wrong(
                "task.latent must be at least 1: the number of random numbers from which an image is drawn",
            );
        }
        if !(gan.real_label > 0.0 && gan.real_label <= 1.0) {
            return wrong(
                "task.real_label must be above 0 and at most 1; 1 means no smoothing, 0.9 is common",
            );
        }
        if !settings.loss.is_auto() {
            return wrong("the task gan has its own loss; leave loss out");
        }
        if settings.label_smoothing != 0.0 {
            return wrong(
                "the task gan smooths only the labels of real images; set task.real_label instead of label_smoothing",
            );
        }
        if !settings.augment.is_off() {
            return wrong("the task gan does not support augmentation; leave [augment] out");
        }
        Ok(gan)
    }

    /// The discriminator's logits of `pictures`, `[batch]`: above 0 for real. `own` says whether its own phase is built.
    fn logits<'g>(
        &self,
        step: &mut StepGraph<'g, '_>,
        pictures: Var<'g>,
        own: bool,
    ) -> Result<Var<'g>> {
        let inputs = inputs(step, DISCRIMINATOR, pictures)?;
        let outputs = match own {
            true => step.run(DISCRIMINATOR, &inputs)?,
            false => step.run_without_updates(DISCRIMINATOR, &inputs)?,
        };
        let logits = first(&outputs)?;
        logits.reshape([step.batch.size()])
    }

    /// Images that the generator draws. `own` says whether its own phase is built.
    fn drawn<'g>(&self, step: &mut StepGraph<'g, '_>, own: bool) -> Result<Var<'g>> {
        let mut inputs_of = step.models().get(GENERATOR)?.inputs().iter();
        let input = inputs_of.find(|input| input.name != CLASS);
        let latent = input.map(|input| input.spec.sample()).unwrap_or_default();
        let noise = step.noise(&latent)?;
        let inputs = inputs(step, GENERATOR, noise)?;
        first(&match own {
            true => step.run(GENERATOR, &inputs)?,
            false => step.run_without_updates(GENERATOR, &inputs)?,
        })
    }

    /// Checks the inputs of `model`: one of `shape`, which is called `what`, and one for the class if the models are given it.
    fn check_inputs(
        &self,
        model: &dyn Model,
        what: &str,
        shape: &[usize],
        fit: &Fit<'_>,
    ) -> Result<()> {
        let wrong = |text: String| Err(Error::Config(text));
        let (mut class, mut others) = (None, Vec::new());
        for input in model.inputs() {
            match input.name.as_str() {
                CLASS => class = Some(input.spec.sample()),
                _ => others.push(input.spec.sample()),
            }
        }
        if others != [shape] {
            return wrong(format!(
                "model {} takes {others:?}, but the {what} is {shape:?}; give it one input of that shape, or set task.latent, \
                 data.size or data.channels",
                model.name(),
            ));
        }
        match (self.conditional, class) {
            (false, None) => Ok(()),
            (false, Some(_)) => wrong(format!(
                "model {} takes the class of an image; set task.conditional = true",
                model.name()
            )),
            (true, None) => wrong(format!(
                "model {} takes no class; give it a second input called class of [{}], or leave task.conditional out",
                model.name(),
                fit.classes.len()
            )),
            (true, Some(class)) if !fit.inputs_alone() && class != [fit.classes.len()] => {
                wrong(format!(
                    "model {} takes {class:?} for the class, but the data have {} classes; give its input class = [{}]",
                    model.name(),
                    fit.classes.len(),
                    fit.classes.len()
                ))
            }
            (true, Some(_)) => Ok(()),
        }
    }

    /// Cross-entropies of `logits` against `label`; 0 for padding samples.
    fn losses<'g>(step: &StepGraph<'g, '_>, logits: Var<'g>, label: f64) -> Result<Var<'g>> {
        let label = step.builder().constant(label);
        logits.bce_with_logits(label)?.mask_rows(step.batch.valid())
    }
}

/// The inputs of the model of a role: `x`, and the classes of the samples in the input for them.
fn inputs<'g>(step: &StepGraph<'g, '_>, role: &str, x: Var<'g>) -> Result<Vec<Var<'g>>> {
    let of_input = |input: &ModelInput| match input.name.as_str() {
        CLASS => step.one_hot(input.spec.sample().iter().product()),
        _ => Ok(x),
    };
    step.models()
        .get(role)?
        .inputs()
        .iter()
        .map(of_input)
        .collect()
}

fn first<'g>(outputs: &[Var<'g>]) -> Result<Var<'g>> {
    let first = outputs.first().copied();
    first.ok_or_else(|| Error::Graph("the model has no output".to_string()))
}

impl Task for Gan {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn roles(&self) -> &'static [&'static str] {
        &[GENERATOR, DISCRIMINATOR]
    }

    fn phases(&self) -> Vec<Phase> {
        let phase = |name, roles| Phase {
            name,
            roles,
            every: 1,
        };
        vec![
            phase(DISCRIMINATOR, &[DISCRIMINATOR]),
            phase(GENERATOR, &[GENERATOR]),
        ]
    }

    /// The networks of DCGAN. The run's only model is the generator instead if it takes a row of numbers.
    fn default_model(&self, role: &str, model: &ModelSpec) -> Result<ModelSpec> {
        if self.conditional {
            return Err(Error::Config(format!(
                "a gan with task.conditional has no built-in models; give models.{role} an input class, as \
                 examples/mnist-conditional-gan.toml does"
            )));
        }
        match (role, &model.input) {
            (GENERATOR, InputSpec::Shape(shape)) if shape.len() == 1 => Ok(model.clone()),
            (GENERATOR, _) => Ok(ModelSpec {
                input: InputSpec::Shape(vec![self.latent]),
                ..ModelSpec::preset("dcgan-generator")?
            }),
            _ => ModelSpec::preset("dcgan-discriminator"),
        }
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let wrong = |text: String| Err(Error::Config(text));
        let (generator, discriminator) =
            (fit.models.get(GENERATOR)?, fit.models.get(DISCRIMINATOR)?);
        self.check_inputs(generator, "noise", &[self.latent], fit)?;
        self.check_inputs(discriminator, "image", &fit.samples.shape(), fit)?;
        if self.conditional && !fit.inputs_alone() && fit.samples.field(field::LABEL).is_none() {
            return wrong(format!(
                "task.conditional needs the class of each image, but the {} set has none; leave it out",
                fit.part
            ));
        }
        let gives = |model: &dyn Model| model.outputs().first().map(|output| output.shape.clone());
        let image = fit.samples.field(field::IMAGE).map(|image| image.shape());
        let drawn = gives(generator);
        if image.is_some() && drawn != image {
            return wrong(format!(
                "the generator {} draws pictures of {:?}, but the {} {} are {:?}; change its layers, or data.size and data.channels",
                generator.name(),
                drawn.unwrap_or_default(),
                fit.part,
                fit.samples.noun(),
                image.unwrap_or_default()
            ));
        }
        if gives(discriminator).is_none_or(|shape| shape.iter().product::<usize>() != 1) {
            return wrong(format!(
                "the discriminator {} gives {:?} for each picture; end it with a dense layer of 1 unit",
                discriminator.name(),
                gives(discriminator).unwrap_or_default()
            ));
        }
        fit.not_empty()
    }

    fn remarks(&self, fit: &Fit<'_>) -> Vec<String> {
        let Normalization { mean, std } = fit.normal;
        let mut channels = mean.iter().zip(std);
        let fits = |(mean, std): (&f32, &f32)| {
            let near = |x: f32, y: f32| (x - y).abs() < 0.01;
            near(-mean / std, -1.0) && near((1.0 - mean) / std, 1.0)
        };
        if mean.is_empty() || channels.clone().all(fits) {
            return Vec::new();
        }
        let (low, high) = channels
            .next()
            .map(|(mean, std)| (-mean / std, (1.0 - mean) / std))
            .unwrap_or_default();
        vec![format!(
            "pixels are normalised to {low:.2} to {high:.2}, and a generator that ends in tanh, as the built-in one, draws -1 to 1; set \
             data.mean = [0.5] and data.std = [0.5], one for each channel"
        )]
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, phase: usize) -> Result<Objective<'g>> {
        let fake = self.drawn(step, phase == 1)?;
        if phase == 1 {
            let logits = self.logits(step, fake, false)?;
            return Objective::mean_of(Gan::losses(step, logits, 1.0)?);
        }
        let image = step.batch.field(field::IMAGE)?;
        let real = self.logits(step, image, true)?;
        let fake = self.logits(step, fake, true)?;
        let real = Gan::losses(step, real, self.real_label)?;
        Objective::mean_of(real.add(Gan::losses(step, fake, 0.0)?)?)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let image = step.batch.field(field::IMAGE)?;
        let logits = self.logits(step, image, true)?;
        step.output(LOGIT, logits.reshape([step.batch.size(), 1])?);
        Ok(())
    }

    fn draws_samples(&self) -> bool {
        true
    }

    fn draw<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
        self.drawn(step, true)
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let drawn = self.draw(step)?;
        step.output(SAMPLE, drawn);
        let image = step.batch.field(field::IMAGE)?;
        let real = self.logits(step, image, true)?;
        let fake = self.logits(step, drawn, true)?;
        let (zero, valid) = (step.builder().constant(0.0), step.batch.valid());
        let count = |name: &str, right: Var<'g>| -> Result<()> {
            step.count(name, right.mask_rows(valid)?.sum_all()?)
        };
        count(REAL_RIGHT, real.gt(zero)?)?;
        count(FAKE_RIGHT, fake.lt(zero)?)?;
        step.count(GENERATOR_LOSS, Gan::losses(step, fake, 1.0)?.sum_all()?)?;
        let real = Gan::losses(step, real, 1.0)?;
        Objective::mean_of(real.add(Gan::losses(step, fake, 0.0)?)?)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    /// No metric says which epoch is best: a low loss of the generator may be due to a weak discriminator.
    fn monitored(&self) -> Option<&'static str> {
        None
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let output = models.get(GENERATOR)?.outputs().first();
        let shape = output.map(|output| &output.shape[..]).unwrap_or_default();
        // The known means and standard deviations may be those for the channels of the generator's input, which is noise.
        let channels = shape.last().copied().unwrap_or(1);
        let of_channels = |x: &'_ [f32]| -> Vec<f32> {
            let last = x.last().copied().unwrap_or(1.0);
            let all = x.iter().copied().chain(std::iter::repeat(last));
            all.take(channels).collect()
        };
        let (mean, std) = (of_channels(normal.mean), of_channels(normal.std));
        let normal = Normalization {
            mean: &mean,
            std: &std,
        };
        let layout = layout.bytes(field::IMAGE, shape, normal);
        Ok(match self.conditional {
            true => layout.labels(field::LABEL),
            false => layout,
        })
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let logit = sample.output(LOGIT)?.first().copied().unwrap_or(0.0);
        let real = 1.0 / (1.0 + f64::from(-logit).exp());
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text: vec![format!("real {:.1}%", 100.0 * real)],
                json: Map::from_iter([("real".to_string(), real.into())]),
            }],
            files: Vec::new(),
        })
    }

    fn shown_samples(&self) -> usize {
        figures::SHOWN_SAMPLES
    }

    fn shown_outputs(&self) -> &'static [&'static str] {
        &[SAMPLE]
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        match figures::samples(SAMPLE, found) {
            Ok(Some(png)) => vec![figures::drawn_samples(&png)],
            _ => Vec::new(),
        }
    }

    fn epoch_files(&self, found: &Evaluated<'_>) -> Result<Vec<EpochFile>> {
        let file = figures::samples(SAMPLE, found)?.map(EpochFile::drawn_samples);
        Ok(file.into_iter().collect())
    }
}

//! Variational autoencoders (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014): an encoder gives mean and log-variance
//! of a normal distribution over a few latent numbers, a decoder gives the probability of each pixel from a sample of it.
//!
//! The loss is the negative evidence lower bound (ELBO) in nats for each image: the binary cross-entropy summed over the pixels,
//! which lie from 0 to 1, plus `kl_weight` times the Kullback-Leibler divergence from the standard normal distribution (Higgins et
//! al. 2017 call the weight β). Images are drawn by decoding standard normal numbers.

use super::fit::check_input;
use super::metric::{Counters, Metric};
use super::{
    AugmentSettings, Better, Decoded, EpochFile, Evaluated, Fit, Models, Need, Objective,
    Prediction, PredictionFile, PredictionLine, Registered, Section, Shown, StepGraph, Task,
    TaskCase, TaskSettings, WindowNorm, case, figures,
};
use crate::data::{FieldValues, Normalization, Samples, SetLayout, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::{InputSpec, Model, ModelSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

const ENCODER: &str = "encoder";
const DECODER: &str = "decoder";
/// Outputs: the means of the latent numbers, `[batch, latent]`.
const CODE: &str = "code";
/// The divergence of each sample, `[batch]`, and the name of its metric.
const KL: &str = "kl";
/// The bound of each sample by a sample of its latent numbers, `[batch]`, and the name of its metric.
const ELBO: &str = "elbo";
const RECONSTRUCTION: &str = "reconstruction";
/// The input.
const TARGET: &str = "target";
/// The input decoded from a sample of its latent numbers.
const DECODED: &str = "decoded";
/// Images decoded from standard normal numbers.
const SAMPLE: &str = "sample";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "vae",
    about: "new images like those of the data, and codes of a few numbers, with a variational autoencoder",
    needs: &[Need {
        field: field::IMAGE,
        about: "images, whose pixels are normalised to 0 to 1",
        input: true,
    }],
    metrics,
    suits: |_| false,
    suits_model: |_| false,
    settings: Own::json_schema,
    make: |settings| Ok(Box::new(Vae::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let mut picture = case::pictures([4, 4, 1]);
    if let FieldValues::Pixels { bytes, .. } = &mut picture.values {
        bytes
            .iter_mut()
            .for_each(|byte| *byte = if *byte < 128 { 0 } else { 255 });
    }
    let mut case = TaskCase::new("vae", Samples::new(12, vec![picture], None))?
        .pixels(1, 0.0, 1.0)
        .model(
            ENCODER,
            r#"
            name = "tiny-encoder"
            input = [4, 4, 1]
            outputs = ["mean", "log_variance"]
            layer = [
                { type = "flatten" },
                { name = "hidden", type = "dense", units = 24, activation = "tanh" },
                { name = "mean", type = "dense", units = 3 },
                { name = "log_variance", type = "dense", units = 3, input = "hidden" },
            ]
            "#,
        )?
        .model(
            DECODER,
            r#"
            name = "tiny-decoder"
            input = [3]
            layer = [
                { type = "dense", units = 24, activation = "tanh" },
                { type = "dense", units = 16 },
                { type = "reshape", shape = [4, 4, 1] },
            ]
            "#,
        )?;
    case.epochs = 150;
    // Which of 12 images it is costs 2.5 nats; an image of 16 even coins has 11.1.
    case.reaches = (ELBO, -9.0);
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    let nats = |metric: Metric| Metric {
        shown: Shown::Decimals(2),
        ..metric.in_epoch_line()
    };
    vec![
        Metric {
            better: Better::Higher,
            ..nats(Metric::error(ELBO, |c: &Counters| c.mean("score")))
        },
        nats(Metric::error(RECONSTRUCTION, |c| c.mean(RECONSTRUCTION))),
        nats(Metric::error(KL, |c| c.mean(KL))),
    ]
}

/// Settings of its own: the rest of `[task]`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// Weight of the divergence in the loss: 1 is the evidence lower bound; above 1 latent numbers are less dependent, and images
    /// less sharp.
    kl_weight: f64,
}

impl Default for Own {
    fn default() -> Self {
        Own { kl_weight: 1.0 }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Vae {
    /// Weight of the divergence in the loss.
    pub kl_weight: f64,
    augment: AugmentSettings,
}

/// Mean and log-variance of the latent numbers, both `[batch, latent]`.
#[derive(Clone, Copy)]
struct Latent<'g> {
    mean: Var<'g>,
    log_variance: Var<'g>,
}

impl<'g> Latent<'g> {
    /// The divergence from the standard normal distribution, in nats: `[batch]`.
    fn kl(&self) -> Result<Var<'g>> {
        let builder = self.mean.builder();
        let square = self.mean.mul(self.mean)?;
        let rest = square
            .add(self.log_variance.exp()?)?
            .sub(self.log_variance)?;
        rest.sub(builder.constant(1.0))?.sum(&[1])?.scale(0.5)
    }

    /// A sample, made of standard normal numbers `noise`.
    fn at(&self, noise: Var<'g>) -> Result<Var<'g>> {
        let deviation = self.log_variance.scale(0.5)?.exp()?;
        self.mean.add(deviation.mul(noise)?)
    }
}

/// The two parts of the bound, for each sample in nats, `[batch]`; 0 for padding samples.
struct Bound<'g> {
    reconstruction: Var<'g>,
    kl: Var<'g>,
    /// Probabilities of the pixels, in the shape of the images.
    decoded: Var<'g>,
}

impl<'g> Bound<'g> {
    fn elbo(&self) -> Result<Var<'g>> {
        self.reconstruction.add(self.kl)?.neg()
    }
}

impl Vae {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<Vae> {
        let Own { kl_weight } = settings.own()?;
        let wrong = |what: String| Err(Error::Config(what));
        if !(kl_weight >= 0.0 && kl_weight.is_finite()) {
            return wrong(format!(
                "task.kl_weight must be at least 0, not {kl_weight}; 1 is the evidence lower bound"
            ));
        }
        if !settings.loss.is_auto() || settings.label_smoothing != 0.0 {
            return wrong(
                "the task vae has its own loss; leave loss and label_smoothing out".to_string(),
            );
        }
        if settings.augment.mixes() {
            return wrong(
                "augment.mixup and augment.cutmix mix images and their classes, which a variational autoencoder does not use; leave \
                 them out"
                    .to_string(),
            );
        }
        if settings.window_norm != WindowNorm::None {
            return wrong("data.window_norm is for forecasting; leave it out".to_string());
        }
        Ok(Vae {
            kl_weight,
            augment: settings.augment.clone(),
        })
    }

    fn encoded<'g>(&self, step: &mut StepGraph<'g, '_>, image: Var<'g>) -> Result<Latent<'g>> {
        match step.run(ENCODER, &[image])?[..] {
            [mean, log_variance] => Ok(Latent { mean, log_variance }),
            _ => Err(Error::Graph(
                "the encoder gives other outputs than mean and log-variance".to_string(),
            )),
        }
    }

    fn logits<'g>(&self, step: &mut StepGraph<'g, '_>, latent: Var<'g>) -> Result<Var<'g>> {
        let outputs = step.run(DECODER, &[latent])?;
        let first = outputs.first().copied();
        first.ok_or_else(|| Error::Graph("the decoder has no output".to_string()))
    }

    /// The bound for `image` with one sample of the latent numbers `latent`.
    fn bound<'g>(
        &self,
        step: &mut StepGraph<'g, '_>,
        image: Var<'g>,
        latent: Latent<'g>,
    ) -> Result<Bound<'g>> {
        let numbers = latent.mean.shape().last();
        let noise = step.noise(&[numbers])?;
        let logits = self.logits(step, latent.at(noise)?)?;
        let _scope = step.builder().scope("loss");
        let _precise = step.builder().precise();
        let axes: Vec<usize> = (1..image.shape().rank()).collect();
        let valid = step.batch.valid();
        let reconstruction = logits.bce_with_logits(image)?.sum(&axes)?;
        Ok(Bound {
            reconstruction: reconstruction.mask_rows(valid)?,
            kl: latent.kl()?.mask_rows(valid)?,
            decoded: logits.sigmoid()?,
        })
    }

    /// The loss, and counts the score.
    fn objective<'g>(&self, step: &StepGraph<'g, '_>, bound: &Bound<'g>) -> Result<Objective<'g>> {
        let _scope = step.builder().scope("loss");
        let _precise = step.builder().precise();
        step.count("score", bound.elbo()?.sum_all()?)?;
        let kl = bound.kl.scale(self.kl_weight)?;
        Objective::mean_of(bound.reconstruction.add(kl)?)
    }
}

impl Task for Vae {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn roles(&self) -> &'static [&'static str] {
        &[ENCODER, DECODER]
    }

    /// The networks of PyTorch's example. The run's only model is the decoder instead if it takes a row of numbers.
    fn default_model(&self, role: &str, model: &ModelSpec) -> Result<ModelSpec> {
        match (role, &model.input) {
            (DECODER, InputSpec::Shape(shape)) if shape.len() == 1 => Ok(model.clone()),
            (DECODER, _) => ModelSpec::preset("vae-decoder"),
            _ => ModelSpec::preset("vae-encoder"),
        }
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let wrong = |text: String| Err(Error::Config(text));
        let (encoder, decoder) = (fit.models.get(ENCODER)?, fit.models.get(DECODER)?);
        check_input(encoder, fit)?;
        let outputs = |model: &dyn Model| -> Vec<Vec<usize>> {
            let shapes = model.outputs().iter().map(|output| output.shape.clone());
            shapes.collect()
        };
        let given = outputs(encoder);
        let latent = match &given[..] {
            [mean, log_variance] if mean == log_variance && mean.len() == 1 => mean.clone(),
            _ => {
                return wrong(format!(
                    "the encoder {} gives {given:?}, but a variational autoencoder needs two rows of the same length, mean and \
                     log-variance; end it with two dense layers and name both in its outputs",
                    encoder.name()
                ));
            }
        };
        let takes: Vec<Vec<usize>> = decoder.inputs().iter().map(|i| i.spec.sample()).collect();
        if takes != [latent.clone()] {
            return wrong(format!(
                "the decoder {} takes {takes:?}, but the encoder gives {latent:?} for mean and log-variance; give both as many latent \
                 numbers",
                decoder.name()
            ));
        }
        let image = fit.samples.shape();
        let decoded = outputs(decoder);
        if decoded != [image.clone()] {
            return wrong(format!(
                "the decoder {} gives {decoded:?}, but the {} {} are {image:?}; end it with a reshape layer to that shape",
                decoder.name(),
                fit.part,
                fit.samples.noun(),
            ));
        }
        fit.normalised_by("vae", "from 0 to 1", 0.0, 1.0)?;
        self.augment.check_size(image[0], image[1])?;
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let mut image = step.batch.field(field::IMAGE)?;
        if !self.augment.is_off() {
            // Changes of brightness may leave the range of probabilities.
            image = self
                .augment
                .apply(&mut step.forward, image)?
                .clamp(0.0, 1.0)?;
        }
        let latent = self.encoded(step, image)?;
        let bound = self.bound(step, image, latent)?;
        self.objective(step, &bound)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let image = step.batch.field(field::IMAGE)?;
        let latent = self.encoded(step, image)?;
        let reconstruction = self.logits(step, latent.mean)?.sigmoid()?;
        step.output(CODE, latent.mean);
        step.output(KL, latent.kl()?);
        step.output(RECONSTRUCTION, reconstruction);
        Ok(())
    }

    fn draws_samples(&self) -> bool {
        true
    }

    fn draw<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
        let input = step.models().get(DECODER)?.inputs().first();
        let numbers = input.map(|input| input.spec.sample()).unwrap_or_default();
        let noise = step.noise(&numbers)?;
        self.logits(step, noise)?.sigmoid()
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let image = step.batch.field(field::IMAGE)?;
        let latent = self.encoded(step, image)?;
        let bound = self.bound(step, image, latent)?;
        step.count(RECONSTRUCTION, bound.reconstruction.sum_all()?)?;
        step.count(KL, bound.kl.sum_all()?)?;
        step.output(CODE, latent.mean);
        step.output(KL, latent.kl()?);
        step.output(ELBO, bound.elbo()?);
        step.output(TARGET, image);
        step.output(DECODED, bound.decoded);
        let drawn = self.draw(step)?;
        step.output(SAMPLE, drawn);
        self.objective(step, &bound)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let encoder = models.get(ENCODER)?;
        let image = encoder.inputs().first().and_then(|i| i.spec.image());
        match image {
            Some(image) => Ok(layout.bytes(field::IMAGE, &image, normal)),
            None => Err(Error::Config(format!(
                "the encoder {} takes no images; give it input = [height, width, channels]",
                encoder.name()
            ))),
        }
    }

    fn writes_files(&self) -> bool {
        true
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let number = |name: &str| -> Result<f64> {
            let first = sample.output(name)?.first().copied();
            Ok(first.map_or(f64::NAN, f64::from))
        };
        let kl = number(KL)?;
        let mut line = PredictionLine {
            text: vec![format!("kl {kl:.2}")],
            json: Map::from_iter([
                (KL.to_string(), kl.into()),
                (CODE.to_string(), sample.output(CODE)?.into()),
            ]),
            ..PredictionLine::default()
        };
        if let Ok(elbo) = number(ELBO) {
            line.text = vec![format!("elbo {elbo:.2}")];
            line.json.insert(ELBO.to_string(), elbo.into());
        }
        let mut files = Vec::new();
        let reconstruction = sample.outputs.iter().find(|(n, ..)| n == RECONSTRUCTION);
        if let (true, Some((_, shape, values))) = (sample.out_named, reconstruction) {
            let png = figures::png(shape, values, sample.fitted)?;
            files.extend(png.map(|bytes| PredictionFile {
                key: "reconstruction",
                suffix: "-reconstruction.png",
                bytes,
            }));
        }
        Ok(Prediction {
            lines: vec![line],
            files,
        })
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let rows = [("image", TARGET), ("decoded", DECODED)];
        let title = "Images and their reconstructions";
        let mut sections: Vec<Section> = figures::output_rows(title, &rows, found, 12)
            .into_iter()
            .collect();
        if let Ok(Some(png)) = figures::samples(SAMPLE, found) {
            sections.push(figures::drawn_samples(&png));
        }
        sections
    }

    fn epoch_files(&self, found: &Evaluated<'_>) -> Result<Vec<EpochFile>> {
        let file = figures::samples(SAMPLE, found)?.map(EpochFile::drawn_samples);
        Ok(file.into_iter().collect())
    }

    fn shown_samples(&self) -> usize {
        figures::SHOWN_SAMPLES
    }

    fn shown_outputs(&self) -> &'static [&'static str] {
        &[TARGET, DECODED, SAMPLE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, interpret};
    use crate::graph::Builder;
    use crate::nn::Network;
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    fn settings(own: &str) -> TaskSettings {
        TaskSettings {
            name: Some("vae".to_string()),
            own: toml::from_str(own).unwrap(),
            ..TaskSettings::default()
        }
    }

    #[test]
    fn the_divergence_is_that_of_two_normal_distributions_and_samples_have_mean_and_deviation() {
        let builder = Builder::new();
        let input = |name: &str| builder.input(name, TensorType::f32([2, 2]));
        let latent = Latent {
            mean: input("mean"),
            log_variance: input("log_variance"),
        };
        builder.output("kl", latent.kl().unwrap());
        builder.output("at", latent.at(input("noise")).unwrap());
        let values = |values: [f32; 4]| Arc::new(Tensor::real([2, 2], values.to_vec()));
        let four = 4f32.ln();
        let inputs = HashMap::from([
            ("mean".to_string(), values([0.0, 0.0, 1.0, 3.0])),
            ("log_variance".to_string(), values([0.0, 0.0, four, 0.0])),
            ("noise".to_string(), values([1.0, -2.0, 1.5, -0.5])),
        ]);
        let graph = builder.finish().unwrap();
        let outputs = interpret(&graph, &mut HashMap::new(), &inputs).unwrap();
        // log(s2/s1) + (s1² + (m1 - m2)²) / (2 s2²) - 1/2, from N(1, 2²) and N(3, 1) to N(0, 1).
        let want = (0.5f32.ln() + 2.5 - 0.5) + 4.5;
        assert_eq!(outputs[0].reals()[0], 0.0);
        assert!((outputs[0].reals()[1] - want).abs() < 1e-5);
        let apart = outputs[1].reals().iter().zip([1.0, -2.0, 4.0, 2.5]);
        assert!(
            apart
                .map(|(a, b): (&f32, f32)| (a - b).abs())
                .all(|x| x < 1e-5)
        );
    }

    #[test]
    fn settings_that_are_not_its_own_are_refused() {
        for (own, message) in [
            ("kl_weight = -1.0", "task.kl_weight must be at least 0"),
            ("kl_weight = nan", "task.kl_weight"),
            ("beta = 1.0", "beta"),
        ] {
            let error = Vae::new(&settings(own)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let smoothed = TaskSettings {
            label_smoothing: 0.1,
            ..settings("")
        };
        assert!(Vae::new(&smoothed).is_err());
    }

    #[test]
    fn models_and_pixels_that_do_not_fit_are_refused() {
        let case = sample().unwrap();
        let refusal = |encoder: &str, decoder: &str, normal: [f32; 2]| {
            let model = |role: &str, text: &str| -> (String, Arc<dyn Model>) {
                let own = case
                    .models
                    .iter()
                    .find(|(known, _)| *known == role)
                    .unwrap();
                let spec = match text {
                    "" => own.1.clone(),
                    text => toml::from_str(text).unwrap(),
                };
                (role.to_string(), Arc::new(Network::new(spec).unwrap()))
            };
            let checked = Vae::new(&settings("")).unwrap().check(&Fit {
                models: &Models::named(vec![model(ENCODER, encoder), model(DECODER, decoder)]),
                samples: &case.samples,
                part: "training",
                classes: &[],
                data: "tiny",
                normal: Normalization {
                    mean: &normal[..1],
                    std: &normal[1..],
                },
            });
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(refusal("", "", [0.0, 1.0]), Ok(()));
        let single = "name = \"e\"\ninput = [4, 4, 1]\nlayer = [{ type = \"flatten\" }, { type = \"dense\", units = 3 }]";
        let wide = "name = \"d\"\ninput = [4]\nlayer = [{ type = \"dense\", units = 16 }, { type = \"reshape\", shape = [4, 4, 1] }]";
        let flat = "name = \"d\"\ninput = [3]\nlayer = [{ type = \"dense\", units = 16 }]";
        for (encoder, decoder, normal, message) in [
            (single, "", [0.0, 1.0], "two rows of the same length"),
            (
                "",
                wide,
                [0.0, 1.0],
                "takes [[4]], but the encoder gives [3]",
            ),
            ("", flat, [0.0, 1.0], "end it with a reshape layer"),
            ("", "", [0.5, 0.5], "data.mean = [0.0] and data.std = [1.0]"),
        ] {
            let error = refusal(encoder, decoder, normal).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}

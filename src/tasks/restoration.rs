//! Restoration of images: a model is given degraded images and gives them as they were, for denoising and super-resolution.
//!
//! Images are degraded as they are used: reduced by `factor` and enlarged again to their size, as in SRCNN (Dong et al., "Image
//! Super-Resolution Using Deep Convolutional Networks", 2014), then with Gaussian noise of the deviation `noise`. A prediction takes
//! images that are degraded already. Data may also have a degraded image for each good one (the format `image_pairs`).

mod quality;

use super::fit::check_input;
use super::loss::Loss;
use super::metric::{Counters, Metric};
use super::{
    AugmentSettings, Better, Decoded, Evaluated, Fit, Models, Need, Objective, Prediction,
    PredictionFile, PredictionLine, Registered, Section, Shown, StepGraph, Task, TaskCase,
    TaskSettings, WindowNorm, case, figures,
};
use crate::cpu::Tensor;
use crate::data::{Normalization, Samples, SetLayout, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::avg_pool2d::AvgPool2d;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// Outputs: images, of which a prediction has the first one, and measures of each image, `[batch]`.
const RESTORED: &str = "restored";
const EVALUATED: &str = "restored_from_degraded";
const DEGRADED: &str = "degraded";
const TARGET: &str = "target";
const PSNR: &str = "psnr";
const SSIM: &str = "ssim";
/// The ratio of the degraded images, which the model is to improve.
const PSNR_BEFORE: &str = "psnr_degraded";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "restoration",
    about: "images without noise or with more detail, from degraded ones: denoising, super-resolution",
    needs: &[Need {
        field: field::IMAGE,
        about: "good images, whose pixels are normalised to 0 to 1; degraded ones for predictions",
        input: true,
    }],
    metrics,
    suits: |samples| samples.field(field::DEGRADED).is_some(),
    suits_model: |model| {
        let takes = model.inputs().iter().map(|input| input.spec.sample());
        let gives = model.outputs().iter().map(|output| output.shape.clone());
        takes.eq(gives) && model.outputs().iter().all(|output| output.shape.len() == 3)
    },
    settings: Degradation::json_schema,
    make: |settings| Ok(Box::new(Restoration::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let samples = Samples::new(12, vec![case::pictures([12, 12, 1])], None);
    let mut case = TaskCase::new("restoration", samples)?
        .pixels(1, 0.0, 1.0)
        .model(
            "",
            r#"
            name = "tiny"
            input = [12, 12, 1]
            layer = [
                { type = "flatten" },
                { type = "dense", units = 48, activation = "relu" },
                { type = "dense", units = 144 },
                { type = "reshape", shape = [12, 12, 1] },
            ]
            "#,
        )?;
    case.task.own.insert("noise".to_string(), 0.05.into());
    case.task.own.insert("factor".to_string(), 2.into());
    case.epochs = 150;
    case.lr = 0.005;
    case.reaches = (PSNR, 15.0);
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    let higher = |metric: Metric, decimals| Metric {
        better: Better::Higher,
        shown: Shown::Decimals(decimals),
        ..metric
    };
    vec![
        higher(Metric::error(PSNR, |c: &Counters| c.mean("score")), 2).in_epoch_line(),
        higher(Metric::error(SSIM, |c| c.mean(SSIM)), 4).in_epoch_line(),
        higher(Metric::error(PSNR_BEFORE, |c| c.mean(PSNR_BEFORE)), 2),
    ]
}

/// Settings of its own: how images are degraded, if the data have no degraded ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Degradation {
    /// Standard deviation of Gaussian noise, of pixels from 0 to 1; 0.1 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    noise: Option<f64>,
    /// Images are reduced by this factor and enlarged to their size again; 1 leaves them.
    factor: usize,
}

impl Default for Degradation {
    fn default() -> Self {
        Degradation {
            noise: None,
            factor: 1,
        }
    }
}

impl Degradation {
    fn noise(&self) -> f64 {
        self.noise.unwrap_or(0.1)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Restoration {
    degradation: Degradation,
    loss: Loss,
    label_smoothing: f64,
    augment: AugmentSettings,
}

/// Images of a batch, all `[batch, height, width, channels]`.
struct Restored<'g> {
    target: Var<'g>,
    degraded: Var<'g>,
    given: Var<'g>,
}

impl<'g> Restored<'g> {
    /// The mean squared error of `images`, limited to 0 to 1 as in a file: `[batch]`.
    fn errors(&self, images: Var<'g>) -> Result<Var<'g>> {
        let apart = images.clamp(0.0, 1.0)?.sub(self.target)?;
        apart.mul(apart)?.mean(&[1, 2, 3])
    }
}

impl Restoration {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<Restoration> {
        let degradation: Degradation = settings.own()?;
        let (noise, factor) = (degradation.noise(), degradation.factor);
        let wrong = |what: String| Err(Error::Config(what));
        if !(noise >= 0.0 && noise.is_finite()) {
            return wrong(format!("task.noise must be at least 0, not {noise}"));
        }
        if factor == 0 {
            return wrong("task.factor must be at least 1, which leaves the size".to_string());
        }
        if noise == 0.0 && factor == 1 {
            return wrong(
                "with task.noise = 0 and task.factor = 1 images are not degraded: set noise, such as 0.1, or factor, such as 2, or both"
                    .to_string(),
            );
        }
        if settings.augment.mixes() {
            return wrong(
                "augment.mixup and augment.cutmix mix images and their classes, which a restoration does not use; leave them out"
                    .to_string(),
            );
        }
        if settings.window_norm != WindowNorm::None {
            return wrong("data.window_norm is for forecasting; leave it out".to_string());
        }
        Ok(Restoration {
            degradation,
            loss: settings.loss.clone(),
            label_smoothing: settings.label_smoothing,
            augment: settings.augment.clone(),
        })
    }

    /// `image` as the model sees it.
    fn degraded<'g>(&self, step: &mut StepGraph<'g, '_>, image: Var<'g>) -> Result<Var<'g>> {
        let _scope = step.builder().scope("degraded");
        let (noise, factor) = (self.degradation.noise(), self.degradation.factor);
        let shape = image.shape();
        let &[_, height, width, _] = shape.dims() else {
            return Err(Error::Graph(format!("images have four axes, not {shape}")));
        };
        let mut image = image;
        if factor > 1 {
            let reduced = AvgPool2d {
                kernel: [factor; 2],
                stride: [factor; 2],
                padding: [[0, 0], [0, 0]],
                count_include_pad: false,
            };
            image = image
                .avg_pool2d(reduced)?
                .upsample_bilinear2d([height, width])?;
        }
        if noise > 0.0 {
            let drawn = step.noise(&shape.dims()[1..])?;
            image = image.add(drawn.scale(noise)?)?;
        }
        Ok(image)
    }

    /// The images of the batch, degraded ones, and what the model gives for these; in training they are augmented.
    fn restored<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Restored<'g>> {
        let mut target = step.batch.field(field::IMAGE)?;
        let is_changed = step.training().is_some() && !self.augment.is_off();
        let degraded = match step.batch.has(field::DEGRADED) {
            true => {
                let mut degraded = step.batch.field(field::DEGRADED)?;
                if is_changed {
                    (degraded, target) =
                        self.augment
                            .apply_with_mask(&mut step.forward, degraded, target)?;
                }
                degraded
            }
            false => {
                if is_changed {
                    target = self.augment.apply(&mut step.forward, target)?;
                }
                self.degraded(step, target)?
            }
        };
        let given = step.run_first(&[degraded])?;
        Ok(Restored {
            target,
            degraded,
            given,
        })
    }

    /// The loss, and counts the score. Returns the ratio of each image too.
    fn objective<'g>(
        &self,
        step: &StepGraph<'g, '_>,
        of: &Restored<'g>,
    ) -> Result<(Objective<'g>, Var<'g>)> {
        let _scope = step.builder().scope("loss");
        let (batch, valid) = (step.batch.size(), step.batch.valid());
        let rows = [batch, of.target.shape().elements() / batch];
        let (given, target) = (of.given.reshape(rows)?, of.target.reshape(rows)?);
        let losses = self.loss.of_numbers(given, target, valid)?;
        let ratio = quality::psnr(of.errors(of.given)?)?.mask_rows(valid)?;
        step.count("score", ratio.sum_all()?)?;
        Ok((losses.objective()?, ratio))
    }
}

impl Task for Restoration {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let wrong = |text: String| Err(Error::Config(text));
        let (model, output) = fit.output()?;
        check_input(model, fit)?;
        self.loss.check_numbers(self.label_smoothing)?;
        let image = fit.samples.shape();
        if output != image {
            return wrong(format!(
                "model {} gives {output:?} for each image of {image:?}; give its last layer that shape",
                model.name()
            ));
        }
        let &[height, width, _] = &image[..] else {
            return wrong(format!(
                "a restoration takes images, but the {} set has none",
                fit.part
            ));
        };
        let factor = self.degradation.factor;
        if fit.samples.field(field::DEGRADED).is_some() {
            if self.degradation != Degradation::default() {
                return wrong(
                    "the data have a degraded image for each good one; leave out task.noise and task.factor".to_string(),
                );
            }
            if self.augment.changes_colours() {
                return wrong(
                    "brightness, contrast, saturation and cutout would change degraded images alone; leave them out of [augment]".to_string(),
                );
            }
        }
        if height % factor != 0 || width % factor != 0 {
            return wrong(format!(
                "task.factor is {factor}, but images of {height} x {width} can't be divided by it; choose a factor that divides both, or \
                 set data.size"
            ));
        }
        let window = quality::WINDOW;
        if height < window || width < window {
            return wrong(format!(
                "the structural similarity is measured in windows of {window} x {window} pixels, but images are {height} x {width}; set \
                 data.size to at least {window}"
            ));
        }
        fit.normalised_by("restoration", "from 0 to 1", 0.0, 1.0)?;
        self.augment.check_size(height, width)?;
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let restored = self.restored(step)?;
        Ok(self.objective(step, &restored)?.0)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let image = step.batch.field(field::IMAGE)?;
        let restored = step.run_first(&[image])?;
        step.output(RESTORED, restored);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let restored = self.restored(step)?;
        let image = restored.target;
        let (objective, ratio) = self.objective(step, &restored)?;
        let (builder, valid) = (step.builder(), step.batch.valid());
        let given = restored.given.clamp(0.0, 1.0)?;
        let similarity = quality::ssim(builder, given, image)?.mask_rows(valid)?;
        let before = quality::psnr(restored.errors(restored.degraded)?)?.mask_rows(valid)?;
        step.count(SSIM, similarity.sum_all()?)?;
        step.count(PSNR_BEFORE, before.sum_all()?)?;
        step.output(PSNR, ratio);
        step.output(SSIM, similarity);
        step.output(TARGET, image);
        step.output(DEGRADED, restored.degraded);
        step.output(EVALUATED, restored.given);
        Ok(objective)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        Ok(vec![(quality::WEIGHTS.to_string(), quality::weights())])
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let model = models.first()?;
        let image = model.inputs().first().map(|input| input.spec.sample());
        match image.filter(|shape| shape.len() == 3) {
            Some(image) => Ok(layout.bytes(field::IMAGE, &image, normal)),
            None => Err(Error::Config(format!(
                "model {} takes no images of a fixed size; name the data with --data",
                model.name()
            ))),
        }
    }

    fn writes_files(&self) -> bool {
        true
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let mut line = PredictionLine::default();
        for (name, unit) in [(PSNR, " dB"), (SSIM, "")] {
            let value = sample.output(name).ok().and_then(|x| x.first().copied());
            if let Some(value) = value {
                line.text.push(format!("{name} {value:.4}{unit}"));
                line.json.insert(name.to_string(), f64::from(value).into());
            }
        }
        let mut files = Vec::new();
        if let Ok(pixels) = sample.output(RESTORED) {
            line.text.push("restored".to_string());
            line.json = Map::new();
            let png = figures::png(&sample.samples.shape(), pixels, sample.fitted)?;
            files.extend(png.map(|bytes| PredictionFile {
                key: RESTORED,
                suffix: "-restored.png",
                bytes,
            }));
        }
        Ok(Prediction {
            lines: vec![line],
            files,
        })
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let rows = [
            ("degraded", DEGRADED),
            ("restored", EVALUATED),
            ("image", TARGET),
        ];
        let title = "Degraded and restored images";
        let section = figures::output_rows(title, &rows, found, self.shown_samples());
        section.into_iter().collect()
    }

    fn shown_samples(&self) -> usize {
        12
    }

    fn shown_outputs(&self) -> &'static [&'static str] {
        &[TARGET, DEGRADED, EVALUATED]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{ModelSpec, Network};

    fn settings(own: &str) -> TaskSettings {
        TaskSettings {
            name: Some("restoration".to_string()),
            own: toml::from_str(own).unwrap(),
            ..TaskSettings::default()
        }
    }

    #[test]
    fn settings_that_degrade_nothing_or_are_out_of_range_are_refused() {
        for (own, message) in [
            ("noise = 0.0", "set noise, such as 0.1"),
            ("factor = 0", "task.factor must be at least 1"),
            ("noise = -0.1", "task.noise must be at least 0"),
            ("noise = nan", "task.noise"),
            ("sigma = 0.1", "sigma"),
        ] {
            let error = Restoration::new(&settings(own)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn images_and_models_that_do_not_fit_are_refused() {
        let refusal = |own: &str, size: [usize; 3], units: usize, normal: [f32; 2]| {
            let samples = Samples::new(12, vec![case::pictures(size)], None);
            let [height, width, channels] = size;
            let text = format!(
                "name = \"m\"\ninput = [{height}, {width}, {channels}]\n\
                 layer = [{{ type = \"conv2d\", filters = {units}, kernel = 3, padding = \"same\" }}]"
            );
            let spec: ModelSpec = toml::from_str(&text).unwrap();
            let checked = Restoration::new(&settings(own)).unwrap().check(&Fit {
                models: &Models::one(Network::new(spec).unwrap()),
                samples: &samples,
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
        let both = "noise = 0.1\nfactor = 2";
        assert_eq!(refusal(both, [12, 14, 1], 1, [0.0, 1.0]), Ok(()));
        for (own, size, units, normal, message) in [
            (
                both,
                [12, 14, 1],
                2,
                [0.0, 1.0],
                "give its last layer that shape",
            ),
            (
                "factor = 5",
                [12, 15, 1],
                1,
                [0.0, 1.0],
                "12 x 15 can't be divided",
            ),
            (both, [10, 14, 1], 1, [0.0, 1.0], "windows of 11 x 11"),
            (both, [12, 14, 1], 1, [0.5, 0.5], "data.mean = [0.0]"),
        ] {
            let error = refusal(own, size, units, normal).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}

//! Masked autoencoder: an image is cut into square patches, a random share of them is masked, and the model reconstructs the
//! image. The loss covers only the masked patches.
//!
//! He et al., "Masked Autoencoders Are Scalable Vision Learners", 2021, in a simple form: masked patches are set to 0, the mean of
//! the normalised pixels, and the model still sees all patches. Their encoder, which skips masked patches, is not implemented.

use super::fit::check_input;
use super::loss::Loss;
use super::metric::{Counters, Metric};
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, Models, Need, Objective, Prediction,
    PredictionFile, PredictionLine, Registered, Section, StepGraph, Task, TaskCase, TaskSettings,
    case, figures,
};
use crate::data::{Normalization, Samples, SetLayout, WindowNorm, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::tensor::Shape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// Mean squared error over the masked patches of each sample: `[]`.
const ERROR: &str = "mse";
/// The original image, normalised: `[height, width, channels]`.
const PICTURE: &str = "picture";
/// The image that the model sees, in the same shape.
const MASKED: &str = "masked";
/// The visible patches, and the model's output for the masked ones, in the same shape.
const RECONSTRUCTION: &str = "reconstruction";
/// The mean squared error of predicting the mean colour for the masked patches, which is the baseline.
const ERROR_OF_MEAN: &str = "mse_of_mean";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "masked_autoencoder",
    about: "the patches of a picture that are hidden, from those that are not",
    needs: &[Need {
        field: field::IMAGE,
        about: "the picture",
        input: true,
    }],
    metrics,
    suits: |_| false,
    suits_model: |_| false,
    settings: Masking::json_schema,
    make: |settings| Ok(Box::new(MaskedAutoencoder::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let pictures = Samples::new(12, vec![case::pictures([4, 6, 1])], None);
    let mut case = TaskCase::new("masked_autoencoder", pictures)?
        .pixels(1, 0.5, 0.3)
        .model(
            "",
            r#"
            name = "tiny"
            input = [4, 6, 1]
            layer = [
                { type = "flatten" },
                { type = "dense", units = 64, activation = "relu" },
                { type = "dense", units = 24 },
            ]
            "#,
        )?;
    // Half of an image is enough to recognise it among a dozen, though not any half.
    case.epochs = 150;
    case.reaches = ("mse", 0.3);
    case.task.own.insert("patch".to_string(), 2.into());
    case.task.own.insert("mask_ratio".to_string(), 0.5.into());
    Ok(case)
}

/// The share by which the error is below that of predicting the mean colour.
fn explained(c: &Counters) -> Option<f64> {
    let of_mean = c.mean(ERROR_OF_MEAN).filter(|error| *error > 0.0)?;
    Some(1.0 - c.mean("score")? / of_mean)
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::error("mse", |c: &Counters| c.mean("score")).in_epoch_line(),
        Metric::share("explained", explained).in_epoch_line(),
    ]
}

/// The task's own settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Masking {
    /// Height and width of a patch in pixels.
    patch: usize,
    /// Share of the patches that are masked.
    mask_ratio: f64,
}

impl Default for Masking {
    fn default() -> Self {
        Masking {
            patch: 4,
            mask_ratio: 0.75,
        }
    }
}

impl Masking {
    /// Number of patches down and across an image of `height` by `width` pixels, both multiples of `patch`.
    fn grid(&self, height: usize, width: usize) -> [usize; 2] {
        [height / self.patch, width / self.patch]
    }

    /// How many of `patches` patches are masked.
    fn hidden(&self, patches: usize) -> usize {
        (self.mask_ratio * patches as f64).round() as usize
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct MaskedAutoencoder {
    masking: Masking,
    loss: Loss,
    label_smoothing: f64,
    augment: AugmentSettings,
}

/// A batch of images, their masks and the model's outputs. All are `[batch, height, width, channels]`.
struct Pictures<'g> {
    /// The original images, augmented in training.
    whole: Var<'g>,
    /// 1 for the pixels of masked patches, 0 for the others.
    hidden: Var<'g>,
    /// The images with masked patches set to 0.
    masked: Var<'g>,
    /// The model's output.
    given: Var<'g>,
}

impl<'g> Pictures<'g> {
    /// The mean of `values`, in the shape of the images, over the pixels of the masked patches: `[batch]`.
    fn hidden_mean(&self, values: Var<'g>) -> Result<Var<'g>> {
        let sum = values.mul(self.hidden)?.sum(&[1, 2, 3])?;
        sum.div(self.hidden.sum(&[1, 2, 3])?)
    }

    /// Mean squared error over the pixels of the masked patches: `[batch]`.
    fn errors(&self) -> Result<Var<'g>> {
        let apart = self.given.sub(self.whole)?;
        self.hidden_mean(apart.mul(apart)?)
    }

    /// Makes errors and images outputs of the graph, for predictions and reports.
    fn output(&self, step: &StepGraph<'g, '_>, errors: Var<'g>) -> Result<()> {
        step.output(ERROR, errors);
        step.output(MASKED, self.masked);
        step.output(RECONSTRUCTION, self.hidden.select(self.given, self.whole)?);
        Ok(())
    }
}

impl MaskedAutoencoder {
    /// From the settings of a run.
    ///
    /// # Errors
    /// If a setting of the task is unknown or out of range, or a shared setting does not apply to it.
    pub fn new(settings: &TaskSettings) -> Result<MaskedAutoencoder> {
        let masking: Masking = settings.own()?;
        let wrong = |what: String| Err(Error::Config(what));
        if masking.patch == 0 {
            return wrong("task.patch must be at least 1: pixels a side of a patch".to_string());
        }
        if !(masking.mask_ratio > 0.0 && masking.mask_ratio < 1.0) {
            return wrong(format!(
                "task.mask_ratio must be above 0 and below 1, not {}",
                masking.mask_ratio
            ));
        }
        if !matches!(settings.loss, Loss::Auto | Loss::Mse(_)) {
            return wrong(
                "the task masked_autoencoder minimises the mean squared error of hidden patches; leave loss out"
                    .to_string(),
            );
        }
        if settings.augment.mixes() {
            return wrong(
                "augment.mixup and augment.cutmix mix pictures with their classes, which a masked autoencoder does not learn; \
                 leave them out"
                    .to_string(),
            );
        }
        if settings.window_norm != WindowNorm::None {
            return wrong(
                "data.window_norm is for forecasts; leave it out of a masked autoencoder"
                    .to_string(),
            );
        }
        Ok(MaskedAutoencoder {
            masking,
            loss: settings.loss.clone(),
            label_smoothing: settings.label_smoothing,
            augment: settings.augment.clone(),
        })
    }

    /// The mask for images of the shape `[batch, height, width, channels]`: 1 for masked pixels, 0 for the others. All images have
    /// the same number of masked patches.
    fn hidden<'g>(&self, step: &mut StepGraph<'g, '_>, shape: &Shape) -> Result<Var<'g>> {
        let _scope = step.builder().scope("mask");
        let &[batch, height, width, channels] = shape.dims() else {
            return Err(Error::Graph(format!(
                "pictures have four axes, not {shape}"
            )));
        };
        let [down, across] = self.masking.grid(height, width);
        let (patches, side) = (down * across, self.masking.patch);
        let keys = step.uniform(&[patches])?;
        // The rank of a patch is the number of patches with smaller keys. The patches of the lowest ranks are masked.
        let (one, other) = (
            keys.reshape([batch, patches, 1])?,
            keys.reshape([batch, 1, patches])?,
        );
        let ranks = other.lt(one)?.sum(&[2])?;
        let count = self.masking.hidden(patches) as f64;
        let hidden = ranks.lt(step.builder().constant(count))?;
        hidden
            .reshape([batch, down, 1, across, 1, 1])?
            .broadcast_to(&[batch, down, side, across, side, channels].into())?
            .reshape([batch, height, width, channels])
    }

    /// Masks patches of the images of the batch, and runs the model on the masked images.
    fn pictures<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Pictures<'g>> {
        let mut whole = step.batch.field(field::IMAGE)?;
        if step.forward.is_training() && !self.augment.is_off() {
            whole = self.augment.apply(&mut step.forward, whole)?;
        }
        let hidden = self.hidden(step, &whole.shape())?;
        let masked = hidden.select(step.builder().constant(0.0), whole)?;
        let given = step.run_first(&[masked])?.reshape(whole.shape())?;
        Ok(Pictures {
            whole,
            hidden,
            masked,
            given,
        })
    }

    /// The mean of `errors` over the valid samples, which is both the loss and the score.
    fn objective<'g>(&self, step: &StepGraph<'g, '_>, errors: Var<'g>) -> Result<Objective<'g>> {
        let errors = errors.mask_rows(step.batch.valid())?;
        step.count("score", errors.sum_all()?)?;
        Objective::mean_of(errors)
    }
}

impl Task for MaskedAutoencoder {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let (model, output) = fit.output()?;
        check_input(model, fit)?;
        self.loss.check_numbers(self.label_smoothing)?;
        let wrong = |what: String| Err(Error::Config(what));
        let picture = fit.samples.field(field::IMAGE).map(|image| image.shape());
        let Some(&[height, width, channels]) = picture.as_deref() else {
            return wrong(format!(
                "a masked autoencoder takes pictures, but the {} set has none",
                fit.part
            ));
        };
        if output.iter().product::<usize>() != height * width * channels {
            return wrong(format!(
                "model {} gives {output:?} for each picture of {height} by {width} pixels and {channels} channels; make its last \
                 layer give {} numbers",
                model.name(),
                height * width * channels
            ));
        }
        let Masking { patch, mask_ratio } = self.masking;
        if height % patch != 0 || width % patch != 0 {
            return wrong(format!(
                "task.patch is {patch}, but pictures of {height} by {width} pixels can't be cut into squares of {patch} by {patch}; \
                 choose a patch that divides both"
            ));
        }
        let patches = self.masking.grid(height, width).iter().product();
        let hidden = self.masking.hidden(patches);
        if hidden == 0 || hidden == patches {
            return wrong(format!(
                "task.mask_ratio {mask_ratio} hides {hidden} of the {patches} patches of a picture; choose one that hides some and \
                 leaves some, or a smaller task.patch"
            ));
        }
        self.augment.check_size(height, width)?;
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let pictures = self.pictures(step)?;
        let _scope = step.builder().scope("loss");
        self.objective(step, pictures.errors()?)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let pictures = self.pictures(step)?;
        pictures.output(step, pictures.errors()?)
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let pictures = self.pictures(step)?;
        let errors = pictures.errors()?;
        let of_mean = pictures.hidden_mean(pictures.whole.mul(pictures.whole)?)?;
        let of_mean = of_mean.mask_rows(step.batch.valid())?;
        step.count(ERROR_OF_MEAN, of_mean.sum_all()?)?;
        pictures.output(step, errors)?;
        step.output(PICTURE, pictures.whole);
        self.objective(step, errors)
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
        let model = models.first()?;
        let image = model.inputs().first().and_then(|input| input.spec.image());
        match image {
            Some(image) => Ok(layout.bytes(field::IMAGE, &image, normal)),
            None => Err(Error::Config(format!(
                "a masked autoencoder takes pictures, but model {} does not",
                model.name()
            ))),
        }
    }

    /// The error over the masked patches; if files are to be written, also the masked image and its reconstruction.
    fn writes_files(&self) -> bool {
        true
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let error = sample.output(ERROR)?.first().copied();
        let error = error.map_or(f64::NAN, f64::from);
        let mut files = Vec::new();
        if sample.out_named {
            for (key, suffix) in [
                (MASKED, "-masked.png"),
                (RECONSTRUCTION, "-reconstruction.png"),
            ] {
                let values = sample.output(key)?;
                let png = figures::png(&sample.samples.shape(), values, sample.fitted)?;
                files.extend(png.map(|bytes| PredictionFile { key, suffix, bytes }));
            }
        }
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text: vec![format!("mse {error:.4} of hidden patches")],
                json: Map::from_iter([(ERROR.to_string(), error.into())]),
            }],
            files,
        })
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let mut findings = Findings::default();
        let of_mean = found.counters.mean(ERROR_OF_MEAN);
        if let (Some(share), Some(of_mean)) = (explained(found.counters), of_mean) {
            findings.full.lines.push(format!(
                "mse of the mean colour on hidden patches {of_mean:.4}; the model explains {:.2}% of it",
                100.0 * share
            ));
            let json = &mut findings.full.json;
            json.insert(ERROR_OF_MEAN.to_string(), of_mean.into());
        }
        findings
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let outputs = [
            ("picture", PICTURE),
            ("masked", MASKED),
            ("reconstruction", RECONSTRUCTION),
        ];
        let title = "Pictures and their hidden patches";
        let section = figures::output_rows(title, &outputs, found, self.shown_samples());
        section.into_iter().collect()
    }

    fn shown_samples(&self) -> usize {
        12
    }

    fn shown_outputs(&self) -> &'static [&'static str] {
        &[PICTURE, MASKED, RECONSTRUCTION]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, interpret};
    use crate::data::Batch;
    use crate::graph::Builder;
    use crate::nn::{Forward, ModelSpec, Network, Training};
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    const SHAPE: [usize; 4] = [6, 8, 12, 2];

    fn settings(own: &str) -> TaskSettings {
        TaskSettings {
            name: Some("masked_autoencoder".to_string()),
            own: toml::from_str(own).unwrap(),
            ..TaskSettings::default()
        }
    }

    fn task(own: &str) -> Result<MaskedAutoencoder> {
        MaskedAutoencoder::new(&settings(own))
    }

    fn model(units: usize) -> Models {
        let layers = format!("{{ type = \"flatten\" }}, {{ type = \"dense\", units = {units} }}");
        let text = format!("name = \"m\"\ninput = [8, 12, 2]\nlayer = [{layers}]");
        let spec: ModelSpec = toml::from_str(&text).unwrap();
        Models::one(Network::new(spec).unwrap())
    }

    fn scalar(value: u32) -> Arc<Tensor<f32>> {
        Arc::new(Tensor::index([], vec![value]))
    }

    /// The masks of six images of 2 by 3 patches in step or batch number `step`: in training with `seed`, or in an evaluation if
    /// it is absent.
    fn masks(own: &str, step: u32, seed: Option<u64>) -> Vec<f32> {
        let (builder, models) = (Builder::new(), model(192));
        let ty = TensorType::f32(SHAPE);
        let batch = Batch::fed(&builder, SHAPE[0], [(field::IMAGE.to_string(), ty)]);
        let forward = match seed {
            None => Forward::evaluation(&builder),
            Some(seed) => Forward::training(
                &builder,
                Training {
                    step: builder.input("step", TensorType::u32([])),
                    valid: batch.valid(),
                    inverse_valid: builder.input("inverse_valid", TensorType::f32([])),
                    seed,
                },
            ),
        };
        let mut graph = StepGraph::new(batch, forward, &models);
        let hidden = task(own).unwrap().hidden(&mut graph, &SHAPE.into());
        graph.output("hidden", hidden.unwrap());
        let graph = builder.finish().unwrap();
        let inputs = HashMap::from([("step".to_string(), scalar(step))]);
        let outputs = interpret(&graph, &mut HashMap::new(), &inputs).unwrap();
        outputs[0].reals().to_vec()
    }

    #[test]
    fn whole_patches_are_hidden_and_as_many_of_every_picture() {
        for (ratio, hidden) in [(0.5, 3), (0.75, 5), (0.2, 1)] {
            let masks = masks(&format!("patch = 4\nmask_ratio = {ratio}"), 3, Some(7));
            for mask in masks.chunks(8 * 12 * 2) {
                let mut count = 0;
                for (top, left) in [(0, 0), (0, 4), (0, 8), (4, 0), (4, 4), (4, 8)] {
                    let pixels = (0..4 * 4 * 2).map(|at| {
                        let (y, x) = (top + at / 8, left + at / 2 % 4);
                        mask[(y * 12 + x) * 2 + at % 2]
                    });
                    match pixels.sum::<f32>() {
                        0.0 => {}
                        32.0 => count += 1,
                        some => panic!("{some} of the 32 numbers of a patch are hidden"),
                    }
                }
                assert_eq!(count, hidden);
            }
        }
    }

    #[test]
    fn masks_differ_by_sample_step_and_seed_and_repeat() {
        let own = "patch = 2\nmask_ratio = 0.75";
        let first = masks(own, 3, Some(7));
        let each: Vec<&[f32]> = first.chunks(8 * 12 * 2).collect();
        assert!((1..6).all(|at| each[at] != each[0]));
        assert_eq!(first, masks(own, 3, Some(7)));
        assert_ne!(first, masks(own, 4, Some(7)));
        assert_ne!(first, masks(own, 3, Some(8)));
        assert_eq!(masks(own, 3, None), masks(own, 3, None));
        assert_ne!(masks(own, 3, None), masks(own, 4, None));
    }

    #[test]
    fn patches_are_hidden_equally_often() {
        let mut counts = [0.0f32; 6];
        for step in 0..40 {
            let masks = masks("patch = 4\nmask_ratio = 0.5", step, Some(1));
            for mask in masks.chunks(8 * 12 * 2) {
                for (patch, count) in counts.iter_mut().enumerate() {
                    *count += mask[(patch / 3 * 4 * 12 + patch % 3 * 4) * 2];
                }
            }
        }
        // Each count is that of 240 fair coin tosses, whose standard deviation is 7.7.
        assert!(
            counts.iter().all(|c| (c - 120.0).abs() < 31.0),
            "{counts:?}"
        );
    }

    #[test]
    fn the_error_is_the_mean_of_hidden_pixels_alone() {
        let builder = Builder::new();
        let input = |name| builder.input(name, TensorType::f32([2, 1, 3, 1]));
        let (whole, hidden) = (input("whole"), input("hidden"));
        let pictures = Pictures {
            whole,
            hidden,
            masked: whole,
            given: input("given"),
        };
        builder.output("errors", pictures.errors().unwrap());
        let graph = builder.finish().unwrap();
        let values = |values: [f32; 6]| Arc::new(Tensor::real([2, 1, 3, 1], values.to_vec()));
        let inputs = HashMap::from([
            ("whole".to_string(), values([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
            ("given".to_string(), values([0.0, 9.0, 6.0, 4.5, 9.0, 9.0])),
            ("hidden".to_string(), values([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])),
        ]);
        let outputs = interpret(&graph, &mut HashMap::new(), &inputs).unwrap();
        assert_eq!(outputs[0].reals(), [5.0, 0.25]);
    }

    #[test]
    fn invalid_settings_are_named() {
        let refusal = |settings: &TaskSettings| {
            let error = MaskedAutoencoder::new(settings).unwrap_err();
            error.to_string()
        };
        for (own, message) in [
            ("patch = 0", "task.patch must be at least 1"),
            (
                "mask_ratio = 0.0",
                "task.mask_ratio must be above 0 and below 1",
            ),
            (
                "mask_ratio = 1.0",
                "task.mask_ratio must be above 0 and below 1",
            ),
            ("mask_ratio = nan", "task.mask_ratio"),
            ("ratio = 0.5", "ratio"),
        ] {
            let error = refusal(&settings(own));
            assert!(error.contains(message), "{error}");
        }
        let l1 = TaskSettings {
            loss: Loss::named("l1").unwrap(),
            ..settings("")
        };
        assert!(refusal(&l1).contains("leave loss out"));
    }

    #[test]
    fn pictures_and_models_that_do_not_fit_are_refused() {
        let samples = Samples::new(12, vec![case::pictures([8, 12, 2])], None);
        let refusal = |own: &str, units: usize| {
            let checked = task(own).unwrap().check(&Fit {
                models: &model(units),
                samples: &samples,
                part: "training",
                classes: &[],
                data: "tiny",
                normal: Normalization {
                    mean: &[0.5; 2],
                    std: &[0.3; 2],
                },
            });
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(refusal("", 192), Ok(()));
        for (own, units, message) in [
            ("", 96, "make its last layer give 192 numbers"),
            ("patch = 3", 192, "choose a patch that divides both"),
            ("patch = 16", 192, "choose a patch that divides both"),
            ("mask_ratio = 0.01", 192, "hides 0 of the 6 patches"),
            ("mask_ratio = 0.99", 192, "hides 6 of the 6 patches"),
        ] {
            let error = refusal(own, units).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}

//! Reconstruction: the model reconstructs its input, which is an image, a row of a table or a window of a series, through a
//! bottleneck of its own layers. Samples that are unlike the training data have large errors, which detects anomalies.
//!
//! With `noise` or `mask` the model sees a corrupted input in training and has to reconstruct the clean one: a denoising
//! autoencoder (Vincent et al., "Extracting and composing robust features with denoising autoencoders", 2008).

use super::fit::check_input;
use super::loss::Loss;
use super::metric::{Counters, Metric};
use super::scores::area_under_curve;
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, Models, Need, Objective, Prediction,
    PredictionFile, PredictionLine, Registered, Reported, Section, StepGraph, Task, TaskCase,
    TaskSettings, case, figures,
};
use crate::data::{Normalization, Samples, SetLayout, WindowNorm, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::Model;
use crate::ops::squared_error::SquaredError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The mean squared error of each sample: `[]`.
const ERROR: &str = "mse";
/// The output of the model, in the shape of its input.
const RECONSTRUCTION: &str = "reconstruction";
/// The input, normalised.
const TARGET: &str = "target";
const ABSOLUTE_ERROR: &str = "absolute_error";
/// The fields that can be reconstructed. The first of them that the samples have is used.
const FIELDS: [&str; 3] = [field::IMAGE, field::ROW, field::WINDOW];

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "autoencoder",
    about: "reconstruction of an image, row or window; denoising, anomaly detection",
    needs: &[Need {
        field: "image|row|window",
        about: "the input, which is also the target",
        input: true,
    }],
    metrics,
    suits: |_| false,
    suits_model: gives_back_images,
    settings: Corruption::json_schema,
    make: |settings| Ok(Box::new(Autoencoder::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let samples = Samples::new(12, vec![case::pictures([4, 4, 1]), case::labels(2)], None);
    let mut case = TaskCase::new("autoencoder", samples)?
        .model(
            "",
            r#"
            name = "tiny"
            input = [4, 4, 1]
            layer = [
                { type = "flatten" },
                { type = "dense", units = 48, activation = "relu" },
                { type = "dense", units = 16 },
            ]
            "#,
        )?
        .classes(&["no", "yes"])
        .pixels(1, 0.5, 0.3);
    case.epochs = 150;
    case.reaches = ("mse", 0.1);
    case.task.own.insert("noise".to_string(), 0.05.into());
    case.task.own.insert("mask".to_string(), 0.02.into());
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::error("mse", |c: &Counters| c.mean("score")).in_epoch_line(),
        Metric::error("mae", |c| c.mean(ABSOLUTE_ERROR)),
    ]
}

/// Whether the output of `model` is an image of the same shape as its input.
fn gives_back_images(model: &dyn Model) -> bool {
    match (model.inputs(), model.outputs()) {
        ([input], [output]) => {
            let image = input.spec.image();
            image.is_some_and(|image| image[..] == output.shape[..])
        }
        _ => false,
    }
}

/// The task's own settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Corruption {
    /// Standard deviation of Gaussian noise that is added in training, in units of the normalised input.
    noise: f64,
    /// Share of the elements that are then set to 0 in training, the mean of the normalised input.
    mask: f64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Autoencoder {
    /// Squared, absolute or Huber loss.
    pub loss: Loss,
    /// Augmentation of training images. The model reconstructs the augmented image.
    pub augment: AugmentSettings,
    label_smoothing: f64,
    window_norm: WindowNorm,
    corruption: Corruption,
}

impl Autoencoder {
    /// From the settings of a run.
    ///
    /// # Errors
    /// If noise or mask is out of range.
    pub fn new(settings: &TaskSettings) -> Result<Autoencoder> {
        let corruption: Corruption = settings.own()?;
        let Corruption { noise, mask } = corruption;
        let wrong = |what: String| Err(Error::Config(what));
        if !(noise >= 0.0 && noise.is_finite()) {
            return wrong(format!("task.noise must be at least 0, not {noise}"));
        }
        if !(0.0..1.0).contains(&mask) {
            return wrong(format!(
                "task.mask must be at least 0 and below 1, not {mask}"
            ));
        }
        Ok(Autoencoder {
            loss: settings.loss.clone(),
            augment: settings.augment.clone(),
            label_smoothing: settings.label_smoothing,
            window_norm: settings.window_norm,
            corruption,
        })
    }

    /// `x` as the model sees it: with noise and masked elements in training, unchanged in an evaluation.
    fn corrupted<'g>(&self, step: &mut StepGraph<'g, '_>, x: Var<'g>) -> Result<Var<'g>> {
        let Some(training) = step.training() else {
            return Ok(x);
        };
        let _scope = step.builder().scope("corruption");
        let Corruption { noise, mask } = self.corruption;
        let mut x = x;
        if noise > 0.0 {
            let stream = step.forward.noise_stream();
            x = x.gaussian_noise(training.step, noise, training.seed, stream)?;
        }
        if mask > 0.0 {
            let stream = step.forward.dropout_stream();
            let scaled = x.dropout(training.step, mask, training.seed, stream)?;
            x = scaled.scale(1.0 - mask)?;
        }
        Ok(x)
    }

    /// Runs the model, and returns its output and the target.
    fn reconstructed<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Reconstruction<'g>> {
        let name = FIELDS.into_iter().find(|name| step.batch.has(name));
        let mut target = step.batch.field(name.unwrap_or(field::IMAGE))?;
        if name == Some(field::IMAGE) && !self.augment.is_off() {
            target = self.augment.apply(&mut step.forward, target)?;
        }
        let seen = self.corrupted(step, target)?;
        let given = step.run_first(&[seen])?;
        let rows = [
            step.batch.size(),
            target.shape().elements() / step.batch.size(),
        ];
        Ok(Reconstruction {
            target,
            given: given.reshape(rows)?,
            wanted: target.reshape(rows)?,
        })
    }

    /// Builds the loss and the mean squared error of each sample, and counts the latter for the metrics.
    fn objective<'g>(
        &self,
        step: &StepGraph<'g, '_>,
        of: &Reconstruction<'g>,
    ) -> Result<(Objective<'g>, Var<'g>)> {
        let _scope = step.builder().scope("loss");
        let valid = step.batch.valid();
        let losses = self.loss.of_numbers(of.given, of.wanted, valid)?;
        let squares = step.builder().op(SquaredError, &[of.given, of.wanted])?;
        let errors = squares.mean(&[1])?;
        step.count("score", errors.mask_rows(valid)?.sum_all()?)?;
        Ok((losses.objective()?, errors))
    }
}

/// The output of the model and its target.
struct Reconstruction<'g> {
    /// The input, augmented but not corrupted, `[batch, ...]`.
    target: Var<'g>,
    /// The output of the model, `[batch, elements]`.
    given: Var<'g>,
    /// The target, `[batch, elements]`.
    wanted: Var<'g>,
}

impl Task for Autoencoder {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let (model, output) = fit.output()?;
        check_input(model, fit)?;
        let wrong = |what: String| Err(Error::Config(what));
        let [input] = model.inputs() else {
            return wrong(format!(
                "an autoencoder takes one input, but model {} takes {}",
                model.name(),
                model.inputs().len()
            ));
        };
        let (takes, gives) = (input.spec.sample(), output);
        if takes.iter().product::<usize>() != gives.iter().product::<usize>() {
            return wrong(format!(
                "an autoencoder reconstructs its input, but model {} takes {takes:?} and gives {gives:?}; make its last layer give as \
                 many numbers",
                model.name()
            ));
        }
        self.loss.check_numbers(self.label_smoothing)?;
        if self.window_norm != WindowNorm::None {
            return wrong("data.window_norm is for forecasting; leave it out".to_string());
        }
        fit.not_empty()?;
        match fit.samples.field(field::IMAGE).map(|image| image.shape()) {
            _ if self.augment.mixes() => wrong(
                "augment.mixup and augment.cutmix mix images and their classes, which an autoencoder does not use; leave them \
                 out"
                    .to_string(),
            ),
            Some(shape) => self.augment.check_size(shape[0], shape[1]),
            None => self.augment.needs_pictures(fit.samples.noun()),
        }
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let of = self.reconstructed(step)?;
        Ok(self.objective(step, &of)?.0)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let of = self.reconstructed(step)?;
        let squares = step.builder().op(SquaredError, &[of.given, of.wanted])?;
        step.output(ERROR, squares.mean(&[1])?);
        step.output(RECONSTRUCTION, of.given.reshape(of.target.shape())?);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let of = self.reconstructed(step)?;
        let (objective, errors) = self.objective(step, &of)?;
        let absolute = of.given.sub(of.wanted)?.abs()?.mean(&[1])?;
        let absolute = absolute.mask_rows(step.batch.valid())?;
        step.count(ABSOLUTE_ERROR, absolute.sum_all()?)?;
        step.output(ERROR, errors);
        step.output(RECONSTRUCTION, of.given.reshape(of.target.shape())?);
        step.output(TARGET, of.target);
        Ok(objective)
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
        let input = &models.first()?.inputs()[0].spec;
        match input.image() {
            Some(image) => Ok(layout.bytes(field::IMAGE, &image, normal)),
            None => Err(Error::Config(
                "an autoencoder of rows or windows can't be planned without data; name the data with --data"
                    .to_string(),
            )),
        }
    }

    fn writes_files(&self) -> bool {
        true
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let error = sample.output(ERROR)?.first().copied();
        let error = error.map_or(f64::NAN, f64::from);
        let mut files = Vec::new();
        let reconstruction = sample
            .outputs
            .iter()
            .find(|(name, ..)| name == RECONSTRUCTION);
        if let (true, Some((_, shape, values))) = (sample.out_named, reconstruction) {
            let png = figures::png(shape, values, sample.fitted)?;
            files.extend(png.map(|bytes| PredictionFile {
                key: "reconstruction",
                suffix: "-reconstruction.png",
                bytes,
            }));
        }
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text: vec![format!("mse {error:.4}")],
                json: Map::from_iter([("mse".to_string(), error.into())]),
            }],
            files,
        })
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let errors = found.outputs.iter().find(|(name, ..)| name == ERROR);
        let full = match errors.filter(|_| found.complete) {
            Some((_, _, errors)) => of_samples(errors, found),
            None => Reported::default(),
        };
        Findings {
            brief: Reported::default(),
            full,
        }
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let outputs = [("sample", TARGET), ("reconstruction", RECONSTRUCTION)];
        let title = "Samples and their reconstructions";
        let section = figures::output_rows(title, &outputs, found, self.shown_samples());
        section.into_iter().collect()
    }

    fn shown_samples(&self) -> usize {
        12
    }

    fn shown_outputs(&self) -> &'static [&'static str] {
        &[RECONSTRUCTION, TARGET]
    }
}

/// Statistics of the error per sample: quantiles; where samples have classes, the mean of each class, and the AUC for detecting
/// the classes that were left out of training.
fn of_samples(errors: &[f32], found: &Evaluated<'_>) -> Reported {
    let mut reported = Reported::default();
    let mut sorted = errors.to_vec();
    sorted.sort_by(f32::total_cmp);
    let quantile = |share: f64| {
        let at = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
        sorted.get(at).map_or(f64::NAN, |&error| f64::from(error))
    };
    let [half, nine, most, largest] = [0.5, 0.9, 0.99, 1.0].map(quantile);
    reported.lines.push(format!(
        "mse per sample: median {half:.4}, 90th percentile {nine:.4}, 99th {most:.4}, maximum {largest:.4}"
    ));
    let quantiles = json!({"0.5": half, "0.9": nine, "0.99": most, "1.0": largest});
    reported.json.insert("mse_quantiles".to_string(), quantiles);
    let (Some(labels), classes) = (found.samples.labels(), &found.fitted.classes) else {
        return reported;
    };
    let mut by_class = Map::new();
    let mut words = Vec::new();
    for (class, name) in classes.iter().enumerate() {
        let of_class = errors.iter().zip(labels);
        let own: Vec<f64> = of_class
            .filter(|(_, label)| **label as usize == class)
            .map(|(error, _)| f64::from(*error))
            .collect();
        if own.is_empty() {
            continue;
        }
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        words.push(format!("{name} {mean:.4}"));
        by_class.insert(name.clone(), mean.into());
    }
    reported
        .lines
        .push(format!("mean mse of each class: {}", words.join(", ")));
    reported
        .json
        .insert("mse_by_class".to_string(), Value::Object(by_class));
    let left_out = &found.data.train_without;
    let is_left_out = |label: &u32| {
        let name = classes.get(*label as usize);
        name.is_some_and(|name| left_out.contains(name))
    };
    let anomalous: Vec<bool> = labels.iter().map(is_left_out).collect();
    if let Some(area) = area_under_curve(errors, &anomalous) {
        reported.lines.push(format!(
            "AUC {area:.4} for detecting {}, which training left out, by the mse",
            left_out.join(", ")
        ));
        reported.json.insert("auc".to_string(), area.into());
    }
    reported
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

    fn task(own: &str) -> Result<Autoencoder> {
        Autoencoder::new(&TaskSettings {
            name: Some("autoencoder".to_string()),
            own: toml::from_str(own).unwrap(),
            ..TaskSettings::default()
        })
    }

    fn models() -> Models {
        let text = "name = \"m\"\ninput = [200]\nlayer = [{ type = \"dense\", units = 200 }]";
        let spec: ModelSpec = toml::from_str(text).unwrap();
        Models::one(Network::new(spec).unwrap())
    }

    /// A row of ones as the model sees it, corrupted twice. `training` holds step number and seed; it is absent in an evaluation.
    fn seen(own: &str, training: Option<(u32, u64)>) -> [Vec<f32>; 2] {
        let (builder, models) = (Builder::new(), models());
        let ty = TensorType::f32([3, 200]);
        let batch = Batch::fed(&builder, 3, [(field::ROW.to_string(), ty)]);
        let forward = match training {
            None => Forward::evaluation(&builder),
            Some((_, seed)) => Forward::training(
                &builder,
                Training {
                    step: builder.input("step", TensorType::u32([])),
                    valid: batch.valid(),
                    inverse_valid: builder.input("inverse_valid", TensorType::f32([])),
                    seed,
                },
            ),
        };
        let mut step = StepGraph::new(batch, forward, &models);
        let x = step.batch.field(field::ROW).unwrap();
        for name in ["first", "second"] {
            let seen = task(own).unwrap().corrupted(&mut step, x).unwrap();
            step.output(name, seen);
        }
        let graph = builder.finish().unwrap();
        let step = training.map_or(0, |(step, _)| step);
        let inputs = HashMap::from([
            (
                "row".to_string(),
                Arc::new(Tensor::real([3, 200], vec![1.0f32; 600])),
            ),
            ("step".to_string(), Arc::new(Tensor::index([], vec![step]))),
        ]);
        let outputs = interpret(&graph, &mut HashMap::new(), &inputs).unwrap();
        [0, 1].map(|at: usize| outputs[at].reals().to_vec())
    }

    #[test]
    fn corruption_differs_by_step_call_and_seed_and_there_is_none_in_evaluation() {
        for own in ["noise = 0.5", "mask = 0.5", "noise = 0.5\nmask = 0.25"] {
            let [first, second] = seen(own, Some((3, 7)));
            assert_ne!(first, second, "{own}");
            assert_eq!([&first, &second], seen(own, Some((3, 7))).each_ref());
            assert_ne!(first, seen(own, Some((4, 7)))[0], "{own}");
            assert_ne!(first, seen(own, Some((3, 8)))[0], "{own}");
            assert_eq!(seen(own, None), [vec![1.0; 600], vec![1.0; 600]], "{own}");
        }
        assert_eq!(seen("", Some((3, 7)))[0], vec![1.0; 600]);
    }

    #[test]
    fn masked_elements_are_zero_and_the_others_stay_what_they_are() {
        let [masked, _] = seen("mask = 0.25", Some((1, 1)));
        let zeros = masked.iter().filter(|&&x| x == 0.0).count();
        assert!(zeros.abs_diff(150) < 54, "{zeros} of 600");
        assert!(masked.iter().all(|&x| x == 0.0 || (x - 1.0).abs() < 1e-6));
    }

    #[test]
    fn invalid_settings_are_named() {
        for (own, message) in [
            ("noise = -1", "task.noise must be at least 0"),
            ("noise = nan", "task.noise"),
            ("mask = 1.0", "task.mask must be at least 0 and below 1"),
            ("nois = 1.0", "nois"),
        ] {
            let error = task(own).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_model_that_does_not_give_as_many_numbers_as_it_takes_is_refused() {
        let case = sample().unwrap();
        let fit = |models: &Models| {
            task("").unwrap().check(&Fit {
                models,
                samples: &case.samples,
                part: "training",
                classes: &case.fitted.classes,
                data: "tiny",
                normal: Normalization {
                    mean: &case.fitted.mean,
                    std: &case.fitted.std,
                },
            })
        };
        let spec = |units: usize| -> ModelSpec {
            let layers =
                format!("[{{ type = \"flatten\" }}, {{ type = \"dense\", units = {units} }}]");
            toml::from_str(&format!(
                "name = \"m\"\ninput = [4, 4, 1]\nlayer = {layers}"
            ))
            .unwrap()
        };
        let message = fit(&Models::one(Network::new(spec(15)).unwrap())).unwrap_err();
        assert!(
            message
                .to_string()
                .contains("takes [4, 4, 1] and gives [15]"),
            "{message}"
        );
        fit(&Models::one(Network::new(spec(16)).unwrap())).unwrap();
    }

    #[test]
    fn errors_of_samples_are_reported_by_quantile_and_class_and_rank_what_was_left_out() {
        let case = sample().unwrap();
        let mut data = case.data.clone();
        data.train_without = vec!["yes".to_string()];
        let errors: Vec<f32> = (0..12)
            .map(|i| [0.1, 0.9][i % 2] + 0.001 * i as f32)
            .collect();
        let found = of_samples(
            &errors,
            &Evaluated {
                counters: &Counters::default(),
                samples: &case.samples,
                fitted: &case.fitted,
                data: &data,
                outputs: &[],
                complete: true,
            },
        );
        assert_eq!(found.json["auc"], 1.0);
        let no = found.json["mse_by_class"]["no"].as_f64().unwrap();
        assert!((no - 0.105).abs() < 1e-6, "{no}");
        assert!(
            found.lines[0].contains("maximum 0.9110"),
            "{:?}",
            found.lines
        );
    }
}

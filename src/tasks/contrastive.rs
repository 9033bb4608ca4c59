//! Contrastive learning of images without classes: two augmented views of an image shall have similar codes, and those of
//! different images different ones.
//!
//! Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (SimCLR), 2020. The encoder is the model
//! without its last dense layer; a projection, two dense layers, gives the codes that are compared and is not used afterwards. The
//! loss is NT-Xent: for each view the cross-entropy of finding the other view of its image among all views of the batch by the cosine
//! of their codes, divided by the temperature. [`SimilarityLse`](crate::ops::similarity_lse::SimilarityLse) computes it without
//! storing the similarities of all pairs.
//!
//! An evaluation augments images, too, the same in every epoch. Where samples have classes, it reports how many of them have the class
//! of the most similar other image (leave-one-out nearest neighbour), by the cosine of their features.

use super::fit::check_input;
use super::metric::{Counters, Metric};
use super::scores::{components_section, nearest_neighbour_accuracy};
use super::{
    AugmentSettings, Decoded, Evaluated, Fit, Models, Need, Objective, Prediction, PredictionLine,
    Registered, Section, StepGraph, Task, TaskCase, TaskSettings, case,
};
use crate::data::{Normalization, Samples, SetLayout, WindowNorm, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::{Model, ModelSpec, Network};
use crate::toml_text::parse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

/// The role of the projection; the encoder is the model without a name.
const PROJECTION: &str = "projection";
/// The features of each sample, `[batch, features]`.
const EMBEDDING: &str = "embedding";
/// The metric of nearest neighbours.
const NEIGHBOUR: &str = "neighbour_accuracy";
/// Added to the squared length of codes, so that a code of zeros stays finite.
const EPSILON: f64 = 1e-12;

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "contrastive",
    about: "features of images without classes: two views of an image are alike, those of different ones are not",
    needs: &[Need {
        field: field::IMAGE,
        about: "the picture",
        input: true,
    }],
    metrics,
    suits: |_| false,
    suits_model: |_| false,
    settings: Own::json_schema,
    make: |settings| Ok(Box::new(Contrastive::new(settings)?)),
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
            ]
            "#,
        )?
        .model(
            PROJECTION,
            r#"
            name = "tiny-projection"
            input = [24]
            layer = [
                { type = "dense", units = 24, activation = "relu" },
                { type = "dense", units = 8 },
            ]
            "#,
        )?;
    case.task.augment = AugmentSettings {
        flip: true,
        brightness: 0.1,
        ..AugmentSettings::default()
    };
    case.task.own.insert("temperature".to_string(), 0.2.into());
    // Chance among the nine other views of a batch of five images is log 9, 2.2.
    case.reaches = ("loss", 0.3);
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::error("alignment", |c: &Counters| c.mean("score")).in_epoch_line(),
        Metric::share(NEIGHBOUR, |c| c.computed(NEIGHBOUR)).in_epoch_line(),
    ]
}

/// Settings of its own: the rest of `[task]`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// Divides the cosines of codes: the smaller, the more the most similar other images count.
    temperature: f64,
    /// Numbers of a code, which the projection gives.
    code: usize,
}

impl Default for Own {
    fn default() -> Self {
        Own {
            temperature: 0.5,
            code: 128,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Contrastive {
    /// Divides the cosines of codes.
    pub temperature: f64,
    /// Numbers of a code of the default projection.
    pub code: usize,
    augment: AugmentSettings,
}

impl Contrastive {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<Contrastive> {
        let Own { temperature, code } = settings.own()?;
        let wrong = |what: String| Err(Error::Config(what));
        if !(1e-3..=1e3).contains(&temperature) {
            return wrong(format!(
                "task.temperature must be from 0.001 to 1000, not {temperature}"
            ));
        }
        if !(2..=4096).contains(&code) {
            return wrong(format!(
                "task.code must be from 2 to 4096 numbers, not {code}"
            ));
        }
        if !settings.loss.is_auto() || settings.label_smoothing != 0.0 {
            return wrong(
                "the task contrastive has its own loss; leave loss and label_smoothing out"
                    .to_string(),
            );
        }
        if settings.augment.is_off() {
            return wrong(
                "the task contrastive compares two views of each image, so it needs [augment]; set augment.zoom = 2 and augment.flip, or \
                 others that keep what an image shows"
                    .to_string(),
            );
        }
        if settings.augment.mixes() {
            return wrong(
                "augment.mixup and augment.cutmix mix images, which are then no views of one; leave them out"
                    .to_string(),
            );
        }
        if settings.window_norm != WindowNorm::None {
            return wrong("data.window_norm is for forecasting; leave it out".to_string());
        }
        Ok(Contrastive {
            temperature,
            code,
            augment: settings.augment.clone(),
        })
    }

    /// The features of `image`, `[batch, features]`.
    fn features<'g>(&self, step: &mut StepGraph<'g, '_>, image: Var<'g>) -> Result<Var<'g>> {
        let outputs = step.run("", &[image])?;
        let first = outputs.first().copied();
        let features =
            first.ok_or_else(|| Error::Graph("the encoder has no output".to_string()))?;
        let each = features.shape().elements() / step.batch.size();
        features.reshape([step.batch.size(), each])
    }

    /// The codes of a view of `image`, `[batch, code]`, rows of length 1.
    fn code<'g>(&self, step: &mut StepGraph<'g, '_>, image: Var<'g>) -> Result<Var<'g>> {
        let (number, seed) = match step.training() {
            Some(training) => (training.step, training.seed),
            None => (step.number(), 0),
        };
        let view = self.augment.view(&mut step.forward, image, number, seed)?;
        let features = self.features(step, view)?;
        let codes = step.run(PROJECTION, &[features])?;
        let code = codes.first().copied();
        let code = code.ok_or_else(|| Error::Graph("the projection has no output".to_string()))?;
        let _precise = step.builder().precise();
        let squares = code.mul(code)?.sum(&[1])?;
        let epsilon = step.builder().constant(EPSILON);
        let length = squares.add(epsilon)?.sqrt()?;
        code.div(length.reshape([step.batch.size(), 1])?)
    }

    /// The loss of two views of the images of the batch, and their alignment: the mean squared distance of the codes of an image
    /// (Wang and Isola 2020).
    fn objective<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let image = step.batch.field(field::IMAGE)?;
        let (one, other) = (self.code(step, image)?, self.code(step, image)?);
        let _scope = step.builder().scope("loss");
        let _precise = step.builder().precise();
        let (batch, valid) = (step.batch.size(), step.batch.valid());
        let apart = one.sub(other)?;
        let distance = apart.mul(apart)?.sum(&[1])?.mask_rows(valid)?;
        step.count("score", distance.sum_all()?)?;
        let scale = 1.0 / self.temperature;
        let lse = Var::concat(&[one, other], 0)?.similarity_lse(valid, 2, scale)?;
        let lse = lse.reshape([2, batch])?.mean(&[0])?;
        let own = one.mul(other)?.sum(&[1])?.scale(scale)?;
        Objective::mean_of(lse.sub(own)?.mask_rows(valid)?)
    }
}

impl Task for Contrastive {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn roles(&self) -> &'static [&'static str] {
        &["", PROJECTION]
    }

    fn used_model(&self, role: &str, model: ModelSpec) -> Result<ModelSpec> {
        match role {
            "" => Ok(model.without_head().unwrap_or(model)),
            _ => Ok(model),
        }
    }

    /// A dense layer as wide as the features, a rectifier, and a dense layer that gives the code.
    fn default_model(&self, _role: &str, model: &ModelSpec) -> Result<ModelSpec> {
        let encoder = Network::new(self.used_model("", model.clone())?)?;
        let output = encoder.outputs().first();
        let features: usize = output.map_or(0, |output| output.shape.iter().product());
        let code = self.code;
        parse(
            &format!(
                r#"
                name = "projection"
                input = [{features}]
                layer = [
                    {{ type = "dense", units = {features}, activation = "relu" }},
                    {{ type = "dense", units = {code} }},
                ]
                "#
            ),
            "the projection",
        )
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let (encoder, projection) = (fit.models.get("")?, fit.models.get(PROJECTION)?);
        check_input(encoder, fit)?;
        let wrong = |what: String| Err(Error::Config(what));
        let Some(image) = fit.samples.field(field::IMAGE) else {
            return wrong(format!(
                "the task contrastive learns from images, but the {} set has none",
                fit.part
            ));
        };
        let size = |model: &dyn Model| -> Vec<usize> {
            let outputs = model.outputs().iter();
            outputs
                .map(|output| output.shape.iter().product())
                .collect()
        };
        let given = size(encoder);
        let takes: Vec<Vec<usize>> = projection
            .inputs()
            .iter()
            .map(|i| i.spec.sample())
            .collect();
        match (&given[..], &takes[..]) {
            ([features], [taken]) if taken[..] == [*features] => {}
            _ => {
                return wrong(format!(
                    "the encoder {} gives {given:?} numbers for an image, but the projection {} takes {takes:?}; leave models.projection \
                     out, or give it as many",
                    encoder.name(),
                    projection.name()
                ));
            }
        }
        if !matches!(projection.outputs(), [only] if only.shape.len() == 1) {
            return wrong(format!(
                "the projection {} gives several outputs or axes; end it with one dense layer",
                projection.name()
            ));
        }
        let shape = image.shape();
        self.augment.check_size(shape[0], shape[1])?;
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        self.objective(step)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let image = step.batch.field(field::IMAGE)?;
        let features = self.features(step, image)?;
        step.output(EMBEDDING, features);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        self.predict(step)?;
        self.objective(step)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn monitored(&self) -> Option<&'static str> {
        Some("loss")
    }

    fn host_outputs(&self) -> &'static [&'static str] {
        &[EMBEDDING]
    }

    fn host_metrics(&self, found: &Evaluated<'_>) -> Vec<(&'static str, f64)> {
        let labels = found.samples.labels();
        let known = found.output(EMBEDDING).zip(labels);
        let accuracy = known.and_then(|((values, width), labels)| {
            nearest_neighbour_accuracy(values, width, labels)
        });
        accuracy
            .map(|share| (NEIGHBOUR, share))
            .into_iter()
            .collect()
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
                "the task contrastive takes images, but model {} does not",
                model.name()
            ))),
        }
    }

    /// The features.
    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let features = sample.output(EMBEDDING)?;
        let length: f64 = features.iter().map(|&x| f64::from(x).powi(2)).sum();
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text: vec![format!(
                    "{} features of length {:.3}",
                    features.len(),
                    length.sqrt()
                )],
                json: Map::from_iter([(EMBEDDING.to_string(), json!(features))]),
            }],
            files: Vec::new(),
        })
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let embedding = found.output(EMBEDDING);
        let section = embedding.and_then(|(values, width)| {
            let labels = found.samples.labels().unwrap_or_default();
            components_section(values, width, labels, &found.fitted.classes)
        });
        section.into_iter().collect()
    }

    fn reported_outputs(&self) -> &'static [&'static str] {
        &[EMBEDDING]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, interpret};
    use crate::data::Batch;
    use crate::graph::Builder;
    use crate::nn::Forward;
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    /// Views that no augmentation changes. PyTorch 2:
    /// `z = F.normalize(x); s = torch.cat([z, z]) @ torch.cat([z, z]).T / 0.5; s.fill_diagonal_(-inf);
    /// F.cross_entropy(s, (torch.arange(6) + 3) % 6)` is 0.9698755.
    #[test]
    fn the_loss_is_the_cross_entropy_of_the_other_view() {
        let settings = TaskSettings {
            augment: AugmentSettings {
                brightness: 1e-9,
                ..AugmentSettings::default()
            },
            ..TaskSettings::default()
        };
        let task = Contrastive::new(&settings).unwrap();
        let model = |prefix: &str, toml: &str| -> (String, Arc<dyn Model>) {
            let spec: ModelSpec = parse(toml, "test").unwrap();
            let network = Network::new(spec).unwrap().with_prefix(prefix);
            (prefix.to_string(), Arc::new(network))
        };
        let models = Models::named(vec![
            model(
                "",
                "name = \"e\"\ninput = [1, 2, 1]\nlayer = [{ type = \"flatten\" }]",
            ),
            model(
                PROJECTION,
                "name = \"p\"\ninput = [2]\nlayer = [{ type = \"flatten\" }]",
            ),
        ]);
        let builder = Builder::new();
        let ty = TensorType::f32([3, 1, 2, 1]);
        let batch = Batch::fed(&builder, 3, [(field::IMAGE.to_string(), ty)]);
        let mut step = StepGraph::new(batch, Forward::evaluation(&builder), &models);
        let objective = task.objective(&mut step).unwrap();
        builder.output("sum", objective.sum);
        drop(step);
        let graph = builder.finish().unwrap();
        let image = Tensor::<f64>::real([3, 1, 2, 1], vec![1.0, 0.0, 0.6, 0.8, 0.0, 3.0]);
        let inputs = HashMap::from([
            (field::IMAGE.to_string(), Arc::new(image)),
            ("valid".to_string(), Arc::new(Tensor::index([], vec![3]))),
            ("step".to_string(), Arc::new(Tensor::index([], vec![0]))),
        ]);
        let mut variables = HashMap::new();
        let zero = Arc::new(Tensor::<f64>::real([], vec![0.0]));
        variables.insert("metrics:score".to_string(), zero);
        let outputs: Vec<Arc<Tensor<f64>>> = interpret(&graph, &mut variables, &inputs).unwrap();
        let mean = outputs[0].reals()[0] / 3.0;
        assert!((mean - 0.969_875_526).abs() < 1e-6, "{mean}");
    }

    #[test]
    fn settings_that_make_no_views_are_refused() {
        let refused = |settings: &TaskSettings| Contrastive::new(settings).unwrap_err().to_string();
        assert!(refused(&TaskSettings::default()).contains("needs [augment]"));
        let mixing = TaskSettings {
            augment: AugmentSettings {
                mixup: 0.2,
                ..AugmentSettings::default()
            },
            ..TaskSettings::default()
        };
        assert!(refused(&mixing).contains("no views of one"));
    }
}

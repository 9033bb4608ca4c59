//! How far drawn images are from real ones: the Fréchet distance of the features of a classifier (Heusel et al. 2017, whose classifier
//! is Inception; here it is a run of one's own, so that distances compare with those of the same classifier alone).

mod moments;

pub use moments::FeatureMoments;

use crate::cpu::Tensor;
use crate::data::Samples;
use crate::device::Engine;
use crate::error::{Error, Result};
use crate::nn::{Model, ModelSpec, Network};
use crate::run::RunParts;
use crate::train::Predictor;

/// Images of a pass of the classifier.
const BATCH: usize = 64;

/// A classifier without its last dense layer, which gives features of images.
pub struct ImageFeatures<'e> {
    predictor: Predictor<'e>,
    input: String,
    shape: Vec<usize>,
    mean: Vec<f32>,
    std: Vec<f32>,
}

/// `model` without its last dense layer and what follows it.
fn without_head(model: &ModelSpec) -> Result<ModelSpec> {
    model.without_head().ok_or_else(|| {
        Error::Config(format!(
            "the features of images are what the last dense layer of a classifier takes, but model {} has no dense layer after other \
             layers; name a run of another classifier",
            model.name
        ))
    })
}

impl<'e> ImageFeatures<'e> {
    /// The features of the classifier of a trained run: `parts`, whose network is `model`.
    ///
    /// # Errors
    /// If it is not a classifier of images that ends in a dense layer, or device memory is too small.
    pub fn new(
        engine: &'e Engine,
        parts: &RunParts,
        model: &ModelSpec,
    ) -> Result<ImageFeatures<'e>> {
        let task = parts.task.registered().name;
        if task != "classification" {
            return Err(Error::Config(format!(
                "a Fréchet distance needs the features of a classifier of images, but that run has the task {task}"
            )));
        }
        let network = Network::new(without_head(model)?)?;
        let [input] = network.inputs() else {
            return Err(Error::Config(format!(
                "model {} takes several inputs; name a run of a classifier of images alone",
                network.name()
            )));
        };
        let (input, shape) = (input.name.clone(), input.spec.sample());
        let all = match &parts.values {
            Some(values) => values.clone(),
            None => parts.models.initial_state(parts.recipe.seed),
        };
        let of_part = |name: &str| {
            let mut pairs = parts.models.state().zip(&all);
            let found = pairs.find(|(part, _)| part.name == name);
            found
                .map(|(_, value)| value.clone())
                .ok_or_else(|| Error::Config(format!("the weights of the classifier lack {name}")))
        };
        let values = network.state().map(|part| of_part(&part.name));
        let values = values.collect::<Result<Vec<Tensor<f32>>>>()?;
        Ok(ImageFeatures {
            predictor: Predictor::new(engine.device(), &network, &values, BATCH)?,
            input,
            shape,
            mean: parts.fitted.mean.clone(),
            std: parts.fitted.std.clone(),
        })
    }

    /// Appends the features of images of this `shape`, whose bytes follow one another, to `rows`, and returns the number of features of
    /// each.
    ///
    /// # Errors
    /// If the classifier takes other images, or the device failed.
    pub fn append(&mut self, shape: &[usize], images: &[u8], rows: &mut Vec<f32>) -> Result<usize> {
        if shape != self.shape {
            return Err(Error::Config(format!(
                "the classifier takes images of {:?}, but those to compare are {shape:?}; name a run on images of that shape",
                self.shape
            )));
        }
        let each = shape.iter().product::<usize>().max(1);
        let mut features = 0;
        for batch in images.chunks(BATCH * each) {
            let scales = self.mean.iter().zip(&self.std).cycle();
            let pixels = batch.iter().zip(scales);
            let mut values: Vec<f32> = pixels
                .map(|(&byte, (mean, std))| (f32::from(byte) / 255.0 - mean) / std)
                .collect();
            values.resize(BATCH * each, 0.0);
            let fed = Tensor::real([&[BATCH], shape].concat(), values);
            let outputs = self.predictor.run(&[(&self.input, &fed)])?;
            let Some((_, output)) = outputs.first() else {
                return Err(Error::Graph("the classifier has no output".to_string()));
            };
            features = output.reals().len() / BATCH;
            rows.extend_from_slice(&output.reals()[..batch.len() / each * features]);
        }
        Ok(features)
    }

    /// Mean and covariance of the features of all images of `samples`.
    ///
    /// # Errors
    /// If samples have no images or fewer than two, the classifier takes other images, or the device failed.
    pub fn moments(&mut self, samples: &Samples) -> Result<FeatureMoments> {
        let (mut rows, mut features, mut bytes) = (Vec::new(), 0, Vec::new());
        for index in 0..samples.len() {
            let image = samples.picture(index)?;
            let image = image.ok_or_else(|| {
                Error::Config("the data of the run have no images to compare with".to_string())
            })?;
            bytes.extend_from_slice(&image);
            if (index + 1) % BATCH == 0 || index + 1 == samples.len() {
                features = self.append(&samples.shape(), &bytes, &mut rows)?;
                bytes.clear();
            }
        }
        FeatureMoments::of(&rows, features)
    }
}

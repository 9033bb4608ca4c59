//! Whole training steps as workloads: from the data on the device to the updated weights.

use super::{Workload, leaves, update_scalars};
use crate::cpu::Tensor;
use crate::data::{SetLayout, digits, field, pack};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::nn::ModelSpec;
use crate::plan::Scalar;
use crate::privacy::{PrivacySettings, PrivateSteps};
use crate::random::Stream;
use crate::run::RunParts;
use crate::settings::Settings;
use std::collections::HashMap;

/// Number of images on the device.
const SAMPLES: usize = 1024;

pub(super) fn workloads() -> Vec<Box<dyn Workload>> {
    let train = |name: &'static str, model: &'static str, batch: usize| Train {
        name,
        model,
        batch,
        is_private: false,
    };
    // Clipped gradients without the noise and the update, a program of its own that takes a small part of the time.
    let private = Train {
        is_private: true,
        ..train("cnn_private_b128", "mnist-cnn", 128)
    };
    let all = [
        train("cnn_train_b32", "mnist-cnn", 32),
        train("cnn_train_b128", "mnist-cnn", 128),
        private,
        train("resnet18_train_b8", "resnet18-cifar", 8),
    ];
    let workload = |train| Box::new(train) as Box<dyn Workload>;
    all.into_iter().map(workload).collect()
}

/// A built-in model on the built-in digits, or on random images if it does not take digits, as `wgrad train` runs it.
struct Train {
    name: &'static str,
    model: &'static str,
    batch: usize,
    /// Whether gradients of single samples are clipped.
    is_private: bool,
}

impl Train {
    fn settings(&self) -> Result<Settings> {
        let mut settings = Settings {
            batch: self.batch,
            model: ModelSpec::preset(self.model)?,
            ..Settings::default()
        };
        settings.data.train = SAMPLES;
        settings.data.test = 1;
        Ok(settings)
    }

    /// The parts of the run, and the layout of its samples on the device.
    fn parts(&self) -> Result<(RunParts, SetLayout)> {
        let mut settings = self.settings()?;
        let channels = settings.model.input.channels();
        settings.fitted.mean = vec![0.5; channels];
        settings.fitted.std = vec![0.5; channels];
        let mut parts = settings.resolve_without_data()?;
        if self.is_private {
            let privacy = PrivacySettings {
                clip: 1.0,
                noise: Some(1.0),
                epsilon: None,
                delta: 1e-5,
            };
            let private = PrivateSteps::new(&privacy, SAMPLES, self.batch, 1)?;
            parts.recipe.privacy = Some(private);
        }
        let layout = parts.example_layout("train", SAMPLES, self.batch)?;
        Ok((parts, layout))
    }

    /// Images as packed bytes, and their labels.
    fn data(&self, parts: &RunParts) -> Result<(Vec<u32>, Vec<u32>)> {
        const DIGITS: [usize; 3] = [28, 28, 1];
        let (model, seed) = (parts.models.first()?, parts.recipe.seed);
        let input = &model.inputs()[0].spec;
        if input.image() == Some(DIGITS) {
            let set = digits(seed, SAMPLES, 1).train;
            return Ok((pack(&set.images), set.labels));
        }
        let mut stream = Stream::new(seed, 0);
        let words = SAMPLES * input.sample().iter().product::<usize>() / 4;
        let images = (0..words).map(|_| stream.next_u32()).collect();
        let classes = model.outputs()[0].shape.iter().product::<usize>() as u32;
        Ok((
            images,
            (0..SAMPLES).map(|_| stream.below(classes)).collect(),
        ))
    }
}

impl Workload for Train {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn graph(&self) -> Result<Graph> {
        let (parts, layout) = self.parts()?;
        let graphs = parts.training_graphs(layout)?;
        let only = graphs.into_iter().next().map(|phase| phase.gradients);
        only.ok_or_else(|| Error::Graph("the task has no phase".to_string()))
    }

    fn variables(&self, graph: &Graph) -> Result<Vec<(String, Tensor<f32>)>> {
        let (parts, layout) = self.parts()?;
        let (images, labels) = self.data(&parts)?;
        let mut values = HashMap::from([
            (
                layout.name(field::IMAGE),
                Tensor::index([images.len()], images),
            ),
            (layout.name(field::LABEL), Tensor::index([SAMPLES], labels)),
            (
                layout.name("order"),
                Tensor::index([SAMPLES], (0..SAMPLES as u32).collect()),
            ),
        ]);
        let starts = parts.models.initial_state(parts.recipe.seed);
        let names = parts.models.state().map(|part| part.name.clone());
        values.extend(names.zip(starts));
        // All other variables, optimizer state and metrics, start at zero.
        Ok(leaves(graph)
            .map(|(name, ty)| {
                let value = values.remove(name).unwrap_or_else(|| Tensor::zeros(ty));
                (name.to_string(), value)
            })
            .collect())
    }

    fn scalars(&self) -> Vec<(String, Scalar)> {
        let Ok(settings) = self.settings() else {
            return Vec::new();
        };
        let scalars = [
            ("cursor", Scalar::U32(0)),
            ("valid", Scalar::from(self.batch)),
            ("step", Scalar::U32(0)),
            ("inverse_valid", Scalar::F32(1.0 / self.batch as f32)),
        ];
        let scalars = scalars.map(|(name, value)| (name.to_string(), value));
        let of_optimizer = update_scalars(&settings.optimizer);
        scalars.into_iter().chain(of_optimizer).collect()
    }
}

//! Workloads that are whole training steps: from the data on the device to the updated weights.

use super::{Workload, leaves};
use crate::cpu::Tensor;
use crate::data::digits;
use crate::error::Result;
use crate::graph::Graph;
use crate::nn::Network;
use crate::plan::Scalar;
use crate::settings::Settings;
use crate::train::{DataShape, pack, training_graph};
use std::collections::HashMap;

/// Images on the device.
const SAMPLES: usize = 1024;

pub(super) fn workloads() -> Vec<Box<dyn Workload>> {
    [32, 128]
        .into_iter()
        .map(|batch| Box::new(CnnTrain { batch }) as Box<dyn Workload>)
        .collect()
}

/// The built-in CNN on the built-in digits, as `wgrad train` runs it.
struct CnnTrain {
    batch: usize,
}

impl CnnTrain {
    fn settings(&self) -> Result<Settings> {
        let mut settings = Settings {
            batch: self.batch,
            ..Settings::preset()?
        };
        settings.data.train = SAMPLES;
        settings.data.test = 1;
        Ok(settings)
    }

    fn shape(&self, network: &Network) -> DataShape {
        DataShape::images_of("train", SAMPLES, self.batch, network.spec.input.clone())
    }
}

impl Workload for CnnTrain {
    fn name(&self) -> String {
        format!("cnn_train_b{}", self.batch)
    }

    fn graph(&self) -> Result<Graph> {
        let mut settings = self.settings()?;
        settings.data.mean = Some(vec![0.5]);
        settings.data.std = Some(vec![0.5]);
        let network = Network::new(settings.model.clone())?;
        training_graph(&network, &settings, &self.shape(&network))
    }

    fn variables(&self, graph: &Graph) -> Result<Vec<(String, Tensor<f32>)>> {
        let settings = self.settings()?;
        let network = Network::new(settings.model.clone())?;
        let shape = self.shape(&network);
        let set = digits(settings.seed, SAMPLES, 1).train;
        let words = pack(&set.images);
        let mut values = HashMap::from([
            (shape.name("images"), Tensor::index([words.len()], words)),
            (shape.name("labels"), Tensor::index([SAMPLES], set.labels)),
            (
                shape.name("order"),
                Tensor::index([SAMPLES], (0..SAMPLES as u32).collect()),
            ),
        ]);
        for (parameter, index) in network.parameters.iter().zip(0..) {
            let value = parameter.initial(settings.seed, index);
            values.insert(parameter.name.clone(), value);
        }
        // The rest, optimizer state and metrics, starts at zero.
        Ok(leaves(graph)
            .map(|(name, ty)| {
                let value = values.remove(name).unwrap_or_else(|| Tensor::zeros(ty));
                (name.to_string(), value)
            })
            .collect())
    }

    fn scalars(&self) -> Vec<(&'static str, Scalar)> {
        let Ok(settings) = self.settings() else {
            return Vec::new();
        };
        let optimizer = settings.optimizer.optimizer();
        let mut scalars = vec![
            ("cursor", Scalar::U32(0)),
            ("valid", Scalar::from(self.batch)),
            ("step", Scalar::U32(0)),
            ("inverse_valid", Scalar::F32(1.0 / self.batch as f32)),
        ];
        let numbers = optimizer.scalars(1, optimizer.lr());
        scalars.extend(numbers.into_iter().map(|(n, x)| (n, Scalar::F32(x))));
        scalars
    }
}

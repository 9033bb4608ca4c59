//! Checkpoints: the state from which a run can be resumed, in a safetensors file.

use super::variables_file;
use crate::checksum::{Absorb as _, ContentDigest};
use crate::cpu::{Data, Tensor};
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::optim::PlateauState;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The state from which a run can be resumed: weights, optimizer state and sums of the epoch in the engine's layouts, and the
/// progress, from which the order of the data and all random numbers follow.
pub struct Checkpoint {
    /// Variables by name.
    pub variables: Vec<(String, Tensor<f32>)>,
    /// The progress of the run.
    pub progress: Progress,
}

/// The progress of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Finished epochs.
    pub epoch: u32,
    /// Finished steps.
    pub step: u64,
    /// Seconds of training in the epoch that has begun.
    #[serde(default)]
    pub seconds: f64,
    /// The best epoch so far by the monitored metric.
    #[serde(default)]
    pub best: Option<Best>,
    /// Epochs since the last improvement by more than `min_delta`.
    #[serde(default)]
    pub epochs_without_improvement: u32,
    /// The value of the monitored metric at that improvement.
    #[serde(default)]
    pub improved: Option<f64>,
    /// The state of a plateau schedule.
    #[serde(default)]
    pub plateau: PlateauState,
    /// The device on which the last step was taken; empty in checkpoints of earlier versions.
    #[serde(default)]
    pub device: String,
}

/// The best epoch of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Number of the epoch, from 1.
    pub epoch: u32,
    /// Value of the monitored metric.
    pub value: f64,
    /// Loss on the evaluated part.
    pub loss: f64,
    /// Finished steps of the run after it.
    #[serde(default)]
    pub step: u64,
}

const PROGRESS: &str = "progress";

impl Progress {
    /// Parses the progress in a checkpoint: a JSON object or, from earlier builds, the two numbers epoch and step.
    fn parse(text: &str) -> Option<Progress> {
        if let Ok(progress) = serde_json::from_str(text) {
            return Some(progress);
        }
        let (epoch, step) = text.split_once(' ')?;
        Some(Progress {
            epoch: epoch.parse().ok()?,
            step: step.parse().ok()?,
            ..Progress::default()
        })
    }
}

impl Checkpoint {
    /// Writes the checkpoint.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_whole(path, &self.to_bytes(path)?)
    }

    /// The SHA-256 of names, types, shapes and values of all variables, in hexadecimal digits. Unlike the file, it does not depend on
    /// the time that an unfinished epoch took.
    pub fn content(&self) -> String {
        let mut sorted: Vec<&(String, Tensor<f32>)> = self.variables.iter().collect();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut digest = ContentDigest::default();
        for (name, value) in sorted {
            digest.add(format!("{name} {}", value.ty()).as_bytes());
            match &value.data {
                Data::Real(x) => digest.add(bytemuck::cast_slice(x)),
                Data::Index(x) => digest.add(bytemuck::cast_slice(x)),
            }
        }
        digest.digits()
    }

    /// The bytes that [`Checkpoint::save`] writes to `path`.
    ///
    /// # Errors
    /// If a variable can't be written.
    pub(super) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        let progress = serde_json::to_string(&self.progress).map_err(|e| {
            Error::Training(format!("the progress of the run can't be written: {e}"))
        })?;
        let metadata = HashMap::from([(PROGRESS.to_string(), progress)]);
        variables_file::to_bytes(path, &self.variables, metadata)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file can't be read or is not a checkpoint.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let strange = || {
            let shown = path.display();
            Error::Config(format!(
                "{shown} is not a checkpoint of wgrad; name a run folder"
            ))
        };
        let (variables, metadata) = variables_file::read(path)?.ok_or_else(strange)?;
        let progress = metadata.get(PROGRESS);
        let progress = progress.and_then(|text| Progress::parse(text));
        Ok(Checkpoint {
            variables,
            progress: progress.ok_or_else(strange)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_that_of_the_variables_in_any_order() {
        let variables = [("b", 1.0), ("a", -0.0)]
            .map(|(name, value)| (name.to_string(), Tensor::real([1], vec![value])));
        let checkpoint = |variables: &[(String, Tensor<f32>)], seconds| Checkpoint {
            variables: variables.to_vec(),
            progress: Progress {
                seconds,
                ..Progress::default()
            },
        };
        let content = checkpoint(&variables, 0.5).content();
        let [b, mut a] = variables;
        assert_eq!(checkpoint(&[a.clone(), b.clone()], 0.25).content(), content);
        a.1 = Tensor::real([1], vec![0.0]);
        assert_ne!(checkpoint(&[a, b], 0.5).content(), content);
    }

    #[test]
    fn progress_is_read_as_it_is_written_and_as_it_used_to_be() {
        let progress = Progress {
            epoch: 2,
            step: 37,
            epochs_without_improvement: 1,
            ..Progress::default()
        };
        let text = serde_json::to_string(&progress).unwrap();
        assert_eq!(Progress::parse(&text), Some(progress));
        let earlier = Progress::parse("0 3").unwrap();
        assert_eq!((earlier.epoch, earlier.step), (0, 3));
        for damaged in ["", "3", "a 3", "0 -3", "{}", "{"] {
            assert_eq!(Progress::parse(damaged), None, "{damaged:?}");
        }
    }
}

//! Checkpoints: what a run needs to go on, in a safetensors file.

use crate::cpu::{Data, Tensor};
use crate::error::{Error, Result};
use crate::files::{read_whole, write_whole};
use crate::optim::PlateauState;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Everything that a run needs to go on: variables as they are inside the engine, and where it was.
pub struct Checkpoint {
    /// Variables by name.
    pub variables: Vec<(String, Tensor<f32>)>,
    /// Where it was.
    pub progress: Progress,
}

/// Where a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs that are done.
    pub epoch: u32,
    /// Steps that are done.
    pub step: u64,
    /// The best epoch so far by the metric that is monitored, and that metric then.
    #[serde(default)]
    pub best: Option<Best>,
    /// Epochs since the last that was better by more than `min_delta`.
    #[serde(default)]
    pub epochs_without_improvement: u32,
    /// The metric that is monitored in that epoch.
    #[serde(default)]
    pub improved: Option<f64>,
    /// What a schedule that follows a metric has observed.
    #[serde(default)]
    pub plateau: PlateauState,
}

/// The best epoch of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Number of the epoch, from 1.
    pub epoch: u32,
    /// Value of the metric that is monitored.
    pub value: f64,
    /// Loss on the part that is evaluated.
    pub loss: f64,
}

const PROGRESS: &str = "progress";

impl Progress {
    /// Reads what a checkpoint says: a JSON object, or the two numbers that runs of earlier builds hold, epoch and step.
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
        let views = self.variables.iter().map(|(name, value)| {
            let (dtype, bytes) = match &value.data {
                Data::Real(x) => (Dtype::F32, bytemuck::cast_slice(x)),
                Data::Index(x) => (Dtype::U32, bytemuck::cast_slice(x)),
            };
            let view = TensorView::new(dtype, value.dims().to_vec(), bytes);
            Ok((name.as_str(), view.map_err(|e| broken(path, &e))?))
        });
        let views = views.collect::<Result<Vec<_>>>()?;
        let progress = serde_json::to_string(&self.progress).map_err(|e| {
            Error::Training(format!("the progress of the run can't be written: {e}"))
        })?;
        let metadata = HashMap::from([(PROGRESS.to_string(), progress)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| broken(path, &e))?;
        write_whole(path, &bytes)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file can't be read or is no checkpoint.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let bytes = read_whole(path, "a safetensors file")?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| broken(path, &e))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(path, &e))?;
        let strange = || {
            let shown = path.display();
            Error::Config(format!(
                "{shown} is no checkpoint of wgrad; name the folder of a run"
            ))
        };
        let progress = header.metadata().as_ref().and_then(|m| m.get(PROGRESS));
        let progress = progress.and_then(|text| Progress::parse(text));
        let variables = file.tensors().into_iter().map(|(name, view)| {
            let words = view
                .data()
                .chunks_exact(4)
                .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            let data = match view.dtype() {
                Dtype::U32 => Data::Index(words.collect()),
                Dtype::F32 => Data::Real(words.map(f32::from_bits).collect()),
                _ => return Err(strange()),
            };
            let shape = view.shape().into();
            Ok((name, Tensor { shape, data }))
        });
        Ok(Checkpoint {
            variables: variables.collect::<Result<_>>()?,
            progress: progress.ok_or_else(strange)?,
        })
    }
}

fn broken(path: &Path, e: &safetensors::SafeTensorError) -> Error {
    Error::Config(format!(
        "{} is no usable safetensors file ({e}); it may be damaged or of another format",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! Checkpoints: everything that a run needs to go on.

use crate::cpu::{Data, Tensor};
use crate::error::{Error, Result};
use crate::files::{read_whole, write_whole};
use crate::nn::weights::unusable;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// Everything that a run needs to go on: variables as they are inside the engine, and where it was.
pub struct Checkpoint {
    /// Variables by name.
    pub variables: Vec<(String, Tensor<f32>)>,
    /// Epochs that are done.
    pub epoch: u32,
    /// Steps that are done.
    pub step: u64,
}

impl Checkpoint {
    /// Writes the checkpoint.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let tensors: Vec<(&str, Dtype, &[usize], &[u8])> = self
            .variables
            .iter()
            .map(|(name, value)| match &value.data {
                Data::Real(x) => (
                    name.as_str(),
                    Dtype::F32,
                    value.dims(),
                    bytemuck::cast_slice(x),
                ),
                Data::Index(x) => (
                    name.as_str(),
                    Dtype::U32,
                    value.dims(),
                    bytemuck::cast_slice(x),
                ),
            })
            .collect();
        let views = tensors.into_iter().map(|(name, dtype, shape, bytes)| {
            Ok((
                name,
                TensorView::new(dtype, shape.to_vec(), bytes).map_err(|e| unusable(path, e))?,
            ))
        });
        let views = views.collect::<Result<Vec<_>>>()?;
        let progress = format!("{} {}", self.epoch, self.step);
        let metadata = HashMap::from([("progress".to_string(), progress)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| unusable(path, e))?;
        write_whole(path, &bytes)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file can't be read or is no checkpoint.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let bytes = read_whole(path)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| unusable(path, e))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| unusable(path, e))?;
        let strange = || {
            let shown = path.display();
            Error::Config(format!(
                "{shown} is no checkpoint of wgrad; name the folder of a run"
            ))
        };
        let progress = header.metadata().as_ref().and_then(|m| m.get("progress"));
        let (epoch, step) = progress
            .and_then(|p| p.split_once(' '))
            .ok_or_else(strange)?;
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
            epoch: epoch.parse().map_err(|_| strange())?,
            step: step.parse().map_err(|_| strange())?,
        })
    }
}

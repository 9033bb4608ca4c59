//! Weights in files: safetensors with PyTorch's names and layouts, which `torch.nn.Module.load_state_dict` takes as they are.

use crate::cpu::{Data, Tensor};
use crate::error::{Error, Result};
use crate::nn::{Model, Network, Parameter};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::Path;

/// Writes `bytes` to `path` in one go: what was there stays until the new content is complete on disk.
///
/// # Errors
/// If the folder can't be written or the disk is full.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = new_file(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    // What the temporary file was called is no help.
    let reason = |e: io::Error| match e.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => e.kind().into(),
    };
    write().map_err(reason).map_err(Error::io("write", path))
}

/// A file of no lasting name in `folder`, with the permissions that a file usually gets.
fn new_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The process's mask takes off what it should.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Reads a whole file; a device or a pipe might never end.
fn read_whole(path: &Path) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_file() {
        return Err(Error::Config(format!(
            "{} is not a file; name a safetensors file",
            path.display()
        )));
    }
    std::fs::read(path).map_err(Error::io("read", path))
}

/// Writes the `values` of a network's state ([`Model::state`]) in PyTorch's layouts, and the number of `steps` that it was
/// trained for where PyTorch counts them.
///
/// # Errors
/// If the file can't be written.
pub fn save(path: &Path, network: &Network, values: &[Tensor<f32>], steps: u64) -> Result<()> {
    let mut tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = network
        .state()
        .zip(values)
        .filter(|(p, _)| p.in_files())
        .map(|(p, value)| {
            let bytes = bytemuck::cast_slice(&p.to_file(value)).to_vec();
            (
                p.name.as_str(),
                Dtype::F32,
                p.file_shape().dims().to_vec(),
                bytes,
            )
        })
        .collect();
    for (alias, weight) in network.aliases() {
        if let Some((_, dtype, shape, bytes)) = tensors.iter().find(|(name, ..)| name == weight) {
            tensors.push((alias.as_str(), *dtype, shape.clone(), bytes.clone()));
        }
    }
    tensors.extend(network.counters().iter().map(|name| {
        let count = steps.to_le_bytes().to_vec();
        (name.as_str(), Dtype::I64, Vec::new(), count)
    }));
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        Ok((
            *name,
            TensorView::new(*dtype, shape.clone(), bytes).map_err(|e| broken(path, e))?,
        ))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| broken(path, e))?;
    write_whole(path, &bytes)
}

/// Reads values for `parameters` by name.
///
/// # Errors
/// If the file can't be read, or lacks a parameter, or holds one of another shape.
pub fn load<'p>(
    path: &Path,
    parameters: impl Iterator<Item = &'p Parameter>,
) -> Result<Vec<Tensor<f32>>> {
    let bytes = read_whole(path)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| broken(path, e))?;
    parameters
        .map(|p| {
            if !p.in_files() {
                return Ok(p.initial(0, 0));
            }
            let view = file.tensor(&p.name).map_err(|_| {
                Error::Config(format!(
                    "{} has no tensor {}, which the model needs; it holds {}",
                    path.display(),
                    p.name,
                    some_of(file.names())
                ))
            })?;
            if view.dtype() != Dtype::F32 || view.shape() != p.file_shape().dims() {
                return Err(Error::Config(format!(
                    "{}: {} is {:?} {:?}, but the model needs F32 {:?}; take the weights of the same model",
                    path.display(),
                    p.name,
                    view.dtype(),
                    view.shape(),
                    p.file_shape().dims()
                )));
            }
            let values: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            if let Some(wrong) = values.iter().find(|value| !value.is_finite()) {
                return Err(Error::Config(format!(
                    "{}: {} holds {wrong}, which no model computes with; take weights of a training that went well",
                    path.display(),
                    p.name
                )));
            }
            Ok(p.from_file(&values))
        })
        .collect()
}

/// The first few of the names, sorted.
fn some_of(mut names: Vec<&str>) -> String {
    const SHOWN: usize = 8;
    names.sort_unstable();
    match names.len() {
        0 => "none".to_string(),
        n if n > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
        _ => names.join(", "),
    }
}

fn broken(path: &Path, e: safetensors::SafeTensorError) -> Error {
    Error::Config(format!(
        "{} is no usable safetensors file ({e}); it may be damaged or of another format",
        path.display()
    ))
}

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
                TensorView::new(dtype, shape.to_vec(), bytes).map_err(|e| broken(path, e))?,
            ))
        });
        let views = views.collect::<Result<Vec<_>>>()?;
        let progress = format!("{} {}", self.epoch, self.step);
        let metadata = HashMap::from([("progress".to_string(), progress)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| broken(path, e))?;
        write_whole(path, &bytes)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file can't be read or is no checkpoint.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let bytes = read_whole(path)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| broken(path, e))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(path, e))?;
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

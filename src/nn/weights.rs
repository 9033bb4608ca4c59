//! Weights in files: safetensors with PyTorch's names and layouts, which `torch.nn.Module.load_state_dict` accepts as they are.
//!
//! Written as F32; F16, BF16 and F64 are read, too, also from the files of other programs (see `formats`).

mod file;
mod formats;
mod gpt2;
mod init;
mod lora;
mod npz;
mod stored;

pub use file::Reason;
pub use init::{Initialised, LeftOut, init};
pub use lora::{load_adapted, lora_settings, save_lora};
pub use npz::save_npz;

use super::model::Model;
use super::network::Network;
use super::parameter::Parameter;
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::tensor_file;
use file::WeightFile;
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// The content of a model's weights file: names, shapes and layouts, without values.
#[derive(Clone, Debug)]
pub struct StateSpec<'m> {
    /// Weights and buffers, in the order of their values.
    pub parameters: Vec<&'m Parameter>,
    /// Additional names of tied weights, each with the name of the weight.
    pub aliases: Vec<(String, String)>,
    /// Names of the number of training steps.
    pub counters: Vec<String>,
}

impl<'m> From<&'m Network> for StateSpec<'m> {
    fn from(network: &'m Network) -> Self {
        StateSpec::of(network)
    }
}

impl<'m> StateSpec<'m> {
    /// The state of `model`.
    pub fn of(model: &'m dyn Model) -> StateSpec<'m> {
        StateSpec {
            parameters: model.state().collect(),
            aliases: model.aliases().to_vec(),
            counters: model.counters().to_vec(),
        }
    }
}

impl StateSpec<'_> {
    /// All names of `parameter` in a file: its own, then its aliases.
    fn names<'s>(&'s self, parameter: &'s Parameter) -> impl Iterator<Item = &'s str> {
        let aliases = self.aliases.iter();
        let aliases = aliases.filter(|(_, weight)| *weight == parameter.name);
        std::iter::once(parameter.name.as_str()).chain(aliases.map(|(alias, _)| alias.as_str()))
    }
}

/// Writes the `values` of a model's state in PyTorch's layouts, and the number of training `steps` where PyTorch stores it.
///
/// # Errors
/// If the file can't be written.
pub fn save<'m>(
    path: &Path,
    state: impl Into<StateSpec<'m>>,
    values: &[Tensor<f32>],
    steps: u64,
) -> Result<()> {
    write_whole(path, &to_bytes(path, state, values, steps, &[])?)
}

/// The bytes that [`save`] writes to `path`, with `notes` among the metadata, as pairs of a key and a text.
///
/// # Errors
/// If a value does not fit its parameter.
pub fn to_bytes<'m>(
    path: &Path,
    state: impl Into<StateSpec<'m>>,
    values: &[Tensor<f32>],
    steps: u64,
    notes: &[(String, String)],
) -> Result<Vec<u8>> {
    let state = state.into();
    let parts = state.parameters.iter().zip(values);
    let mut tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = parts
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
    for (alias, weight) in &state.aliases {
        if let Some((_, dtype, shape, bytes)) = tensors.iter().find(|(name, ..)| name == weight) {
            tensors.push((alias.as_str(), *dtype, shape.clone(), bytes.clone()));
        }
    }
    tensors.extend(state.counters.iter().map(|name| {
        let count = steps.to_le_bytes().to_vec();
        (name.as_str(), Dtype::I64, Vec::new(), count)
    }));
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        Ok((
            *name,
            TensorView::new(*dtype, shape.clone(), bytes)
                .map_err(|e| tensor_file::invalid(path, &e))?,
        ))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    let format = ("format".to_string(), "pt".to_string());
    let metadata = notes.iter().cloned().chain([format]);
    tensor_file::to_bytes(path, &views, metadata.collect())
}

/// Reads the values of a model's whole state by name. A tied weight may have any of its names in the file; other tensors of the
/// file are ignored.
///
/// # Errors
/// If the file can't be read, or lacks a parameter, or holds one of another shape, or different values for the names of a tied
/// weight, or values that are not finite.
pub fn load<'m>(path: &Path, state: impl Into<StateSpec<'m>>) -> Result<Vec<Tensor<f32>>> {
    let state = state.into();
    let file = WeightFile::read(path)?;
    for (alias, weight) in &state.aliases {
        if file.differ(alias, weight) {
            return Err(Error::Config(format!(
                "{} holds different values for {alias} and {weight}, which are the same weight in this model; use weights of the same model",
                path.display()
            )));
        }
    }
    let parameters = state.parameters.iter();
    parameters
        .map(|p| {
            if !p.in_files() {
                return Ok(p.initial(0, 0));
            }
            let Some(name) = state.names(p).find(|name| file.holds(name)) else {
                return Err(Error::Config(format!(
                    "{} has no tensor {}, which the model needs; it holds {}",
                    path.display(),
                    p.name,
                    some_of(file.names(), SHOWN)
                )));
            };
            file.read_tensor(name, p)?.map_err(|reason| {
                Error::Config(format!(
                    "{}: {name} does not fit: {reason}; use weights of the same model",
                    path.display()
                ))
            })
        })
        .collect()
}

/// The number of names that a message or note lists.
const SHOWN: usize = 8;

/// The first `most` of the `names`, and how many more there are.
fn some_of<S: AsRef<str>>(names: impl IntoIterator<Item = S>, most: usize) -> String {
    let names: Vec<S> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len() {
        0 => "none".to_string(),
        n if n > most => format!("{} and {} more", shown.join(", "), n - most),
        _ => shown.join(", "),
    }
}

#[cfg(test)]
mod tests;

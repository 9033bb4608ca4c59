//! Files of low-rank adapters: what was trained of a network whose other weights stayed as they were.

use super::file::WeightFile;
use super::{SHOWN, some_of};
use crate::checksum::{Absorb as _, Checksum};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::nn::lora::Lora;
use crate::nn::model::Model;
use crate::tensor_file;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// Keys of the metadata: the settings of the adapters as JSON, and the checksum of the weights that they adapt.
const SETTINGS: &str = "lora";
const BASE: &str = "base";

/// Writes what is trained of `model`, whose state has these `values`, if it has adapters.
///
/// # Errors
/// If the model has none, or the file can't be written.
pub fn save_lora(path: &Path, model: &dyn Model, values: &[Tensor<f32>]) -> Result<()> {
    let lora = model.lora().ok_or_else(|| {
        Error::Config(format!(
            "model {} has no low-rank adapters to write to {}; train with [lora]",
            model.name(),
            path.display()
        ))
    })?;
    let trained = model.state().zip(values);
    let trained = trained.filter(|(parameter, _)| lora.trains(&parameter.name));
    let tensors: Vec<(&str, Vec<usize>, Vec<u8>)> = trained
        .map(|(parameter, value)| {
            let bytes = bytemuck::cast_slice(&parameter.to_file(value)).to_vec();
            let shape = parameter.file_shape().dims().to_vec();
            (parameter.name.as_str(), shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        Ok((*name, view.map_err(|e| tensor_file::invalid(path, &e))?))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    let settings =
        serde_json::to_string(lora).map_err(|e| Error::Config(format!("adapters: {e}")))?;
    let metadata = HashMap::from([
        ("format".to_string(), "pt".to_string()),
        (SETTINGS.to_string(), settings),
        (BASE.to_string(), base_checksum(model, lora, values)),
    ]);
    tensor_file::write(path, &views, metadata)
}

/// The settings of the adapters in the file at `path`.
///
/// # Errors
/// If it can't be read, or is no file of adapters.
pub fn lora_settings(path: &Path) -> Result<Lora> {
    if !path.exists() {
        return Err(Error::missing(path, "a file of low-rank adapters"));
    }
    let metadata = metadata(path)?;
    let none = || {
        Error::Config(format!(
            "{} is not a file of low-rank adapters; a run with [lora] writes one, lora.safetensors, into its folder",
            path.display()
        ))
    };
    let settings = metadata.get(SETTINGS).ok_or_else(none)?;
    let lora: Lora = serde_json::from_str(settings).map_err(|e| {
        Error::Config(format!(
            "{}: its settings of adapters can't be read: {e}; use another copy of it",
            path.display()
        ))
    })?;
    lora.check()
        .map_err(|e| Error::Config(format!("{}: {e}", path.display())))?;
    Ok(lora)
}

/// The state of `model`, which has adapters: what they adapt from the weights file `base`, and what was trained from the file of
/// adapters `path`.
///
/// # Errors
/// If a file can't be read, or the adapters are of another model or of other weights.
pub fn load_adapted(base: &Path, path: &Path, model: &dyn Model) -> Result<Vec<Tensor<f32>>> {
    let lora = model.lora().cloned().unwrap_or_default();
    let (base_file, trained) = (WeightFile::read(base)?, WeightFile::read(path)?);
    let refused = |why: String| {
        Err(Error::Config(format!(
            "{} holds adapters of another model than {}: {why}; name the run that the adapters were trained on",
            path.display(),
            base.display()
        )))
    };
    let mut values = Vec::new();
    for parameter in model.state() {
        let name = &parameter.name;
        if !parameter.in_files() {
            values.push(parameter.initial(0, 0));
            continue;
        }
        let file = match lora.trains(name) {
            true => &trained,
            false => &base_file,
        };
        let aliases = model.aliases().iter().filter(|(_, weight)| weight == name);
        let mut names = std::iter::once(name).chain(aliases.map(|(alias, _)| alias));
        let Some(name) = names.find(|name| file.holds(name)) else {
            let known = some_of(file.names(), SHOWN);
            return refused(format!("there is no {name}, but {known}"));
        };
        match file.read_tensor(name, parameter)? {
            Ok(value) => values.push(value),
            Err(reason) => return refused(format!("{name}: {reason}")),
        }
    }
    let known = metadata(path)?.remove(BASE);
    if known.is_some_and(|known| known != base_checksum(model, &lora, &values)) {
        return refused("the weights that they adapt have other values".to_string());
    }
    Ok(values)
}

/// The checksum of the weights that are not trained.
fn base_checksum(model: &dyn Model, lora: &Lora, values: &[Tensor<f32>]) -> String {
    let mut sum = Checksum::default();
    let state = model.state().zip(values);
    for (parameter, value) in state.filter(|(p, _)| p.in_files() && !lora.trains(&p.name)) {
        sum.add(parameter.name.as_bytes());
        sum.add(bytemuck::cast_slice(value.reals()));
    }
    format!("crc32:{}", sum.digits())
}

fn metadata(path: &Path) -> Result<HashMap<String, String>> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    Ok(tensor_file::open(path, &bytes)?.1)
}

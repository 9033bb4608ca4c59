//! Networks of Keras, Sequential or Functional, from `.keras` and `.h5` files: each layer becomes nodes of ONNX, which are then built
//! as those of an ONNX file are.
//!
//! Values keep the axes of Keras, `[N, H, W, C]` for images. Weights keep the names of their layers, as in `conv2d/kernel`; filters
//! are O-I-KH-KW, as in the other files of weights.

mod config;
mod export;
mod hdf5;
mod layers;
mod net;
mod stored;

pub use export::export_keras;

use super::file::OnnxFile;
use crate::archive::{Archive, MAGIC};
use crate::error::{Error, Result};
use config::NetworkConfig;
use hdf5::HdfGroup;
use net::Net;
use serde_json::Value as Json;
use std::path::Path;
use stored::StoredWeights;

/// Version of ONNX's operators that the nodes are of.
const OPSET: i64 = 23;

/// Networks may be nested this deeply.
const DEEPEST: usize = 16;
/// The most nodes of a network: what is called several times counts as often.
const MOST_NODES: usize = 200_000;

/// Whether `bytes` are the content of a file of Keras, as far as their beginning says.
pub fn is_keras(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) || bytes.starts_with(hdf5::MAGIC)
}

/// Reads the content `bytes` of the file at `path`.
///
/// # Errors
/// If it is damaged, holds no network, or has a layer that is not supported.
pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<OnnxFile> {
    let refused = |why: String| Error::Config(format!("{}: {why}", path.display()));
    let (config, weights, version) = parts(path, bytes)?;
    let version = match version {
        Some(version) => format!("Keras {version}"),
        None => "Keras".to_string(),
    };
    let network = NetworkConfig::of(&config).map_err(refused)?;
    let mut net = Net::new(&version);
    let (inputs, outputs) = layers::network(&mut net, &network, &weights).map_err(refused)?;
    let (nodes, constants, weights) = net.finish();
    OnnxFile::assembled(
        path, version, OPSET, nodes, inputs, outputs, constants, weights,
    )
    .map_err(refused)
}

/// Configuration, weights, and the version of Keras.
fn parts(path: &Path, bytes: Vec<u8>) -> Result<(Json, StoredWeights, Option<String>)> {
    let refused = |why: String| Error::Config(format!("{}: {why}", path.display()));
    let json = |bytes: &[u8]| {
        serde_json::from_slice::<Json>(bytes)
            .map_err(|e| refused(format!("its configuration is damaged ({e}); save it again")))
    };
    if bytes.starts_with(MAGIC) {
        let mut archive = Archive::new(path, bytes)?;
        let config = json(&archive.read("config.json")?)?;
        let about = json(&archive.read("metadata.json")?)?;
        let version = about.get("keras_version").and_then(Json::as_str);
        let weights = HdfGroup::read(archive.read("model.weights.h5")?).map_err(refused)?;
        let weights = StoredWeights::by_layer(weights);
        return Ok((config, weights, version.map(str::to_string)));
    }
    let file = HdfGroup::read(bytes).map_err(refused)?;
    let Some(config) = file.attributes.get("model_config") else {
        return Err(refused(
            "it holds weights without a network; save the model whole, as model.save(\"model.keras\") does".to_string(),
        ));
    };
    let config = json(config.as_bytes())?;
    let version = file.attributes.get("keras_version").cloned();
    Ok((config, StoredWeights::by_name(file), version))
}

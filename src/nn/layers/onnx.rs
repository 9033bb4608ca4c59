//! Networks from files of ONNX and Keras, as layers of a model.

use crate::error::Result;
use crate::graph::Var;
use crate::nn::layer::LayerType;
use crate::nn::parameter::Layout;
use crate::nn::site::Site;
use crate::onnx::{OnnxNetwork, channels_last};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// A network from a file of ONNX or Keras, whole or up to one of its values. Its weights keep their names in the file and are trained further.
/// An image is `[height, width, channels]` before and after it, as for other layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnnxLayer {
    /// The file. In a file of settings or a model file, its path is relative to that file.
    pub file: PathBuf,
    /// The value of the network that is the layer's output; by default its first output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The file, once it was read.
    #[serde(skip)]
    #[schemars(skip)]
    network: Cached,
}

/// What was read from a file; it does not count when layers are compared.
#[derive(Clone, Debug, Default)]
struct Cached(OnceLock<Arc<OnnxNetwork>>);

impl PartialEq for Cached {
    fn eq(&self, _other: &Cached) -> bool {
        true
    }
}

impl OnnxLayer {
    /// The network in `file`, up to the value `until`.
    pub fn new(file: PathBuf, until: Option<String>) -> OnnxLayer {
        OnnxLayer {
            file,
            until,
            network: Cached::default(),
        }
    }

    /// Whether the file holds the whole network, and not only names files that hold parts of it.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn is_whole(&self) -> Result<bool> {
        Ok(!self.network()?.file().has_external_data)
    }

    /// The network, which is read once.
    fn network(&self) -> Result<Arc<OnnxNetwork>> {
        if let Some(network) = self.network.0.get() {
            return Ok(network.clone());
        }
        let network = Arc::new(OnnxNetwork::read(&self.file)?);
        Ok(self.network.0.get_or_init(|| network).clone())
    }
}

impl LayerType for OnnxLayer {
    fn stem(&self) -> &'static str {
        "onnx"
    }

    /// It checks its input itself.
    fn takes_tokens(&self) -> bool {
        true
    }

    fn build<'g>(&self, site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let network = self.network()?;
        let prefix = site.prefix();
        let built = network.build(site.cx, &prefix, inputs[0], self.until.as_deref())?;
        for (name, array) in &built.variables {
            let own = name.strip_prefix(&prefix).unwrap_or(name);
            let (value, layout) = match network.layout(own) {
                Layout::Conv => (channels_last(array), Layout::Conv),
                _ => (array.tensor(), Layout::Same),
            };
            site.given(own, value, layout, network.is_weight(own));
        }
        Ok(built.output)
    }
}

//! The root of a run's ledger in a model that was exported from it: a note in ONNX and safetensors files.

use crate::error::Result;
use crate::files::read_whole;
use crate::onnx::OnnxFile;
use crate::tensor_file;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Key of the note.
pub const CARRIED: &str = "wgrad.provenance";

/// The root of the first links of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedRoot {
    /// Their number.
    pub links: u64,
    /// Root of the Merkle tree over their hashes.
    pub root: String,
}

impl CarriedRoot {
    /// It as a note: a key and JSON.
    pub fn note(&self) -> (String, String) {
        let text = serde_json::json!({"links": self.links, "root": self.root});
        (CARRIED.to_string(), text.to_string())
    }

    /// The root in the ONNX or safetensors file `path`; `None` if it carries none, or is of another format.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn of_file(path: &Path) -> Result<Option<CarriedRoot>> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let notes: Vec<(String, String)> = match ending {
            Some("safetensors") => {
                let bytes = read_whole(path, "a safetensors file")?;
                let (_, metadata) = tensor_file::open(path, &bytes)?;
                metadata.into_iter().collect()
            }
            Some("onnx") => OnnxFile::read(path)?.metadata,
            _ => Vec::new(),
        };
        let note = notes.iter().find(|(key, _)| key == CARRIED);
        Ok(note.and_then(|(_, text)| serde_json::from_str(text).ok()))
    }
}

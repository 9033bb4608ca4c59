//! What a link of a ledger says: what a run was made of, what it made, and how it was judged. No record holds a time, so that the
//! same run has the same links.

use crate::data::PartContent;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeRecord {
    /// Version of wgrad.
    pub version: String,
    /// SHA-256 of the sources of the library, the shaders, and the list of dependencies.
    pub sources: String,
    /// SHA-256 of what kernels depend on: shaders, operations and planning.
    pub kernels: String,
}

impl CodeRecord {
    /// This program.
    pub fn own() -> CodeRecord {
        CodeRecord {
            version: env!("CARGO_PKG_VERSION").to_string(),
            sources: env!("WGRAD_SOURCES_HASH").to_string(),
            kernels: env!("WGRAD_KERNELS_HASH").to_string(),
        }
    }
}

/// The settings, and the files that they consist of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettingsRecord {
    /// SHA-256 of each file of the run folder that says what is trained, by its name: `run.toml`, tokenizer, networks.
    pub files: BTreeMap<String, String>,
    /// Settings that changed when the run was resumed: `epochs: 3 -> 5`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

/// The data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Where they were.
    pub source: String,
    /// Number of files.
    pub files: u64,
    /// SHA-256 of `data-files.json`, which lists the digest of each file; absent in runs whose beginning has no record of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    /// The content of each part, as it is given to the model.
    pub parts: BTreeMap<String, PartContent>,
}

/// The device, and what it computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Its name, as reports have it.
    pub name: String,
    /// `Vulkan`, `Metal`, `Dx12`, or `reference`.
    pub backend: String,
    /// Driver with its version; empty for the reference.
    pub driver: String,
    /// SHA-256 of `variants.toml`, the kernel variants; absent for the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<String>,
    /// SHA-256 of the graphs of a training step.
    pub step: String,
}

/// What a run begins or goes on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartRecord {
    /// Finished steps: 0 of a new run.
    pub step: u64,
    /// The content of the checkpoint that is resumed, or of the weights from a file; absent where the seed draws them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// SHA-256 of each file of weights that the run reads, by its path: initial weights, those of teachers and of earlier runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// Bytes of an incomplete last line that were cut off the ledger, as a process leaves one that was killed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The figures of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// The epoch after which the run was evaluated; absent for `wgrad eval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// SHA-256 of the file of the weights; absent within a run, where they are those of the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The content of the samples; absent within a run, where they are those of its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<PartContent>,
    /// Loss, metrics and what else is known, without times.
    pub figures: BTreeMap<String, Value>,
}

/// Weights that the run wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightsRecord {
    /// Name of the file in the run folder.
    pub file: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Finished steps.
    pub step: u64,
}

/// A checkpoint that the run wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// Name of the file in the run folder.
    pub file: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Finished epochs.
    pub epoch: u64,
    /// Finished steps.
    pub step: u64,
    /// SHA-256 of the variables alone.
    pub values: String,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndRecord {
    /// Finished steps.
    pub step: u64,
    /// Number of the first links that the root is of.
    pub links: u64,
    /// Root of the Merkle tree over their hashes.
    pub root: String,
}

/// A model that was written for other programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportRecord {
    /// Name of the file, or of the folder of a page.
    pub file: String,
    /// Whether the file lies in the run folder.
    pub inside: bool,
    /// `onnx`, `keras`, `safetensors`, `npz` or `web`.
    pub format: String,
    /// SHA-256 of the file; of a page, that of the list of its files.
    pub sha256: String,
    /// SHA-256 of the file of the weights.
    pub weights: String,
    /// Number of the first links of the ledger that the root is of.
    pub links: u64,
    /// The root, which ONNX and safetensors files carry.
    pub root: String,
}

/// A run, in a ledger that several share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// What its folder is called.
    pub name: String,
    /// Number of the first links of its own ledger that the root is of.
    pub links: u64,
    /// Their root.
    pub root: String,
    /// SHA-256 of its last weights.
    pub weights: String,
}

/// Lists the records with their names in a line, so that writing and reading agree.
macro_rules! records {
    ($($(#[$doc:meta])* $variant:ident($body:ident) = $kind:literal,)*) => {
        /// What a link says.
        #[derive(Clone, Debug, PartialEq)]
        pub enum LedgerRecord {
            $($(#[$doc])* $variant($body),)*
        }

        impl LedgerRecord {
            /// Its name in a line.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(LedgerRecord::$variant(_) => $kind,)*
                }
            }

            /// It as JSON.
            ///
            /// # Errors
            /// If it can't be written.
            pub(super) fn body(&self) -> Result<Box<RawValue>> {
                let body = match self {
                    $(LedgerRecord::$variant(body) => to_raw_value(body),)*
                };
                body.map_err(|e| Error::Config(format!("a link of a ledger can't be written: {e}")))
            }

            /// The record of this `kind`; `None` if this version does not know the kind.
            ///
            /// # Errors
            /// If `body` is another record.
            pub fn parse(kind: &str, body: &RawValue) -> Result<Option<LedgerRecord>, String> {
                let wrong = |e: serde_json::Error| format!("it is no record of the kind {kind}: {e}");
                Ok(Some(match kind {
                    $($kind => LedgerRecord::$variant(
                        serde_json::from_str(body.get()).map_err(wrong)?,
                    ),)*
                    _ => return Ok(None),
                }))
            }
        }
    };
}

records! {
    /// The program.
    Code(CodeRecord) = "code",
    /// The settings.
    Settings(SettingsRecord) = "settings",
    /// The data.
    Data(DataRecord) = "data",
    /// The device.
    Device(DeviceRecord) = "device",
    /// The first step, or the one after a checkpoint.
    Start(StartRecord) = "start",
    /// An evaluation.
    Evaluation(EvaluationRecord) = "evaluation",
    /// Weights in a file.
    Weights(WeightsRecord) = "weights",
    /// A checkpoint.
    Checkpoint(CheckpointRecord) = "checkpoint",
    /// The end of the training.
    End(EndRecord) = "end",
    /// A model for other programs.
    Export(ExportRecord) = "export",
    /// A run, in a shared ledger.
    Run(RunRecord) = "run",
}

/// Keys of a line of `metrics.jsonl` that say how long something took.
const TIMES: [&str; 5] = [
    "seconds",
    "samples_per_s",
    "env_steps_per_s",
    "device_waited",
    "decoders_waited",
];

/// The figures in a line of `metrics.jsonl`, or in one of `wgrad eval`, without times.
pub fn figures_of_line(line: &Map<String, Value>) -> BTreeMap<String, Value> {
    let lasting = line
        .iter()
        .filter(|(key, _)| !TIMES.contains(&key.as_str()) && *key != "event");
    lasting
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_are_written() {
        let end = LedgerRecord::End(EndRecord {
            step: 7,
            links: 3,
            root: "ab".to_string(),
        });
        let body = end.body().unwrap();
        assert_eq!(body.get(), r#"{"step":7,"links":3,"root":"ab"}"#);
        assert_eq!(LedgerRecord::parse(end.kind(), &body), Ok(Some(end)));
        assert_eq!(LedgerRecord::parse("of a later version", &body), Ok(None));
        let message = LedgerRecord::parse("code", &body).unwrap_err();
        assert!(message.contains("no record of the kind code"), "{message}");
    }

    #[test]
    fn figures_have_no_times() {
        let line =
            serde_json::json!({"event": "epoch", "epoch": 2, "seconds": 1.5, "test_loss": 0.25});
        let figures = figures_of_line(line.as_object().unwrap());
        let text = serde_json::to_string(&figures).unwrap();
        assert_eq!(text, r#"{"epoch":2,"test_loss":0.25}"#);
    }
}

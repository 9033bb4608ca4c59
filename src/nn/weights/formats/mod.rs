//! Formats of weights that other programs write, one file each.

mod numpy;
mod pickle;
mod safetensors;
mod sharded;
mod torch;
mod torch_legacy;

use super::stored::StoredTensor;
use crate::error::{Error, Result};
use crate::files::read_whole;
use std::collections::BTreeMap;
use std::path::Path;

/// Tensors by name.
pub(super) type Tensors = BTreeMap<String, StoredTensor>;

/// A format of files of weights.
struct WeightFormat {
    /// What a message calls a file of it.
    what: &'static str,
    /// Whether `bytes`, the content of a file, are of this format, as far as their beginning says.
    fits: fn(bytes: &[u8]) -> bool,
    /// Reads the content `bytes` of the file at a path.
    read: fn(path: &Path, bytes: Vec<u8>) -> Result<Tensors>,
}

/// All formats; the first that fits is taken.
const FORMATS: &[WeightFormat] = &[
    safetensors::FORMAT,
    sharded::FORMAT,
    torch::FORMAT,
    torch_legacy::FORMAT,
    numpy::FORMAT,
];

/// Reads the tensors of the file at `path`.
///
/// # Errors
/// If it can't be read, is damaged, or has none of the formats.
pub(super) fn read(path: &Path) -> Result<Tensors> {
    let bytes = read_whole(path, "a file of weights")?;
    let fitting = FORMATS.iter().find(|format| (format.fits)(&bytes));
    // A damaged file gets the sentence of the format that its name has.
    let is_named = path.extension().is_some_and(|e| e == "safetensors");
    let Some(format) = fitting.or(is_named.then_some(&safetensors::FORMAT)) else {
        let known: Vec<&str> = FORMATS.iter().map(|format| format.what).collect();
        return Err(Error::Config(format!(
            "{} is not a file of weights, or it is damaged; the formats that can be read are {}",
            path.display(),
            known.join(", ")
        )));
    };
    (format.read)(path, bytes)
}

/// The error that the file at `path` is refused, with the reason as the rest of a sentence.
fn refused(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::Config(format!("{} {why}", path.display()))
}

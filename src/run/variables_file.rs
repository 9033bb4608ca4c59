//! Safetensors files of variables in the engine's layouts: checkpoints, and the values at which a run holds its weights.

use crate::cpu::{Data, Tensor};
use crate::error::{Error, Result};
use crate::files::{read_whole, write_whole};
use crate::tensor_file;
use crate::train::AnchorTerm;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// Variables by name.
type Variables = Vec<(String, Tensor<f32>)>;

/// Writes `variables` and `metadata`.
///
/// # Errors
/// If the file can't be written.
pub(super) fn write(
    path: &Path,
    variables: &[(String, Tensor<f32>)],
    metadata: HashMap<String, String>,
) -> Result<()> {
    write_whole(path, &to_bytes(path, variables, metadata)?)
}

/// The bytes that [`write`] writes to `path`.
///
/// # Errors
/// If a tensor is invalid.
pub(super) fn to_bytes(
    path: &Path,
    variables: &[(String, Tensor<f32>)],
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let views = variables.iter().map(|(name, value)| {
        let (dtype, bytes) = match &value.data {
            Data::Real(x) => (Dtype::F32, bytemuck::cast_slice(x)),
            Data::Index(x) => (Dtype::U32, bytemuck::cast_slice(x)),
        };
        let view = TensorView::new(dtype, value.dims().to_vec(), bytes);
        Ok((
            name.as_str(),
            view.map_err(|e| tensor_file::invalid(path, &e))?,
        ))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    tensor_file::to_bytes(path, &views, metadata)
}

/// Reads variables and metadata; `None` if a tensor is of another type than those that are written.
///
/// # Errors
/// If the file can't be read, or is damaged.
pub(super) fn read(path: &Path) -> Result<Option<(Variables, HashMap<String, String>)>> {
    let bytes = read_whole(path, "a safetensors file")?;
    let (file, metadata) = tensor_file::open(path, &bytes)?;
    let variables = file.tensors().into_iter().map(|(name, view)| {
        let words = view
            .data()
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let data = match view.dtype() {
            Dtype::U32 => Data::Index(words.collect()),
            Dtype::F32 => Data::Real(words.map(f32::from_bits).collect()),
            _ => return None,
        };
        let shape = view.shape().into();
        Some((name, Tensor { shape, data }))
    });
    let variables: Option<Variables> = variables.collect();
    Ok(variables.map(|variables| (variables, metadata)))
}

/// Prefixes of the names of values and of their importance.
const HELD: [&str; 2] = ["value.", "importance."];

/// Writes the values at which a run holds its weights, and their importance.
///
/// # Errors
/// If the file can't be written.
pub(super) fn write_anchor(path: &Path, terms: &[AnchorTerm]) -> Result<()> {
    let variables = terms.iter().flat_map(|term| {
        let both = [&term.value, &term.importance];
        let named = HELD.into_iter().zip(both);
        named.map(|(prefix, value)| (format!("{prefix}{}", term.name), value.clone()))
    });
    write(path, &variables.collect::<Variables>(), HashMap::new())
}

/// Reads what [`write_anchor`] wrote.
///
/// # Errors
/// If the file can't be read, or holds something else.
pub(super) fn read_anchor(path: &Path) -> Result<Vec<AnchorTerm>> {
    let strange = || {
        Error::Config(format!(
            "{} does not hold weights with their importance; remove it, and the run measures them again",
            path.display()
        ))
    };
    let (variables, _) = read(path)?.ok_or_else(strange)?;
    let found: HashMap<String, Tensor<f32>> = variables.into_iter().collect();
    let mut names: Vec<&str> = found
        .keys()
        .filter_map(|n| n.strip_prefix(HELD[0]))
        .collect();
    names.sort_unstable();
    let term = |name: &str| {
        let [value, importance] = HELD.map(|prefix| found.get(&format!("{prefix}{name}")).cloned());
        let (value, importance) = value.zip(importance).ok_or_else(strange)?;
        match value.ty() == importance.ty() && matches!(value.data, Data::Real(_)) {
            true => Ok(AnchorTerm {
                name: name.to_string(),
                value,
                importance,
            }),
            false => Err(strange()),
        }
    };
    names.into_iter().map(term).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_weights_are_read_as_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor.safetensors");
        let term = |name: &str, first: f32| AnchorTerm {
            name: name.to_string(),
            value: Tensor::real([2], vec![first, -1.0]),
            importance: Tensor::real([2], vec![0.5, first]),
        };
        let terms = [term("a.bias", 1.0), term("b.weight", 2.0)];
        write_anchor(&path, &terms).unwrap();
        assert_eq!(read_anchor(&path).unwrap(), terms);
        let lone = [("value.a".to_string(), Tensor::real([1], vec![1.0]))];
        write(&path, &lone, HashMap::new()).unwrap();
        let message = read_anchor(&path).unwrap_err().to_string();
        assert!(message.contains("with their importance"), "{message}");
    }
}

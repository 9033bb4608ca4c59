//! Safetensors files with a checksum: weights and checkpoints.

use crate::checksum::{Absorb as _, Checksum};
use crate::error::{Error, Result};
use crate::files::write_whole;
use safetensors::SafeTensorError;
use safetensors::tensor::{SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The key of the checksum among the metadata.
const CHECKSUM: &str = "checksum";

/// Writes `tensors` and `metadata`, with a checksum of both among the metadata.
///
/// # Errors
/// If the file can't be written.
pub(crate) fn write(
    path: &Path,
    tensors: &[(&str, TensorView<'_>)],
    metadata: HashMap<String, String>,
) -> Result<()> {
    write_whole(path, &to_bytes(path, tensors, metadata)?)
}

/// The bytes that [`write`] writes to `path`.
///
/// # Errors
/// If a tensor is invalid.
pub(crate) fn to_bytes(
    path: &Path,
    tensors: &[(&str, TensorView<'_>)],
    mut metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let sum = checksum(tensors.iter().map(|(name, view)| (*name, view)), &metadata);
    metadata.insert(CHECKSUM.to_string(), sum);
    let views = tensors.iter().map(|(name, view)| (*name, view));
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| invalid(path, &e))?;
    with_sorted_header(&bytes)
        .ok_or_else(|| Error::Graph(format!("the header of {} can't be written", path.display())))
}

/// The file with sorted metadata. The crate writes them in the order of a hash map, but the same run writes the same bytes.
fn with_sorted_header(bytes: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (header, data) =
        rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let mut header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    if let Some(metadata) = header.get_mut("__metadata__") {
        let sorted: BTreeMap<String, String> = serde_json::from_value(metadata.take()).ok()?;
        *metadata = serde_json::to_value(sorted).ok()?;
    }
    let mut text = serde_json::to_vec(&header).ok()?;
    // Data begin at a multiple of eight.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut sorted = (text.len() as u64).to_le_bytes().to_vec();
    sorted.extend(text);
    sorted.extend(data);
    Some(sorted)
}

/// The tensors and metadata in the `bytes` of the file at `path`. A checksum is verified; files of other programs have none.
///
/// # Errors
/// If it is not a safetensors file, or does not match its checksum.
pub(crate) fn open<'b>(
    path: &Path,
    bytes: &'b [u8],
) -> Result<(SafeTensors<'b>, HashMap<String, String>)> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| invalid(path, &e))?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| invalid(path, &e))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    if let Some(expected) = metadata.get(CHECKSUM) {
        let tensors = file.tensors();
        let sum = checksum(
            tensors.iter().map(|(name, view)| (name.as_str(), view)),
            &metadata,
        );
        if sum != *expected {
            return Err(Error::Config(format!(
                "{} is damaged: its content does not match its checksum; use another copy of it, or an earlier checkpoint",
                path.display()
            )));
        }
    }
    Ok((file, metadata))
}

/// The CRC-32 of names, types, shapes and bytes of all tensors by name, and of all metadata but the checksum by key.
fn checksum<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a TensorView<'a>)>,
    metadata: &HashMap<String, String>,
) -> String {
    let mut sum = Checksum::default();
    let metadata: BTreeMap<&String, &String> = metadata.iter().collect();
    for (key, value) in metadata {
        if key != CHECKSUM {
            sum.add(key.as_bytes());
            sum.add(value.as_bytes());
        }
    }
    let tensors: BTreeMap<&str, &TensorView<'_>> = tensors.collect();
    for (name, view) in tensors {
        sum.add(format!("{name} {:?} {:?}", view.dtype(), view.shape()).as_bytes());
        sum.add(view.data());
    }
    format!("crc32:{}", sum.digits())
}

/// The error of an invalid safetensors file.
pub(crate) fn invalid(path: &Path, e: &SafeTensorError) -> Error {
    Error::Config(format!(
        "{} is not a valid safetensors file ({e}); it may be damaged or in another format",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::Dtype;

    /// Every flipped bit is an error, or is in a place where it changes neither tensors nor metadata but the checksum's key.
    #[test]
    fn no_flipped_bit_changes_a_value_unnoticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let (one, two) = ([1u8, 2, 3, 4, 5, 6, 7, 8], [9u8, 10, 11, 12]);
        let view = |shape: &[usize], bytes| TensorView::new(Dtype::F32, shape.to_vec(), bytes);
        let tensors = [
            ("b", view(&[2, 1], &one).unwrap()),
            ("a", view(&[1], &two).unwrap()),
        ];
        let metadata = HashMap::from(
            [("progress", "7"), ("other", "8")].map(|(k, v)| (k.to_string(), v.to_string())),
        );
        write(&path, &tensors, metadata).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let header = bytes
            .windows(12)
            .position(|w| w == b"\"__metadata_")
            .unwrap();
        assert!(bytes[header..].starts_with(b"\"__metadata__\":{\"checksum\":\"crc32:"));
        let content = |bytes: &[u8]| {
            let (file, mut metadata) = open(&path, bytes).ok()?;
            metadata.retain(|_, value| !value.starts_with("crc32:"));
            let tensors: BTreeMap<String, (String, Vec<usize>, Vec<u8>)> = file
                .tensors()
                .into_iter()
                .map(|(name, view)| {
                    let ty = format!("{:?}", view.dtype());
                    (name, (ty, view.shape().to_vec(), view.data().to_vec()))
                })
                .collect();
            Some((tensors, metadata))
        };
        let whole = content(&bytes).unwrap();
        let mut noticed = 0;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match content(&flipped) {
                None => noticed += 1,
                Some(same) => assert_eq!(same, whole, "bit {bit}"),
            }
        }
        assert!(noticed > (bytes.len() - 16) * 8, "{noticed}");
    }
}

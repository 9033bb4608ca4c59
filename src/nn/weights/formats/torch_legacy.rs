//! Files that PyTorch before 1.6 saved: pickles one after another, and then the storages.

use super::pickle::{Pickle, Pickled};
use super::torch::{described_tensors, with_storages};
use super::{Tensors, WeightFormat, refused};
use crate::error::Result;
use std::collections::BTreeMap;
use std::path::Path;

pub(super) const FORMAT: WeightFormat = WeightFormat {
    what: "those of PyTorch before 1.6",
    // A pickle of protocol 2 to 5.
    fits: |bytes| matches!(bytes, [0x80, 2..=5, ..]),
    read,
};

/// The first pickle is this number, as bytes, lowest first.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

fn read(path: &Path, bytes: Vec<u8>) -> Result<Tensors> {
    if bytes.get(4..14) != Some(&MAGIC[..]) {
        return Err(refused(
            path,
            "is a Python pickle that torch.save did not write; save the state_dict() of the network with torch.save",
        ));
    }
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::read(bytes.get(at..).unwrap_or_default())?;
        at += pickle.length;
        Ok::<Pickle, String>(pickle)
    };
    // The number above, the version of the format, and what the machine was like.
    let mut pickles = || {
        for _ in 0..3 {
            next()?;
        }
        Ok::<[Pickle; 2], String>([next()?, next()?])
    };
    let [pickle, keys] = pickles().map_err(|why| refused(path, why))?;
    let found = described_tensors(&pickle).map_err(|why| refused(path, why))?;
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for storage in found.values().map(|tensor| tensor.storage()) {
        if let Some(size) = storage.ty.bytes() {
            sizes.insert(&storage.key, size);
        }
    }
    let cut = || {
        refused(
            path,
            "is cut short within its tensors; download or save it again",
        )
    };
    // Each storage is its number of elements, and its elements.
    let mut storages: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for &key in keys.sequence(keys.root).unwrap_or_default() {
        let key = match keys.get(key) {
            Pickled::Text(key) => key.clone(),
            Pickled::Int(key) => key.to_string(),
            _ => {
                return Err(refused(
                    path,
                    "names a storage without a key; save it again",
                ));
            }
        };
        let length = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
        let length = usize::try_from(u64::from_le_bytes(*length.ok_or_else(cut)?));
        let Some(&size) = sizes.get(key.as_str()) else {
            return Err(refused(
                path,
                format!(
                    "holds a storage {key} of another kind than weights; save the state_dict() alone"
                ),
            ));
        };
        let start = at + 8;
        let end = length
            .ok()
            .and_then(|n| n.checked_mul(size)?.checked_add(start));
        let end = end.filter(|&end| end <= bytes.len()).ok_or_else(cut)?;
        storages.insert(key, (start, end));
        at = end;
    }
    with_storages(path, found, |storage| match storages.get(&storage.key) {
        Some(&(start, end)) => Ok(bytes[start..end].to_vec()),
        None => Err(cut()),
    })
}

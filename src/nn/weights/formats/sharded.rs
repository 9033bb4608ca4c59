//! Weights in several safetensors files, with an index in JSON that says which tensor is in which, as Hugging Face writes them:
//! `model.safetensors.index.json`.

use super::{Tensors, WeightFormat, refused, safetensors};
use crate::error::Result;
use crate::files::read_whole;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

pub(super) const FORMAT: WeightFormat = WeightFormat {
    what: "its index model.safetensors.index.json",
    fits: |bytes| bytes.trim_ascii_start().starts_with(b"{"),
    read,
};

#[derive(Deserialize)]
struct Index {
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
}

fn read(path: &Path, bytes: Vec<u8>) -> Result<Tensors> {
    let index: Index = serde_json::from_slice(&bytes).map_err(|e| {
        refused(
            path,
            format!("is no index of safetensors files ({e}); name the file of weights"),
        )
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let files: BTreeSet<&String> = index.weight_map.values().collect();
    let mut tensors = Tensors::new();
    for file in files {
        let relative = Path::new(file);
        let mut parts = relative.components();
        let is_beside = matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        );
        if !is_beside {
            return Err(refused(
                path,
                format!("names {file}, which is not in its folder; put the files beside the index"),
            ));
        }
        let shard = folder.join(relative);
        let bytes = read_whole(&shard, "a safetensors file").map_err(|e| {
            refused(
                path,
                format!("names a file that can't be read: {e}; put all files beside the index"),
            )
        })?;
        tensors.append(&mut safetensors::read(&shard, bytes)?);
    }
    if let Some(absent) = index
        .weight_map
        .keys()
        .find(|name| !tensors.contains_key(*name))
    {
        return Err(refused(
            path,
            format!(
                "names {absent} in {}, which does not have it; download the files again",
                index.weight_map[absent]
            ),
        ));
    }
    Ok(tensors)
}

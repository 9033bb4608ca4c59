//! Files of `torch.save` (`.pt`, `.pth`, `.ckpt`): an archive with a pickle that describes tensors, and their storages. Only tensors
//! are read; nothing that a pickle could run is run.

use super::pickle::{At, Pickle, Pickled};
use super::{Tensors, WeightFormat, refused};
use crate::archive::{Archive, MAGIC};
use crate::error::Result;
use crate::nn::weights::stored::{StoredBytes, StoredTensor, StoredType};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

pub(super) const FORMAT: WeightFormat = WeightFormat {
    what: "PyTorch's .pt and .pth",
    fits: |bytes| {
        let start = &bytes[..bytes.len().min(512)];
        // The first file of the archive is FOLDER/data.pkl.
        bytes.starts_with(MAGIC) && start.windows(8).any(|part| part == b"data.pkl")
    },
    read,
};

fn read(path: &Path, bytes: Vec<u8>) -> Result<Tensors> {
    let mut archive = Archive::new(path, bytes)?;
    let names = archive.names();
    let described = names.iter().find(|name| name.ends_with("data.pkl"));
    let described = described.ok_or_else(|| refused(path, "holds no data.pkl; save it again"))?;
    let folder = described.trim_end_matches("data.pkl").to_string();
    let pickle = Pickle::read(&archive.read(described)?).map_err(|why| refused(path, why))?;
    if names.contains(&format!("{folder}byteorder")) {
        let order = archive.read(&format!("{folder}byteorder"))?;
        if order != b"little" {
            return Err(refused(
                path,
                "was written with the highest byte first; save it on another machine",
            ));
        }
    }
    let found = described_tensors(&pickle).map_err(|why| refused(path, why))?;
    with_storages(path, found, |storage| {
        archive.read(&format!("{folder}data/{}", storage.key))
    })
}

/// A tensor that a pickle describes.
pub(super) struct Described {
    storage: Storage,
    /// The first element in the storage.
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Described {
    /// What holds its elements.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }
}

/// What holds the elements of tensors.
#[derive(Clone)]
pub(super) struct Storage {
    pub ty: StoredType,
    pub key: String,
}

/// `found` with the bytes of their storages, each of which `read` gives once.
pub(super) fn with_storages(
    path: &Path,
    found: BTreeMap<String, Described>,
    mut read: impl FnMut(&Storage) -> Result<Vec<u8>>,
) -> Result<Tensors> {
    let mut storages: BTreeMap<String, Arc<Vec<u8>>> = BTreeMap::new();
    let mut tensors = Tensors::new();
    for (name, tensor) in found {
        let Described {
            storage,
            offset,
            shape,
            strides,
        } = tensor;
        let Some(size) = storage.ty.bytes() else {
            tensors.insert(name, StoredTensor::new(storage.ty, shape, Vec::new()));
            continue;
        };
        let whole = match storages.get(&storage.key) {
            Some(whole) => whole.clone(),
            None => {
                let whole = Arc::new(read(&storage)?);
                storages.insert(storage.key.clone(), whole.clone());
                whole
            }
        };
        let contradicts = || {
            refused(
                path,
                format!(
                    "holds {name}, whose shape and storage contradict each other; save it again"
                ),
            )
        };
        let elements = whole.len() / size;
        let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        let count = count.filter(|&n| n <= elements).ok_or_else(contradicts)?;
        let last = shape.iter().zip(&strides).try_fold(offset, |at, (&d, &s)| {
            at.checked_add(s.checked_mul(d.saturating_sub(1))?)
        });
        let last = last.filter(|_| count > 0).unwrap_or(offset);
        if strides.len() != shape.len() || (count > 0 && last >= elements) {
            return Err(contradicts());
        }
        let is_contiguous = strides == contiguous(&shape);
        let end = match (count, is_contiguous) {
            (0, _) => offset.min(elements),
            (_, true) => offset + count,
            (_, false) => last + 1,
        };
        let range = offset.min(elements) * size..end.min(elements) * size;
        let mut stored = StoredTensor::new(storage.ty, shape, StoredBytes { whole, range });
        stored.strides = (!is_contiguous && count > 0).then_some(strides);
        tensors.insert(name, stored);
    }
    Ok(tensors)
}

/// The strides of a contiguous tensor.
fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

/// Keys under which checkpoints hold the weights, the usual ones first.
const KEYS: [&str; 9] = [
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
    "ema",
];

/// Modules may be nested this deep, and tensors wrapped this often.
const DEEPEST: usize = 32;
/// The most modules of a network that was saved whole.
const MOST_MODULES: usize = 100_000;
/// The most axes of a tensor.
const MOST_AXES: usize = 16;

/// The weights that `pickle` describes: those of the dictionary or module that it is, or else of one in it.
///
/// # Errors
/// Says what is wrong, as the rest of a sentence about the file.
pub(super) fn described_tensors(pickle: &Pickle) -> Result<BTreeMap<String, Described>, String> {
    let mut level = vec![pickle.root];
    for _ in 0..4 {
        let mut candidates = Vec::new();
        for &at in &level {
            let found = tensors_of(pickle, at)?;
            if !found.is_empty() {
                candidates.push(found);
            }
        }
        // The first one of the keys' order; without a key, the one with most tensors.
        if let Some(most) = candidates.iter().map(BTreeMap::len).max() {
            let best = candidates.into_iter().find(|found| found.len() == most);
            return Ok(best.unwrap_or_default());
        }
        let entries: Vec<(At, At)> = level
            .iter()
            .flat_map(|&at| pickle.entries(at).iter().copied())
            .collect();
        let named = |key: &str| {
            let mut entries = entries.iter();
            entries.find(|(name, _)| pickle.text(*name) == Some(key))
        };
        let usual = KEYS.iter().filter_map(|key| named(key));
        let usual = usual.map(|(_, at)| *at).find(|&at| {
            let has_tensors = tensors_of(pickle, at).is_ok_and(|found| !found.is_empty());
            has_tensors || !pickle.entries(at).is_empty()
        });
        level = match usual {
            Some(at) => vec![at],
            None => {
                let distinct: BTreeSet<At> = entries.into_iter().map(|(_, at)| at).collect();
                distinct.into_iter().collect()
            }
        };
    }
    Err("holds no tensors; save the state_dict() of the network".to_string())
}

/// The tensors of the dictionary or module at `at`, by name.
fn tensors_of(pickle: &Pickle, at: At) -> Result<BTreeMap<String, Described>, String> {
    let mut found = BTreeMap::new();
    for &(key, value) in pickle.entries(at) {
        if let (Some(name), Some(tensor)) = (pickle.text(key), tensor(pickle, value)?) {
            found.insert(name.to_string(), tensor);
        }
    }
    if found.is_empty() {
        let mut left = MOST_MODULES;
        module(pickle, at, "", 0, &mut left, &mut found)?;
    }
    Ok(found)
}

/// Adds the tensors of the module at `at`, an object that was saved whole, to `found`.
fn module(
    pickle: &Pickle,
    at: At,
    prefix: &str,
    depth: usize,
    left: &mut usize,
    found: &mut BTreeMap<String, Described>,
) -> Result<(), String> {
    let Pickled::Call {
        state: Some(state), ..
    } = pickle.get(at)
    else {
        return Ok(());
    };
    if depth > DEEPEST || *left == 0 {
        return Err(format!(
            "has over {MOST_MODULES} modules, or modules nested more than {DEEPEST} deep; save the state_dict() alone"
        ));
    }
    *left -= 1;
    for &(key, value) in pickle.entries(*state) {
        match pickle.text(key) {
            Some("_parameters" | "_buffers") => {
                for &(name, value) in pickle.entries(value) {
                    if let (Some(name), Some(tensor)) = (pickle.text(name), tensor(pickle, value)?)
                    {
                        found.insert(format!("{prefix}{name}"), tensor);
                    }
                }
            }
            Some("_modules") => {
                for &(name, value) in pickle.entries(value) {
                    if let Some(name) = pickle.text(name) {
                        let prefix = format!("{prefix}{name}.");
                        module(pickle, value, &prefix, depth + 1, left, found)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The tensor at `at`, if it is one.
fn tensor(pickle: &Pickle, mut at: At) -> Result<Option<Described>, String> {
    for _ in 0..DEEPEST {
        let Some((function, arguments)) = pickle.call(at) else {
            return Ok(None);
        };
        match (function, arguments) {
            (
                "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state",
                [data, ..],
            ) => at = *data,
            (
                "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor",
                [storage, offset, shape, strides, ..],
            ) => {
                let described = storage_of(pickle, *storage).and_then(|(storage, first)| {
                    let counts = |at| pickle.counts(at).filter(|dims| dims.len() <= MOST_AXES);
                    Some(Described {
                        storage,
                        offset: pickle.count(*offset)?.checked_add(first)?,
                        shape: counts(*shape)?,
                        strides: counts(*strides)?,
                    })
                });
                return match described {
                    Some(described) => Ok(Some(described)),
                    None => Err("describes a tensor that can't be read; save it again".to_string()),
                };
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// The storage that the pickle names at `at`, and where a view of it begins.
fn storage_of(pickle: &Pickle, at: At) -> Option<(Storage, usize)> {
    let Pickled::Persistent(named) = pickle.get(at) else {
        return None;
    };
    let parts = pickle.sequence(*named)?;
    let &[kind, class, key, _, _, ..] = parts else {
        return None;
    };
    if pickle.text(kind) != Some("storage") {
        return None;
    }
    let class = pickle.global(class)?;
    let ty = match class.rsplit('.').next()? {
        "FloatStorage" => StoredType::F32,
        "DoubleStorage" => StoredType::F64,
        "HalfStorage" => StoredType::F16,
        "BFloat16Storage" => StoredType::Bf16,
        other => StoredType::Other(other.trim_end_matches("Storage").to_string()),
    };
    let key = match pickle.get(key) {
        Pickled::Text(key) => key.clone(),
        Pickled::Int(key) => key.to_string(),
        _ => return None,
    };
    // Older files: a view of a storage is its key, its first element, and its length.
    let view = parts.get(5).and_then(|&view| pickle.sequence(view));
    let first = match view {
        Some(&[_, first, _]) => pickle.count(first)?,
        _ => 0,
    };
    Some((Storage { ty, key }, first))
}

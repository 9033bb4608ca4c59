//! NumPy's archives of arrays, `.npz`: each array under the name of a weight.

use super::{Tensors, WeightFormat, refused};
use crate::archive::{Archive, MAGIC};
use crate::data::NpyArray;
use crate::error::Result;
use crate::nn::weights::stored::{StoredTensor, StoredType};
use std::path::Path;

pub(super) const FORMAT: WeightFormat = WeightFormat {
    what: "NumPy's .npz",
    fits: |bytes| bytes.starts_with(MAGIC),
    read,
};

fn read(path: &Path, bytes: Vec<u8>) -> Result<Tensors> {
    let mut archive = Archive::new(path, bytes)?;
    let mut tensors = Tensors::new();
    for file in archive.names() {
        let Some(name) = file.strip_suffix(".npy") else {
            continue;
        };
        let array = NpyArray::parse(&archive.read(&file)?)
            .map_err(|why| refused(path, format!("holds an array {name} that {why}")))?;
        let (ty, data) = match array.has_floats {
            true => {
                let bytes = array.numbers.iter().flat_map(|x| x.to_le_bytes());
                (StoredType::F64, bytes.collect())
            }
            false => (StoredType::Other("integer".to_string()), Vec::new()),
        };
        tensors.insert(name.to_string(), StoredTensor::new(ty, array.shape, data));
    }
    if tensors.is_empty() {
        return Err(refused(
            path,
            "is an archive that holds neither NumPy arrays nor weights of PyTorch or Keras; name a file of weights",
        ));
    }
    Ok(tensors)
}

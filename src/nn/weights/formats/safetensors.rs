//! [safetensors](https://github.com/huggingface/safetensors): a header in JSON, and the tensors.

use super::{Tensors, WeightFormat};
use crate::error::Result;
use crate::nn::weights::stored::{StoredBytes, StoredTensor, StoredType};
use crate::tensor_file;
use safetensors::tensor::Dtype;
use std::path::Path;
use std::sync::Arc;

pub(super) const FORMAT: WeightFormat = WeightFormat {
    what: "safetensors",
    // The length of the header, and the header.
    fits: |bytes| {
        let length = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
        length.is_some_and(|n| n < bytes.len() as u64) && bytes[8] == b'{'
    },
    read,
};

pub(super) fn read(path: &Path, bytes: Vec<u8>) -> Result<Tensors> {
    let whole = Arc::new(bytes);
    let (file, _) = tensor_file::open(path, &whole)?;
    let start = whole.as_ptr() as usize;
    let tensors = file.tensors().into_iter().map(|(name, view)| {
        let first = view.data().as_ptr() as usize - start;
        let data = StoredBytes {
            whole: whole.clone(),
            range: first..first + view.data().len(),
        };
        let ty = match view.dtype() {
            Dtype::F16 => StoredType::F16,
            Dtype::BF16 => StoredType::Bf16,
            Dtype::F32 => StoredType::F32,
            Dtype::F64 => StoredType::F64,
            other => StoredType::Other(format!("{other:?}")),
        };
        (name, StoredTensor::new(ty, view.shape().to_vec(), data))
    });
    Ok(tensors.collect())
}

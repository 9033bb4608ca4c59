//! Weights as NumPy arrays, for programs that read neither safetensors nor ONNX.

use super::StateSpec;
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::onnx::{Array, Element};
use std::io::{Cursor, Write as _};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Writes the `values` of a model's state as an archive `.npz`, an array under each name, in PyTorch's layouts.
///
/// # Errors
/// If the file can't be written.
pub fn save_npz<'m>(
    path: &Path,
    state: impl Into<StateSpec<'m>>,
    values: &[Tensor<f32>],
) -> Result<()> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let failed = |e: zip::result::ZipError| Error::Config(format!("{}: {e}", path.display()));
    let state = state.into();
    let parts = state.parameters.iter().zip(values);
    for (part, value) in parts.filter(|(part, _)| part.in_files()) {
        let numbers = part.to_file(value).into_iter().map(f64::from).collect();
        let dims = part.file_shape().dims().to_vec();
        let array = Array::new(Element::Float, dims, numbers);
        let file = format!("{}.npy", part.name);
        archive.start_file(file, options).map_err(failed)?;
        archive
            .write_all(&array.to_npy())
            .map_err(Error::io("write", path))?;
    }
    let bytes = archive.finish().map_err(failed)?.into_inner();
    write_whole(path, &bytes)
}

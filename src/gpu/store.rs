//! Variables: tensors that stay in GPU buffers for the whole run and are shared by every program that names them.

use super::Gpu;
use crate::cpu::{Data, Tensor};
use crate::error::{Error, Result};
use crate::tensor::{DType, TensorType};
use std::collections::BTreeMap;

/// Buffers of variables by name.
#[derive(Default)]
pub struct Store {
    variables: BTreeMap<String, (TensorType, wgpu::Buffer)>,
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the variable `name` with the elements of `value`, or replaces its elements.
    ///
    /// # Errors
    /// If the device is out of memory, or the variable has another type.
    pub fn set(&mut self, gpu: &Gpu, name: &str, value: &Tensor<f32>) -> Result<()> {
        if !self.variables.contains_key(name) {
            let ty = value.ty();
            let bytes = (ty.bytes() as u64).next_multiple_of(16).max(16);
            let buffer = gpu.buffer(name, bytes, wgpu::BufferUsages::STORAGE)?;
            self.variables.insert(name.to_string(), (ty, buffer));
        }
        let (known, buffer) = self.get(name)?;
        if (known.dtype, &known.shape) != (value.dtype(), &value.shape) {
            return Err(Error::Graph(format!(
                "variable {name} is a {known}, not a {}",
                value.ty()
            )));
        }
        gpu.write(buffer, bytes(value))
    }

    /// Type and buffer of a variable.
    ///
    /// # Errors
    /// If there is no variable of that name.
    pub fn get(&self, name: &str) -> Result<&(TensorType, wgpu::Buffer)> {
        let found = self.variables.get(name);
        found.ok_or_else(|| Error::Graph(format!("there is no variable {name} on the device")))
    }

    /// Reads a variable back. Waits for the device.
    ///
    /// # Errors
    /// If there is no variable of that name, or the device fails.
    pub fn read(&self, gpu: &Gpu, name: &str) -> Result<Tensor<f32>> {
        let (ty, buffer) = self.get(name)?;
        tensor(ty, gpu.read(buffer, ty.bytes() as u64)?)
    }

    /// Total size of the buffers in bytes.
    pub fn bytes(&self) -> u64 {
        self.variables
            .values()
            .map(|(_, buffer)| buffer.size())
            .sum()
    }

    /// Names of the variables, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }
}

/// The elements of `value` as bytes.
pub(super) fn bytes(value: &Tensor<f32>) -> &[u8] {
    match &value.data {
        Data::Real(x) => bytemuck::cast_slice(x),
        Data::Index(x) => bytemuck::cast_slice(x),
    }
}

/// The tensor of type `ty` whose elements are `bytes`.
pub(super) fn tensor(ty: &TensorType, bytes: Vec<u8>) -> Result<Tensor<f32>> {
    if bytes.len() != ty.bytes() {
        return Err(Error::Device(format!(
            "{} bytes came back for a {ty}",
            bytes.len()
        )));
    }
    let words = bytes
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let data = match ty.dtype {
        DType::F32 => Data::Real(words.map(f32::from_bits).collect()),
        DType::U32 => Data::Index(words.collect()),
    };
    Ok(Tensor {
        shape: ty.shape.clone(),
        data,
    })
}

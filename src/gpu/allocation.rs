//! The memory of a plan on the device.

use super::scalars::{ONE_NUMBER, ScalarTable, is_scalar};
use super::{Gpu, Store};
use crate::error::{Error, Result};
use crate::plan::{Plan, ValueId, ValueKind};
use crate::shader::TEXTURE_WIDTH;
use crate::tensor::TensorType;
use std::collections::BTreeMap;

/// Buffers and texture views for the bind groups.
pub(super) struct Buffers<'a> {
    pub plan: &'a Plan,
    store: &'a Store,
    pub slots: Vec<wgpu::Buffer>,
    pub textures: Vec<wgpu::Texture>,
    pub views: Vec<wgpu::TextureView>,
    constants: BTreeMap<ValueId, wgpu::Buffer>,
    pub inputs: BTreeMap<String, (TensorType, wgpu::Buffer)>,
}

impl Buffers<'_> {
    /// Buffer and byte offset of a value.
    pub fn buffer<'b>(
        &'b self,
        scalars: &'b ScalarTable,
        value: ValueId,
    ) -> Result<(&'b wgpu::Buffer, u64)> {
        let known = &self.plan.values[value.index()];
        let found = match &known.kind {
            ValueKind::Variable(name) => {
                let (_, buffer) = self.store.get(name)?;
                Some((buffer, 0))
            }
            ValueKind::Input(name) if is_scalar(&known.ty) => {
                let row = scalars.names.iter().position(|n| **n == **name);
                scalars
                    .current
                    .as_ref()
                    .zip(row)
                    .map(|(buffer, row)| (buffer, row as u64 * scalars.stride))
            }
            ValueKind::Input(name) => self.inputs.get(&**name).map(|(_, buffer)| (buffer, 0)),
            ValueKind::Constant(_) => self.constants.get(&value).map(|buffer| (buffer, 0)),
            ValueKind::Temporary => {
                self.plan.slot_of[value.index()].map(|slot| (&self.slots[slot.index()], 0))
            }
        };
        found.ok_or_else(|| Error::Graph(format!("{} has no memory", known.label)))
    }
}

/// Allocates the memory of `plan`, whose variables are in `store`.
///
/// # Errors
/// If the device is out of memory.
pub(super) fn allocate<'a>(gpu: &Gpu, plan: &'a Plan, store: &'a Store) -> Result<Buffers<'a>> {
    let storage = wgpu::BufferUsages::STORAGE;
    let slots = plan
        .slots
        .iter()
        .map(|&bytes| gpu.buffer("a memory slot of the step", bytes, storage))
        .collect::<Result<Vec<_>>>()?;
    let textures = plan
        .textures
        .iter()
        .map(|&rows| {
            gpu.scoped("a texture view of the step", || {
                gpu.device.create_texture(&wgpu::TextureDescriptor {
                    label: Some("operand view"),
                    size: wgpu::Extent3d {
                        width: TEXTURE_WIDTH,
                        height: rows,
                        depth_or_array_layers: 1,
                    },
                    mip_level_count: 1,
                    sample_count: 1,
                    dimension: wgpu::TextureDimension::D2,
                    format: wgpu::TextureFormat::Rgba32Float,
                    usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
                    view_formats: &[],
                })
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let view = |texture: &wgpu::Texture| {
        gpu.scoped("a texture view of the step", || {
            texture.create_view(&wgpu::TextureViewDescriptor::default())
        })
    };
    let views = textures.iter().map(view).collect::<Result<_>>()?;
    let (mut constants, mut inputs) = (BTreeMap::new(), BTreeMap::new());
    for (n, value) in plan.values.iter().enumerate() {
        match &value.kind {
            ValueKind::Constant(x) => {
                let buffer = gpu.buffer("a constant", value.bytes, ONE_NUMBER)?;
                gpu.write(&buffer, &x.to_le_bytes())?;
                constants.insert(ValueId(n as u32), buffer);
            }
            ValueKind::Input(name) if !is_scalar(&value.ty) => {
                let buffer = gpu.buffer(name, value.bytes, storage)?;
                inputs.insert(name.to_string(), (value.ty.clone(), buffer));
            }
            _ => {}
        }
    }
    Ok(Buffers {
        plan,
        store,
        slots,
        textures,
        views,
        constants,
        inputs,
    })
}

/// Whether the memory of all of `plans`, with variables that `store` lacks, can be allocated now; it is freed again.
pub fn has_room<'a>(gpu: &Gpu, plans: impl Iterator<Item = &'a Plan>, store: &Store) -> bool {
    let mut missing = BTreeMap::new();
    let mut held = Vec::new();
    for plan in plans {
        for value in &plan.values {
            match &value.kind {
                ValueKind::Variable(name) if store.get(name).is_err() => {
                    missing.insert(&**name, value.bytes);
                }
                _ => {}
            }
        }
        match allocate(gpu, plan, store) {
            Ok(buffers) => held.push(buffers),
            Err(_) => return false,
        }
    }
    let storage = wgpu::BufferUsages::STORAGE;
    let variables = missing.iter();
    let allocated = variables.map(|(name, &bytes)| gpu.buffer(name, bytes, storage));
    allocated.collect::<Result<Vec<_>>>().is_ok()
}

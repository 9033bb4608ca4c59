//! Compiles shaders in parallel threads, each shader once per device.

use super::Gpu;
use crate::error::{Error, Result};
use crate::plan::resolve::Resolved;
use crate::shader::{BindingKind, Reflection};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A compiled shader.
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// What a pipeline is compiled from: the WGSL text and its overridable constants (values as bits).
pub(super) type Key = (String, Vec<(String, u64)>);

/// The key of a launch's pipeline.
pub(super) fn key(resolved: &Resolved, constants: &[(&str, f64)]) -> Key {
    let constants = constants
        .iter()
        .map(|(n, v)| (n.to_string(), v.to_bits()))
        .collect();
    (resolved.source.clone(), constants)
}

/// How many kernels a device has compiled, of how many that its programs needed so far.
#[derive(Debug, Default)]
pub struct Compilation {
    compiled: AtomicUsize,
    needed: AtomicUsize,
}

impl Compilation {
    /// The number of compiled and of needed kernels.
    pub fn counts(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (count(&self.compiled), count(&self.needed))
    }
}

/// The pipelines of a device, shared by its programs and kept until the device is closed or lets go of them.
#[derive(Default)]
pub(super) struct PipelineCache {
    known: Mutex<HashMap<Key, Arc<Pipeline>>>,
    pub compilation: Arc<Compilation>,
}

impl PipelineCache {
    fn known(&self) -> MutexGuard<'_, HashMap<Key, Arc<Pipeline>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of all pipelines; those that no program holds are freed.
    pub(super) fn clear(&self) {
        self.known().clear();
    }

    /// Compiles the pipelines of `wanted` that are missing, and returns all of them in order. `created` is called for
    /// each new one with its index in `wanted`, in the thread that compiled it.
    pub(super) fn get(
        &self,
        gpu: &Gpu,
        wanted: &[(Key, String, &Reflection)],
        created: impl Fn(usize, &Pipeline) -> Result<()> + Sync,
    ) -> Result<Vec<Arc<Pipeline>>> {
        // Held from here on, as another thread may let go of them.
        let mut all: HashMap<&Key, Arc<Pipeline>> = HashMap::new();
        let mut missing: HashMap<&Key, usize> = HashMap::new();
        {
            let known = self.known();
            for (i, (key, ..)) in wanted.iter().enumerate() {
                match known.get(key) {
                    Some(pipeline) => {
                        all.insert(key, pipeline.clone());
                    }
                    None => {
                        missing.entry(key).or_insert(i);
                    }
                }
            }
        }
        // Compile long shaders first, so that no thread is left with one at the end.
        let mut missing: Vec<(&Key, usize)> = missing.into_iter().collect();
        missing.sort_by_key(|((source, _), i)| (Reverse(source.len()), *i));
        let Compilation { compiled, needed } = &*self.compilation;
        needed.fetch_add(missing.len(), Ordering::Relaxed);
        let created_now = missing
            .into_iter()
            .par_bridge()
            .map(|(key, i)| {
                let (_, name, reflection) = &wanted[i];
                let pipeline = pipeline(gpu, key, name, reflection)?;
                created(i, &pipeline)?;
                compiled.fetch_add(1, Ordering::Relaxed);
                Ok((key, Arc::new(pipeline)))
            })
            .collect::<Result<Vec<_>>>()?;
        let new = created_now.iter();
        self.known()
            .extend(new.map(|(key, pipeline)| ((*key).clone(), pipeline.clone())));
        all.extend(created_now);
        Ok(wanted
            .iter()
            .filter_map(|(key, ..)| all.get(key).cloned())
            .collect())
    }
}

fn pipeline(
    gpu: &Gpu,
    (source, constants): &Key,
    name: &str,
    reflection: &Reflection,
) -> Result<Pipeline> {
    let entries: Vec<wgpu::BindGroupLayoutEntry> = reflection
        .bindings
        .values()
        .map(|&(binding, kind)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: binding_type(kind),
            count: None,
        })
        .collect();
    let constants: Vec<(&str, f64)> = constants
        .iter()
        .map(|(n, bits)| (n.as_str(), f64::from_bits(*bits)))
        .collect();
    let created = gpu.scoped(name, || {
        let device = &gpu.device;
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(name),
            entries: &entries,
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &[Some(&layout)],
            ..Default::default()
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Pipeline { pipeline, layout }
    });
    created.map_err(|e| match e {
        Error::Device(message) if gpu.check().is_ok() => Error::Shader {
            shader: name.to_string(),
            message,
        },
        other => other,
    })
}

fn binding_type(kind: BindingKind) -> wgpu::BindingType {
    let buffer = |ty| wgpu::BindingType::Buffer {
        ty,
        has_dynamic_offset: false,
        min_binding_size: None,
    };
    match kind {
        BindingKind::Uniform => buffer(wgpu::BufferBindingType::Uniform),
        BindingKind::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }),
        BindingKind::ReadWrite => buffer(wgpu::BufferBindingType::Storage { read_only: false }),
        BindingKind::Texture => wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::ReadOnly,
            format: wgpu::TextureFormat::Rgba32Float,
            view_dimension: wgpu::TextureViewDimension::D2,
        },
    }
}

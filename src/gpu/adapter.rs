//! Lists adapters and queries their properties.

use crate::error::{Error, Result};
use crate::graph::Precision;
use crate::guard::guarded;
use crate::plan::{Choices, SubgroupSize, Target, TextureReads};

/// Which adapter to use.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AdapterChoice {
    /// The fastest adapter: a discrete GPU is preferred to an integrated one, and either to a software adapter.
    #[default]
    Best,
    /// A software adapter.
    Software,
    /// The adapter with this number in the list that `wgrad devices` prints.
    Number(usize),
    /// The first adapter whose name contains this text, ignoring case.
    Name(String),
}

impl From<&str> for AdapterChoice {
    /// A number selects the adapter with that number; any other text is part of a name.
    fn from(text: &str) -> Self {
        match text.parse() {
            Ok(number) => AdapterChoice::Number(number),
            Err(_) => AdapterChoice::Name(text.to_string()),
        }
    }
}

/// The properties of an adapter that `wgrad devices` prints.
#[derive(Clone, Debug)]
pub struct AdapterSummary {
    /// wgpu's description.
    pub info: wgpu::AdapterInfo,
    /// Its limits.
    pub limits: wgpu::Limits,
    /// Features that wgrad uses and the adapter has.
    pub features: wgpu::Features,
    /// The planner's view of the adapter.
    pub target: Target,
}

/// How to get an adapter if there is none.
pub const INSTALL_HINT: &str = "install your GPU's Vulkan driver, or a software adapter \
     (Debian and Ubuntu: apt-get install mesa-vulkan-drivers libvulkan1), or use --device cpu";

fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    })
}

/// All adapters, best first.
///
/// # Errors
/// If a driver fails while it is asked.
pub fn adapters() -> Result<Vec<AdapterSummary>> {
    let summary = |adapter: &wgpu::Adapter| AdapterSummary {
        info: adapter.get_info(),
        limits: adapter.limits(),
        features: wanted_features(adapter),
        target: target(adapter),
    };
    let adapters = enumerate()?;
    guarded(|| adapters.iter().map(summary).collect()).map_err(no_answer)
}

fn no_answer(message: String) -> Error {
    Error::Device(format!(
        "a GPU driver fails when it is asked for its adapters: {message}"
    ))
}

fn enumerate() -> Result<Vec<wgpu::Adapter>> {
    let found =
        guarded(|| pollster::block_on(instance().enumerate_adapters(wgpu::Backends::all())));
    let mut adapters = found.map_err(no_answer)?;
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    });
    Ok(adapters)
}

pub(super) fn find(choice: &AdapterChoice) -> Result<wgpu::Adapter> {
    let adapters = enumerate()?;
    if adapters.is_empty() {
        return Err(Error::Device(format!(
            "no GPU adapter was found; {INSTALL_HINT}"
        )));
    }
    let names: Vec<String> = adapters
        .iter()
        .enumerate()
        .map(|(i, a)| format!("{i}: {}", a.get_info().name))
        .collect();
    let found = match choice {
        AdapterChoice::Best => adapters.into_iter().next(),
        AdapterChoice::Software => adapters
            .into_iter()
            .find(|a| a.get_info().device_type == wgpu::DeviceType::Cpu),
        AdapterChoice::Number(n) => adapters.into_iter().nth(*n),
        AdapterChoice::Name(text) => {
            let text = text.to_lowercase();
            adapters
                .into_iter()
                .find(|a| a.get_info().name.to_lowercase().contains(&text))
        }
    };
    let asked = match choice {
        AdapterChoice::Best => "any adapter".to_string(),
        AdapterChoice::Software => "a software adapter".to_string(),
        AdapterChoice::Number(n) => format!("adapter {n}"),
        AdapterChoice::Name(text) => format!("adapter \"{text}\""),
    };
    found.ok_or_else(|| {
        Error::Config(format!(
            "{asked} was not found; available: {}",
            names.join(", ")
        ))
    })
}

pub(super) fn wanted_features(adapter: &wgpu::Adapter) -> wgpu::Features {
    let mut wanted = wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY;
    if cooperative_matrices(adapter) {
        wanted |= COOPERATIVE;
    }
    adapter.features() & wanted
}

/// What kernels with cooperative matrices need.
const COOPERATIVE: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16);

/// Whether the adapter multiplies the matrices of `shared/contraction_cooperative`: 16 x 16 16-bit floats, summed in 32
/// bits.
fn cooperative_matrices(adapter: &wgpu::Adapter) -> bool {
    use wgpu::CooperativeScalarType::{F16, F32};
    let fits = |p: &wgpu::CooperativeMatrixProperties| {
        [p.m_size, p.n_size, p.k_size] == [16; 3] && (p.ab_type, p.cr_type) == (F16, F32)
    };
    adapter.features().contains(COOPERATIVE)
        && adapter.cooperative_matrix_properties().iter().any(fits)
}

pub(super) fn target(adapter: &wgpu::Adapter) -> Target {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let software = info.device_type == wgpu::DeviceType::Cpu;
    let subgroup = adapter
        .features()
        .contains(wgpu::Features::SUBGROUP)
        .then_some(SubgroupSize {
            min: info.subgroup_min_size,
            max: info.subgroup_max_size,
        });
    Target {
        name: info.name.clone(),
        software,
        subgroup,
        // Measured on llvmpipe only; all other adapters read buffers.
        texture_reads: if info.name.to_lowercase().contains("llvmpipe") {
            TextureReads::WhereCheaper
        } else {
            TextureReads::Never
        },
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        max_workgroups: limits.max_compute_workgroups_per_dimension.min(65_535),
        max_texture_extent: limits.max_texture_dimension_2d,
        offset_alignment: limits
            .min_uniform_buffer_offset_alignment
            .max(limits.min_storage_buffer_offset_alignment),
        max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
        cooperative_matrices: cooperative_matrices(adapter),
        precision: Precision::Float32,
        choices: Choices::default(),
    }
}

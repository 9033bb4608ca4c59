//! The properties of a device that the planner uses: plain data, so that plans can be made and printed without a
//! device.

use super::Choices;
use crate::graph::{Graph, Precision};
use std::borrow::Cow;

/// Limits and features of an adapter that affect the choice of kernels and the use of memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Name for dumps.
    pub name: String,
    /// True for adapters that run on the CPU (lavapipe, WARP, SwiftShader).
    pub software: bool,
    /// Smallest and largest subgroup, if subgroup operations work in compute shaders.
    pub subgroup: Option<SubgroupSize>,
    /// When operands are read through texture views of their buffers.
    pub texture_reads: TextureReads,
    /// Maximum number of storage buffers per shader.
    pub max_storage_buffers: u32,
    /// Maximum size of a storage binding in bytes.
    pub max_binding_bytes: u64,
    /// Maximum size of a buffer in bytes.
    pub max_buffer_bytes: u64,
    /// Maximum number of workgroups along one axis of a dispatch.
    pub max_workgroups: u32,
    /// Maximum extent of a 2-D texture.
    pub max_texture_extent: u32,
    /// Alignment of uniform and storage binding offsets in bytes.
    pub offset_alignment: u32,
    /// Maximum size of a workgroup's memory in bytes.
    pub max_workgroup_bytes: u32,
    /// Whether subgroups multiply matrices of 16 x 16 16-bit floats and sum in 32 bits.
    pub cooperative_matrices: bool,
    /// The precision of the graph that is being planned.
    pub precision: Precision,
    /// Kernel variants that a tuner found faster than the defaults; empty until one has run.
    pub choices: Choices,
}

/// When operands are read through texture views of their buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextureReads {
    /// Never: buffers are as fast.
    Never,
    /// If the savings on reads outweigh the copy.
    WhereCheaper,
    /// Wherever a kernel supports it: to test that it gives the same result.
    Always,
}

/// Range of subgroup sizes of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubgroupSize {
    /// Smallest.
    pub min: u32,
    /// Largest.
    pub max: u32,
}

impl Target {
    /// The limits that WebGPU guarantees everywhere, without subgroups.
    pub fn portable() -> Self {
        Target {
            name: "portable".to_string(),
            software: false,
            subgroup: None,
            texture_reads: TextureReads::Never,
            max_storage_buffers: 8,
            max_binding_bytes: 128 << 20,
            max_buffer_bytes: 256 << 20,
            max_workgroups: 65_535,
            max_texture_extent: 8192,
            offset_alignment: 256,
            max_workgroup_bytes: 16 << 10,
            cooperative_matrices: false,
            precision: Precision::Float32,
            choices: Choices::default(),
        }
    }

    /// Lavapipe, Mesa's software Vulkan adapter, on a processor with 256-bit vectors.
    pub fn lavapipe() -> Self {
        Target {
            name: "lavapipe".to_string(),
            software: true,
            subgroup: Some(SubgroupSize { min: 8, max: 8 }),
            texture_reads: TextureReads::WhereCheaper,
            max_storage_buffers: 32,
            max_buffer_bytes: 2 << 30,
            max_texture_extent: 16_384,
            max_workgroup_bytes: 32 << 10,
            ..Self::portable()
        }
    }

    /// The same in the precision of `graph`.
    pub(super) fn of_graph(&self, graph: &Graph) -> Cow<'_, Target> {
        match self.precision == graph.precision {
            true => Cow::Borrowed(self),
            false => Cow::Owned(Target {
                precision: graph.precision,
                ..self.clone()
            }),
        }
    }

    /// True if every subgroup has exactly `size` invocations.
    pub fn subgroups_are(&self, size: u32) -> bool {
        self.subgroup
            == Some(SubgroupSize {
                min: size,
                max: size,
            })
    }
}

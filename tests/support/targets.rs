//! The kinds of adapters for which tests make plans without an adapter.

use wgrad::plan::{SubgroupSize, Target, TextureReads};

/// A target of each kind that leads to other kernels: no subgroups, desktop GPUs with different subgroup sizes, a software
/// adapter with every policy of texture reads, and one with wider vectors.
pub fn targets() -> Vec<Target> {
    let lavapipe = |texture_reads| Target {
        texture_reads,
        ..Target::lavapipe()
    };
    let desktop = Target {
        name: "desktop".to_string(),
        subgroup: Some(SubgroupSize { min: 32, max: 32 }),
        max_storage_buffers: 16,
        max_binding_bytes: 2 << 30,
        max_buffer_bytes: 4 << 30,
        max_texture_extent: 16_384,
        ..Target::portable()
    };
    let wide = Target {
        subgroup: Some(SubgroupSize { min: 16, max: 16 }),
        ..Target::lavapipe()
    };
    let of_lanes = |lanes| Target {
        subgroup: Some(SubgroupSize {
            min: lanes,
            max: lanes,
        }),
        ..desktop.clone()
    };
    let (lanes_64, lanes_128) = (of_lanes(64), of_lanes(128));
    vec![
        Target::portable(),
        desktop,
        lanes_64,
        lanes_128,
        lavapipe(TextureReads::WhereCheaper),
        lavapipe(TextureReads::Always),
        lavapipe(TextureReads::Never),
        wide,
    ]
}

//! The token for wgpu's experimental features, which is `unsafe` to get.
#![allow(unsafe_code)]

/// The token, if `features` contain an experimental one: cooperative matrices.
pub(super) fn token(features: wgpu::Features) -> wgpu::ExperimentalFeatures {
    if !features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
        return wgpu::ExperimentalFeatures::disabled();
    }
    // SAFETY: wgpu asks for the acknowledgement that these features may have faults that lead to undefined behaviour.
    // Only one shader uses them, shared/contraction_cooperative. It loads and stores matrices at constant strides inside
    // arrays of workgroup memory, from control flow that is uniform in the workgroup, and only of sizes and types that
    // the adapter lists; `wgrad check` compares every kernel that has it with the reference.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

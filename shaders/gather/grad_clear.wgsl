// Gradient of gather, first of three kernels: initialises `first`, so that no split has any position for any row of the
// table.
#import shared/grid

struct Params {
    first_workgroup: u32,
    invocations: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> first: array<u32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i < params.invocations) {
        first[i] = 0xffffffffu;
    }
}

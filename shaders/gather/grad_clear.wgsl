// Gradient of gather, first of three: no row of the table has been seen in any split of the indices.
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

// out[rows]: 1 for labels that count in a loss, 0 for rows from `valid` on and for the ignored label. One invocation
// per row.
#import shared/grid

struct Params {
    first_workgroup: u32,
    invocations: u32,
    ignored: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> valid: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i < params.invocations) {
        out[i] = select(0.0, 1.0, i < valid[0] && labels[i] != params.ignored);
    }
}

// Selects, for each row of x[rows, extent], the best of its winners[rows, splits], which are in ascending order. One
// invocation per row.
#import shared/grid
struct Params {
    first_workgroup: u32,
    extent: u32,
    splits: u32,
    // rows
    invocations: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> winners: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = workgroup_index(id, count) * 64u + lane;
    if (row >= params.invocations) {
        return;
    }
    let base = row * params.extent;
    var position = winners[row * params.splits];
    var value = x[base + position];
    for (var s = 1u; s < params.splits; s += 1u) {
        let other = winners[row * params.splits + s];
        let candidate = x[base + other];
        if (candidate > value) {
            value = candidate;
            position = other;
        }
    }
    out[row] = position;
}

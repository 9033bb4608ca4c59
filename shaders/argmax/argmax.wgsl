// x[rows, length] to out[rows, splits]: position of the first largest element in each split of each row. Length and
// chunk are in blocks of one load. One invocation per split.
#import shared/grid
struct Params {
    first_workgroup: u32,
    length: u32,
    chunk: u32,
    splits: u32,
    // rows * splits
    invocations: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
struct Best {
    value: f32,
    // Index along the row.
    position: u32,
}
#import argmax/block_vec4
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i >= params.invocations) {
        return;
    }
    let row = i / params.splits;
    let base = row * params.length;
    let start = (i - row * params.splits) * params.chunk;
    let end = min(start + params.chunk, params.length);
    var best = first_of_block(base + start, start);
    for (var k = start; k < end; k += 1u) {
        best = better(best, base + k, k);
    }
    out[i] = best.position;
}

// Replaces each of the first `valid` rows by the one after it, and the last of them by the first; the others are zeros.
// One invocation per word.
#import shared/grid
struct Params {
    first_workgroup: u32,
    words: u32,
    rows: u32,
    // Words per row.
    row: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> valid: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i >= params.words) {
        return;
    }
    let rows = min(params.rows, valid[0]);
    let row = i / params.row;
    var word = 0u;
    if (row < rows) {
        let next = select(row + 1u, 0u, row + 1u == rows);
        word = x[next * params.row + i % params.row];
    }
    out[i] = word;
}

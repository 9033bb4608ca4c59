// Windows of consecutive rows: word e of window b is word (starts[b] + offset) * columns + e of the data, 0 past its
// end. One invocation per word of the result.
#import shared/grid
struct Params {
    first_workgroup: u32,
    // Words of the result.
    words: u32,
    // Rows of the data.
    rows: u32,
    columns: u32,
    // Words per window.
    window: u32,
    // Rows from a start to its window.
    offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
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
    let e = i % params.window;
    // Clamped, so that a start past the last row can't cause an overflow below.
    let row = min(starts[i / params.window], params.rows) + params.offset + e / params.columns;
    var word = 0u;
    if (row < params.rows) {
        word = data[row * params.columns + e % params.columns];
    }
    out[i] = word;
}

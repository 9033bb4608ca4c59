// Gradient of gather, second of three kernels: links the positions that read the same row. The indices are divided into
// splits of `chunk` (a multiple of 4). next[i] is the next position in i's split with the same index, or 0xffffffff.
// first[split, row] is the first position with that row; only that position writes it, and none does for the padding
// index. One invocation per position.
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    // Number of indices.
    invocations: u32,
    rows: u32,
    // The index whose row has no gradient; `rows` if there is none.
    padding: u32,
    chunk: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
// The contents of the last vec4 past the last index are undefined and must be ignored.
@group(0) @binding(1) var<storage, read> indices: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> first: array<u32>;
@group(0) @binding(3) var<storage, read_write> next: array<u32>;

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
    let row = indices[i >> 2u][i & 3u];
    let split = divide(i, params.chunk);
    let start = split * params.chunk;
    let end = min(start + params.chunk, params.invocations);
    let nowhere = vec4<u32>(0xffffffffu);
    var earlier = vec4<bool>(false);
    var later = nowhere;
    for (var k = start; k < end; k += 4u) {
        let at = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
        let same = indices[k >> 2u] == vec4<u32>(row);
        earlier = earlier | (same & (at < vec4<u32>(i)));
        later = min(later, select(nowhere, at, same & (at > vec4<u32>(i)) & (at < vec4<u32>(end))));
    }
    next[i] = min(min(later.x, later.y), min(later.z, later.w));
    if (!any(earlier) && row < params.rows && row != params.padding) {
        first[split * params.rows + row] = i;
    }
}

// Reduces x[outer, length, inner] along the middle axis to out[splits, outer, inner]. One invocation per split of one
// column of F; neighbouring invocations have neighbouring columns. The importing file defines `identity` and `combine`.
#import shared/grid
#import shared/reduce_params
#import shared/reduce_vec4

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
    let column = i % params.inner;
    let row = i / params.inner;
    let start = (row / params.outer) * params.chunk;
    let end = min(start + params.chunk, params.length);
    let base = (row % params.outer) * params.length * params.inner + column;
    var total = F(identity());
    for (var k = start; k < end; k += 1u) {
        total = combine(total, load_x(base + k * params.inner));
    }
    out[i] = total;
}

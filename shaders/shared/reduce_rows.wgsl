// Reduces x[outer, length] along its rows to out[splits, outer], four elements at a time: length and chunk are
// multiples of four, in units of vec4. One invocation per split of one row. The importing file defines `identity` and
// `combine`.
#import shared/grid
#import shared/reduce_params
alias F = vec4<f32>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

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
    let start = (i / params.outer) * params.chunk;
    let end = min(start + params.chunk, params.length);
    let base = (i % params.outer) * params.length;
    var total = F(identity());
    for (var k = start; k < end; k += 1u) {
        total = combine(total, load_x(base + k));
    }
    let half = combine(total, total.zwxy);
    out[i] = combine(half, half.yxwz).x;
}

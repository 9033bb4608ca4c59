// Gradient of gather, third of three kernels: out[split, row, :] is the sum of dy[i, :] over the positions i of the
// split that read the row, in order; 0 if there are none. An invocation sums one F; `columns` is in units of F.
#import shared/lanes_vec4
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    invocations: u32,
    columns: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> first: array<u32>;
@group(0) @binding(4) var<storage, read> next: array<u32>;
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
fn dy_at(i: u32) -> F { return lanes(load_dy(texel(i)), i); }

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
    let row = divide(i, params.columns);
    let column = i - row * params.columns;
    var sum = F(0.0);
    for (var at = first[row]; at != 0xffffffffu; at = next[at]) {
        sum += dy_at(at * params.columns + column);
    }
    out[i] = sum;
}

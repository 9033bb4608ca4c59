// Copies one operand to its position in the result: row r of x [rows, length] to out [rows, row] from `offset` on. An
// invocation copies one F; length, row and offset are in units of F.
#import shared/lanes_vec4
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    invocations: u32,
    length: u32,
    row: u32,
    offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn x_at(i: u32) -> F { return lanes(load_x(texel(i)), i); }

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
    let row = divide(i, params.length);
    out[row * params.row + params.offset + i - row * params.length] = x_at(i);
}

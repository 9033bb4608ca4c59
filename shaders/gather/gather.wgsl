// Rows of a table: out[i, :] = table[indices[i], :], zeros if the index is not below `rows`. An invocation copies one
// F; `columns` is in units of F.
#import shared/lanes_vec4
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    invocations: u32,
    rows: u32,
    columns: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
fn load_table(i: u32) -> vec4<f32> { return table[i]; }
fn table_at(i: u32) -> F { return lanes(load_table(texel(i)), i); }

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
    let n = divide(i, params.columns);
    let row = indices[n];
    let exists = row < params.rows;
    let value = table_at(select(0u, row, exists) * params.columns + i - n * params.columns);
    out[i] = epilogue(select(F(0.0), value, exists), i * LANES);
}

// Gradient of moments[2, outer, inner] with respect to x[outer, rows, inner]: out = (g_mean + 2 g_variance (x - mean))
// / n for the n rows that count, 0 for the others. An invocation computes BLOCK rows of one column.
#import shared/lanes_vec4
#import shared/grid
#import shared/division
struct Params {
    first_workgroup: u32,
    invocations: u32,
    // In units of F.
    inner: u32,
    // Blocks of rows per outer part.
    blocks: u32,
    rows: u32,
    sample: u32,
    // outer * inner
    columns: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
#import shared/rows_all
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> moments: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> dy: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn load_moments(i: u32) -> vec4<f32> { return moments[i]; }
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
fn x_at(i: u32) -> F { return lanes(load_x(texel(i)), i); }
fn moments_at(i: u32) -> F { return lanes(load_moments(texel(i)), i); }
fn dy_at(i: u32) -> F { return lanes(load_dy(texel(i)), i); }

const BLOCK: u32 = 4u;

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
    let block = divide(i, params.inner);
    let part = divide(block, params.blocks);
    let own = i - block * params.inner;
    let column = part * params.inner + own;
    let n = counted();
    let share = F(1.0 / f32(max(n, 1u)));
    let mean = moments_at(column);
    let offset = dy_at(column) * share;
    let slope = 2.0 * dy_at(params.columns + column) * share;
    let first = (block - part * params.blocks) * BLOCK;
    for (var row = first; row < min(first + BLOCK, params.rows); row += 1u) {
        let at = (part * params.rows + row) * params.inner + own;
        let value = select(F(0.0), offset + slope * (x_at(at) - mean), row < n);
        out[at] = epilogue(value, at * LANES);
    }
}

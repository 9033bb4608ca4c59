// out[i] = scale times the sum over valid rows j, other than i, of (dy_i p_ij + dy_j p_ji) z_j, with
// p_ij = exp(scale z_i . z_j - lse_i); 0 for rows of padding. A workgroup computes four rows of 64 columns (steps of F).
// It takes the other rows 64 at a time: first every invocation computes the weights of one of them, then every
// invocation adds up its column of all of them.
#import shared/grid
#import similarity_lse/rows

struct Params {
    first_workgroup: u32,
    rows: u32,
    // Samples, that is, rows of a view.
    batch: u32,
    // Steps of F along a row.
    length: u32,
    scale: f32,
    // Workgroups along a row.
    chunks: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<F>;

var<workgroup> weights: array<vec4<f32>, 64>;

/// Where the values of the four rows from `first` on lie in lse and dy. Rows past the end stand for the last one.
fn places(first: u32) -> vec4<u32> {
    return min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.rows - 1u));
}

fn store(row: u32, column: u32, sum: F) {
    if (row < params.rows) {
        out[row * params.length + column] = select(F(0.0), params.scale * sum, is_valid(row));
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(id, count);
    let first = (index / params.chunks) * 4u;
    let column = (index % params.chunks) * 64u + lane;
    if (first >= params.rows) {
        return;
    }
    let at = places(first);
    let own_lse = vec4<f32>(lse[at.x], lse[at.y], lse[at.z], lse[at.w]);
    let own_dy = vec4<f32>(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
    var sum_0 = F(0.0);
    var sum_1 = F(0.0);
    var sum_2 = F(0.0);
    var sum_3 = F(0.0);
    for (var begin = 0u; begin < params.rows; begin += 64u) {
        let other = begin + lane;
        var weight = vec4<f32>(0.0);
        if (is_valid(other)) {
            let product = products(first, other);
            let both = own_dy * exp(product - own_lse) + dy[other] * exp(product - lse[other]);
            weight = select(both, vec4<f32>(0.0), own(first, other));
        }
        weights[lane] = weight;
        // The weights of all invocations are read below.
        workgroupBarrier();
        if (column < params.length) {
            let several = min(64u, params.rows - begin);
            for (var n = 0u; n < several; n += 1u) {
                let theirs = load_x((begin + n) * params.length + column);
                let w = weights[n];
                sum_0 += w.x * theirs;
                sum_1 += w.y * theirs;
                sum_2 += w.z * theirs;
                sum_3 += w.w * theirs;
            }
        }
        // The next weights overwrite those that were read.
        workgroupBarrier();
    }
    if (column < params.length) {
        store(first, column, sum_0);
        store(first + 1u, column, sum_1);
        store(first + 2u, column, sum_2);
        store(first + 3u, column, sum_3);
    }
}

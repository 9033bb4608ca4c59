// The gradient of attention with respect to keys and values: an invocation's rows are keys, and it walks the queries that
// see them. With p = exp(score - lse): dv[k] = sum over queries t of p dy[t], and dk[k] = scale sum of
// p (dy[t] v[k] - delta[t]) q[t]. Written to parts 1 and 2 of [batch, time, 3, heads, head_dim], of which part 0 is left
// alone. Layout and division of work: attention/operands.
#import attention/operands
#import attention/all_keys
@group(0) @binding(4) var<storage, read> lse: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> delta: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> dy: array<vec4<f32>>;
fn load_lse(i: u32) -> vec4<f32> { return lse[i]; }
fn load_delta(i: u32) -> vec4<f32> { return delta[i]; }
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
#import attention/dy

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let rows = rows_at(workgroup_index(id, count) * WORKGROUP + lane);
    if (!rows.exist) {
        return;
    }
    let keys = key_count(rows.sample);
    var k: array<Head, ROWS>;
    var v: array<Head, ROWS>;
    var dk: array<Head, ROWS>;
    var dv: array<Head, ROWS>;
    for (var r = 0u; r < ROWS; r += 1u) {
        k[r] = qkv_head(qkv_base(rows, rows.first + r, 1u));
        v[r] = qkv_head(qkv_base(rows, rows.first + r, 2u));
        for (var c = 0u; c < VEC4S; c += 1u) {
            k[r][c] = k[r][c] * params.scale;
        }
    }
    // Keys that nobody sees have gradient 0.
    let end = select(0u, params.time, rows.first < keys);
    for (var query = select(0u, rows.first & ~3u, CAUSAL); query < end; query += 4u) {
        var scores: array<vec4<f32>, ROWS>;
        var dp: array<vec4<f32>, ROWS>;
        for (var c = 0u; c < VEC4S; c += 1u) {
            let q = qkv_fours(rows, query, 0u, c);
            let d = dy_fours(rows, query, c);
            for (var r = 0u; r < ROWS; r += 1u) {
                scores[r] += k[r][c] * q;
                dp[r] += v[r][c] * d;
            }
        }
        let t = next_four(query);
        let query_lse = load_lse(statistic(rows, query) >> 2u);
        let query_delta = load_delta(statistic(rows, query) >> 2u);
        var p: array<vec4<f32>, ROWS>;
        var ds: array<vec4<f32>, ROWS>;
        for (var r = 0u; r < ROWS; r += 1u) {
            let first = vec4<u32>(select(0u, rows.first + r, CAUSAL));
            let sees = (t >= first) & (t < vec4<u32>(params.time)) & vec4<bool>(rows.first + r < keys);
            p[r] = select(vec4<f32>(0.0), exp(scores[r] - query_lse), sees);
            ds[r] = p[r] * (dp[r] - query_delta);
        }
        for (var c = 0u; c < VEC4S; c += 1u) {
            let q = qkv_fours(rows, query, 0u, c);
            let d = dy_fours(rows, query, c);
            for (var r = 0u; r < ROWS; r += 1u) {
                dv[r][c] += d * p[r];
                dk[r][c] += q * ds[r];
            }
        }
    }
    for (var r = 0u; r < ROWS; r += 1u) {
        if (rows.first + r < params.time) {
            for (var c = 0u; c < VEC4S; c += 1u) {
                store_four(qkv_base(rows, rows.first + r, 1u), c, dk[r][c] * params.scale);
                store_four(qkv_base(rows, rows.first + r, 2u), c, dv[r][c]);
            }
        }
    }
}

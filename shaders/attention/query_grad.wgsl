// The gradient of attention with respect to the queries, and for the keys' and values' turn the dot product of each row's
// result with its gradient: delta[t] = sum out[t] dout[t]. With p = exp(score - lse):
// dq[t] = scale sum over keys k of p (dout[t] v[k] - delta[t]) k[k]. Written to part 0 of [batch, time, 3, heads,
// head_dim], of which the other parts are left alone. Layout and division of work: attention/operands.
#import attention/operands
#import attention/all_keys
@group(0) @binding(4) var<storage, read> lse: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;
fn load_lse(i: u32) -> vec4<f32> { return lse[i]; }
fn load_y(i: u32) -> vec4<f32> { return y[i]; }
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
#import attention/dy
fn y_four(base: u32, c: u32) -> vec4<f32> {
    if (4u * c >= HEAD_DIM) {
        return vec4<f32>(0.0);
    }
    let at = base + 4u * c;
    if (HEAD_DIM % 4u == 0u) {
        return load_y(at >> 2u);
    }
    return within(c, vec4<f32>(
        load_y(at >> 2u)[at & 3u], load_y((at + 1u) >> 2u)[(at + 1u) & 3u],
        load_y((at + 2u) >> 2u)[(at + 2u) & 3u], load_y((at + 3u) >> 2u)[(at + 3u) & 3u]));
}

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
    var q: array<Head, ROWS>;
    var d: array<Head, ROWS>;
    var dq: array<Head, ROWS>;
    var row_lse: array<f32, ROWS>;
    var row_delta: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r += 1u) {
        let t = rows.first + r;
        q[r] = qkv_head(qkv_base(rows, t, 0u));
        var products = vec4<f32>(0.0);
        for (var c = 0u; c < VEC4S; c += 1u) {
            q[r][c] = q[r][c] * params.scale;
            d[r][c] = dy_four(base(rows, t), c);
            products += d[r][c] * y_four(base(rows, t), c);
        }
        row_delta[r] = select(0.0, total(products), t < params.time);
        row_lse[r] = load_lse(statistic(rows, t) >> 2u)[statistic(rows, t) & 3u];
        delta[statistic(rows, t)] = row_delta[r];
    }
    let end = select(keys, min(keys, rows.first + ROWS), CAUSAL);
    for (var key = 0u; key < end; key += 4u) {
        var scores: array<vec4<f32>, ROWS>;
        var dp: array<vec4<f32>, ROWS>;
        for (var c = 0u; c < VEC4S; c += 1u) {
            let k = qkv_fours(rows, key, 1u, c);
            let v = qkv_fours(rows, key, 2u, c);
            for (var r = 0u; r < ROWS; r += 1u) {
                scores[r] += q[r][c] * k;
                dp[r] += d[r][c] * v;
            }
        }
        var ds: array<vec4<f32>, ROWS>;
        for (var r = 0u; r < ROWS; r += 1u) {
            let seen = next_four(key) < vec4<u32>(select(keys, min(keys, rows.first + r + 1u), CAUSAL));
            let p = exp(scores[r] - vec4<f32>(row_lse[r])) * (dp[r] - vec4<f32>(row_delta[r]));
            ds[r] = select(vec4<f32>(0.0), p, seen);
        }
        for (var c = 0u; c < VEC4S; c += 1u) {
            let k = qkv_fours(rows, key, 1u, c);
            for (var r = 0u; r < ROWS; r += 1u) {
                dq[r][c] += k * ds[r];
            }
        }
    }
    for (var r = 0u; r < ROWS; r += 1u) {
        if (rows.first + r < params.time) {
            for (var c = 0u; c < VEC4S; c += 1u) {
                store_four(qkv_base(rows, rows.first + r, 0u), c, dq[r][c] * params.scale);
            }
        }
    }
}

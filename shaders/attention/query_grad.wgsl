// The gradient of attention with respect to the queries and, for the kernel of keys and values, the dot product of each
// row's result with its gradient: delta[t] = sum out[t] dout[t]. With p = exp(score - lse): dq[t] = scale sum over keys
// k of p (dout[t] v[k] - delta[t]) k[k]. It is written to part 0 of the gradient (`grad_base`); the other parts are not changed. Layout and division of work: attention/operands.
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
    if (past_head(c)) {
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

/// Sources: 0, 1 and 2 are queries, keys and values, 3 is dy, 4 is y.
fn four(rows: Rows, t: u32, source: u32, c: u32) -> vec4<f32> {
    if (source == 3u) {
        return dy_four(base(rows, t), c);
    }
    if (source == 4u) {
        return y_four(base(rows, t), c);
    }
    return part_four(rows, t, source, c);
}
fn row_count() -> u32 { return params.time; }
fn place(rows: Rows, t: u32, part: u32) -> u32 { return grad_base(rows, t, part); }

/// The lse of row r; of the last row if r is past the end.
fn lse_at(rows: Rows, r: u32) -> f32 {
    let i = statistic(rows, rows.first + min(r, ROWS - 1u));
    return load_lse(i >> 2u)[i & 3u];
}

/// The gradient of the scores of row r with positions t .. t+3.
fn score_grad(rows: Rows, r: u32, t: u32, keys: u32, scores: vec4<f32>, dp: vec4<f32>, lse: f32, delta: f32) -> vec4<f32> {
    let ds = exp(scores - vec4<f32>(lse)) * (dp - vec4<f32>(delta));
    return select(vec4<f32>(0.0), ds, seen(rows, r, t, keys) & chooses(vec4<u32>(rows.first + r), keys));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let rows = rows_at(workgroup_index(id, count), lane);
    if (!rows.exist) {
        return;
    }
    let keys = key_count(rows.sample);
    let q = scaled(head_at(rows, 0u), vec4<f32>(params.scale));
    let d = head_at(rows, 3u);
    let there = next_four(rows.first) < vec4<u32>(params.time);
    let row_delta = select(vec4<f32>(0.0), dots(d, head_at(rows, 4u)), there);
    let row_lse = vec4<f32>(lse_at(rows, 0u), lse_at(rows, 1u), lse_at(rows, 2u), lse_at(rows, 3u));
    for (var r = 0u; r < ROWS; r += 1u) {
        if (rows.first + r < params.padded) {
            delta[statistic(rows, rows.first + r)] = row_delta[r];
        }
    }
    var dq: Head;
    let end = select(keys, min(keys, end_together(rows)), CAUSAL);
    for (var key = 0u; key < end; key += 4u) {
        let scores = products(q, rows, key, 1u);
        let dp = products(d, rows, key, 2u);
        var ds: Bundle;
        ds.r0 = score_grad(rows, 0u, key, keys, scores.r0, dp.r0, row_lse.x, row_delta.x);
        if (ROWS > 1u) {
            ds.r1 = score_grad(rows, 1u, key, keys, scores.r1, dp.r1, row_lse.y, row_delta.y);
        }
        if (ROWS > 2u) {
            ds.r2 = score_grad(rows, 2u, key, keys, scores.r2, dp.r2, row_lse.z, row_delta.z);
            ds.r3 = score_grad(rows, 3u, key, keys, scores.r3, dp.r3, row_lse.w, row_delta.w);
        }
        dq = gathered(dq, rows, key, 1u, ds);
    }
    store_head(scaled(dq, vec4<f32>(params.scale)), rows, 0u);
}

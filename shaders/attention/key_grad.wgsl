// The gradient of attention with respect to keys and values. An invocation's rows are keys, and it loops over the
// queries that attend to them. With p = exp(score - lse): dv[k] = sum over queries t of p dy[t], and dk[k] = scale sum
// of p (dy[t] v[k] - delta[t]) q[t]. They are written to parts 1 and 2 of the gradient (`grad_base`); part 0 is not changed. Layout and division of work: attention/operands.
#import attention/operands
#import attention/all_keys
@group(0) @binding(4) var<storage, read> lse: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> delta: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> dy: array<vec4<f32>>;
fn load_lse(i: u32) -> vec4<f32> { return lse[i]; }
fn load_delta(i: u32) -> vec4<f32> { return delta[i]; }
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
#import attention/dy

/// Sources: 0, 1 and 2 are queries, keys and values, 3 is dy.
fn four(rows: Rows, t: u32, source: u32, c: u32) -> vec4<f32> {
    if (source == 3u) {
        return dy_four(base(rows, t), c);
    }
    return part_four(rows, t, source, c);
}
fn row_count() -> u32 { return params.keys; }
fn place(rows: Rows, t: u32, part: u32) -> u32 { return grad_base(rows, t, part); }

/// The weights that queries t .. t+3 give to key r of the invocation.
fn weights(rows: Rows, r: u32, t: u32, keys: u32, scores: vec4<f32>, lse: vec4<f32>) -> vec4<f32> {
    let key = rows.first + r;
    let late = next_four(t) >= vec4<u32>(select(0u, key, CAUSAL));
    let sees = late & (next_four(t) < vec4<u32>(params.time)) & vec4<bool>(key < keys);
    return select(vec4<f32>(0.0), exp(scores - lse), sees);
}

/// The gradients of the scores of a key with queries t .. t+3, which give it the weights p.
fn score_grad(t: u32, keys: u32, p: vec4<f32>, dp: vec4<f32>, delta: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(0.0), p * (dp - delta), chooses(next_four(t), keys));
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
    let k = scaled(head_at(rows, 1u), vec4<f32>(params.scale));
    let v = head_at(rows, 2u);
    var dk: Head;
    var dv: Head;
    // Keys without queries have gradient 0.
    let end = select(0u, params.time, first_together(rows) < keys);
    for (var query = select(0u, first_together(rows) & ~3u, CAUSAL); query < end; query += 4u) {
        let scores = products(k, rows, query, 0u);
        let dp = products(v, rows, query, 3u);
        let query_lse = load_lse(statistic(rows, query) >> 2u);
        let query_delta = load_delta(statistic(rows, query) >> 2u);
        var p: Bundle;
        var ds: Bundle;
        p.r0 = weights(rows, 0u, query, keys, scores.r0, query_lse);
        ds.r0 = score_grad(query, keys, p.r0, dp.r0, query_delta);
        if (ROWS > 1u) {
            p.r1 = weights(rows, 1u, query, keys, scores.r1, query_lse);
            ds.r1 = score_grad(query, keys, p.r1, dp.r1, query_delta);
        }
        if (ROWS > 2u) {
            p.r2 = weights(rows, 2u, query, keys, scores.r2, query_lse);
            ds.r2 = score_grad(query, keys, p.r2, dp.r2, query_delta);
            p.r3 = weights(rows, 3u, query, keys, scores.r3, query_lse);
            ds.r3 = score_grad(query, keys, p.r3, dp.r3, query_delta);
        }
        dv = gathered(dv, rows, query, 3u, p);
        dk = gathered(dk, rows, query, 0u, ds);
    }
    store_head(scaled(dk, vec4<f32>(params.scale)), rows, 1u);
    store_head(dv, rows, 2u);
}

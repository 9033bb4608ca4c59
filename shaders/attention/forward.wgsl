// Scaled dot-product attention: out[t] = sum over keys k of softmax(scale q[t] k)[k] v[k], and the logarithm of each row's sum
// of exponentials, with which the gradient finds the softmax again. Layout and division of work: attention/operands.
//
// The softmax is found in one walk: the sum and the result so far are scaled down whenever a larger score turns up
// (Milakov and Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, arXiv 2205.14135). No score is stored.
#import attention/operands
#import attention/all_keys
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;

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
    var y: array<Head, ROWS>;
    var maximum: array<f32, ROWS>;
    var sum: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r += 1u) {
        q[r] = qkv_head(qkv_base(rows, rows.first + r, 0u));
        maximum[r] = LOWEST;
        for (var c = 0u; c < VEC4S; c += 1u) {
            q[r][c] = q[r][c] * params.scale;
        }
    }
    let end = select(keys, min(keys, rows.first + ROWS), CAUSAL);
    for (var key = 0u; key < end; key += 4u) {
        var scores: array<vec4<f32>, ROWS>;
        for (var c = 0u; c < VEC4S; c += 1u) {
            let k = qkv_fours(rows, key, 1u, c);
            for (var r = 0u; r < ROWS; r += 1u) {
                scores[r] += q[r][c] * k;
            }
        }
        var p: array<vec4<f32>, ROWS>;
        var fade: array<f32, ROWS>;
        for (var r = 0u; r < ROWS; r += 1u) {
            let seen = next_four(key) < vec4<u32>(select(keys, min(keys, rows.first + r + 1u), CAUSAL));
            let top = max(maximum[r], largest(select(vec4<f32>(LOWEST), scores[r], seen)));
            p[r] = select(vec4<f32>(0.0), exp(scores[r] - vec4<f32>(top)), seen);
            fade[r] = exp(maximum[r] - top);
            maximum[r] = top;
            sum[r] = sum[r] * fade[r] + total(p[r]);
        }
        for (var c = 0u; c < VEC4S; c += 1u) {
            let v = qkv_fours(rows, key, 2u, c);
            for (var r = 0u; r < ROWS; r += 1u) {
                y[r][c] = y[r][c] * fade[r] + v * p[r];
            }
        }
    }
    for (var r = 0u; r < ROWS; r += 1u) {
        let t = rows.first + r;
        // A row that sees no key is 0.
        let seen = sum[r] > 0.0 && t < params.time;
        let inverse = select(0.0, 1.0 / sum[r], seen);
        lse[statistic(rows, t)] = select(0.0, maximum[r] + log(sum[r]), seen);
        if (t < params.time) {
            for (var c = 0u; c < VEC4S; c += 1u) {
                store_four(base(rows, t), c, y[r][c] * inverse);
            }
        }
    }
}

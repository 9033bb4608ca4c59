// Scaled dot-product attention: out[t] = sum over keys k of softmax(scale q[t] k)[k] v[k], and the logarithm of each
// row's sum of exponentials, from which the gradient recomputes the softmax. Layout and division of work:
// attention/operands.
//
// The softmax is computed in a single pass: the sum and the result so far are rescaled whenever a larger score occurs
// (Milakov and Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, arXiv 2205.14135). No score is stored.
#import attention/operands
#import attention/all_keys
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;

/// Sources: queries, keys and values.
fn four(rows: Rows, t: u32, source: u32, c: u32) -> vec4<f32> { return part_four(rows, t, source, c); }
fn row_count() -> u32 { return params.time; }
fn place(rows: Rows, t: u32, part: u32) -> u32 { return base(rows, t); }

/// The state of a row's softmax after some of its scores.
struct Softmax {
    maximum: f32,
    sum: f32,
    // Weights of the last four scores, and the factor of the result before them.
    p: vec4<f32>,
    fade: f32,
}

fn with_scores(row: Softmax, scores: vec4<f32>, seen: vec4<bool>) -> Softmax {
    let top = max(row.maximum, largest(select(vec4<f32>(LOWEST), scores, seen)));
    let p = select(vec4<f32>(0.0), exp(scores - vec4<f32>(top)), seen);
    let fade = exp(row.maximum - top);
    return Softmax(top, row.sum * fade + total(p), p, fade);
}

/// Writes the row's statistics and returns the factor of its result. A row without keys gives 0.
fn finish(rows: Rows, r: u32, row: Softmax) -> f32 {
    let t = rows.first + r;
    let counts = row.sum > 0.0 && t < params.time;
    if (r < ROWS && t < params.padded) {
        lse[statistic(rows, t)] = select(0.0, row.maximum + log(row.sum), counts);
    }
    return select(0.0, 1.0 / row.sum, counts);
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
    var y: Head;
    var row0 = Softmax(LOWEST, 0.0, vec4<f32>(0.0), 0.0);
    var row1 = row0;
    var row2 = row0;
    var row3 = row0;
    let end = select(keys, min(keys, end_together(rows)), CAUSAL);
    for (var key = 0u; key < end; key += 4u) {
        let scores = products(q, rows, key, 1u);
        row0 = with_scores(row0, scores.r0, seen(rows, 0u, key, keys));
        if (ROWS > 1u) {
            row1 = with_scores(row1, scores.r1, seen(rows, 1u, key, keys));
        }
        if (ROWS > 2u) {
            row2 = with_scores(row2, scores.r2, seen(rows, 2u, key, keys));
            row3 = with_scores(row3, scores.r3, seen(rows, 3u, key, keys));
        }
        y = scaled(y, vec4<f32>(row0.fade, row1.fade, row2.fade, row3.fade));
        y = gathered(y, rows, key, 2u, Bundle(row0.p, row1.p, row2.p, row3.p));
    }
    let inverse = vec4<f32>(
        finish(rows, 0u, row0), finish(rows, 1u, row1), finish(rows, 2u, row2), finish(rows, 3u, row3));
    store_head(scaled(y, inverse), rows, 0u);
}

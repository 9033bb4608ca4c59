// Operands of the attention kernels, and the rows that an invocation computes.
//
// Queries, keys and values are one operand (attention/packed) or two (cross_attention/separate); there are `time`
// queries and `keys` keys and values. The result and its gradient are [batch, time, heads, head_dim] and are read by
// the same functions. Row statistics are [batch, heads, padded]: `time` of them, padded by zeros to a multiple of 4.
//
// An invocation computes ROWS neighbouring rows (queries or keys) of one head of one sample and loops over all
// positions of the other kind, four at a time, reading them as defined in attention/reads_*.
#import shared/grid
#import shared/division
#import shared/store_vec4
#import attention/rows_1
#import attention/reads_direct
#import attention/head_64
#import attention/packed

struct Params {
    first_workgroup: u32,
    batch: u32,
    // Queries of a sample.
    time: u32,
    // Keys of a sample, with padding.
    keys: u32,
    // `time` rounded up to a multiple of 4.
    padded: u32,
    heads: u32,
    // Invocations per head.
    per_head: u32,
    // 1 / sqrt(head_dim).
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;

override HEAD_DIM: u32;
// Positions do not attend to later ones.
override CAUSAL: bool = false;
override WORKGROUP: u32 = 64u;

const LOWEST = -3.4028234e38;

/// The rows of an invocation: `first` .. `first + ROWS - 1` of a head of a sample.
struct Rows {
    sample: u32,
    head: u32,
    first: u32,
    lane: u32,
    exist: bool,
}

fn rows_at(workgroup: u32, lane: u32) -> Rows {
    let invocation = workgroup * WORKGROUP + lane;
    let matrix = divide(invocation, params.per_head);
    let sample = divide(matrix, params.heads);
    let first = (invocation - matrix * params.per_head) * ROWS;
    return Rows(sample, matrix - sample * params.heads, first, lane, sample < params.batch);
}

/// The first element of position `t`, or of the last one, in a tensor [batch, time, heads, head_dim].
fn base(rows: Rows, t: u32) -> u32 {
    return ((rows.sample * params.time + min(t, params.time - 1u)) * params.heads + rows.head) * HEAD_DIM;
}

/// The index of row `t` in the statistics.
fn statistic(rows: Rows, t: u32) -> u32 {
    return (rows.sample * params.heads + rows.head) * params.padded + t;
}

/// Elements 4c .. 4c+3 of query (part 0), key (1) or value (2) `t`.
fn part_four(rows: Rows, t: u32, part: u32, c: u32) -> vec4<f32> {
    if (past_head(c)) {
        return vec4<f32>(0.0);
    }
    let at = part_base(rows, t, part) + 4u * c;
    if (HEAD_DIM % 4u == 0u) {
        return load_part(part, at >> 2u);
    }
    return within(c, vec4<f32>(
        load_part(part, at >> 2u)[at & 3u], load_part(part, (at + 1u) >> 2u)[(at + 1u) & 3u],
        load_part(part, (at + 2u) >> 2u)[(at + 2u) & 3u], load_part(part, (at + 3u) >> 2u)[(at + 3u) & 3u]));
}

/// Whether elements 4c .. 4c+3 are past the end of the head: never if the head has the full size of the kernel.
fn past_head(c: u32) -> bool {
    let full = HEAD_DIM >= 16u && (HEAD_DIM & (HEAD_DIM - 1u)) == 0u;
    return !full && 4u * c >= HEAD_DIM;
}

/// x, or zeros past the end of the head.
fn within(c: u32, x: vec4<f32>) -> vec4<f32> {
    let at = vec4<u32>(4u * c) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), x, at < vec4<u32>(HEAD_DIM));
}

/// A vec4 for each row of an invocation; those from ROWS on are unused.
struct Bundle {
    r0: vec4<f32>,
    r1: vec4<f32>,
    r2: vec4<f32>,
    r3: vec4<f32>,
}

/// Elements 4c .. 4c+3 of the invocation's rows.
fn bundle_at(rows: Rows, source: u32, c: u32) -> Bundle {
    var x: Bundle;
    x.r0 = four(rows, rows.first, source, c);
    if (ROWS > 1u) {
        x.r1 = four(rows, rows.first + 1u, source, c);
    }
    if (ROWS > 2u) {
        x.r2 = four(rows, rows.first + 2u, source, c);
        x.r3 = four(rows, rows.first + 3u, source, c);
    }
    return x;
}

/// Elements 4c .. 4c+3 (a) and the next four (b) of four positions: one column per position.
struct Eight {
    a: mat4x4<f32>,
    b: mat4x4<f32>,
}

/// Adds to sum the products of x with four elements of four positions. Matrix times vector compiles to fused
/// multiply-adds; vector times matrix would not.
fn across(columns: mat4x4<f32>, x: Bundle, sum: Bundle) -> Bundle {
    return added(sum, transpose(columns), x);
}

/// Adds to y four elements of four positions, weighted by p.
fn along(columns: mat4x4<f32>, p: Bundle, y: Bundle) -> Bundle {
    return added(y, columns, p);
}

fn added(sum: Bundle, m: mat4x4<f32>, x: Bundle) -> Bundle {
    var y = sum;
    y.r0 += m * x.r0;
    if (ROWS > 1u) {
        y.r1 += m * x.r1;
    }
    if (ROWS > 2u) {
        y.r2 += m * x.r2;
        y.r3 += m * x.r3;
    }
    return y;
}

fn times(x: Bundle, by: vec4<f32>) -> Bundle {
    return Bundle(x.r0 * by.x, x.r1 * by.y, x.r2 * by.z, x.r3 * by.w);
}

fn dot_rows(a: Bundle, b: Bundle) -> vec4<f32> {
    return vec4<f32>(dot(a.r0, b.r0), dot(a.r1, b.r1), dot(a.r2, b.r2), dot(a.r3, b.r3));
}

fn store_bundle(x: Bundle, rows: Rows, part: u32, c: u32) {
    store_four(rows, 0u, part, c, x.r0);
    store_four(rows, 1u, part, c, x.r1);
    store_four(rows, 2u, part, c, x.r2);
    store_four(rows, 3u, part, c, x.r3);
}

/// Writes elements 4c .. 4c+3 of row r to `place`, if there is such a row.
fn store_four(rows: Rows, r: u32, part: u32, c: u32, x: vec4<f32>) {
    let t = rows.first + r;
    if (r < ROWS && t < row_count()) {
        store(place(rows, t, part) + 4u * c, x, i32(HEAD_DIM) - i32(4u * c));
    }
}

/// Number of the `keys` keys that queries t attend to; these are always the first ones.
fn visible(t: vec4<u32>, keys: u32) -> vec4<u32> {
    return select(vec4<u32>(keys), min(vec4<u32>(keys), t + vec4<u32>(1u)), CAUSAL);
}

/// Which of positions t .. t+3 row r attends to as keys, of `keys` keys.
fn seen(rows: Rows, r: u32, t: u32, keys: u32) -> vec4<bool> {
    return next_four(t) < visible(vec4<u32>(rows.first + r), keys);
}

/// Which of queries t have a choice of keys. The weight of a single key is 1 whatever its score, so the gradient of
/// that score is exactly 0. It must be exact because an optimizer that divides by the gradient's magnitude would turn a
/// rounding error into a full step.
fn chooses(t: vec4<u32>, keys: u32) -> vec4<bool> { return visible(t, keys) > vec4<u32>(1u); }

fn next_four(t: u32) -> vec4<u32> { return vec4<u32>(t) + vec4<u32>(0u, 1u, 2u, 3u); }
fn largest(x: vec4<f32>) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }
fn total(x: vec4<f32>) -> f32 { return (x.x + x.y) + (x.z + x.w); }

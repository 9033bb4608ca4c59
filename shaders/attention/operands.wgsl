// What the kernels of attention read, and which rows an invocation computes.
//
// qkv is [batch, time, 3, heads, head_dim]: of every position the queries, keys and values of all heads, as one dense
// layer gives them. What is [batch, time, heads, head_dim], the result and its gradient, is read by the same functions. Row
// statistics are [batch, heads, padded]: `time` of them, and zeros up to the next multiple of 4.
//
// An invocation computes ROWS neighbouring rows (queries, or keys) of one head of one sample and walks all positions of
// the other kind, four at a time; nothing is shared between invocations, and all of one head read the same addresses.
#import shared/grid
#import shared/division
#import shared/store_vec4
#import attention/head_64
#import attention/rows_1

struct Params {
    first_workgroup: u32,
    batch: u32,
    time: u32,
    // `time` rounded up to a multiple of 4.
    padded: u32,
    heads: u32,
    // 1 / sqrt(head_dim).
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
fn load_qkv(i: u32) -> vec4<f32> { return qkv[i]; }

override HEAD_DIM: u32;
// A position does not see later ones.
override CAUSAL: bool = false;
override WORKGROUP: u32 = 64u;

const LOWEST = -3.4028234e38;

/// Four vectors of a head, as matrix columns: four numbers of each.
alias Four = mat4x4<f32>;
alias Head = array<vec4<f32>, VEC4S>;

/// The rows of an invocation: `first` .. `first + ROWS - 1` of a head of a sample.
struct Rows {
    sample: u32,
    head: u32,
    first: u32,
    exist: bool,
}

fn rows_at(invocation: u32) -> Rows {
    let per_head = params.padded / ROWS;
    let matrix = divide(invocation, per_head);
    let sample = divide(matrix, params.heads);
    return Rows(
        sample, matrix - sample * params.heads, (invocation - matrix * per_head) * ROWS, sample < params.batch);
}

/// The first element of query (part 0), key (1) or value (2) `t`, or of the last there is.
fn qkv_base(rows: Rows, t: u32, part: u32) -> u32 {
    let position = rows.sample * params.time + min(t, params.time - 1u);
    return ((position * 3u + part) * params.heads + rows.head) * HEAD_DIM;
}

/// The same in a tensor [batch, time, heads, head_dim].
fn base(rows: Rows, t: u32) -> u32 {
    return ((rows.sample * params.time + min(t, params.time - 1u)) * params.heads + rows.head) * HEAD_DIM;
}

/// The place of row `t` in the statistics.
fn statistic(rows: Rows, t: u32) -> u32 {
    return (rows.sample * params.heads + rows.head) * params.padded + t;
}

fn qkv_four(base: u32, c: u32) -> vec4<f32> {
    if (4u * c >= HEAD_DIM) {
        return vec4<f32>(0.0);
    }
    let at = base + 4u * c;
    if (HEAD_DIM % 4u == 0u) {
        return load_qkv(at >> 2u);
    }
    return within(c, vec4<f32>(
        load_qkv(at >> 2u)[at & 3u], load_qkv((at + 1u) >> 2u)[(at + 1u) & 3u],
        load_qkv((at + 2u) >> 2u)[(at + 2u) & 3u], load_qkv((at + 3u) >> 2u)[(at + 3u) & 3u]));
}

/// Zeros past the end of the head.
fn within(c: u32, x: vec4<f32>) -> vec4<f32> {
    let at = vec4<u32>(4u * c) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), x, at < vec4<u32>(HEAD_DIM));
}

/// Numbers 4c .. 4c+3 of query, key or value t .. t+3.
fn qkv_fours(rows: Rows, t: u32, part: u32, c: u32) -> Four {
    return Four(
        qkv_four(qkv_base(rows, t, part), c), qkv_four(qkv_base(rows, t + 1u, part), c),
        qkv_four(qkv_base(rows, t + 2u, part), c), qkv_four(qkv_base(rows, t + 3u, part), c));
}

fn qkv_head(base: u32) -> Head {
    var head: Head;
    for (var c = 0u; c < VEC4S; c += 1u) {
        head[c] = qkv_four(base, c);
    }
    return head;
}

/// Writes numbers 4c .. 4c+3 of the head that begins at `base`.
fn store_four(base: u32, c: u32, x: vec4<f32>) {
    store(base + 4u * c, x, i32(HEAD_DIM) - i32(4u * c));
}

fn next_four(t: u32) -> vec4<u32> { return vec4<u32>(t) + vec4<u32>(0u, 1u, 2u, 3u); }
fn largest(x: vec4<f32>) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }
fn total(x: vec4<f32>) -> f32 { return (x.x + x.y) + (x.z + x.w); }

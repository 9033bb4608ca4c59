// Queries, keys and values in one operand qkv[batch, time, 3, heads, head_dim]: at each position the queries, keys and
// values of all heads, as one dense layer gives them. Their gradient has the same layout.
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
fn load_qkv(i: u32) -> vec4<f32> { return qkv[i]; }

/// Four elements of the operand with this part, from 4i on.
fn load_part(part: u32, i: u32) -> vec4<f32> { return load_qkv(i); }

/// The first element of query (part 0), key (1) or value (2) `t`; of the last one if `t` is past the end.
fn part_base(rows: Rows, t: u32, part: u32) -> u32 {
    let position = rows.sample * params.time + min(t, params.time - 1u);
    return ((position * 3u + part) * params.heads + rows.head) * HEAD_DIM;
}

/// The first element of the gradient of query, key or value `t`.
fn grad_base(rows: Rows, t: u32, part: u32) -> u32 { return part_base(rows, t, part); }

// Queries q[batch, time, heads, head_dim], and keys and values kv[batch, keys, 2, heads, head_dim]: at each position the
// keys, then the values of all heads. Their gradient is one tensor: of each sample the part of q, then that of kv.
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> kv: array<vec4<f32>>;
fn load_q(i: u32) -> vec4<f32> { return q[i]; }
fn load_kv(i: u32) -> vec4<f32> { return kv[i]; }

/// Four elements of the operand with this part, from 4i on.
fn load_part(part: u32, i: u32) -> vec4<f32> {
    if (part == 0u) {
        return load_q(i);
    }
    return load_kv(i);
}

/// The first element of query (part 0), key (1) or value (2) `t`; of the last one if `t` is past the end.
fn part_base(rows: Rows, t: u32, part: u32) -> u32 {
    if (part == 0u) {
        return base(rows, t);
    }
    let position = rows.sample * params.keys + min(t, params.keys - 1u);
    return ((position * 2u + part - 1u) * params.heads + rows.head) * HEAD_DIM;
}

/// The first element of the gradient of query, key or value `t`.
fn grad_base(rows: Rows, t: u32, part: u32) -> u32 {
    let first = rows.sample * (params.time + 2u * params.keys);
    let position = select(params.time + 2u * t + part - 1u, t, part == 0u);
    return ((first + position) * params.heads + rows.head) * HEAD_DIM;
}

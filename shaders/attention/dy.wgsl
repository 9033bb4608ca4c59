// Reads the gradient dy[batch, time, heads, head_dim] of the result.
fn dy_four(base: u32, c: u32) -> vec4<f32> {
    if (past_head(c)) {
        return vec4<f32>(0.0);
    }
    let at = base + 4u * c;
    if (HEAD_DIM % 4u == 0u) {
        return load_dy(at >> 2u);
    }
    return within(c, vec4<f32>(
        load_dy(at >> 2u)[at & 3u], load_dy((at + 1u) >> 2u)[(at + 1u) & 3u],
        load_dy((at + 2u) >> 2u)[(at + 2u) & 3u], load_dy((at + 3u) >> 2u)[(at + 3u) & 3u]));
}

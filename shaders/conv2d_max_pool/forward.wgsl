// A convolution fused with its max pooling: y[n, py, px, o] is the maximum, over the positions of window (py, px), of
// the sum over ky, kx, c of x[n, oy*stride_y - pad_top + ky, ox*stride_x - pad_left + kx, c] w[ky, kx, c, o]. Operands
// and extents: conv2d_max_pool/strip.
#import shared/store_vec4
#import conv2d_max_pool/strip

fn put(strip: Strip, window: u32, group: u32, value: vec4<f32>) {
    store(4u * ((strip.window + window) * params.groups + group), value, select(0, 4, window < strip.left));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(id, count) * 64u + lane;
    if (index >= params.len) {
        return;
    }
    let place = divide(index, params.groups);
    let group = index - place * params.groups;
    let parts = divide(params.strips_per_row + params.strips_per_invocation - 1u, params.strips_per_invocation);
    let row = divide(place, parts);
    let first = (place - row * parts) * params.strips_per_invocation;
    let weights = weights_of(group);
    for (var i = first; i < min(first + params.strips_per_invocation, params.strips_per_row); i += 1u) {
        let strip = strip_at(row, i);
        write_strip(patch_of(strip), weights, strip, group);
    }
}

// conv2d weight gradient, depthwise: dW[c, ky, kx] = sum over n, oy, ox of dY[n, oy, ox, c] X[n, oy*stride_y - pad_top
// + ky*dilation_y, ox*stride_x - pad_left + kx*dilation_x, c]. a = X, b = dY. The rows of dY are divided into splits;
// an invocation computes one tap of 4 channels for one split and writes it to [splits, C, KH, KW]. If there is more
// than one split, sum them with shared/split_sum.
#import shared/store_scalar
#import conv2d/depthwise

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
    let taps = KERNEL_Y * KERNEL_X;
    let place = divide(index, params.groups);
    let group = index - place * params.groups;
    let split = divide(place, u32(taps));
    let tap = i32(place) - i32(split) * taps;
    let ky = divide_small(tap, KERNEL_X);
    let y0 = ky * params.dilation_y - params.pad_top;
    let x0 = (tap - ky * KERNEL_X) * params.dilation_x - params.pad_left;
    // Columns of dY whose pixel of X is inside the image.
    let first = divide_small(max(0, -x0) + params.stride_x - 1, params.stride_x);
    let end = min(params.out_width, divide_small(params.width - 1 - x0, params.stride_x) + 1);
    var sum = vec4<f32>(0.0);
    for (var row = split * params.rows_per_split; row < min((split + 1u) * params.rows_per_split, params.rows); row += 1u) {
        let image = divide(row, u32(params.out_height));
        let y = i32(row - image * u32(params.out_height)) * params.stride_y + y0;
        let exists = y >= 0 && y < params.height;
        let line = (i32(image) * params.height + y) * params.width + x0;
        for (var ox = first; ox < select(first, end, exists); ox += 1) {
            sum += load_a(u32(line + ox * params.stride_x) * params.groups + group)
                * load_b((row * u32(params.out_width) + u32(ox)) * params.groups + group);
        }
    }
    let weight = (split * 4u * params.groups + 4u * group) * u32(taps) + u32(tap);
    out[weight] = epilogue(sum.x, weight);
    out[weight + u32(taps)] = epilogue(sum.y, weight + u32(taps));
    out[weight + 2u * u32(taps)] = epilogue(sum.z, weight + 2u * u32(taps));
    out[weight + 3u * u32(taps)] = epilogue(sum.w, weight + 3u * u32(taps));
}

// conv2d forward, depthwise: Y[n, oy, ox, c] = sum over ky, kx of X[n, oy*stride_y - pad_top + ky*dilation_y,
// ox*stride_x - pad_left + kx*dilation_x, c] W[ky, kx, c]. An invocation computes a strip of 4 pixels of Y.
#import shared/store_vec4
#import conv2d/depthwise

fn x_at(strip: Strip, y: i32, x: i32) -> vec4<f32> {
    let inside = y >= 0 && y < params.height && x >= 0 && x < params.width;
    let pixel = (strip.image * params.height + y) * params.width + x;
    return select(vec4<f32>(0.0), load_a(select(0u, u32(pixel) * params.groups + strip.group, inside)), inside);
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
    let strip = strip_at(index, params.out_height);
    let y0 = strip.y * params.stride_y - params.pad_top;
    let x0 = strip.x * params.stride_x - params.pad_left;
    var sums: mat4x4<f32>;
    for (var ky = 0; ky < KERNEL_Y; ky += 1) {
        let y = y0 + ky * params.dilation_y;
        for (var kx = 0; kx < KERNEL_X; kx += 1) {
            let x = x0 + kx * params.dilation_x;
            let w = weights(ky, kx, strip.group);
            sums[0] += w * x_at(strip, y, x);
            sums[1] += w * x_at(strip, y, x + params.stride_x);
            sums[2] += w * x_at(strip, y, x + 2 * params.stride_x);
            sums[3] += w * x_at(strip, y, x + 3 * params.stride_x);
        }
    }
    let pixel = (strip.image * params.out_height + strip.y) * params.out_width + strip.x;
    let first = 4u * (u32(pixel) * params.groups + strip.group);
    let left = params.out_width - strip.x;
    store(first, sums[0], select(0, 4, left > 0));
    store(first + 4u * params.groups, sums[1], select(0, 4, left > 1));
    store(first + 8u * params.groups, sums[2], select(0, 4, left > 2));
    store(first + 12u * params.groups, sums[3], select(0, 4, left > 3));
}

// conv2d input gradient, depthwise: dX[n, y, x, c] = sum over ky, kx of dY[n, oy, ox, c] W[ky, kx, c], where
// oy*stride_y = y + pad_top - ky*dilation_y and ox*stride_x = x + pad_left - kx*dilation_x have integer solutions
// inside the output. An invocation computes a strip of 4 pixels of dX.
#import shared/store_vec4
#import conv2d/depthwise

// dY for the tap at row y and column x of the padded input, relative to the tap at its corner.
fn dy_at(strip: Strip, y: i32, x: i32) -> vec4<f32> {
    let oy = divide_small(y, params.stride_y);
    let ox = divide_small(x, params.stride_x);
    let exists = oy >= 0 && oy < params.out_height && oy * params.stride_y == y
        && ox >= 0 && ox < params.out_width && ox * params.stride_x == x;
    let pixel = (strip.image * params.out_height + oy) * params.out_width + ox;
    return select(vec4<f32>(0.0), load_a(select(0u, u32(pixel) * params.groups + strip.group, exists)), exists);
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
    let strip = strip_at(index, params.height);
    let y0 = strip.y + params.pad_top;
    let x0 = strip.x + params.pad_left;
    var sums: mat4x4<f32>;
    for (var ky = 0; ky < KERNEL_Y; ky += 1) {
        let y = y0 - ky * params.dilation_y;
        for (var kx = 0; kx < KERNEL_X; kx += 1) {
            let x = x0 - kx * params.dilation_x;
            let w = weights(ky, kx, strip.group);
            sums[0] += w * dy_at(strip, y, x);
            sums[1] += w * dy_at(strip, y, x + 1);
            sums[2] += w * dy_at(strip, y, x + 2);
            sums[3] += w * dy_at(strip, y, x + 3);
        }
    }
    let pixel = (strip.image * params.height + strip.y) * params.width + strip.x;
    let first = 4u * (u32(pixel) * params.groups + strip.group);
    let left = params.width - strip.x;
    store(first, sums[0], select(0, 4, left > 0));
    store(first + 4u * params.groups, sums[1], select(0, 4, left > 1));
    store(first + 8u * params.groups, sums[2], select(0, 4, left > 2));
    store(first + 12u * params.groups, sums[3], select(0, 4, left > 3));
}

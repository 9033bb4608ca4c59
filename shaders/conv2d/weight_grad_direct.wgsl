// conv2d weight gradient, plain kernel: dW[co, ky, kx, ci] = sum over n, oy, ox of dY[n, oy, ox, co]
// X[n, oy*stride_y - pad_top + ky*dilation_y, ox*stride_x - pad_left + kx*dilation_x, ci].
// a = X, b = dY NHWC, dW O-KH-KW-I with I = group_channels. Any number of groups.
// The rows of dY (N*OH of them) are divided into splits of rows_per_split. An invocation computes one weight for one
// split and writes it to [splits, CO, KH, KW, I]; len is the length of one split. If there is more than one, sum them
// with shared/split_sum.
#import shared/store_scalar
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    len: u32,
    splits: u32,
    rows: u32,
    rows_per_split: u32,
    height: i32,
    width: i32,
    channels: u32,
    out_height: i32,
    out_width: i32,
    out_channels: u32,
    kernel_height: i32,
    kernel_width: i32,
    stride_y: i32,
    stride_x: i32,
    pad_top: i32,
    pad_left: i32,
    dilation_y: i32,
    dilation_x: i32,
    group_channels: u32,
    group_out_channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }
fn load_b(i: u32) -> vec4<f32> { return b[i]; }

fn x_at(i: u32) -> f32 { return load_a(i >> 2u)[i & 3u]; }
fn dy_at(i: u32) -> f32 { return load_b(i >> 2u)[i & 3u]; }

fn gradient(weight: u32, split: u32) -> f32 {
    let tap_index = divide(weight, params.group_channels);
    let taps = u32(params.kernel_height * params.kernel_width);
    let co = divide(tap_index, taps);
    let tap = i32(tap_index - co * taps);
    let ky = divide_small(tap, params.kernel_width);
    let y0 = ky * params.dilation_y - params.pad_top;
    let x0 = (tap - ky * params.kernel_width) * params.dilation_x - params.pad_left;
    let channel = divide(co, params.group_out_channels) * params.group_channels
        + weight - tap_index * params.group_channels;
    let end = min((split + 1u) * params.rows_per_split, params.rows);
    var sum = 0.0;
    for (var row = split * params.rows_per_split; row < end; row += 1u) {
        let image = divide(row, u32(params.out_height));
        let y = i32(row - image * u32(params.out_height)) * params.stride_y + y0;
        if (y >= 0 && y < params.height) {
            let line = (i32(image) * params.height + y) * params.width;
            for (var ox = 0; ox < params.out_width; ox += 1) {
                let x = ox * params.stride_x + x0;
                if (x >= 0 && x < params.width) {
                    let out_pixel = row * u32(params.out_width) + u32(ox);
                    sum += x_at(u32(line + x) * params.channels + channel)
                        * dy_at(out_pixel * params.out_channels + co);
                }
            }
        }
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(id, count) * 64u + lane;
    let split = divide(index, params.len);
    if (split >= params.splits) {
        return;
    }
    out[index] = epilogue(gradient(index - split * params.len, split), index);
}

// conv2d forward, plain kernel: Y[n, oy, ox, co] = sum over ky, kx, ci of
// X[n, oy*stride_y - pad_top + ky*dilation_y, ox*stride_x - pad_left + kx*dilation_x, ci] W[co, ky, kx, ci].
// a = X and Y NHWC, b = W O-KH-KW-I with I = group_channels.
// Any number of groups: group g reads channels g*group_channels .. and writes g*group_out_channels .. of the output;
// depthwise is group_channels = 1. One output per invocation.
#import shared/store_scalar
#import shared/each_output

const OUTPUTS = 1u;

struct Params {
    first_workgroup: u32,
    len: u32,
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
fn w_at(i: u32) -> f32 { return load_b(i >> 2u)[i & 3u]; }

fn output(index: u32) -> f32 {
    let pixel = divide(index, params.out_channels);
    let co = index - pixel * params.out_channels;
    let line = divide(pixel, u32(params.out_width));
    let image = divide(line, u32(params.out_height));
    let y0 = i32(line - image * u32(params.out_height)) * params.stride_y - params.pad_top;
    let x0 = i32(pixel - line * u32(params.out_width)) * params.stride_x - params.pad_left;
    let channel = divide(co, params.group_out_channels) * params.group_channels;
    var weight = co * u32(params.kernel_height * params.kernel_width) * params.group_channels;
    var sum = 0.0;
    for (var ky = 0; ky < params.kernel_height; ky += 1) {
        let y = y0 + ky * params.dilation_y;
        for (var kx = 0; kx < params.kernel_width; kx += 1) {
            let x = x0 + kx * params.dilation_x;
            if (y >= 0 && y < params.height && x >= 0 && x < params.width) {
                let first = u32((i32(image) * params.height + y) * params.width + x) * params.channels + channel;
                for (var ci = 0u; ci < params.group_channels; ci += 1u) {
                    sum += x_at(first + ci) * w_at(weight + ci);
                }
            }
            weight += params.group_channels;
        }
    }
    return sum;
}

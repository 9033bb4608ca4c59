// conv2d input gradient, plain kernel: dX[n, y, x, ci] = sum over ky, kx, co of dY[n, oy, ox, co] W[co, ky, kx, ci],
// where
// oy*stride_y = y + pad_top - ky*dilation_y and ox*stride_x = x + pad_left - kx*dilation_x have integer solutions inside
// the output. a = dY and dX NHWC, b = W O-KH-KW-I with I = group_channels.
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

fn dy_at(i: u32) -> f32 { return load_a(i >> 2u)[i & 3u]; }
fn w_at(i: u32) -> f32 { return load_b(i >> 2u)[i & 3u]; }

fn output(index: u32) -> f32 {
    let pixel = divide(index, params.channels);
    let channel = index - pixel * params.channels;
    let line = divide(pixel, u32(params.width));
    let image = divide(line, u32(params.height));
    let y0 = i32(line - image * u32(params.height)) + params.pad_top;
    let x0 = i32(pixel - line * u32(params.width)) + params.pad_left;
    let group = divide(channel, params.group_channels);
    let first_out = group * params.group_out_channels;
    let taps = u32(params.kernel_height * params.kernel_width);
    var sum = 0.0;
    for (var ky = 0; ky < params.kernel_height; ky += 1) {
        let y = y0 - ky * params.dilation_y;
        let oy = divide_small(y, params.stride_y);
        for (var kx = 0; kx < params.kernel_width; kx += 1) {
            let x = x0 - kx * params.dilation_x;
            let ox = divide_small(x, params.stride_x);
            if (oy >= 0 && oy < params.out_height && oy * params.stride_y == y
                && ox >= 0 && ox < params.out_width && ox * params.stride_x == x) {
                let out_pixel = u32((i32(image) * params.out_height + oy) * params.out_width + ox);
                let first = out_pixel * params.out_channels + first_out;
                let tap = u32(ky * params.kernel_width + kx);
                let weight = (first_out * taps + tap) * params.group_channels
                    + channel - group * params.group_channels;
                for (var co = 0u; co < params.group_out_channels; co += 1u) {
                    sum += dy_at(first + co) * w_at(weight + co * taps * params.group_channels);
                }
            }
        }
    }
    return sum;
}

// Shared code of the depthwise convolution kernels: every channel has its own filter. An invocation handles 4
// neighbouring channels. a = X or dY, NHWC; b = W as [KH*KW, C] (conv2d/depthwise_weights), or dY.
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    // Invocations.
    len: u32,
    height: i32,
    width: i32,
    out_height: i32,
    out_width: i32,
    // Channels / 4.
    groups: u32,
    // Strips of 4 pixels per row of the output.
    strips: u32,
    // For the weight gradient: rows of dY, and how many of them an invocation sums.
    rows: u32,
    rows_per_split: u32,
    stride_y: i32,
    stride_x: i32,
    pad_top: i32,
    pad_left: i32,
    dilation_y: i32,
    dilation_x: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }
fn load_b(i: u32) -> vec4<f32> { return b[i]; }

// Pipeline constants, so that loops over taps are unrolled.
override KERNEL_Y: i32 = 3;
override KERNEL_X: i32 = 3;

fn weights(ky: i32, kx: i32, group: u32) -> vec4<f32> {
    return load_b(u32(ky * KERNEL_X + kx) * params.groups + group);
}

// 4 pixels of a row of an image, for 4 channels.
struct Strip {
    image: i32,
    y: i32,
    x: i32,
    group: u32,
}

// Strip number `index` of images with rows of `height`; channels are fastest.
fn strip_at(index: u32, height: i32) -> Strip {
    let strip = divide(index, params.groups);
    let row = divide(strip, params.strips);
    let image = divide(row, u32(height));
    return Strip(
        i32(image), i32(row - image * u32(height)), 4 * i32(strip - row * params.strips),
        index - strip * params.groups);
}

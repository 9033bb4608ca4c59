// Pooling windows over an NHWC image: window (oy, ox) covers rows oy * stride_y - pad_top .. + kernel_y, columns
// likewise; only those inside the image count. No window lies wholly in the padding.
#import shared/division

struct Params {
    first_workgroup: u32,
    invocations: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    // In units of F.
    channels: u32,
    pad_top: u32,
    pad_left: u32,
}
@group(0) @binding(0) var<uniform> params: Params;

// Pipeline constants, so that loops over a window are unrolled.
override KERNEL_Y: u32 = 1u;
override KERNEL_X: u32 = 1u;
override STRIDE_Y: u32 = 1u;
override STRIDE_X: u32 = 1u;
// Whether windows may be clipped by the image's border; otherwise all have KERNEL_Y by KERNEL_X positions.
override PADDED: bool = true;

// A position in a batch of images: image, row, column, and channels in units of F.
struct Place {
    image: u32,
    y: u32,
    x: u32,
    channel: u32,
}

// The image position of index i in a batch of images of `height` by `width`.
fn place(i: u32, height: u32, width: u32) -> Place {
    let pixel = divide(i, params.channels);
    let line = divide(pixel, width);
    let image = divide(line, height);
    return Place(image, line - image * height, pixel - line * width, i - pixel * params.channels);
}

// A range that includes start but not end.
struct Range {
    start: u32,
    end: u32,
}

// Whether row (or column) k of a window is past its end.
fn is_cut(window: Range, k: u32) -> bool {
    return PADDED && window.start + k >= window.end;
}

// Rows (or columns) of window `o` that are inside the image.
fn inside(o: u32, stride: u32, kernel: u32, pad: u32, extent: u32) -> Range {
    let start = o * stride;
    return Range(max(start, pad) - pad, min(start + kernel - pad, extent));
}

fn rows(oy: u32) -> Range {
    return inside(oy, STRIDE_Y, KERNEL_Y, params.pad_top, params.height);
}

fn columns(ox: u32) -> Range {
    return inside(ox, STRIDE_X, KERNEL_X, params.pad_left, params.width);
}

// The windows, of `outputs`, that contain row (or column) `i` of the image.
fn containing(i: u32, stride: u32, kernel: u32, pad: u32, outputs: u32) -> Range {
    let from_pad = i + pad;
    let first = select(0u, divide(max(from_pad, kernel) - kernel, stride) + 1u, from_pad >= kernel);
    return Range(first, min(divide(from_pad, stride) + 1u, outputs));
}

fn windows_over_row(y: u32) -> Range {
    return containing(y, STRIDE_Y, KERNEL_Y, params.pad_top, params.out_height);
}

fn windows_over_column(x: u32) -> Range {
    return containing(x, STRIDE_X, KERNEL_X, params.pad_left, params.out_width);
}

// Index of a pixel's channels in the input, and of a window's in the output.
fn input_position(image: u32, y: u32, x: u32, channel: u32) -> u32 {
    return ((image * params.height + y) * params.width + x) * params.channels + channel;
}

fn output_position(image: u32, oy: u32, ox: u32, channel: u32) -> u32 {
    return ((image * params.out_height + oy) * params.out_width + ox) * params.channels + channel;
}

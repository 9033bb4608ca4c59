// Two NHWC images with the same channels but different heights and widths.
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
}
@group(0) @binding(0) var<uniform> params: Params;

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

// Index of a pixel's channels in the image that is read, of `height` by `width`.
fn position(image: u32, y: u32, x: u32, channel: u32, height: u32, width: u32) -> u32 {
    return ((image * height + y) * width + x) * params.channels + channel;
}

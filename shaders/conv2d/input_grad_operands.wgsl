// conv2d input gradient: dX[n, y, x, ci] = sum over ky, kx, co of dY[n, oy, ox, co] W[co, ky, kx, ci], where
// oy*stride_y = y + pad_top - ky*dilation_y and ox*stride_x = x + pad_left - kx*dilation_x have integer solutions
// inside the output. dX, dY NHWC, W O-KH-KW-I. A matrix of m = N*H*W rows and n = CI columns; a segment is one tap
// (segments = KH*KW), its elements the output channels (segment_len = CO). A = dY, K-contiguous; B = W,
// row-contiguous. Groups are a batch of such, each with dX and dY of its own; the matrices of W lie one after another.
#import shared/straight_lines

struct Params {
    first_workgroup: u32,
    column_tiles: u32,
    row_tiles: u32,
    batches: u32,
    splits: u32,
    m: u32,
    n: u32,
    segments: u32,
    segment_len: u32,
    segments_per_split: u32,
    height: u32,
    width: u32,
    out_height: i32,
    out_width: i32,
    kernel_width: i32,
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

// dX's pixel, in the padded image, and the first row of its image in dY, counted over the batch.
struct ARow {
    image: i32,
    y: i32,
    x: i32,
}

// The address of the column in the first tap of the first output channel.
struct BColumn {
    base: u32,
}

fn segment_end(segment: u32) -> i32 {
    return i32(params.segment_len);
}

fn a_row(row_of_group: u32, batch: u32) -> ARow {
    let row = batch * params.m + row_of_group;
    let line = divide(row, params.width);
    let image = divide(line, params.height);
    return ARow(
        i32(image) * params.out_height,
        i32(line - image * params.height) + params.pad_top,
        i32(row - line * params.width) + params.pad_left);
}

fn a_line(row: ARow, segment: u32) -> Line {
    let ky = divide_small(i32(segment), params.kernel_width);
    let kx = i32(segment) - ky * params.kernel_width;
    let y = row.y - ky * params.dilation_y;
    let x = row.x - kx * params.dilation_x;
    let oy = divide_small(y, params.stride_y);
    let ox = divide_small(x, params.stride_x);
    let exists = oy >= 0 && oy < params.out_height && oy * params.stride_y == y
        && ox >= 0 && ox < params.out_width && ox * params.stride_x == x;
    let len = i32(params.segment_len);
    return Line(((row.image + oy) * params.out_width + ox) * len, 1, 0, select(0, len, exists), 0);
}

fn b_column(column: u32, batch: u32) -> BColumn {
    return BColumn(batch * params.segment_len * params.segments * params.n + column);
}

fn b_line(column: BColumn, segment: u32) -> Line {
    return Line(
        i32(segment * params.n + column.base), i32(params.segments * params.n),
        0, i32(params.segment_len), 0);
}

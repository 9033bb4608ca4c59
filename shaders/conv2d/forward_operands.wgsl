// conv2d forward: Y[n, oy, ox, co] = sum over ky, kx, ci of
// X[n, oy*stride_y - pad_top + ky*dilation_y, ox*stride_x - pad_left + kx*dilation_x, ci] W[co, ky, kx, ci].
// X is NHWC, W is O-KH-KW-I, Y is NHWC: a matrix of m = N*OH*OW rows and n = CO columns. Groups form a batch of
// matrices, each with its own X and Y; the matrices of W are stored one after another already.
//
// A segment is `segment_pixels` neighbouring pixels of one image row with all their channels: a whole kernel row when
// dilation_x is 1 (segments = KH, segment_pixels = KW, segments_per_row = 1), one tap otherwise (segments = KH*KW,
// segment_pixels = 1, segments_per_row = KW). segment_len = segment_pixels * channels.
#import shared/straight_lines
#import shared/like_matrices

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
    result_elements: u32,
    // W as it is, or transposed.
    b_column_stride: u32,
    b_k_stride: u32,
    segments_per_row: u32,
    segment_pixels: i32,
    height: i32,
    width: i32,
    channels: i32,
    out_height: u32,
    out_width: u32,
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

// The input position of the kernel's corner, with the first row of its image, counted over the batch.
struct ARow {
    image: i32,
    y: i32,
    x: i32,
}

struct BColumn {
    column: u32,
}

fn segment_end(segment: u32) -> i32 {
    return i32(params.segment_len);
}

fn a_row(row_of_group: u32, batch: u32) -> ARow {
    let row = batch * params.m + row_of_group;
    let line = divide(row, params.out_width);
    let image = divide(line, params.out_height);
    return ARow(
        i32(image) * params.height,
        i32(line - image * params.out_height) * params.stride_y - params.pad_top,
        i32(row - line * params.out_width) * params.stride_x - params.pad_left);
}

fn a_line(row: ARow, segment: u32) -> Line {
    let ky = divide_small(i32(segment), i32(params.segments_per_row));
    let kx = i32(segment) - ky * i32(params.segments_per_row);
    let y = row.y + ky * params.dilation_y;
    let x = row.x + kx * params.dilation_x;
    let exists = y >= 0 && y < params.height;
    let last = min(params.segment_pixels, params.width - x) * params.channels;
    return Line(
        ((row.image + y) * params.width + x) * params.channels, 1,
        max(0, -x) * params.channels, select(0, last, exists), 0);
}

fn b_column(column: u32, batch: u32) -> BColumn {
    return BColumn(batch * params.n + column);
}

fn b_line(column: BColumn, segment: u32) -> Line {
    return Line(
        i32(column.column * params.b_column_stride + segment * params.segment_len * params.b_k_stride),
        i32(params.b_k_stride),
        0, i32(params.segment_len), 0);
}

// conv2d weight gradient: dW[co, ky, kx, ci] = sum over n, oy, ox of dY[n, oy, ox, co]
// X[n, oy*stride_y - pad_top + ky*dilation_y, ox*stride_x - pad_left + kx*dilation_x, ci]. X, dY NHWC, dW O-KH-KW-I.
// It is computed as dW transposed: m = KH*KW*CI rows, n = CO columns, stored with TRANSPOSE_OUT. A segment is
// `segment_rows` neighbouring rows of dY in one image, the last one of an image possibly fewer (segments = N *
// segments_per_image). Its elements are the pixels of these rows (segment_len = segment_rows * OW). A = X; the 4 rows
// of a texel share the tap if CI is a multiple of 4 (A_VEC4). B = dY. Both are row-contiguous, or A is K-contiguous
// with CI = 1 and segment_rows = 1. Groups form a batch of matrices, each with its own X and dY. K is long and m*n is
// small: launch with splits > 1, then sum the partials with shared/split_sum.
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
    segments_per_image: u32,
    segment_rows: u32,
    height: i32,
    width: i32,
    channels: u32,
    out_height: u32,
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

// The tap and channel of one weight: the offset of its input row, and of its input element in that row, for output
// pixel 0; the output pixels ox for which the input pixel exists; the first image of its group.
struct ARow {
    image: i32,
    y: i32,
    offset: i32,
    first: i32,
    end: i32,
}

struct BColumn {
    image: u32,
    column: u32,
}

// Index of a group's first image among the images of all groups.
fn first_image(batch: u32) -> u32 {
    return batch * divide(params.segments, params.segments_per_image);
}

// The image of a segment, and the first of its rows of dY in that image.
struct Rows {
    image: u32,
    first: u32,
}

fn segment_start(segment: u32) -> Rows {
    let image = divide(segment, params.segments_per_image);
    return Rows(image, (segment - image * params.segments_per_image) * params.segment_rows);
}

fn segment_end(segment: u32) -> i32 {
    return i32(min(params.segment_rows, params.out_height - segment_start(segment).first)) * params.out_width;
}

fn a_row(row: u32, batch: u32) -> ARow {
    let tap = divide(row, params.channels);
    let ky = divide_small(i32(tap), params.kernel_width);
    let x = (i32(tap) - ky * params.kernel_width) * params.dilation_x - params.pad_left;
    let pixels = divide_small(params.width - 1 - x, params.stride_x) + 1;
    return ARow(
        i32(first_image(batch)),
        ky * params.dilation_y - params.pad_top,
        x * i32(params.channels) + i32(row - tap * params.channels),
        divide_small(max(0, -x) + params.stride_x - 1, params.stride_x),
        min(pixels, params.out_width));
}

// base, first and end refer to the first row of the segment; y is the corresponding row of X.
fn a_line(row: ARow, segment: u32) -> Line {
    let start = segment_start(segment);
    let y = i32(start.first) * params.stride_y + row.y;
    let exists = params.segment_rows > 1u || (y >= 0 && y < params.height);
    let pixel = ((row.image + i32(start.image)) * params.height + y) * params.width;
    return Line(
        pixel * i32(params.channels) + row.offset, params.stride_x * i32(params.channels),
        row.first, select(0, row.end, exists), y);
}

fn a_element(line: Line, k: i32) -> Element {
    let row = divide_small(k, params.out_width);
    let x = k - row * params.out_width;
    let y = line.y + row * params.stride_y;
    return Element(
        k < i32(params.segment_len) && y >= 0 && y < params.height && line.first <= x && x < line.end,
        line.base + row * params.stride_y * params.width * i32(params.channels) + x * line.stride);
}

fn b_column(column: u32, batch: u32) -> BColumn {
    return BColumn(first_image(batch), column);
}

fn b_line(column: BColumn, segment: u32) -> Line {
    let start = segment_start(segment);
    let pixel = ((column.image + start.image) * params.out_height + start.first) * u32(params.out_width);
    return Line(i32(pixel * params.n + column.column), i32(params.n), 0, segment_end(segment), 0);
}

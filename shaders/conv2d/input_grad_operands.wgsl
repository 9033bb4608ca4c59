// conv2d input gradient: dX[n, y, x, ci] = sum over ky, kx, co of dY[n, oy, ox, co] W[co, ky, kx, ci], where
// oy*stride_y = y + pad_top - ky*dilation_y and ox*stride_x = x + pad_left - kx*dilation_x have integer solutions
// inside the output. dX, dY NHWC, W O-KH-KW-I.
//
// Pixels are computed in phases. The pixels of a phase have the same remainder modulo the stride (phases_y, phases_x)
// and read every phases-th tap, starting at the same one. A phase is a matrix of m = N*rows*columns rows, where `rows`
// and `columns` are those of the largest phase, and n = CI columns. A segment is one tap (`segments` is the number in
// the phase that has the most), and its elements are the output channels (segment_len = CO). A = dY, K-contiguous; B =
// W, row-contiguous. Batch: groups, each with its own dX and dY, then phases. If the stride is 1 or the kernel is
// dilated, a single phase has all pixels and taps.
#import shared/straight_lines

// Whether there is more than one phase.
override PHASED: bool = false;

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
    images: u32,
    height: u32,
    width: u32,
    phase_rows: u32,
    phase_columns: u32,
    phases_y: i32,
    phases_x: i32,
    taps_x: i32,
    out_height: i32,
    out_width: i32,
    kernel_height: i32,
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

// The group that a matrix belongs to, its first pixel in dX, and the first tap that its pixels read.
struct Phase {
    group: u32,
    y: i32,
    x: i32,
    tap: Tap,
}

fn remainder(x: i32, d: i32) -> i32 {
    return x - divide_small(x, d) * d;
}

fn phase_at(batch: u32) -> Phase {
    if (!PHASED) {
        return Phase(batch, 0, 0, Tap(0, 0));
    }
    let groups_y = divide_small(i32(batch), params.phases_x);
    let group = divide_small(groups_y, params.phases_y);
    let y = groups_y - group * params.phases_y;
    let x = i32(batch) - groups_y * params.phases_x;
    return Phase(
        u32(group), y, x,
        Tap(remainder(y + params.pad_top, params.phases_y), remainder(x + params.pad_left, params.phases_x)));
}

struct Tap {
    y: i32,
    x: i32,
}

// The tap of a segment; it may be outside the kernel.
fn tap_at(first: Tap, segment: u32) -> Tap {
    let y = divide_small(i32(segment), params.taps_x);
    let x = i32(segment) - y * params.taps_x;
    return Tap(first.y + y * params.phases_y, first.x + x * params.phases_x);
}

fn takes_segment(segment: u32, batch: u32) -> bool {
    if (!PHASED) {
        return true;
    }
    let tap = tap_at(phase_at(batch).tap, segment);
    return tap.y < params.kernel_height && tap.x < params.kernel_width;
}

// A pixel of a matrix: its image, counted over the groups, and its position, which may be outside the image.
struct Pixel {
    image: u32,
    y: i32,
    x: i32,
}

fn pixel_at(row: u32, phase: Phase) -> Pixel {
    let line = divide(row, params.phase_columns);
    let image = divide(line, params.phase_rows);
    return Pixel(
        phase.group * params.images + image,
        phase.y + i32(line - image * params.phase_rows) * params.phases_y,
        phase.x + i32(row - line * params.phase_columns) * params.phases_x);
}

fn result_line(line: u32, batch: u32) -> i32 {
    if (!PHASED) {
        return i32(batch * params.m + line);
    }
    let pixel = pixel_at(line, phase_at(batch));
    let exists = pixel.y < i32(params.height) && pixel.x < i32(params.width);
    let place = (i32(pixel.image * params.height) + pixel.y) * i32(params.width) + pixel.x;
    return select(-1, place, exists);
}

// A pixel of dX: the first row of its image in dY, counted over the batch, its position in the padded image, and its
// first tap.
struct ARow {
    image: i32,
    y: i32,
    x: i32,
    tap: Tap,
}

// The address of the column in the first tap of W at the first output channel, and the first tap to read.
struct BColumn {
    base: u32,
    tap: Tap,
}

fn segment_end(segment: u32) -> i32 {
    return i32(params.segment_len);
}

fn a_row(row: u32, batch: u32) -> ARow {
    let phase = phase_at(batch);
    let pixel = pixel_at(row, phase);
    return ARow(
        i32(pixel.image) * params.out_height, pixel.y + params.pad_top, pixel.x + params.pad_left, phase.tap);
}

fn a_line(row: ARow, segment: u32) -> Line {
    let tap = tap_at(row.tap, segment);
    let y = row.y - tap.y * params.dilation_y;
    let x = row.x - tap.x * params.dilation_x;
    let oy = divide_small(y, params.stride_y);
    let ox = divide_small(x, params.stride_x);
    let exists = oy >= 0 && oy < params.out_height && oy * params.stride_y == y
        && ox >= 0 && ox < params.out_width && ox * params.stride_x == x;
    let len = i32(params.segment_len);
    return Line(((row.image + oy) * params.out_width + ox) * len, 1, 0, select(0, len, exists), 0);
}

// Weights per output channel.
fn w_row() -> u32 {
    return u32(params.kernel_height * params.kernel_width) * params.n;
}

fn b_column(column: u32, batch: u32) -> BColumn {
    let phase = phase_at(batch);
    return BColumn(phase.group * params.segment_len * w_row() + column, phase.tap);
}

fn b_line(column: BColumn, segment: u32) -> Line {
    let tap = tap_at(column.tap, segment);
    return Line(
        i32(u32(tap.y * params.kernel_width + tap.x) * params.n + column.base), i32(w_row()),
        0, i32(params.segment_len), 0);
}

// Batched matmul: C[b, m, n] = sum over k of A[b, m, k] B[b, k, n]. Each operand may have either orientation and is
// addressed by its strides in elements (one of row/k is 1 if the operand is read as vec4). A batch stride of 0 repeats
// the operand. K may be cut into segments of segment_len k, the last one with the remainder: for splits, or if both
// operands have gaps of `gap` elements between segments, after the `first` ones of each.
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
    k: u32,
    segments: u32,
    segment_len: u32,
    segments_per_split: u32,
    result_elements: u32,
    a_batch_stride: u32,
    a_row_stride: u32,
    a_k_stride: u32,
    a_first: u32,
    a_segment_gap: u32,
    b_batch_stride: u32,
    b_column_stride: u32,
    b_k_stride: u32,
    b_first: u32,
    b_segment_gap: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }
fn load_b(i: u32) -> vec4<f32> { return b[i]; }

struct ARow {
    base: u32,
}

struct BColumn {
    base: u32,
}

fn segment_end(segment: u32) -> i32 {
    return i32(min(params.k - segment * params.segment_len, params.segment_len));
}

fn a_row(row: u32, batch: u32) -> ARow {
    return ARow(params.a_first + batch * params.a_batch_stride + row * params.a_row_stride);
}

fn a_line(row: ARow, segment: u32) -> Line {
    return Line(
        i32(row.base + segment * (params.segment_len * params.a_k_stride + params.a_segment_gap)), i32(params.a_k_stride),
        0, segment_end(segment), 0);
}

fn b_column(column: u32, batch: u32) -> BColumn {
    return BColumn(params.b_first + batch * params.b_batch_stride + column * params.b_column_stride);
}

fn b_line(column: BColumn, segment: u32) -> Line {
    return Line(
        i32(column.base + segment * (params.segment_len * params.b_k_stride + params.b_segment_gap)), i32(params.b_k_stride),
        0, segment_end(segment), 0);
}

// C[m, n] = sum over k of A(m, k) B(n, k): the shared code of matmul and the three passes of conv2d.
//
// K is cut into `params.segments` segments. Within a segment, a row of A (a column of B) is a line: its elements have a
// constant stride, or positions defined by the operation's `a_element`. A's lines may lack elements (padding), which
// count as 0; B's are complete. An operand is only read by lines, in one of four ways, chosen when the pipeline is
// created:
//   VEC4, K_CONTIGUOUS      a texel holds 4 consecutive k of one row: stride 1, base and limits multiples of 4;
//   VEC4, not K_CONTIGUOUS  a texel holds 4 consecutive rows at one k: base and stride multiples of 4;
//   K_CONTIGUOUS only       stride 1, any alignment: 4 consecutive k from two texels;
//   neither                 any stride, element by element.
//
// An operation defines, in its operands file: Params; the bindings a (1) and b (2); load_a and load_b (a texel by its
// index in the linear tensor); `segment_end` (the number of k in a segment); and for each operand the part of its lines
// that does not depend on the segment (`a_row`, `b_column`) and the line in one segment (`a_line`, `b_line`). If the
// lines of A are straight, it imports shared/straight_lines. Which segments a matrix of the batch has
// (`takes_segment`), and where its lines are stored in the result (`result_line`), is defined in shared/like_matrices
// or in the operation's own file. Rows and columns past the end are computed as copies of the last one and not stored.
// Output: binding 3, store_*.wgsl.
#import shared/division

override A_VEC4: bool = true;
override A_K_CONTIGUOUS: bool = true;
override B_VEC4: bool = true;
override B_K_CONTIGUOUS: bool = false;
// Some segment's length is not a multiple of a step: 4 k for broadcast kernels, 16 or 32 for tiled ones.
override K_TAIL: bool = true;
// Store C[n, m] instead of C[m, n].
override TRANSPOSE_OUT: bool = false;
// Let the rows of a tile run along n and its columns along m: for n below the narrowest tile.
override SWAP_OPERANDS: bool = false;

// Element k of the segment exists iff first <= k < end, at the linear address base + k * stride; otherwise it is 0. `y`
// is only used by lines that are not straight.
struct Line {
    base: i32,
    stride: i32,
    first: i32,
    end: i32,
    y: i32,
}

// The position of an element, if it exists.
struct Element {
    exists: bool,
    address: i32,
}

// Elements s .. s+3 of the 8 elements in two texels.
fn shifted(low: vec4<f32>, high: vec4<f32>, s: i32) -> vec4<f32> {
    let by_two = (s & 2) != 0;
    let part = select(low, vec4<f32>(low.zw, high.xy), by_two);
    return select(part, vec4<f32>(part.yzw, select(high.x, high.z, by_two)), (s & 1) != 0);
}

// No address outside the line's elements is ever read.

fn a_texel(line: Line, k: i32) -> vec4<f32> {
    let element = a_element(line, k);
    let address = select(0, element.address, element.exists);
    return select(vec4<f32>(0.0), load_a(u32(address) >> 2u), element.exists);
}

fn a_value(line: Line, k: i32) -> f32 {
    return a_texel(line, k)[a_element(line, k).address & 3];
}

// The texel with the element of the line that is closest to k; texel 0 if the line is empty.
fn a_texel_near(line: Line, k: i32) -> vec4<f32> {
    let address = line.base + max(min(k, line.end - 1), line.first);
    return load_a(u32(select(0, address, line.first < line.end)) >> 2u);
}

// VEC4: the texel at k. Otherwise elements k .. k+3 of the line.
fn a_fetch(line: Line, k: i32) -> vec4<f32> {
    if (A_VEC4) {
        return a_texel(line, k);
    }
    let ks = vec4<i32>(k, k + 1, k + 2, k + 3);
    if (A_K_CONTIGUOUS) {
        let values = shifted(a_texel_near(line, k), a_texel_near(line, k + 3), line.base + k);
        return select(vec4<f32>(0.0), values, (ks >= vec4<i32>(line.first)) & (ks < vec4<i32>(line.end)));
    }
    return vec4<f32>(a_value(line, ks.x), a_value(line, ks.y), a_value(line, ks.z), a_value(line, ks.w));
}

// B's lines are complete, so only the tail needs a mask.
fn b_texel(line: Line, k: i32) -> vec4<f32> {
    if (K_TAIL) {
        return select(
            vec4<f32>(0.0), load_b(u32(line.base + min(k, line.end - 1) * line.stride) >> 2u), k < line.end);
    }
    return load_b(u32(line.base + k * line.stride) >> 2u);
}

fn b_texel_near(line: Line, k: i32) -> vec4<f32> {
    return load_b(u32(line.base + min(k, line.end - 1)) >> 2u);
}

// VEC4: the texel at k. Otherwise elements k .. k+3 of the line.
fn b_fetch(line: Line, k: i32) -> vec4<f32> {
    if (B_VEC4) {
        return b_texel(line, k);
    }
    let ks = vec4<i32>(k, k + 1, k + 2, k + 3);
    if (B_K_CONTIGUOUS) {
        let values = shifted(b_texel_near(line, k), b_texel_near(line, k + 3), line.base + k);
        return select(vec4<f32>(0.0), values, ks < vec4<i32>(line.end));
    }
    let part = vec4<i32>(line.base) + ks * line.stride;
    return vec4<f32>(
        b_texel(line, ks.x)[part.x & 3], b_texel(line, ks.y)[part.y & 3],
        b_texel(line, ks.z)[part.z & 3], b_texel(line, ks.w)[part.w & 3]);
}

// The operand of a row (or a column) of the tile: a row of A or a column of B, depending on SWAP_OPERANDS.
struct Source {
    a: ARow,
    b: BColumn,
}

fn source_line(source: Source, is_b: bool, segment: u32) -> Line {
    if (is_b) {
        return b_line(source.b, segment);
    }
    return a_line(source.a, segment);
}

fn fetch(line: Line, is_b: bool, k: i32) -> vec4<f32> {
    if (is_b) {
        return b_fetch(line, k);
    }
    return a_fetch(line, k);
}

// True if a fetch gives 4 rows (columns) at one k, false if it gives 4 k of one.
fn fetches_across(is_b: bool) -> bool {
    return select(A_VEC4 && !A_K_CONTIGUOUS, B_VEC4 && !B_K_CONTIGUOUS, is_b);
}

// Extent of A (rows) or B (columns).
fn extent(is_b: bool) -> u32 {
    return select(params.m, params.n, is_b);
}

// The source at `index` of A or B; the last one if `index` is past the end.
fn source_at(index: u32, is_b: bool, batch: u32) -> Source {
    let i = min(index, extent(is_b) - select(1u, 4u, fetches_across(is_b)));
    var source: Source;
    if (is_b) {
        source.b = b_column(i, batch);
    } else {
        source.a = a_row(i, batch);
    }
    return source;
}

// The part of the output that a workgroup computes: a tile of one matrix of the batch, over one split of the segments.
struct Tile {
    row: u32,
    column: u32,
    batch: u32,
    split: u32,
    exists: bool,
}

// Columns vary fastest, then rows, batch, split.
fn tile_at(index: u32, tile_rows: u32, tile_columns: u32) -> Tile {
    let rest = divide(index, params.column_tiles);
    let slice = divide(rest, params.row_tiles);
    let split = divide(slice, params.batches);
    return Tile(
        (rest - slice * params.row_tiles) * tile_rows,
        (index - rest * params.column_tiles) * tile_columns,
        slice - split * params.batches,
        split,
        split < params.splits);
}

fn row_at(tile: Tile, offset: u32) -> Source {
    return source_at(tile.row + offset, SWAP_OPERANDS, tile.batch);
}

fn column_at(tile: Tile, offset: u32) -> Source {
    return source_at(tile.column + offset, !SWAP_OPERANDS, tile.batch);
}

// Stores `count` of 4 elements from `at` of a line of the result. A line is a row of C or, with TRANSPOSE_OUT, a
// column. `result_line` of the operation gives its index among the lines of all matrices, or -1 if it is not stored.
// The results of the splits follow one another.
fn store_line(tile: Tile, line: u32, at: u32, value: vec4<f32>, count: i32) {
    let place = result_line(line, tile.batch);
    let first = tile.split * params.result_elements + u32(max(place, 0)) * extent(!TRANSPOSE_OUT) + at;
    store(first, value, select(0, count, place >= 0));
}

// Stores those of rows row .. row+3 and columns column .. column+3 of the tile that are inside the output.
fn store_block(tile: Tile, row: u32, column: u32, c: mat4x4<f32>) {
    let height = extent(SWAP_OPERANDS);
    let width = extent(!SWAP_OPERANDS);
    let rows = i32(height) - i32(row);
    let columns = i32(width) - i32(column);
    if (TRANSPOSE_OUT != SWAP_OPERANDS) {
        let t = transpose(c);
        store_line(tile, column, row, t[0], select(0, rows, columns > 0));
        store_line(tile, column + 1u, row, t[1], select(0, rows, columns > 1));
        store_line(tile, column + 2u, row, t[2], select(0, rows, columns > 2));
        store_line(tile, column + 3u, row, t[3], select(0, rows, columns > 3));
    } else {
        store_line(tile, row, column, c[0], select(0, columns, rows > 0));
        store_line(tile, row + 1u, column, c[1], select(0, columns, rows > 1));
        store_line(tile, row + 2u, column, c[2], select(0, columns, rows > 2));
        store_line(tile, row + 3u, column, c[3], select(0, columns, rows > 3));
    }
}

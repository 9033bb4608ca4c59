// The contraction through workgroup memory, for any GPU. A workgroup computes a square tile of the output in steps of
// 16 k; an invocation computes one or four blocks of 4 x 4 of it in registers. In each step the invocations copy the
// values of rows and columns to workgroup memory, arranged by k, and then read the values of their blocks for every k
// from there.
//
// Barriers: one before the tiles are read (after the whole step is written), one before the next step overwrites them.
#import shared/grid
#import shared/contraction
#import shared/tile_64

const TILE_K: u32 = 16u;

// Row (column) r at k of the step is at index TILE * k + r. Scalars, because different invocations write neighbours.
var<workgroup> row_tile: array<f32, TILE * TILE_K>;
var<workgroup> column_tile: array<f32, TILE * TILE_K>;

// The source of copy `unit`, which copies 4 k of one row (column), or 4 rows at one k: the (first) row, and the (first)
// k.
fn copied_index(unit: u32, along_k: bool) -> u32 {
    return select(4u * (unit % (TILE / 4u)), unit / 4u, along_k);
}

fn copied_k(unit: u32, along_k: bool) -> u32 {
    return select(unit / (TILE / 4u), 4u * (unit % 4u), along_k);
}

// The destination of the first of the 4 values, and their stride.
fn copied_to(unit: u32, along_k: bool) -> vec2<u32> {
    return vec2<u32>(TILE * copied_k(unit, along_k) + copied_index(unit, along_k), select(1u, TILE, along_k));
}

fn fill_rows(unit: u32, along_k: bool, value: vec4<f32>) {
    let to = copied_to(unit, along_k);
    row_tile[to.x] = value.x;
    row_tile[to.x + to.y] = value.y;
    row_tile[to.x + 2u * to.y] = value.z;
    row_tile[to.x + 3u * to.y] = value.w;
}

fn fill_columns(unit: u32, along_k: bool, value: vec4<f32>) {
    let to = copied_to(unit, along_k);
    column_tile[to.x] = value.x;
    column_tile[to.x + to.y] = value.y;
    column_tile[to.x + 2u * to.y] = value.z;
    column_tile[to.x + 3u * to.y] = value.w;
}

fn four_rows(at: u32) -> vec4<f32> {
    return vec4<f32>(row_tile[at], row_tile[at + 1u], row_tile[at + 2u], row_tile[at + 3u]);
}

fn four_columns(at: u32) -> vec4<f32> {
    return vec4<f32>(column_tile[at], column_tile[at + 1u], column_tile[at + 2u], column_tile[at + 3u]);
}

// The outer product: matrix column i holds row i.
fn outer(rows: vec4<f32>, columns: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(columns * rows.x, columns * rows.y, columns * rows.z, columns * rows.w);
}

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = tile_at(workgroup_index(id, count), TILE, TILE);
    if (!tile.exists) {
        return;
    }
    let rows_along_k = !fetches_across(SWAP_OPERANDS);
    let columns_along_k = !fetches_across(!SWAP_OPERANDS);
    var row_sources: array<Source, COPIES>;
    var column_sources: array<Source, COPIES>;
    for (var copy = 0u; copy < COPIES; copy += 1u) {
        let unit = copy * INVOCATIONS + index;
        row_sources[copy] = row_at(tile, copied_index(unit, rows_along_k));
        column_sources[copy] = column_at(tile, copied_index(unit, columns_along_k));
    }
    // The first row and column of this invocation's blocks; a second block is half a tile further.
    let my_row = 4u * (index / ACROSS);
    let my_column = 4u * (index % ACROSS);
    let half = TILE / 2u;

    var block00: mat4x4<f32>;
    var block01: mat4x4<f32>;
    var block10: mat4x4<f32>;
    var block11: mat4x4<f32>;
    let first = tile.split * params.segments_per_split;
    let end = min(first + params.segments_per_split, params.segments);
    for (var segment = first; segment < end; segment += 1u) {
        let length = select(0, segment_end(segment), takes_segment(segment, tile.batch));
        for (var k = 0; k < length; k += i32(TILE_K)) {
            for (var copy = 0u; copy < COPIES; copy += 1u) {
                let unit = copy * INVOCATIONS + index;
                let row_line = source_line(row_sources[copy], SWAP_OPERANDS, segment);
                let column_line = source_line(column_sources[copy], !SWAP_OPERANDS, segment);
                let row_k = k + i32(copied_k(unit, rows_along_k));
                let column_k = k + i32(copied_k(unit, columns_along_k));
                fill_rows(unit, rows_along_k, fetch(row_line, SWAP_OPERANDS, row_k));
                fill_columns(unit, columns_along_k, fetch(column_line, !SWAP_OPERANDS, column_k));
            }
            workgroupBarrier();
            for (var i = 0u; i < TILE_K; i += 1u) {
                let rows = four_rows(TILE * i + my_row);
                let columns = four_columns(TILE * i + my_column);
                block00 += outer(rows, columns);
                if (BLOCKS > 1u) {
                    let more_rows = four_rows(TILE * i + half + my_row);
                    let more_columns = four_columns(TILE * i + half + my_column);
                    block01 += outer(rows, more_columns);
                    block10 += outer(more_rows, columns);
                    block11 += outer(more_rows, more_columns);
                }
            }
            workgroupBarrier();
        }
    }
    let row = tile.row + my_row;
    let column = tile.column + my_column;
    store_block(tile, row, column, block00);
    if (BLOCKS > 1u) {
        store_block(tile, row, column + half, block01);
        store_block(tile, row + half, column, block10);
        store_block(tile, row + half, column + half, block11);
    }
}

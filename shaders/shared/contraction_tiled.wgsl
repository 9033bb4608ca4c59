// The contraction through workgroup memory, for any GPU: a workgroup of 256 computes a 64 x 64 tile of the output in
// steps of 16 k, an invocation 4 x 4 of it in registers. Each step the invocations copy 4 values for the rows and 4 for the
// columns each into workgroup memory, laid out by k, and then read 4 rows and 4 columns of every k from there.
//
// Barriers: one before the tiles are read (all of the step is written), one before they are overwritten by the next.
#import shared/grid
#import shared/contraction

const TILE: u32 = 64u;
const TILE_K: u32 = 16u;

// Row (column) r at k of the step: index 64k + r. Single floats, because neighbours are written by different invocations.
var<workgroup> row_tile: array<f32, 1024>;
var<workgroup> column_tile: array<f32, 1024>;

// What an invocation copies: 4 k of one row (column), or 4 rows at one k. This is the (first) row, and the (first) k.
fn copied_index(index: u32, along_k: bool) -> u32 {
    return select(4u * (index % 16u), index / 4u, along_k);
}

fn copied_k(index: u32, along_k: bool) -> u32 {
    return select(index / 16u, 4u * (index % 4u), along_k);
}

// Where the first of the 4 values goes that an invocation copies, and how far apart they go.
fn copied_to(index: u32, along_k: bool) -> vec2<u32> {
    return vec2<u32>(TILE * copied_k(index, along_k) + copied_index(index, along_k), select(1u, TILE, along_k));
}

fn fill_rows(index: u32, along_k: bool, value: vec4<f32>) {
    let to = copied_to(index, along_k);
    row_tile[to.x] = value.x;
    row_tile[to.x + to.y] = value.y;
    row_tile[to.x + 2u * to.y] = value.z;
    row_tile[to.x + 3u * to.y] = value.w;
}

fn fill_columns(index: u32, along_k: bool, value: vec4<f32>) {
    let to = copied_to(index, along_k);
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

@compute @workgroup_size(256)
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
    let row = row_at(tile, copied_index(index, rows_along_k));
    let column = column_at(tile, copied_index(index, columns_along_k));
    let row_k = i32(copied_k(index, rows_along_k));
    let column_k = i32(copied_k(index, columns_along_k));
    let my_row = index / 16u;
    let my_column = index % 16u;

    var block: mat4x4<f32>;
    let first = tile.split * params.segments_per_split;
    let end = min(first + params.segments_per_split, params.segments);
    for (var segment = first; segment < end; segment += 1u) {
        let length = segment_end(segment);
        let row_line = source_line(row, SWAP_OPERANDS, segment);
        let column_line = source_line(column, !SWAP_OPERANDS, segment);
        for (var k = 0; k < length; k += i32(TILE_K)) {
            fill_rows(index, rows_along_k, fetch(row_line, SWAP_OPERANDS, k + row_k));
            fill_columns(index, columns_along_k, fetch(column_line, !SWAP_OPERANDS, k + column_k));
            workgroupBarrier();
            for (var i = 0u; i < TILE_K; i += 1u) {
                let rows = four_rows(TILE * i + 4u * my_row);
                let columns = four_columns(TILE * i + 4u * my_column);
                block += mat4x4<f32>(columns * rows.x, columns * rows.y, columns * rows.z, columns * rows.w);
            }
            workgroupBarrier();
        }
    }
    store_block(tile, tile.row + 4u * my_row, tile.column + 4u * my_column, block);
}

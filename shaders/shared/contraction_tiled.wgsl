// The contraction through workgroup memory, for any GPU. A workgroup computes a square tile of the output in steps of
// TILE_K k; an invocation computes one or four blocks of 4 x 4 of it in registers. In each step one half of the
// invocations copies rows and the other half columns to workgroup memory, a block of 4 lines by 4 k each; then all read
// the values of their blocks for every k from there. The values of the next step are read from the operands before the
// current step is computed, so that computing hides the time that reading takes.
//
// Barriers: one before the tiles are read (after the whole step is written), one before the next step overwrites them.
#import shared/grid
#import shared/contraction
#import shared/contraction_steps
#import shared/tile_64

const INVOCATIONS: u32 = 256u;
// Invocations along each side of the tile.
const ACROSS: u32 = 16u;
// Blocks of 4 lines along a side of the tile.
const LINES: u32 = TILE / 4u;
// Copied blocks of one operand: one for each invocation of a half.
const COPIED: u32 = LINES * TILE_K / 4u;

// Four lines at one k are a vec4: see `place`.
var<workgroup> row_tile: array<vec4<f32>, LINES * TILE_K>;
var<workgroup> column_tile: array<vec4<f32>, LINES * TILE_K>;

// The place of the lines 4 * line .. 4 * line + 3 at `k` of the step. Every second block of k swaps neighbouring groups
// of four, so that invocations that write different k do not meet in one bank of the memory.
fn place(line: u32, k: u32) -> u32 {
    return LINES * k + (line ^ (k & 4u));
}

// A copied block: the index of its 4 lines, and its first k.
struct Block {
    line: u32,
    k: u32,
}

// Neighbouring invocations read neighbours in memory: lines if a fetch gives 4 lines at one k, otherwise k, of which two
// blocks fill a sector of 32 bytes.
fn copied_block(unit: u32, across: bool) -> Block {
    if (across) {
        return Block(unit % LINES, 4u * (unit / LINES));
    }
    let pair = unit / 2u;
    return Block(pair % LINES, 4u * (2u * (pair / LINES) + unit % 2u));
}

// The sources of a copied block: one for each of its lines, or the first for all of them.
struct Sources {
    first: Source,
    second: Source,
    third: Source,
    fourth: Source,
}

fn sources_at(tile: Tile, block: Block, is_column: bool) -> Sources {
    let start = select(tile.row, tile.column, is_column) + 4u * block.line;
    let is_b = is_column != SWAP_OPERANDS;
    return Sources(
        source_at(start, is_b, tile.batch), source_at(start + 1u, is_b, tile.batch),
        source_at(start + 2u, is_b, tile.batch), source_at(start + 3u, is_b, tile.batch));
}

// Column i of the matrix holds the 4 lines at k + i.
fn fetch_block(sources: Sources, is_b: bool, segment: u32, k: i32) -> mat4x4<f32> {
    if (fetches_across(is_b)) {
        let line = source_line(sources.first, is_b, segment);
        return mat4x4<f32>(
            fetch(line, is_b, k), fetch(line, is_b, k + 1), fetch(line, is_b, k + 2), fetch(line, is_b, k + 3));
    }
    return transpose(mat4x4<f32>(
        fetch(source_line(sources.first, is_b, segment), is_b, k),
        fetch(source_line(sources.second, is_b, segment), is_b, k),
        fetch(source_line(sources.third, is_b, segment), is_b, k),
        fetch(source_line(sources.fourth, is_b, segment), is_b, k)));
}

// `block` plus the outer product: matrix column i holds row i.
fn plus_outer(block: mat4x4<f32>, rows: vec4<f32>, columns: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        fma(columns, rows.xxxx, block[0]), fma(columns, rows.yyyy, block[1]),
        fma(columns, rows.zzzz, block[2]), fma(columns, rows.wwww, block[3]));
}

// The blocks of an invocation: the second row and column of blocks is half a tile from the first.
struct Blocks {
    b00: mat4x4<f32>,
    b01: mat4x4<f32>,
    b10: mat4x4<f32>,
    b11: mat4x4<f32>,
}

// Adds the products of one k: rows and columns at `row` and `column` in the tiles.
fn plus_products(blocks: Blocks, row: u32, column: u32) -> Blocks {
    let rows = row_tile[row];
    let columns = column_tile[column];
    if (BLOCKS == 1u) {
        return Blocks(plus_outer(blocks.b00, rows, columns), blocks.b01, blocks.b10, blocks.b11);
    }
    let more_rows = row_tile[row + ACROSS];
    let more_columns = column_tile[column + ACROSS];
    return Blocks(
        plus_outer(blocks.b00, rows, columns), plus_outer(blocks.b01, rows, more_columns),
        plus_outer(blocks.b10, more_rows, columns), plus_outer(blocks.b11, more_rows, more_columns));
}

fn write_rows(block: Block, values: mat4x4<f32>) {
    let to = place(block.line, block.k);
    row_tile[to] = values[0];
    row_tile[to + LINES] = values[1];
    row_tile[to + 2u * LINES] = values[2];
    row_tile[to + 3u * LINES] = values[3];
}

fn write_columns(block: Block, values: mat4x4<f32>) {
    let to = place(block.line, block.k);
    column_tile[to] = values[0];
    column_tile[to + LINES] = values[1];
    column_tile[to + 2u * LINES] = values[2];
    column_tile[to + 3u * LINES] = values[3];
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
    let copies_columns = index >= COPIED;
    let unit = index % COPIED;
    let block = copied_block(unit, fetches_across(copies_columns != SWAP_OPERANDS));
    let sources = sources_at(tile, block, copies_columns);

    // The first row and column of this invocation's blocks, in units of 4; a second block is half a tile further.
    let my_rows = index / ACROSS;
    let my_columns = index % ACROSS;
    var blocks: Blocks;
    let first = tile.split * params.segments_per_split;
    let end = min(first + params.segments_per_split, params.segments);
    var step = existing_step(Step(first, 0), end, tile.batch);
    var next: mat4x4<f32>;
    if (step.segment < end) {
        next = fetched(sources, copies_columns, step.segment, step.k + i32(block.k));
    }
    while (step.segment < end) {
        if (copies_columns) {
            write_columns(block, next);
        } else {
            write_rows(block, next);
        }
        workgroupBarrier();
        step = existing_step(Step(step.segment, step.k + i32(TILE_K)), end, tile.batch);
        if (step.segment < end) {
            next = fetched(sources, copies_columns, step.segment, step.k + i32(block.k));
        }
        for (var k = 0u; k < TILE_K; k += 4u) {
            let row = place(my_rows, k);
            let column = place(my_columns, k);
            blocks = plus_products(blocks, row, column);
            blocks = plus_products(blocks, row + LINES, column + LINES);
            blocks = plus_products(blocks, row + 2u * LINES, column + 2u * LINES);
            blocks = plus_products(blocks, row + 3u * LINES, column + 3u * LINES);
        }
        workgroupBarrier();
    }
    let row = tile.row + 4u * my_rows;
    let column = tile.column + 4u * my_columns;
    let half = TILE / 2u;
    store_block(tile, row, column, blocks.b00);
    if (BLOCKS > 1u) {
        store_block(tile, row, column + half, blocks.b01);
        store_block(tile, row + half, column, blocks.b10);
        store_block(tile, row + half, column + half, blocks.b11);
    }
}

fn fetched(sources: Sources, is_column: bool, segment: u32, k: i32) -> mat4x4<f32> {
    if (is_column) {
        return fetch_block(sources, !SWAP_OPERANDS, segment, k);
    }
    return fetch_block(sources, SWAP_OPERANDS, segment, k);
}

// The contraction by subgroups: a workgroup is one subgroup and computes TILE_ROWS by TILE_COLUMNS outputs, without
// workgroup memory or barriers. Lane l owns columns 4l .. 4l+3 of every 4 LANES, for all rows, in registers. A step
// processes 4 k: the lanes divide the reads of the rows' values and share each of them by subgroupShuffle from a
// literal lane, and every lane reads the values of its own columns.
//
// A slot is LANES rows: lane l holds 4 k of row l of the slot or, if texels hold 4 rows, rows 4(l/4) .. +3 at k + l%4.
#import shared/grid
#import shared/contraction
#import shared/subgroup_8

// 16 or 32 rows, and 4 LANES columns or 8 LANES.
override TILE_ROWS: u32 = 16u;
override TILE_COLUMNS: u32 = 64u;
// Process the steps of all segments in one loop and recompute the lines at each step. This is faster for segments of a
// few steps, because entering a loop costs llvmpipe a copy of every register it carries.
override SHORT_SEGMENTS: bool = false;

// A block is 4 rows (the matrix's columns) by this lane's 4 columns. Block i is rows 4i .. 4i+3 of the first 4 LANES columns,
// block 8 + i those of the next.
alias Blocks = array<mat4x4<f32>, 16>;

// The row of a slot that this lane reads (the first of a texel of 4).
fn slot_row(tile: Tile, slot: u32, lane: u32) -> Source {
    return row_at(tile, LANES * slot + select(lane, lane & ~3u, fetches_across(SWAP_OPERANDS)));
}

// Offset of the k that this lane reads for the rows from the first k of a step.
fn row_k(lane: u32) -> i32 {
    return select(0, i32(lane & 3u), fetches_across(SWAP_OPERANDS));
}

// The values that the lanes read for the rows of a step: a texel of each slot.
struct Slots {
    texel: array<vec4<f32>, 4>,
}

// The values of the 4 rows of a block: matrix column i holds the 4 k of row i.
fn block_rows(slots: Slots, block: u32) -> mat4x4<f32> {
    let texel = slots.texel[4u * block / LANES];
    let lane = 4u * block % LANES;
    let rows = mat4x4<f32>(
        subgroupShuffle(texel, lane), subgroupShuffle(texel, lane + 1u),
        subgroupShuffle(texel, lane + 2u), subgroupShuffle(texel, lane + 3u));
    if (fetches_across(SWAP_OPERANDS)) {
        return transpose(rows);
    }
    return rows;
}

// The sources of 4 neighbouring columns, and their lines; only the first is used if a fetch gives all 4.
struct Columns {
    column: array<Source, 4>,
}

struct ColumnLines {
    line: array<Line, 4>,
}

fn columns_at(tile: Tile, offset: u32) -> Columns {
    return Columns(array(
        column_at(tile, offset), column_at(tile, offset + 1u),
        column_at(tile, offset + 2u), column_at(tile, offset + 3u)));
}

fn column_lines(columns: Columns, segment: u32) -> ColumnLines {
    return ColumnLines(array(
        source_line(columns.column[0], !SWAP_OPERANDS, segment),
        source_line(columns.column[1], !SWAP_OPERANDS, segment),
        source_line(columns.column[2], !SWAP_OPERANDS, segment),
        source_line(columns.column[3], !SWAP_OPERANDS, segment)));
}

fn fetch_column(line: Line, k: i32) -> vec4<f32> {
    return fetch(line, !SWAP_OPERANDS, k);
}

// The values for a lane's 4 columns: matrix column j holds the 4 columns at k + j.
fn fetch_columns(lines: ColumnLines, k: i32) -> mat4x4<f32> {
    if (fetches_across(!SWAP_OPERANDS)) {
        return mat4x4<f32>(
            fetch_column(lines.line[0], k), fetch_column(lines.line[0], k + 1),
            fetch_column(lines.line[0], k + 2), fetch_column(lines.line[0], k + 3));
    }
    return transpose(mat4x4<f32>(
        fetch_column(lines.line[0], k), fetch_column(lines.line[1], k),
        fetch_column(lines.line[2], k), fetch_column(lines.line[3], k)));
}

// The lines that a lane reads in one segment, and its row_k.
struct Lines {
    row_k: i32,
    row: array<Line, 4>,
    columns0: ColumnLines,
    columns1: ColumnLines,
}

fn fetch_row(lines: Lines, slot: u32, k: i32) -> vec4<f32> {
    return fetch(lines.row[slot], SWAP_OPERANDS, k + lines.row_k);
}

// Adds the products with the rows from `row` (in blocks) to 16 rows, that is, to 4 blocks from `first`.
fn multiply(blocks: ptr<function, Blocks>, first: u32, columns: mat4x4<f32>, slots: Slots, row: u32) {
    let rows0 = block_rows(slots, row);
    let rows1 = block_rows(slots, row + 1u);
    let rows2 = block_rows(slots, row + 2u);
    let rows3 = block_rows(slots, row + 3u);
    (*blocks)[first] += columns * rows0;
    (*blocks)[first + 1u] += columns * rows1;
    (*blocks)[first + 2u] += columns * rows2;
    (*blocks)[first + 3u] += columns * rows3;
}

// Adds k .. k+3 of the segment. Columns are read only when the previous ones are done: reading all at once would spill
// registers.
fn step(blocks: ptr<function, Blocks>, lines: Lines, k: i32) {
    var slots: Slots;
    slots.texel[0] = fetch_row(lines, 0u, k);
    if (TILE_ROWS > LANES) {
        slots.texel[1] = fetch_row(lines, 1u, k);
    }
    let columns0 = fetch_columns(lines.columns0, k);
    multiply(blocks, 0u, columns0, slots, 0u);
    if (TILE_ROWS > 16u) {
        if (TILE_ROWS > 2u * LANES) {
            slots.texel[2] = fetch_row(lines, 2u, k);
            slots.texel[3] = fetch_row(lines, 3u, k);
        }
        multiply(blocks, 4u, columns0, slots, 4u);
    }
    if (TILE_COLUMNS > 4u * LANES) {
        let columns1 = fetch_columns(lines.columns1, k);
        multiply(blocks, 8u, columns1, slots, 0u);
        if (TILE_ROWS > 16u) {
            multiply(blocks, 12u, columns1, slots, 4u);
        }
    }
}

// Stores 16 rows (4 blocks) by 4 LANES columns.
fn store_blocks(blocks: ptr<function, Blocks>, first: u32, tile: Tile, row: u32, column: u32) {
    store_block(tile, row, column, (*blocks)[first]);
    store_block(tile, row + 4u, column, (*blocks)[first + 1u]);
    store_block(tile, row + 8u, column, (*blocks)[first + 2u]);
    store_block(tile, row + 12u, column, (*blocks)[first + 3u]);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let tile = tile_at(workgroup_index(id, count), TILE_ROWS, TILE_COLUMNS);
    if (!tile.exists) {
        return;
    }
    let row0 = slot_row(tile, 0u, lane);
    let row1 = slot_row(tile, 1u, lane);
    let row2 = slot_row(tile, 2u, lane);
    let row3 = slot_row(tile, 3u, lane);
    let columns0 = columns_at(tile, 4u * lane);
    let columns1 = columns_at(tile, 4u * (lane + LANES));

    var blocks: Blocks;
    var segment = tile.split * params.segments_per_split;
    let end = min(segment + params.segments_per_split, params.segments);
    var k = 0;
    while (segment < end) {
        let length = select(0, segment_end(segment), takes_segment(segment, tile.batch));
        let lines = Lines(
            row_k(lane),
            array(
                source_line(row0, SWAP_OPERANDS, segment), source_line(row1, SWAP_OPERANDS, segment),
                source_line(row2, SWAP_OPERANDS, segment), source_line(row3, SWAP_OPERANDS, segment)),
            column_lines(columns0, segment),
            column_lines(columns1, segment));
        if (SHORT_SEGMENTS) {
            step(&blocks, lines, k);
            let last = k + 4 >= length;
            k = select(k + 4, 0, last);
            segment += select(0u, 1u, last);
        } else {
            for (k = 0; k < length; k += 4) {
                step(&blocks, lines, k);
            }
            segment += 1u;
        }
    }

    let column = tile.column + 4u * lane;
    store_blocks(&blocks, 0u, tile, tile.row, column);
    if (TILE_ROWS > 16u) {
        store_blocks(&blocks, 4u, tile, tile.row + 16u, column);
    }
    if (TILE_COLUMNS > 4u * LANES) {
        store_blocks(&blocks, 8u, tile, tile.row, column + 4u * LANES);
        if (TILE_ROWS > 16u) {
            store_blocks(&blocks, 12u, tile, tile.row + 16u, column + 4u * LANES);
        }
    }
}

// The contraction for subgroups of 8: a workgroup is one subgroup and computes TILE_ROWS by TILE_COLUMNS outputs, with
// no workgroup memory and no barrier. Lane l owns columns 4l .. 4l+3 of every 32, for all rows, in registers. A step
// takes 4 k: the lanes read the rows' values between them, each of which reaches the others by subgroupShuffle from a
// literal lane, and every lane reads the values of its own columns.
//
// A slot is 8 rows: lane l holds 4 k of row 8s + l or, where texels hold 4 rows, rows 8s + 4(l/4) .. +3 at k + l%4.
#import shared/grid
#import shared/contraction

// 16 or 32, and 32 or 64; 32 by 64 spills too many registers to be worth it.
override TILE_ROWS: u32 = 16u;
override TILE_COLUMNS: u32 = 64u;
// Take the steps of all segments in one loop, finding the lines anew at each: faster where segments are a few steps
// long, because entering a loop costs llvmpipe a copy of every register it carries.
override SHORT_SEGMENTS: bool = false;

// A block is 4 rows (the matrix's columns) by this lane's 4 columns; the slot's rows by the first 32 columns are blocks
// 4s and 4s+1, by the next 32 columns 4s+2 and 4s+3.
alias Blocks = array<mat4x4<f32>, 16>;

// Which row of a slot this lane reads (the first of a texel of 4).
fn slot_row(tile: Tile, slot: u32, lane: u32) -> Source {
    return row_at(tile, 8u * slot + select(lane, lane & 4u, fetches_across(SWAP_OPERANDS)));
}

// The line this lane reads for a slot, moved so that its element k is the first it needs in the step at k.
fn slot_line(row: Source, segment: u32, lane: u32) -> Line {
    var line = source_line(row, SWAP_OPERANDS, segment);
    if (fetches_across(SWAP_OPERANDS)) {
        let k = i32(lane & 3u);
        line.base += k * line.stride;
        line.first -= k;
        line.end -= k;
    }
    return line;
}

// The values for 4 rows of a slot: matrix column i holds the 4 k of row i.
fn broadcast_rows(slot: vec4<f32>, lane: u32) -> mat4x4<f32> {
    let texels = mat4x4<f32>(
        subgroupShuffle(slot, lane), subgroupShuffle(slot, lane + 1u),
        subgroupShuffle(slot, lane + 2u), subgroupShuffle(slot, lane + 3u));
    if (fetches_across(SWAP_OPERANDS)) {
        return transpose(texels);
    }
    return texels;
}

// What 4 neighbouring columns read, and their lines; only the first where a fetch gives all 4.
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

struct Rows {
    low: mat4x4<f32>,
    high: mat4x4<f32>,
}

fn slot_rows(slot: vec4<f32>) -> Rows {
    return Rows(broadcast_rows(slot, 0u), broadcast_rows(slot, 4u));
}

// The lines a lane reads in one segment.
struct Lines {
    row: array<Line, 4>,
    columns0: ColumnLines,
    columns1: ColumnLines,
}

fn fetch_row(line: Line, k: i32) -> vec4<f32> {
    return fetch(line, SWAP_OPERANDS, k);
}

// Adds k .. k+3 of the segment.
fn step(blocks: ptr<function, Blocks>, lines: Lines, k: i32) {
    let r0 = slot_rows(fetch_row(lines.row[0], k));
    let r1 = slot_rows(fetch_row(lines.row[1], k));
    let b0 = fetch_columns(lines.columns0, k);
    (*blocks)[0] += b0 * r0.low;
    (*blocks)[1] += b0 * r0.high;
    (*blocks)[4] += b0 * r1.low;
    (*blocks)[5] += b0 * r1.high;
    if (TILE_COLUMNS > 32u) {
        let b1 = fetch_columns(lines.columns1, k);
        (*blocks)[2] += b1 * r0.low;
        (*blocks)[3] += b1 * r0.high;
        (*blocks)[6] += b1 * r1.low;
        (*blocks)[7] += b1 * r1.high;
    }
    if (TILE_ROWS > 16u) {
        let r2 = slot_rows(fetch_row(lines.row[2], k));
        (*blocks)[8] += b0 * r2.low;
        (*blocks)[9] += b0 * r2.high;
        let r3 = slot_rows(fetch_row(lines.row[3], k));
        (*blocks)[12] += b0 * r3.low;
        (*blocks)[13] += b0 * r3.high;
    }
}

fn store_slot(blocks: ptr<function, Blocks>, slot: u32, tile: Tile, lane: u32) {
    let row = tile.row + 8u * slot;
    let column = tile.column + 4u * lane;
    store_block(tile, row, column, (*blocks)[4u * slot]);
    store_block(tile, row + 4u, column, (*blocks)[4u * slot + 1u]);
    if (TILE_COLUMNS > 32u) {
        store_block(tile, row, column + 32u, (*blocks)[4u * slot + 2u]);
        store_block(tile, row + 4u, column + 32u, (*blocks)[4u * slot + 3u]);
    }
}

@compute @workgroup_size(8)
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
    let columns1 = columns_at(tile, 4u * lane + 32u);

    var blocks: Blocks;
    var segment = tile.split * params.segments_per_split;
    let end = min(segment + params.segments_per_split, params.segments);
    var k = 0;
    while (segment < end) {
        let length = segment_end(segment);
        let lines = Lines(
            array(
                slot_line(row0, segment, lane), slot_line(row1, segment, lane),
                slot_line(row2, segment, lane), slot_line(row3, segment, lane)),
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

    store_slot(&blocks, 0u, tile, lane);
    store_slot(&blocks, 1u, tile, lane);
    if (TILE_ROWS > 16u) {
        store_slot(&blocks, 2u, tile, lane);
        store_slot(&blocks, 3u, tile, lane);
    }
}

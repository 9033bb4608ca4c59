// The contraction by cooperative matrices, whose operands are 16-bit floats: for graphs of mixed precision. A workgroup
// computes a square tile of the output in steps of 32 k; each of its subgroups of 32 computes a part of it, as matrices of
// 16 x 16 sums in its registers. In each step one half of the invocations copies rows and the other half columns to
// workgroup memory, rounded, and every subgroup multiplies matrices that it loads from there.
//
// Operands lie in workgroup memory as they are read: line by line if a fetch gives 4 k of one line, k by k if it gives 4
// lines at one k. The sums go through workgroup memory too, 16 rows at a time, because only then is it known which
// invocation holds which of them. Places in workgroup memory count in units of four elements, which are written at once.
//
// Barriers: one before the tiles are read (after the whole step is written), one before the next step overwrites them;
// the same around the sums.
enable f16;
enable wgpu_cooperative_matrix;
#import shared/grid
#import shared/contraction
#import shared/contraction_steps
#import shared/cooperative_128

// Whether a fetch gives 4 rows (4 columns) at one k: what `fetches_across` says, as a constant, since matrices are only
// loaded in control flow that is uniform for the compiler.
override ROWS_ACROSS: bool = false;
override COLUMNS_ACROSS: bool = true;

alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;

const LANES: u32 = 32u;
const INVOCATIONS: u32 = LANES * SUBGROUP_ROWS * SUBGROUP_COLUMNS;
// Number of k per step.
const TILE_K: u32 = 32u;
// Extent of a cooperative matrix.
const SIDE: u32 = 16u;
// Blocks of 4 lines along a side of the tile.
const LINES: u32 = TILE / 4u;
// Extents of the part that a subgroup computes.
const PART_ROWS: u32 = TILE / SUBGROUP_ROWS;
const PART_COLUMNS: u32 = TILE / SUBGROUP_COLUMNS;
// Distances in workgroup memory, with a gap that keeps invocations out of each other's banks: between lines, between k,
// and between rows of sums.
const LINE_STRIDE: u32 = (TILE_K + 8u) / 4u;
const K_STRIDE: u32 = (TILE + 8u) / 4u;
const SUM_STRIDE: u32 = (PART_COLUMNS + 4u) / 4u;
// One operand's tile, in the larger of the two layouts.
const OPERAND: u32 = TILE * LINE_STRIDE;
const SUMS: u32 = SIDE * SUM_STRIDE;

var<workgroup> tiles: array<array<f16, 4>, 2u * OPERAND>;
var<workgroup> sums: array<array<f32, 4>, SUBGROUP_ROWS * SUBGROUP_COLUMNS * SUMS>;

// What an invocation copies in every step: blocks of 4 fetches, BLOCKS of them.
const BLOCKS: u32 = 16u * LINES / INVOCATIONS;
// If a fetch gives 4 lines: the distance between the blocks of an invocation, in blocks of 4 k.
const GAP: u32 = INVOCATIONS / 2u / LINES;
// If a fetch gives 4 k: the number of lines that the invocations fetch at once. Eight neighbours fetch the 128 bytes of a
// line.
const LINES_AT_ONCE: u32 = INVOCATIONS / 16u;

// The sources of a block: of 4 lines, LINES_AT_ONCE apart, or the first of 4 neighbours.
struct BlockSources {
    first: Source,
    second: Source,
    third: Source,
    fourth: Source,
}

struct Copier {
    b0: BlockSources,
    b1: BlockSources,
    // The first k.
    k: i32,
    // Where the first 4 elements lie, and the distances to those of the next fetch and of the next block.
    to: u32,
    fetch_gap: u32,
    block_gap: u32,
}

fn block_sources(from_line: u32, is_b: bool, batch: u32) -> BlockSources {
    return BlockSources(
        source_at(from_line, is_b, batch), source_at(from_line + LINES_AT_ONCE, is_b, batch),
        source_at(from_line + 2u * LINES_AT_ONCE, is_b, batch), source_at(from_line + 3u * LINES_AT_ONCE, is_b, batch));
}

fn copier_at(tile: Tile, unit: u32, is_column: bool) -> Copier {
    let is_b = is_column != SWAP_OPERANDS;
    let start = select(tile.row, tile.column, is_column);
    let operand = select(0u, OPERAND, is_column);
    var copier: Copier;
    if (fetches_across(is_b)) {
        let line = unit % LINES;
        let k = 4u * (unit / LINES);
        copier.b0.first = source_at(start + 4u * line, is_b, tile.batch);
        copier.k = i32(k);
        copier.to = operand + k * K_STRIDE + line;
        copier.fetch_gap = K_STRIDE;
        copier.block_gap = 4u * GAP * K_STRIDE;
        return copier;
    }
    let line = unit / 8u;
    copier.b0 = block_sources(start + line, is_b, tile.batch);
    if (BLOCKS > 1u) {
        copier.b1 = block_sources(start + line + 4u * LINES_AT_ONCE, is_b, tile.batch);
    }
    copier.k = i32(4u * (unit % 8u));
    copier.to = operand + line * LINE_STRIDE + unit % 8u;
    copier.fetch_gap = LINES_AT_ONCE * LINE_STRIDE;
    copier.block_gap = 4u * copier.fetch_gap;
    return copier;
}

// The values of a block: 4 fetches, at 4 k or of 4 lines.
struct Block {
    first: vec4<f32>,
    second: vec4<f32>,
    third: vec4<f32>,
    fourth: vec4<f32>,
}

struct Blocks {
    b0: Block,
    b1: Block,
}

// The 4 fetches at k .. k+3, of 4 neighbouring lines each.
fn fetch_across(line: Line, is_b: bool, k: i32) -> Block {
    return Block(
        fetch(line, is_b, k), fetch(line, is_b, k + 1), fetch(line, is_b, k + 2), fetch(line, is_b, k + 3));
}

// The fetches of 4 lines, at k .. k+3 each.
fn fetch_along(sources: BlockSources, is_b: bool, segment: u32, k: i32) -> Block {
    return Block(
        fetch(source_line(sources.first, is_b, segment), is_b, k),
        fetch(source_line(sources.second, is_b, segment), is_b, k),
        fetch(source_line(sources.third, is_b, segment), is_b, k),
        fetch(source_line(sources.fourth, is_b, segment), is_b, k));
}

// All blocks of the step at `k` of the segment. They are read before any is written: a write would wait for its read, and
// the next read for it.
fn fetch_operand(copier: Copier, is_b: bool, segment: u32, k: i32) -> Blocks {
    let at = k + copier.k;
    var blocks: Blocks;
    if (fetches_across(is_b)) {
        let line = source_line(copier.b0.first, is_b, segment);
        blocks.b0 = fetch_across(line, is_b, at);
        if (BLOCKS > 1u) {
            blocks.b1 = fetch_across(line, is_b, at + i32(4u * GAP));
        }
        return blocks;
    }
    blocks.b0 = fetch_along(copier.b0, is_b, segment, at);
    if (BLOCKS > 1u) {
        blocks.b1 = fetch_along(copier.b1, is_b, segment, at);
    }
    return blocks;
}

fn fetch_blocks(copier: Copier, is_column: bool, segment: u32, k: i32) -> Blocks {
    if (is_column) {
        return fetch_operand(copier, !SWAP_OPERANDS, segment, k);
    }
    return fetch_operand(copier, SWAP_OPERANDS, segment, k);
}

fn write(at: u32, value: vec4<f32>) {
    let rounded = vec4<f16>(value);
    tiles[at] = array<f16, 4>(rounded.x, rounded.y, rounded.z, rounded.w);
}

fn write_block(to: u32, gap: u32, block: Block) {
    write(to, block.first);
    write(to + gap, block.second);
    write(to + 2u * gap, block.third);
    write(to + 3u * gap, block.fourth);
}

fn write_blocks(copier: Copier, blocks: Blocks) {
    write_block(copier.to, copier.fetch_gap, blocks.b0);
    if (BLOCKS > 1u) {
        write_block(copier.to + copier.block_gap, copier.fetch_gap, blocks.b1);
    }
}

fn sum_row(at: u32) -> vec4<f32> {
    let four = sums[at];
    return vec4<f32>(four[0], four[1], four[2], four[3]);
}

// Stores 16 rows of a subgroup's part, from `row` and `column` of the result on, if there is a tile.
fn store_sums(tile: Tile, row: u32, column: u32, from_sum: u32, lane: u32) {
    if (!tile.exists) {
        return;
    }
    const ACROSS: u32 = PART_COLUMNS / 4u;
    for (var block = lane; block < 4u * ACROSS; block += LANES) {
        let down = 4u * (block / ACROSS);
        let along = block % ACROSS;
        let at = from_sum + down * SUM_STRIDE + along;
        store_block(tile, row + down, column + 4u * along, mat4x4<f32>(
            sum_row(at), sum_row(at + SUM_STRIDE), sum_row(at + 2u * SUM_STRIDE), sum_row(at + 3u * SUM_STRIDE)));
    }
}

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = tile_at(workgroup_index(id, count), TILE, TILE);
    let copies_columns = index >= INVOCATIONS / 2u;
    let copier = copier_at(tile, index % (INVOCATIONS / 2u), copies_columns);
    let lane = index % LANES;
    let subgroup = index / LANES;
    // The part of this subgroup.
    let my_row = PART_ROWS * (subgroup / SUBGROUP_COLUMNS);
    let my_column = PART_COLUMNS * (subgroup % SUBGROUP_COLUMNS);
    // Distances between matrices in the tiles: along the lines, and along k.
    let row_side = select(SIDE * LINE_STRIDE, SIDE / 4u, ROWS_ACROSS);
    let row_k = select(SIDE / 4u, SIDE * K_STRIDE, ROWS_ACROSS);
    let column_side = select(SIDE * LINE_STRIDE, SIDE / 4u, COLUMNS_ACROSS);
    let column_k = select(SIDE / 4u, SIDE * K_STRIDE, COLUMNS_ACROSS);
    let first_row = my_row / SIDE * row_side;
    let first_column = OPERAND + my_column / SIDE * column_side;

    var c: array<Sum, MATRIX_ROWS * MATRIX_COLUMNS>;
    let first = tile.split * params.segments_per_split;
    // There is no segment for a workgroup without a tile, which may not return before the others.
    let end = select(first, min(first + params.segments_per_split, params.segments), tile.exists);
    var step = existing_step(Step(first, 0), end, tile.batch);
    while (step.segment < end) {
        write_blocks(copier, fetch_blocks(copier, copies_columns, step.segment, step.k));
        workgroupBarrier();
        for (var k = 0u; k < TILE_K / SIDE; k += 1u) {
            let at_row = first_row + k * row_k;
            let at_column = first_column + k * column_k;
            var left: array<Left, MATRIX_ROWS>;
            var right: array<Right, MATRIX_COLUMNS>;
            #import shared/cooperative_products_128
        }
        workgroupBarrier();
        step = existing_step(Step(step.segment, step.k + i32(TILE_K)), end, tile.batch);
    }

    let from_sum = subgroup * SUMS;
    #import shared/cooperative_store_128
}

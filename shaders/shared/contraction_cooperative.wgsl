// The contraction by cooperative matrices, whose operands are 16-bit floats: for graphs of mixed precision. A workgroup
// of four subgroups of 32 computes a square tile of the output in steps of 32 k, each subgroup a quarter of it: 16 or 4
// matrices of 16 x 16 sums in its registers. In each step one half of the invocations copies rows and the other half
// columns to workgroup memory, rounded, and every subgroup multiplies matrices that it loads from there.
//
// Operands lie in workgroup memory as they are read: line by line if a fetch gives 4 k of one line, k by k if it gives 4
// lines at one k. The sums go through workgroup memory too, 16 rows at a time, because only then is it known which
// invocation holds which of them.
//
// Barriers: one before the tiles are read (after the whole step is written), one before the next step overwrites them;
// the same around the sums.
enable f16;
enable wgpu_cooperative_matrix;
#import shared/grid
#import shared/contraction
#import shared/cooperative_128

// Whether a fetch gives 4 rows (4 columns) at one k: what `fetches_across` says, as a constant, since matrices are only
// loaded in control flow that is uniform for the compiler.
override ROWS_ACROSS: bool = false;
override COLUMNS_ACROSS: bool = true;

const INVOCATIONS: u32 = 128u;
const LANES: u32 = 32u;
// Number of k per step.
const TILE_K: u32 = 32u;
// Extent of a cooperative matrix.
const SIDE: u32 = 16u;
// Blocks of 4 lines along a side of the tile.
const LINES: u32 = TILE / 4u;
// Extent of the quarter that a subgroup computes.
const QUARTER: u32 = TILE / 2u;
// Distances in workgroup memory, with a gap that keeps invocations out of each other's banks: between lines, between k,
// and between rows of sums.
const LINE_STRIDE: u32 = TILE_K + 8u;
const K_STRIDE: u32 = TILE + 8u;
const SUM_STRIDE: u32 = QUARTER + 4u;
// Elements of one operand's tile, in the larger of the two layouts.
const OPERAND: u32 = TILE * LINE_STRIDE;

var<workgroup> tiles: array<f16, 2u * OPERAND>;
var<workgroup> sums: array<f32, 4u * SIDE * SUM_STRIDE>;

fn write(at: u32, value: vec4<f32>) {
    let rounded = vec4<f16>(value);
    tiles[at] = rounded.x;
    tiles[at + 1u] = rounded.y;
    tiles[at + 2u] = rounded.z;
    tiles[at + 3u] = rounded.w;
}

// What an invocation copies in every step: blocks of 4 lines by 4 k, PARTS of them, at every GAP-th block of k.
const PARTS: u32 = LINES / 8u;
const GAP: u32 = 64u / LINES;

struct Copier {
    // The sources of the 4 lines: neighbours, given by the first, if a fetch gives 4 lines; otherwise LINES apart.
    first: Source,
    second: Source,
    third: Source,
    fourth: Source,
    // The first k.
    k: u32,
    // Where the first block lies.
    to: u32,
}

fn copier_at(tile: Tile, unit: u32, is_column: bool) -> Copier {
    let is_b = is_column != SWAP_OPERANDS;
    let start = select(tile.row, tile.column, is_column);
    let operand = select(0u, OPERAND, is_column);
    var copier: Copier;
    if (fetches_across(is_b)) {
        let line = 4u * (unit % LINES);
        copier.first = source_at(start + line, is_b, tile.batch);
        copier.k = 4u * (unit / LINES);
        copier.to = operand + copier.k * K_STRIDE + line;
        return copier;
    }
    // Two neighbouring invocations read a sector of 32 bytes.
    let pair = unit / 2u;
    let line = pair % LINES;
    copier.first = source_at(start + line, is_b, tile.batch);
    copier.second = source_at(start + line + LINES, is_b, tile.batch);
    copier.third = source_at(start + line + 2u * LINES, is_b, tile.batch);
    copier.fourth = source_at(start + line + 3u * LINES, is_b, tile.batch);
    copier.k = 4u * (2u * (pair / LINES) + unit % 2u);
    copier.to = operand + line * LINE_STRIDE + copier.k;
    return copier;
}

// Copies the blocks of the step at `k` of the segment.
fn copy_blocks(copier: Copier, is_b: bool, segment: u32, k: i32) {
    let at = k + i32(copier.k);
    if (fetches_across(is_b)) {
        let line = source_line(copier.first, is_b, segment);
        for (var part = 0u; part < PARTS; part += 1u) {
            let from_k = at + i32(4u * GAP * part);
            let to = copier.to + 4u * GAP * part * K_STRIDE;
            write(to, fetch(line, is_b, from_k));
            write(to + K_STRIDE, fetch(line, is_b, from_k + 1));
            write(to + 2u * K_STRIDE, fetch(line, is_b, from_k + 2));
            write(to + 3u * K_STRIDE, fetch(line, is_b, from_k + 3));
        }
        return;
    }
    let first = source_line(copier.first, is_b, segment);
    let second = source_line(copier.second, is_b, segment);
    let third = source_line(copier.third, is_b, segment);
    let fourth = source_line(copier.fourth, is_b, segment);
    for (var part = 0u; part < PARTS; part += 1u) {
        let from_k = at + i32(4u * GAP * part);
        let to = copier.to + 4u * GAP * part;
        write(to, fetch(first, is_b, from_k));
        write(to + LINES * LINE_STRIDE, fetch(second, is_b, from_k));
        write(to + 2u * LINES * LINE_STRIDE, fetch(third, is_b, from_k));
        write(to + 3u * LINES * LINE_STRIDE, fetch(fourth, is_b, from_k));
    }
}

// A position within the split: a segment and the first k of a step.
struct Step {
    segment: u32,
    k: i32,
}

// Number of k of a segment for a matrix of the batch.
fn length_of(segment: u32, batch: u32) -> i32 {
    return select(0, segment_end(segment), takes_segment(segment, batch));
}

// The step at `at`, or the first one of the next segment that has one; `end` is the end of the split.
fn existing_step(at: Step, end: u32, batch: u32) -> Step {
    var step = at;
    while (step.segment < end && step.k >= length_of(step.segment, batch)) {
        step = Step(step.segment + 1u, 0);
    }
    return step;
}

fn sum_row(at: u32) -> vec4<f32> {
    return vec4<f32>(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
}

// Stores 16 rows of a subgroup's quarter, from `row` and `column` of the result on, if there is a tile.
fn store_sums(tile: Tile, row: u32, column: u32, from_sum: u32, lane: u32) {
    if (!tile.exists) {
        return;
    }
    const ACROSS: u32 = QUARTER / 4u;
    for (var block = lane; block < 4u * ACROSS; block += LANES) {
        let down = 4u * (block / ACROSS);
        let along = 4u * (block % ACROSS);
        let at = from_sum + down * SUM_STRIDE + along;
        store_block(tile, row + down, column + along, mat4x4<f32>(
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
    // The quarter of this subgroup.
    let my_row = QUARTER * (subgroup / 2u);
    let my_column = QUARTER * (subgroup % 2u);
    // Matrices of the tiles: a matrix of rows at a multiple of `row_side`, its k at a multiple of `row_k`.
    let row_side = SIDE * select(LINE_STRIDE, 1u, ROWS_ACROSS);
    let row_k = SIDE * select(1u, K_STRIDE, ROWS_ACROSS);
    let column_side = SIDE * select(LINE_STRIDE, 1u, COLUMNS_ACROSS);
    let column_k = SIDE * select(1u, K_STRIDE, COLUMNS_ACROSS);
    let first_row = my_row / SIDE * row_side;
    let first_column = OPERAND + my_column / SIDE * column_side;

    var c: array<Sum, MATRICES * MATRICES>;
    let first = tile.split * params.segments_per_split;
    // There is no segment for a workgroup without a tile, which may not return before the others.
    let end = select(first, min(first + params.segments_per_split, params.segments), tile.exists);
    var step = existing_step(Step(first, 0), end, tile.batch);
    while (step.segment < end) {
        if (copies_columns) {
            copy_blocks(copier, !SWAP_OPERANDS, step.segment, step.k);
        } else {
            copy_blocks(copier, SWAP_OPERANDS, step.segment, step.k);
        }
        workgroupBarrier();
        for (var k = 0u; k < TILE_K / SIDE; k += 1u) {
            let at_row = first_row + k * row_k;
            let at_column = first_column + k * column_k;
            var a: array<Left, MATRICES>;
            var b: array<Right, MATRICES>;
            #import shared/cooperative_products_128
        }
        workgroupBarrier();
        step = existing_step(Step(step.segment, step.k + i32(TILE_K)), end, tile.batch);
    }

    let from_sum = subgroup * SIDE * SUM_STRIDE;
    #import shared/cooperative_store_128
}

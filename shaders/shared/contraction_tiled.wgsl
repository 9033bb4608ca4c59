// The contraction through workgroup memory, for any GPU: a workgroup of 256 computes a 64 x 64 tile of the output in
// steps of 16 k, an invocation 4 x 4 of it in registers. Each step the invocations copy one texel's worth of A and of B
// each into workgroup memory, laid out by k, and then read 4 rows and 4 columns of every k from there.
//
// Barriers: one before the tiles are read (all of the step is written), one before they are overwritten by the next.
#import shared/grid
#import shared/contraction

const TILE: u32 = 64u;
const TILE_K: u32 = 16u;

// Rows (columns) 4i .. 4i+3 at k of the step: index 16k + i.
var<workgroup> a_tile: array<vec4<f32>, 256>;
var<workgroup> b_tile: array<vec4<f32>, 256>;

// What an invocation copies: texels of 4 rows at one k (`k`, rows 4 * (index % 16)), or 4 k of one row.
fn copied_row(index: u32, along_k: bool) -> u32 {
    return select(4u * (index % 16u), index / 4u, along_k);
}

fn copied_k(index: u32, along_k: bool) -> u32 {
    return select(index / 16u, 4u * (index % 4u), along_k);
}

fn fill_a(index: u32, along_k: bool, value: vec4<f32>) {
    let row = copied_row(index, along_k) / 4u;
    let k = copied_k(index, along_k);
    if (along_k) {
        let part = (index / 4u) % 4u;
        a_tile[16u * k + row][part] = value.x;
        a_tile[16u * (k + 1u) + row][part] = value.y;
        a_tile[16u * (k + 2u) + row][part] = value.z;
        a_tile[16u * (k + 3u) + row][part] = value.w;
    } else {
        a_tile[16u * k + row] = value;
    }
}

fn fill_b(index: u32, along_k: bool, value: vec4<f32>) {
    let column = copied_row(index, along_k) / 4u;
    let k = copied_k(index, along_k);
    if (along_k) {
        let part = (index / 4u) % 4u;
        b_tile[16u * k + column][part] = value.x;
        b_tile[16u * (k + 1u) + column][part] = value.y;
        b_tile[16u * (k + 2u) + column][part] = value.z;
        b_tile[16u * (k + 3u) + column][part] = value.w;
    } else {
        b_tile[16u * k + column] = value;
    }
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
    let a_along_k = A_K_CONTIGUOUS || !A_VEC4;
    let b_along_k = B_K_CONTIGUOUS || !B_VEC4;
    let row = existing_row(tile, copied_row(index, a_along_k));
    let column = existing_column(tile, copied_row(index, b_along_k));
    let a_k = i32(copied_k(index, a_along_k));
    let b_k = i32(copied_k(index, b_along_k));
    let my_row = index / 16u;
    let my_column = index % 16u;

    var block: mat4x4<f32>;
    let first = tile.split * params.segments_per_split;
    let end = min(first + params.segments_per_split, params.segments);
    for (var segment = first; segment < end; segment += 1u) {
        let length = segment_end(segment);
        let line_a = a_line(row, segment);
        let line_b = b_line(column, segment);
        for (var k = 0; k < length; k += i32(TILE_K)) {
            fill_a(index, a_along_k, a_fetch(line_a, k + a_k));
            fill_b(index, b_along_k, b_fetch(line_b, k + b_k));
            workgroupBarrier();
            for (var i = 0u; i < TILE_K; i += 1u) {
                let rows = a_tile[16u * i + my_row];
                let columns = b_tile[16u * i + my_column];
                block += mat4x4<f32>(columns * rows.x, columns * rows.y, columns * rows.z, columns * rows.w);
            }
            workgroupBarrier();
        }
    }
    store_block(tile, tile.row + 4u * my_row, tile.column + 4u * my_column, block);
}

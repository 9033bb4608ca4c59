// Transposes the matrices of a batch from [rows, columns] to [columns, rows], both multiples of 4. An invocation
// transposes a block of 4 x 4; neighbouring invocations have blocks of the same column of blocks.
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    // Number of blocks in all matrices, and along the rows and the columns of one.
    blocks: u32,
    row_blocks: u32,
    column_blocks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = workgroup_index(id, count) * 64u + lane;
    if (block >= params.blocks) {
        return;
    }
    let place = divide(block, params.row_blocks);
    let row = block - place * params.row_blocks;
    let matrix = divide(place, params.column_blocks);
    let column = place - matrix * params.column_blocks;
    let source = 4u * (matrix * params.row_blocks + row) * params.column_blocks + column;
    let columns = transpose(mat4x4<f32>(
        load_a(source), load_a(source + params.column_blocks),
        load_a(source + 2u * params.column_blocks), load_a(source + 3u * params.column_blocks)));
    let to = 4u * (matrix * params.column_blocks + column) * params.row_blocks + row;
    out[to] = columns[0];
    out[to + params.row_blocks] = columns[1];
    out[to + 2u * params.row_blocks] = columns[2];
    out[to + 3u * params.row_blocks] = columns[3];
}
